//! Exchanging a proof for a token that publishes for five minutes, as the official registry has it.
//!
//! `oidc` takes a token of a configured issuer; so does `github-oidc`, of a workflow, for the names of its repository's
//! owner; `http` and `dns` take a timestamp signed with a key that a domain names in its well-known file or in a TXT record;
//! `none` takes nothing, where an administrator gave the anonymous namespace to a workspace.
//! Names that nobody has registered a namespace for are not proven to anybody.

use super::{Registry, answer::Answer, body, proof::is_signed, query::failed};
use crate::{
    auth::{Actor, TokenFor},
    base::{FieldError, Problem},
};
use axum::body::Body;
use http::{StatusCode, request::Parts};
use serde_json::{Map, Value, json};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

/// The namespace of those who prove nothing.
const ANONYMOUS: &str = "io.modelcontextprotocol.anonymous";
/// How far a signed timestamp may be from our clock.
const SKEW: Duration = Duration::seconds(15);
/// The longest file of keys that is read.
const LONGEST_FILE: usize = 4_096;

impl Registry {
    pub(super) async fn exchange(
        &self,
        actor: &Actor,
        method: &str,
        parts: &Parts,
        body: Body,
    ) -> Result<Answer, Problem> {
        let (holder, proof) = match method {
            "oidc" | "github-oidc" => {
                let body = body::object(parts, body).await?;
                let token = text(&body, "oidc_token")?;
                // Three parts: a key of ours is no proof of somebody else's.
                if token.split('.').count() != 3 {
                    return Err(refused());
                }
                let owned = if method == "github-oidc" { self.of_repository(token).await? } else { None };
                match owned {
                    Some(owned) => owned,
                    None => (TokenFor::Actor(self.auth.identify(token).await?), method.to_owned()),
                }
            }
            "http" | "dns" => {
                let body = body::object(parts, body).await?;
                self.of_domain(&body, method).await?
            }
            _ => (self.of_namespace(ANONYMOUS, vec![format!("{ANONYMOUS}/*")]).await?, "anonymous".to_owned()),
        };
        let (token, ends) = self.auth.publish_token(actor, holder, &proof).await?;
        let answer = json!({"registry_token": token.reveal(), "expires_at": ends.unix_timestamp()});
        Ok(Answer::json(StatusCode::OK, answer.to_string().into_bytes()))
    }

    /// The names of the owner of the repository whose workflow got this token; none for a token that names no repository,
    /// or of an owner whose namespace nobody registered: its subject may be a service account's.
    async fn of_repository(&self, token: &str) -> Result<Option<(TokenFor, String)>, Problem> {
        let Some(namespace) = self.auth.namespace_of_owner(token).await? else { return Ok(None) };
        let Some(found) = self.catalog.publisher_of_namespace(&namespace).await? else { return Ok(None) };
        let holder = TokenFor::Names { workspace: found.workspace_id, names: vec![format!("{namespace}/*")] };
        Ok(Some((holder, format!("{namespace} by github-oidc"))))
    }

    /// Who signed a fresh timestamp with a key that the domain names: at its well-known address, which is its own host's
    /// word and counts for the names of this host; or in the DNS, which counts for what is below it too.
    async fn of_domain(&self, body: &Map<String, Value>, method: &str) -> Result<(TokenFor, String), Problem> {
        let (domain, timestamp) = (text(body, "domain")?.to_ascii_lowercase(), text(body, "timestamp")?);
        let signature = hex::decode(text(body, "signed_timestamp")?).map_err(|_| refused())?;
        if !is_domain(&domain) {
            return Err(failed(FieldError::new("body.domain", "expected a domain name like example.com")));
        }
        check_time(timestamp, self.catalog.clock().now())?;
        let reversed: Vec<&str> = domain.split('.').rev().collect();
        let reversed = reversed.join(".");
        let mut names = vec![format!("{reversed}/*")];
        if method == "dns" {
            names.push(format!("{reversed}.*"));
        }
        // Before anything is fetched: of a domain nobody publishes nothing is asked.
        let holder = self.of_namespace(&reversed, names).await?;
        let lines = match method {
            "dns" => self.dns.texts(&domain).await.map_err(|_| refused())?,
            _ => self.lines_of_file(&domain).await?,
        };
        if !is_signed(lines.iter().map(String::as_str), timestamp, &signature) {
            return Err(refused());
        }
        Ok((holder, format!("{domain} by {method}")))
    }

    async fn lines_of_file(&self, domain: &str) -> Result<Vec<String>, Problem> {
        let url = format!("https://{domain}/.well-known/mcp-registry-auth");
        let file = self.http.fetch_there(&url).await.map_err(|_| refused())?;
        let file = std::str::from_utf8(&file.bytes).ok().filter(|file| file.len() <= LONGEST_FILE);
        Ok(file.ok_or_else(refused)?.lines().map(str::to_owned).collect())
    }

    async fn of_namespace(&self, namespace: &str, names: Vec<String>) -> Result<TokenFor, Problem> {
        let found = self.catalog.publisher_of_namespace(namespace).await?.ok_or_else(refused)?;
        Ok(TokenFor::Names { workspace: found.workspace_id, names })
    }
}

/// In the same words whatever is wrong: who asks learns neither which namespaces there are nor what was found elsewhere.
fn refused() -> Problem {
    Problem::unauthenticated("Token exchange failed")
        .with_help("An administrator must have given the namespace to a workspace (PUT /api/v1/namespaces/{namespace}), and the proof must hold.")
}

fn text<'a>(body: &'a Map<String, Value>, member: &str) -> Result<&'a str, Problem> {
    let missing = || failed(FieldError::new(format!("body.{member}"), "expected a string"));
    body.get(member).and_then(Value::as_str).filter(|text| !text.contains('\0')).ok_or_else(missing)
}

/// A name of the public DNS: labels with dots between, and no address.
fn is_domain(domain: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let last = domain.rsplit('.').next().unwrap_or_default();
    domain.len() <= 253
        && domain.contains('.')
        && domain.split('.').all(label)
        && !last.bytes().all(|b| b.is_ascii_digit())
}

fn check_time(timestamp: &str, now: OffsetDateTime) -> Result<(), Problem> {
    let at = OffsetDateTime::parse(timestamp, &Rfc3339)
        .map_err(|_| failed(FieldError::new("body.timestamp", "expected a time in RFC 3339")))?;
    if (at - now).abs() > SKEW {
        return Err(Problem::unauthenticated("Token exchange failed: the timestamp is not of now"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn only_names_of_the_dns_and_times_of_now_are_taken() {
        for wrong in [
            "localhost",
            "127.0.0.1",
            "example.com:8443",
            "a@example.com",
            "-a.example",
            "example.com/x",
            "[::1]",
            "a..b",
        ] {
            assert!(!is_domain(wrong), "{wrong}");
        }
        assert!(is_domain("tools.example.com"));
        let now = datetime!(2026-03-01 12:00 UTC);
        assert!(
            check_time("2026-03-01T12:00:15Z", now).is_ok() && check_time("2026-03-01T13:00:00+01:00", now).is_ok()
        );
        assert!(check_time("2026-03-01T12:00:16Z", now).is_err() && check_time("2026-03-01T11:59:44Z", now).is_err());
        assert!(check_time("now", now).is_err());
    }
}
