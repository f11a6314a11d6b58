//! All sorts of problems there are.

/// A sort of problem.
pub struct Kind {
    pub name: &'static str,
    pub status: u16,
    pub meaning: &'static str,
    pub help: &'static str,
}

/// A row for each: its name and status, what it means, what helps.
macro_rules! kinds {
    ($($name:literal $status:literal $meaning:literal $help:literal)*) => {
        &[$(Kind { name: $name, status: $status, meaning: $meaning, help: $help }),*]
    };
}

/// By name.
pub const KINDS: &[Kind] = kinds! {
    "access-asked" 409
        "You asked for access to this already, and the request waits."
        "Wait for the decision, or withdraw the request to ask anew."
    "access-held" 409
        "Access was asked for to what may be called already."
        "Make a key for it; the problem says with which scope."
    "access-not-possible" 409
        "The request for access is closed, has ended in a key, or leads to what is not there any more."
        "Read the request; a new one can be made."
    "account-disabled" 403
        "An administrator disabled this account."
        "Ask an administrator to enable it again."
    "address-not-allowed" 403
        "A policy of the gateway does not allow calls from this address."
        "Call from an allowed network, or ask who keeps the policy; the body names it."
    "approval-changed" 409
        "What you decided on was changed after you had seen it; nothing was decided."
        "Read the request again, and send its new digest."
    "approval-decided" 409
        "The request for approval is decided, or there is nothing to decide on any more."
        "Read the request; a new one can be made."
    "backends-broken" 502
        "Every backend that was asked broke off or answered what is no answer; `tried` says which."
        "Try again; if it stays, give the request id to the operator."
    "backends-busy" 429
        "Every backend of the route has no room now; `tried` says what each answered."
        "Wait for the time in `Retry-After`, the earliest at which one may have room."
    "backends-out" 503
        "No backend of the route is available: they failed, or are left alone for a while because they did."
        "Wait for the time in `Retry-After`; the operator sees the state of the pool on the gateway's page."
    "backends-timed-out" 504
        "Every backend that was asked took longer than it may."
        "Try again, or let the operator raise the backend's timeouts."
    "bad-if-match" 400
        "The If-Match header is no entity tag of ours."
        "Send the ETag of an earlier answer as it was, quotes included, or leave the header out."
    "bad-json" 400
        "The body is not JSON as it is taken here: broken, nested too deeply, or with a key that stands twice."
        "The detail gives line and column."
    "bad-request" 400
        "The request cannot be understood: its framing, its escapes, or a parameter that stands twice."
        "The detail names the part; mend that and send it again."
    "body-incomplete" 400
        "The body broke off before its announced end, or its framing is wrong."
        "Send it again; behind a proxy, look whether it cuts long bodies."
    "body-missing" 400
        "A body was expected, and none came."
        "Send the document or the JSON as the body of the request."
    "body-timeout" 408
        "The body came too slowly, or paused for too long."
        "Send it again over a better line, or send less at once."
    "body-too-long" 413
        "The body is longer than is taken here."
        "Send less at once; many assets go through POST /api/v1/import, one a line."
    "body-unreadable" 400
        "The body is no request of this kind; the text says where."
        "Mend the field that is named."
    "budget-reached" 403
        "What a key, user or workspace may spend in the running period is spent."
        "Wait for the next period, or have the budget raised; the body names the policy, the amounts and the time of the reset."
    "content-blocked" 400
        "A policy of the gateway does not let this prompt, or the model's answer to it, through."
        "Change the prompt; the body names the policy. An answer that was refused is charged."
    "database-unavailable" 503
        "The database does not answer, or takes no writes now."
        "Try again after the time in Retry-After; nothing of the request was stored."
    "fetch-failed" 502
        "A document was to be fetched from its address, and could not be."
        "See whether the address answers from where this runs, or send the document itself."
    "forbidden" 403
        "Who asks is known, but its roles do not allow this."
        "The detail names the role that would do."
    "form-token-missing" 403
        "A form or a script's write came with a session and without the token of its pages."
        "Open the page again and send it from there. Programs send a key in Authorization and no cookie."
    "form-unreadable" 400
        "The form of a page did not arrive whole, or not as browsers send forms."
        "Send it again from the page; programs register with POST /api/v1/workspaces/{workspace}/assets."
    "group-not-local" 409
        "An identity provider says who is in this group."
        "Change it there, or make a local group."
    "guard-unavailable" 503
        "The service that judges prompts does not answer, and the policy says to refuse then."
        "Try again in a few seconds."
    "host-missing" 400
        "The request does not say for which host it is meant, or says it twice or in a form that is none."
        "Send one Host header with the name and port in the address you call."
    "idempotency-key-reused" 422
        "The Idempotency-Key was used before with another request."
        "Use a new key for a new request; UUIDs do."
    "in-progress" 409
        "A request with the same Idempotency-Key is being worked on."
        "Wait for its answer, then ask again with the same key to get the same answer."
    "in-use" 409
        "What should be deleted is still used."
        "The detail says by what; move or delete that first."
    "internal" 500
        "Something failed on our side."
        "Try again; if it stays, give the request id to the operator, whose log has the cause."
    "invalid" 422
        "The request is well formed, but a value in it is wrong."
        "The member errors names every wrong place with what would be right."
    "invitation-not-live" 404
        "The invitation was used, replaced by a later one, or is older than a week."
        "Ask for a new one; if you have chosen a password, sign in with it."
    "key-not-live" 401
        "The key has expired or was revoked."
        "Ask an administrator of the workspace for a new one."
    "key-scope" 403
        "A role would allow it, but the key is meant for something else."
        "Use another key, or one without scopes; its holder can make one."
    "key-unknown" 401
        "The key is not known here."
        "See that it is whole and of this instance; keys are shown once, so a lost one is replaced by a new one."
    "limit-reached" 429
        "A limit of tokens, requests or requests at once is reached."
        "Wait as long as Retry-After says; the body names the policy, the counter, what is used and the limit."
    "limits-unavailable" 503
        "The counters shared by the replicas cannot be reached, and the settings say to refuse then."
        "Try again in a few seconds."
    "loop-detected" 508
        "The request passed through gateways that lead to one another."
        "Let the operator look at which backends point back at a gateway."
    "method-not-allowed" 405
        "The thing is there, but is not asked this way."
        "The Allow header names the methods that work."
    "model-not-allowed" 403
        "A policy of the gateway does not allow this model."
        "Ask for one of the models that the help names."
    "model-unknown" 404
        "There is no model of this name that this caller may use."
        "`GET /llm/v1/models` lists those that there are."
    "name-taken" 409
        "The name is in use already, perhaps by something deleted."
        "Choose another name, add a version to what has it, or restore what was deleted."
    "namespace-refused" 403
        "The name belongs to a namespace that another workspace publishes, or that the key is not for."
        "Choose a name in a namespace of your workspace, which GET /api/v1/namespaces lists, or ask an administrator for it."
    "not-acceptable" 406
        "None of the forms the client accepts can be answered."
        "The MCP endpoint answers application/json and text/event-stream; accept both."
    "not-found" 404
        "There is nothing there that you may see. What is private to others is answered the same way."
        "Look at the name; with a key of its workspace more may be seen."
    "not-served" 400
        "The route, or every backend of it, does not serve requests of this kind."
        "Ask another model, or in another dialect."
    "not-translatable" 400
        "The request holds something that cannot be told to the vendor that serves the model."
        "Leave out what is named, or ask another model."
    "other-origin" 403
        "The request came from a page of another site."
        "Open the form on this site and send it from there; programs send no Origin header."
    "overloaded" 503
        "All the memory that is set aside for long bodies of requests is taken."
        "Try again after the time in `Retry-After`."
    "own-account" 409
        "Nobody disables their own account."
        "Let another administrator do it."
    "provider-unavailable" 503
        "The identity provider does not answer, or not in time."
        "Try again in a minute; who is signed in stays so, and keys work on."
    "quota-reached" 403
        "What may be used in the running hour, day, week or month is used."
        "Wait for the next period, or have the quota raised; the body names the policy and the time of the reset."
    "refused-by-vendor" 400
        "The vendor refused the request; the text is the vendor's."
        "Mend the request as the vendor says."
    "registry-refused" 400
        "The MCP registry API refuses what was published: a server.json that breaks a rule of the format."
        "The member errors names the place and the rule; POST /v0.1/validate checks without publishing."
    "request-too-large" 413
        "A policy of the gateway allows no request of this size."
        "Send a shorter body or prompt; the body names the policy and its bound."
    "response-of-another" 403
        "The response that is gone on from, or asked for, was given to another caller."
        "Go on from a response of your own, or send the dialogue itself."
    "response-too-large" 502
        "A policy of the gateway lets no answer of this length go on."
        "Ask for less: max_tokens, or a page of a list. The answer is charged."
    "response-unknown" 403
        "Nobody was given the response here that is gone on from, or longer than thirty days ago."
        "Go on from a response of your own, or send the dialogue itself."
    "route-disabled" 503
        "The route is switched off."
        "Ask the owner of the route."
    "sealing-unavailable" 503
        "Secrets cannot be sealed or opened now: the keys for it are missing or do not fit."
        "The operator finds the reason in the log; WHARFINGER_ENCRYPTION_KEYS must hold the keys the secrets were sealed with."
    "self-approval" 403
        "You had a hand in what waits, and the workspace allows nobody to approve what is their own."
        "Another reviewer decides, or who governs the workspace allows self-approval."
    "session-over" 401
        "The session ended: by signing out, by resting too long, by its age, or because its owner was disabled."
        "Sign in again."
    "sign-in-not-believed" 400
        "What came from the identity provider is not believed: its issuer, signature, times, nonce or code do not fit."
        "Start again at the sign-in page; if it stays, give the operator the request id."
    "sign-in-refused" 403
        "The identity provider did not sign the user in."
        "Start again, or ask whoever runs the provider whether you may use this service."
    "sign-in-stale" 400
        "The answer belongs to no sign-in under way in this browser: used before, older than ten minutes, or begun elsewhere."
        "Start again at the sign-in page and finish in the same browser, with cookies allowed."
    "stale" 412
        "Somebody else changed it since you read it."
        "Read it again and send your change with the new ETag as If-Match."
    "subject-unknown" 401
        "A program's token is believed, but no service account comes with its subject."
        "Let an administrator make a service account with the token's issuer and subject."
    "target-unreadable" 400
        "Path or query of the request cannot be read once their escapes are resolved."
        "Write %XX with two hexadecimal digits for bytes of UTF-8, and no U+0000."
    "token-not-believed" 401
        "A bearer token is not of a configured issuer, not for this service, out of its time, or not signed as it must be."
        "Get a new token for this service's audience, or send a key."
    "too-large" 413
        "What was sent to the MCP registry API is larger than it takes."
        "Send less at once."
    "too-many-attempts" 429
        "Too many failed attempts to sign in."
        "Wait as long as Retry-After says; an administrator can make a new invitation."
    "too-many-connections" 503
        "All connections the service takes at once are in use."
        "Try again after the time in Retry-After, and keep fewer connections open."
    "unauthenticated" 401
        "This needs a credential, and none came that can be read."
        "Send Authorization: Bearer whf_... with a key; an administrator makes one with: wharfinger key create."
    "unavailable" 503
        "A part that is needed does not answer now."
        "Try again after the time in Retry-After; /status says which part is missing."
    "unsupported-content-encoding" 415
        "Bodies are taken as they are, not compressed."
        "Send it without a Content-Encoding."
    "unsupported-media-type" 415
        "A body of this type is not taken here."
        "The detail names the types that are; see also the Content-Type header you sent."
    "upgrade-unsupported" 501
        "WebSockets do not go through the gateway."
        "Call the API by plain requests; streams of events go through as they come."
    "upstream-broke-off" 502
        "The backend broke off in the middle of a stream; what came before was passed on."
        "Ask again; what was received was charged."
    "url-refused" 422
        "A document is not fetched from this address: it is no web address, or one of a private network."
        "Give a public http or https address, or send the document itself."
    "version-taken" 409
        "The asset has a version of this name; versions are kept as they were published."
        "Publish under the next version."
    "waits-for-approval" 202
        "No failure: the change was taken and is done once it is approved. What is approved stays as it is meanwhile."
        "The member request leads to where it stands."
    "wrong-credentials" 401
        "The name or the password is wrong; which of them is not told."
        "Try again, or ask an administrator for a new invitation."
};

#[cfg(test)]
mod tests {
    use super::*;

    /// The names that stand in the sources where a problem is given its kind.
    fn made(source: &str) -> Vec<String> {
        let pattern =
            r#"(?:with_kind\(|conflict\(|Problem::new\([^";)]*?,|Self::new\(StatusCode::[A-Z_]+,)\s*"([a-z][a-z-]+)""#;
        let pattern = regex::Regex::new(pattern).unwrap();
        let code = source.split("#[cfg(test)]").next().unwrap_or_default();
        pattern.captures_iter(code).map(|found| found[1].to_owned()).collect()
    }

    fn sources(folder: &std::path::Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.extend(made(&std::fs::read_to_string(&path).unwrap()));
            }
        }
    }

    #[test]
    fn every_problem_that_is_made_is_explained() {
        let mut found = Vec::new();
        sources(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);

        assert!(found.len() > 20, "the sources are read: {found:?}");
        found.retain(|kind| !KINDS.iter().any(|known| known.name == kind));
        assert_eq!(found, [""; 0], "explain these in KINDS above");
    }

    #[test]
    fn the_list_is_in_order_and_names_each_once() {
        assert!(KINDS.is_sorted_by(|a, b| a.name < b.name));
    }
}
