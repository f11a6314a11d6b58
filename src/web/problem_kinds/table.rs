//! All sorts of problems there are.

/// A sort of problem.
pub struct Kind {
    pub name: &'static str,
    pub status: u16,
    pub meaning: &'static str,
    pub help: &'static str,
}

/// By name.
pub const KINDS: &[Kind] = &[
    Kind {
        name: "access-asked",
        status: 409,
        meaning: "You asked for access to this already, and the request waits.",
        help: "Wait for the decision, or withdraw the request to ask anew.",
    },
    Kind {
        name: "access-held",
        status: 409,
        meaning: "Access was asked for to what may be called already.",
        help: "Make a key for it; the problem says with which scope.",
    },
    Kind {
        name: "access-not-possible",
        status: 409,
        meaning: "The request for access is closed, has ended in a key, or leads to what is not there any more.",
        help: "Read the request; a new one can be made.",
    },
    Kind {
        name: "account-disabled",
        status: 403,
        meaning: "An administrator disabled this account.",
        help: "Ask an administrator to enable it again.",
    },
    Kind {
        name: "address-not-allowed",
        status: 403,
        meaning: "A policy of the gateway does not allow calls from this address.",
        help: "Call from an allowed network, or ask who keeps the policy; the body names it.",
    },
    Kind {
        name: "approval-changed",
        status: 409,
        meaning: "What you decided on was changed after you had seen it; nothing was decided.",
        help: "Read the request again, and send its new digest.",
    },
    Kind {
        name: "approval-decided",
        status: 409,
        meaning: "The request for approval is decided, or there is nothing to decide on any more.",
        help: "Read the request; a new one can be made.",
    },
    Kind {
        name: "backends-broken",
        status: 502,
        meaning: "Every backend that was asked broke off or answered what is no answer; `tried` says which.",
        help: "Try again; if it stays, give the request id to the operator.",
    },
    Kind {
        name: "backends-busy",
        status: 429,
        meaning: "Every backend of the route has no room now; `tried` says what each answered.",
        help: "Wait for the time in `Retry-After`, the earliest at which one may have room.",
    },
    Kind {
        name: "backends-out",
        status: 503,
        meaning: "No backend of the route is available: they failed, or are left alone for a while because they did.",
        help: "Wait for the time in `Retry-After`; the operator sees the state of the pool on the gateway's page.",
    },
    Kind {
        name: "backends-timed-out",
        status: 504,
        meaning: "Every backend that was asked took longer than it may.",
        help: "Try again, or let the operator raise the backend's timeouts.",
    },
    Kind {
        name: "bad-if-match",
        status: 400,
        meaning: "The If-Match header is no entity tag of ours.",
        help: "Send the ETag of an earlier answer as it was, quotes included, or leave the header out.",
    },
    Kind {
        name: "bad-json",
        status: 400,
        meaning: "The body is not JSON as it is taken here: broken, nested too deeply, or with a key that stands twice.",
        help: "The detail gives line and column.",
    },
    Kind {
        name: "bad-request",
        status: 400,
        meaning: "The request cannot be understood: its framing, its escapes, or a parameter that stands twice.",
        help: "The detail names the part; mend that and send it again.",
    },
    Kind {
        name: "body-incomplete",
        status: 400,
        meaning: "The body broke off before its announced end, or its framing is wrong.",
        help: "Send it again; behind a proxy, look whether it cuts long bodies.",
    },
    Kind {
        name: "body-missing",
        status: 400,
        meaning: "A body was expected, and none came.",
        help: "Send the document or the JSON as the body of the request.",
    },
    Kind {
        name: "body-timeout",
        status: 408,
        meaning: "The body came too slowly, or paused for too long.",
        help: "Send it again over a better line, or send less at once.",
    },
    Kind {
        name: "body-too-long",
        status: 413,
        meaning: "The body is longer than is taken here.",
        help: "Send less at once; many assets go through POST /api/v1/import, one a line.",
    },
    Kind {
        name: "body-unreadable",
        status: 400,
        meaning: "The body is no request of this kind; the text says where.",
        help: "Mend the field that is named.",
    },
    Kind {
        name: "budget-reached",
        status: 403,
        meaning: "What a key, user or workspace may spend in the running period is spent.",
        help: "Wait for the next period, or have the budget raised; the body names the policy, the amounts and the time of the reset.",
    },
    Kind {
        name: "content-blocked",
        status: 400,
        meaning: "A policy of the gateway does not let this prompt through.",
        help: "Change the prompt; the body names the policy.",
    },
    Kind {
        name: "database-unavailable",
        status: 503,
        meaning: "The database does not answer, or takes no writes now.",
        help: "Try again after the time in Retry-After; nothing of the request was stored.",
    },
    Kind {
        name: "fetch-failed",
        status: 502,
        meaning: "A document was to be fetched from its address, and could not be.",
        help: "See whether the address answers from where this runs, or send the document itself.",
    },
    Kind {
        name: "forbidden",
        status: 403,
        meaning: "Who asks is known, but its roles do not allow this.",
        help: "The detail names the role that would do.",
    },
    Kind {
        name: "form-token-missing",
        status: 403,
        meaning: "A form or a script's write came with a session and without the token of its pages.",
        help: "Open the page again and send it from there. Programs send a key in Authorization and no cookie.",
    },
    Kind {
        name: "form-unreadable",
        status: 400,
        meaning: "The form of a page did not arrive whole, or not as browsers send forms.",
        help: "Send it again from the page; programs register with POST /api/v1/workspaces/{workspace}/assets.",
    },
    Kind {
        name: "group-not-local",
        status: 409,
        meaning: "An identity provider says who is in this group.",
        help: "Change it there, or make a local group.",
    },
    Kind {
        name: "guard-unavailable",
        status: 503,
        meaning: "The service that judges prompts does not answer, and the policy says to refuse then.",
        help: "Try again in a few seconds.",
    },
    Kind {
        name: "host-missing",
        status: 400,
        meaning: "The request does not say for which host it is meant, or says it twice or in a form that is none.",
        help: "Send one Host header with the name and port in the address you call.",
    },
    Kind {
        name: "idempotency-key-reused",
        status: 422,
        meaning: "The Idempotency-Key was used before with another request.",
        help: "Use a new key for a new request; UUIDs do.",
    },
    Kind {
        name: "in-progress",
        status: 409,
        meaning: "A request with the same Idempotency-Key is being worked on.",
        help: "Wait for its answer, then ask again with the same key to get the same answer.",
    },
    Kind {
        name: "in-use",
        status: 409,
        meaning: "What should be deleted is still used.",
        help: "The detail says by what; move or delete that first.",
    },
    Kind {
        name: "internal",
        status: 500,
        meaning: "Something failed on our side.",
        help: "Try again; if it stays, give the request id to the operator, whose log has the cause.",
    },
    Kind {
        name: "invalid",
        status: 422,
        meaning: "The request is well formed, but a value in it is wrong.",
        help: "The member errors names every wrong place with what would be right.",
    },
    Kind {
        name: "invitation-not-live",
        status: 404,
        meaning: "The invitation was used, replaced by a later one, or is older than a week.",
        help: "Ask for a new one; if you have chosen a password, sign in with it.",
    },
    Kind {
        name: "key-not-live",
        status: 401,
        meaning: "The key has expired or was revoked.",
        help: "Ask an administrator of the workspace for a new one.",
    },
    Kind {
        name: "key-scope",
        status: 403,
        meaning: "A role would allow it, but the key is meant for something else.",
        help: "Use another key, or one without scopes; its holder can make one.",
    },
    Kind {
        name: "key-unknown",
        status: 401,
        meaning: "The key is not known here.",
        help: "See that it is whole and of this instance; keys are shown once, so a lost one is replaced by a new one.",
    },
    Kind {
        name: "limit-reached",
        status: 429,
        meaning: "A limit of tokens, requests or requests at once is reached.",
        help: "Wait as long as Retry-After says; the body names the policy, the counter, what is used and the limit.",
    },
    Kind {
        name: "limits-unavailable",
        status: 503,
        meaning: "The counters shared by the replicas cannot be reached, and the settings say to refuse then.",
        help: "Try again in a few seconds.",
    },
    Kind {
        name: "loop-detected",
        status: 508,
        meaning: "The request passed through gateways that lead to one another.",
        help: "Let the operator look at which backends point back at a gateway.",
    },
    Kind {
        name: "method-not-allowed",
        status: 405,
        meaning: "The thing is there, but is not asked this way.",
        help: "The Allow header names the methods that work.",
    },
    Kind {
        name: "model-not-allowed",
        status: 403,
        meaning: "A policy of the gateway does not allow this model.",
        help: "Ask for one of the models that the help names.",
    },
    Kind {
        name: "model-unknown",
        status: 404,
        meaning: "There is no model of this name that this caller may use.",
        help: "`GET /llm/v1/models` lists those that there are.",
    },
    Kind {
        name: "name-taken",
        status: 409,
        meaning: "The name is in use already, perhaps by something deleted.",
        help: "Choose another name, add a version to what has it, or restore what was deleted.",
    },
    Kind {
        name: "namespace-refused",
        status: 403,
        meaning: "The name belongs to a namespace that another workspace publishes, or that the key is not for.",
        help: "Choose a name in a namespace of your workspace, which GET /api/v1/namespaces lists, or ask an administrator for it.",
    },
    Kind {
        name: "not-acceptable",
        status: 406,
        meaning: "None of the forms the client accepts can be answered.",
        help: "The MCP endpoint answers application/json and text/event-stream; accept both.",
    },
    Kind {
        name: "not-found",
        status: 404,
        meaning: "There is nothing there that you may see. What is private to others is answered the same way.",
        help: "Look at the name; with a key of its workspace more may be seen.",
    },
    Kind {
        name: "not-served",
        status: 400,
        meaning: "The route, or every backend of it, does not serve requests of this kind.",
        help: "Ask another model, or in another dialect.",
    },
    Kind {
        name: "not-translatable",
        status: 400,
        meaning: "The request holds something that cannot be told to the vendor that serves the model.",
        help: "Leave out what is named, or ask another model.",
    },
    Kind {
        name: "other-origin",
        status: 403,
        meaning: "The request came from a page of another site.",
        help: "Open the form on this site and send it from there; programs send no Origin header.",
    },
    Kind {
        name: "own-account",
        status: 409,
        meaning: "Nobody disables their own account.",
        help: "Let another administrator do it.",
    },
    Kind {
        name: "provider-unavailable",
        status: 503,
        meaning: "The identity provider does not answer, or not in time.",
        help: "Try again in a minute; who is signed in stays so, and keys work on.",
    },
    Kind {
        name: "quota-reached",
        status: 403,
        meaning: "What may be used in the running hour, day, week or month is used.",
        help: "Wait for the next period, or have the quota raised; the body names the policy and the time of the reset.",
    },
    Kind {
        name: "refused-by-vendor",
        status: 400,
        meaning: "The vendor refused the request; the text is the vendor's.",
        help: "Mend the request as the vendor says.",
    },
    Kind {
        name: "registry-refused",
        status: 400,
        meaning: "The MCP registry API refuses what was published: a server.json that breaks a rule of the format.",
        help: "The member errors names the place and the rule; POST /v0.1/validate checks without publishing.",
    },
    Kind {
        name: "request-too-large",
        status: 413,
        meaning: "A policy of the gateway allows no request of this size.",
        help: "Send a shorter body or prompt; the body names the policy and its bound.",
    },
    Kind {
        name: "route-disabled",
        status: 503,
        meaning: "The route is switched off.",
        help: "Ask the owner of the route.",
    },
    Kind {
        name: "sealing-unavailable",
        status: 503,
        meaning: "Secrets cannot be sealed or opened now: the keys for it are missing or do not fit.",
        help: "The operator finds the reason in the log; WHARFINGER_ENCRYPTION_KEYS must hold the keys the secrets were sealed with.",
    },
    Kind {
        name: "self-approval",
        status: 403,
        meaning: "You had a hand in what waits, and the workspace allows nobody to approve what is their own.",
        help: "Another reviewer decides, or who governs the workspace allows self-approval.",
    },
    Kind {
        name: "session-over",
        status: 401,
        meaning: "The session ended: by signing out, by resting too long, by its age, or because its owner was disabled.",
        help: "Sign in again.",
    },
    Kind {
        name: "sign-in-not-believed",
        status: 400,
        meaning: "What came from the identity provider is not believed: its issuer, signature, times, nonce or code do not fit.",
        help: "Start again at the sign-in page; if it stays, give the operator the request id.",
    },
    Kind {
        name: "sign-in-refused",
        status: 403,
        meaning: "The identity provider did not sign the user in.",
        help: "Start again, or ask whoever runs the provider whether you may use this service.",
    },
    Kind {
        name: "sign-in-stale",
        status: 400,
        meaning: "The answer belongs to no sign-in under way in this browser: used before, older than ten minutes, or begun elsewhere.",
        help: "Start again at the sign-in page and finish in the same browser, with cookies allowed.",
    },
    Kind {
        name: "stale",
        status: 412,
        meaning: "Somebody else changed it since you read it.",
        help: "Read it again and send your change with the new ETag as If-Match.",
    },
    Kind {
        name: "subject-unknown",
        status: 401,
        meaning: "A program's token is believed, but no service account comes with its subject.",
        help: "Let an administrator make a service account with the token's issuer and subject.",
    },
    Kind {
        name: "target-unreadable",
        status: 400,
        meaning: "Path or query of the request cannot be read once their escapes are resolved.",
        help: "Write %XX with two hexadecimal digits for bytes of UTF-8, and no U+0000.",
    },
    Kind {
        name: "token-not-believed",
        status: 401,
        meaning: "A bearer token is not of a configured issuer, not for this service, out of its time, or not signed as it must be.",
        help: "Get a new token for this service's audience, or send a key.",
    },
    Kind {
        name: "too-large",
        status: 413,
        meaning: "What was sent to the MCP registry API is larger than it takes.",
        help: "Send less at once.",
    },
    Kind {
        name: "too-many-attempts",
        status: 429,
        meaning: "Too many failed attempts to sign in.",
        help: "Wait as long as Retry-After says; an administrator can make a new invitation.",
    },
    Kind {
        name: "too-many-connections",
        status: 503,
        meaning: "All connections the service takes at once are in use.",
        help: "Try again after the time in Retry-After, and keep fewer connections open.",
    },
    Kind {
        name: "unauthenticated",
        status: 401,
        meaning: "This needs a credential, and none came that can be read.",
        help: "Send Authorization: Bearer whf_... with a key; an administrator makes one with: wharfinger key create.",
    },
    Kind {
        name: "unavailable",
        status: 503,
        meaning: "A part that is needed does not answer now.",
        help: "Try again after the time in Retry-After; /status says which part is missing.",
    },
    Kind {
        name: "unsupported-content-encoding",
        status: 415,
        meaning: "Bodies are taken as they are, not compressed.",
        help: "Send it without a Content-Encoding.",
    },
    Kind {
        name: "unsupported-media-type",
        status: 415,
        meaning: "A body of this type is not taken here.",
        help: "The detail names the types that are; see also the Content-Type header you sent.",
    },
    Kind {
        name: "upgrade-unsupported",
        status: 501,
        meaning: "WebSockets do not go through the gateway.",
        help: "Call the API by plain requests; streams of events go through as they come.",
    },
    Kind {
        name: "upstream-broke-off",
        status: 502,
        meaning: "The backend broke off in the middle of a stream; what came before was passed on.",
        help: "Ask again; what was received was charged.",
    },
    Kind {
        name: "url-refused",
        status: 422,
        meaning: "A document is not fetched from this address: it is no web address, or one of a private network.",
        help: "Give a public http or https address, or send the document itself.",
    },
    Kind {
        name: "version-taken",
        status: 409,
        meaning: "The asset has a version of this name; versions are kept as they were published.",
        help: "Publish under the next version.",
    },
    Kind {
        name: "waits-for-approval",
        status: 202,
        meaning: "No failure: the change was taken and is done once it is approved. What is approved stays as it is meanwhile.",
        help: "The member request leads to where it stands.",
    },
    Kind {
        name: "wrong-credentials",
        status: 401,
        meaning: "The name or the password is wrong; which of them is not told.",
        help: "Try again, or ask an administrator for a new invitation.",
    },
];

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
