//! Which resource a path means. Clients are configured with all sorts of base addresses, and each appends its own
//! path to it, so this reads generously: trailing and doubled slashes, a repeated `/v0.1` or `/v0.1/servers`, a
//! server's name encoded once, twice, or not at all.

use crate::base::Problem;
use percent_encoding::percent_decode_str;

/// What a path of the registry API means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    Servers,
    Versions {
        server: String,
    },
    Version {
        server: String,
        version: String,
    },
    VersionStatus {
        server: String,
        version: String,
    },
    ServerStatus {
        server: String,
    },
    Publish,
    Validate,
    Health,
    Ping,
    About,
    Extensions,
    Search,
    Changes,
    ManagedSettings,
    /// The exchange of another proof for a token, by the method's name.
    Token {
        method: String,
    },
}

/// Which proofs can be exchanged for a token; without the official registry's `github-at`, which asks GitHub's own API.
const METHODS: [&str; 5] = ["oidc", "github-oidc", "dns", "http", "none"];

/// A path taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// The workspace before the version prefix; none for the root, which shows all of them.
    pub workspace: Option<String>,
    /// The named view before the version prefix.
    pub view: Option<String>,
    pub resource: Resource,
}

impl Address {
    /// The resource at `path`, still percent-encoded.
    ///
    /// # Errors
    /// 400 for a NUL or bytes that are no UTF-8; 404 with a hint for a path that means nothing.
    pub fn parse(path: &str) -> Result<Self, Problem> {
        let mut segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let (mut workspace, mut view) = (None, None);
        if segments.first() == Some(&"registries") && segments.len() > 1 {
            view = Some(decode(segments[1])?);
            segments.drain(..2);
        }
        if view.is_none() && segments.first() == Some(&"workspaces") && segments.len() > 1 {
            workspace = Some(decode(segments[1])?);
            segments.drain(..2);
        }
        strip_prefixes(&mut segments);
        let resource = match segments[..] {
            ["servers", ref rest @ ..] => of_servers(rest)?,
            ["publish"] => Some(Resource::Publish),
            ["validate"] => Some(Resource::Validate),
            ["health"] => Some(Resource::Health),
            ["ping"] => Some(Resource::Ping),
            ["version"] => Some(Resource::About),
            ["x"] => Some(Resource::Extensions),
            ["x", "search"] | ["x", super::NAMESPACE, "search"] => Some(Resource::Search),
            ["x", "managed-settings"] | ["x", super::NAMESPACE, "managed-settings"] => Some(Resource::ManagedSettings),
            ["auth", method] if METHODS.contains(&method) => Some(Resource::Token { method: method.to_owned() }),
            ["x", "changes"] | ["x", super::NAMESPACE, "changes"] => Some(Resource::Changes),
            _ => None,
        };
        resource.map(|resource| Self { workspace, view, resource }).ok_or_else(|| nothing_here(&segments))
    }
}

/// Takes `/v0.1` away as often as it stands there, and `/servers` before another `/v0.1`.
fn strip_prefixes(segments: &mut Vec<&str>) {
    let is_prefix = |segment: &&str| ["v0.1", "v0"].contains(segment);
    loop {
        let stripped = match segments[..] {
            [ref first, ..] if is_prefix(first) => 1,
            ["servers", ref second, ..] if is_prefix(second) => 1,
            ["servers", "servers", ..] => 1,
            _ => return,
        };
        segments.drain(..stripped);
    }
}

fn of_servers(rest: &[&str]) -> Result<Option<Resource>, Problem> {
    let Some((first, rest)) = rest.split_first() else { return Ok(Some(Resource::Servers)) };
    let mut server = decode(first)?;
    let mut rest = rest;
    if !server.contains('/')
        && let Some((second, after)) = rest.split_first()
        && !["versions", "status"].contains(second)
    {
        server = format!("{server}/{}", decode(second)?);
        rest = after;
    }
    Ok(match rest {
        ["versions"] => Some(Resource::Versions { server }),
        ["versions", version] => Some(Resource::Version { server, version: decode(version)? }),
        ["versions", version, "status"] => Some(Resource::VersionStatus { server, version: decode(version)? }),
        ["status"] => Some(Resource::ServerStatus { server }),
        _ => None,
    })
}

/// The text of a segment; one that was encoded twice is decoded twice.
fn decode(segment: &str) -> Result<String, Problem> {
    let mut text = segment.to_owned();
    for _ in 0..2 {
        if !text.contains('%') {
            break;
        }
        let decoded = percent_decode_str(&text).decode_utf8();
        text = decoded.map_err(|_| Problem::bad_request("The path is not UTF-8."))?.into_owned();
    }
    if text.contains('\0') {
        return Err(Problem::bad_request("The path has the character U+0000."));
    }
    Ok(text)
}

fn nothing_here(segments: &[&str]) -> Problem {
    if segments.first() == Some(&"auth") {
        return Problem::not_found(
            "Endpoint not found: tokens are exchanged by oidc, github-oidc, dns, http and none.",
        )
        .with_help("Send a key of this catalog with every write: Authorization: Bearer whf_...");
    }
    let tail = segments.join("/");
    Problem::not_found(format!(
        "Endpoint not found. Did you mean '/v0.1/{tail}' or '/v0/{tail}'? The endpoints are /v0.1/servers, \
         /v0.1/servers/{{name}}/versions, /v0.1/servers/{{name}}/versions/{{version}}, /v0.1/publish, /v0.1/validate and \
         /v0.1/x; a name's slash is written %2F."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(path: &str) -> Resource {
        Address::parse(path).unwrap().resource
    }

    #[test]
    fn all_forms_of_the_base_address_lead_to_the_list() {
        for path in [
            "/v0.1/servers",
            "/v0/servers",
            "/v0.1/servers/",
            "//v0.1//servers",
            "/v0.1/v0.1/servers",
            "/v0.1/servers/v0.1/servers",
            "/v0.1/servers//v0.1/servers",
            "/v0.1/v0/servers",
            "/v0.1/servers/servers",
        ] {
            assert_eq!(
                Address::parse(path).unwrap(),
                Address { workspace: None, view: None, resource: Resource::Servers },
                "{path}"
            );
        }
        let below = Address::parse("/workspaces/team-a/v0.1/v0.1/servers/").unwrap();
        assert_eq!(below, Address { workspace: Some("team-a".into()), view: None, resource: Resource::Servers });
        let named = Address::parse("/registries/approved/v0.1/v0.1/servers/").unwrap();
        assert_eq!(named, Address { workspace: None, view: Some("approved".into()), resource: Resource::Servers });
    }

    #[test]
    fn a_name_may_be_encoded_once_twice_or_not_at_all() {
        let expected = Resource::Version { server: "com.example/files".into(), version: "1.0.0+b1".into() };
        for path in [
            "/v0.1/servers/com.example%2Ffiles/versions/1.0.0%2Bb1",
            "/v0.1/servers/com.example%2ffiles/versions/1.0.0+b1",
            "/v0.1/servers/com.example%252Ffiles/versions/1.0.0%252Bb1",
            "/v0.1/servers/com.example/files/versions/1.0.0%2Bb1/",
        ] {
            assert_eq!(resource(path), expected, "{path}");
        }
    }

    #[test]
    fn every_resource_has_its_path() {
        let server = || "a.b/cd".to_owned();
        for (path, expected) in [
            ("/v0.1/servers/a.b%2Fcd/versions", Resource::Versions { server: server() }),
            ("/v0/servers/a.b/cd/versions", Resource::Versions { server: server() }),
            ("/v0/servers/a.b%2Fcd/status", Resource::ServerStatus { server: server() }),
            (
                "/v0/servers/a.b%2Fcd/versions/1/status",
                Resource::VersionStatus { server: server(), version: "1".into() },
            ),
            (
                "/v0/servers/plain/versions/latest",
                Resource::Version { server: "plain".into(), version: "latest".into() },
            ),
            ("/v0.1/publish", Resource::Publish),
            ("/v0.1/validate", Resource::Validate),
            ("/v0/health", Resource::Health),
            ("/v0/ping", Resource::Ping),
            ("/v0/version", Resource::About),
            ("/v0.1/x", Resource::Extensions),
            ("/v0.1/x/search", Resource::Search),
            ("/v0.1/x/dev.wharfinger/changes", Resource::Changes),
        ] {
            assert_eq!(resource(path), expected, "{path}");
        }
    }

    #[test]
    fn what_means_nothing_is_not_found_and_told_what_there_is() {
        for path in ["/v0.1", "/v0.1/server", "/v0.1/servers/a.b%2Fcd", "/v0.1/servers/a.b%2Fcd/files", "/v0.1/x/other"]
        {
            let problem = Address::parse(path).unwrap_err();
            assert_eq!(problem.status, 404, "{path}");
            assert!(problem.detail.contains("Did you mean"));
        }
        assert!(Address::parse("/v0/auth/github-at").unwrap_err().help.unwrap().contains("Bearer"));
        assert_eq!(Address::parse("/v0.1/servers/a%00b/versions").unwrap_err().status, 400);
        assert_eq!(Address::parse("/v0.1/servers/a%ffb/versions").unwrap_err().status, 400);
    }
}
