//! The one place where refusals of permission are told to the audit record, whichever door refused.

use super::client_address::ClientAddress;
use crate::audit::{Refusal, Trace};
use crate::auth::Actor;
use crate::base::Problem;
use axum::response::Response;
use http::{Method, StatusCode};
use std::sync::{Arc, OnceLock};

/// Who turned out to ask: set by whoever reads the credential, read when the answer is a refusal.
#[derive(Clone, Debug, Default)]
pub struct Asker(Arc<OnceLock<Trace>>);

impl Asker {
    /// Keeps who it is; of several readings of one request the first counts, they say the same.
    pub fn is(&self, actor: &Actor) {
        self.0.get_or_init(|| actor.trace());
    }
}

/// A request as a refusal tells it.
pub(super) struct Asked<'a> {
    pub method: &'a Method,
    pub route: Option<&'a str>,
    pub path: &'a str,
    pub request_id: &'a str,
    pub address: Option<ClientAddress>,
    pub asker: &'a Asker,
}

impl Asked<'_> {
    /// The refusal that `response` is, if it is one: 401 and 403.
    pub fn refused_by(&self, response: &Response) -> Option<Refusal> {
        let status = response.status();
        if status != StatusCode::UNAUTHORIZED && status != StatusCode::FORBIDDEN {
            return None;
        }
        let kind = response.extensions().get::<Problem>().map_or("refused", |problem| problem.kind);
        let mut trace = self.asker.0.get().cloned().unwrap_or_else(|| Actor::anonymous().trace());
        trace.request_id.get_or_insert_with(|| self.request_id.to_owned());
        trace.address = trace.address.or(self.address.map(|address| address.0));
        Some(Refusal {
            trace,
            route: format!("{} {}", self.method, self.route.unwrap_or("none")),
            path: format!("{} {}", self.method, self.path),
            workspace: workspace_in(self.path),
            status: status.as_u16(),
            kind: kind.to_owned(),
        })
    }
}

/// The workspace that a path names.
fn workspace_in(path: &str) -> Option<String> {
    let mut parts = path.split('/').skip_while(|part| !matches!(*part, "workspaces" | "assets"));
    let name = (parts.next(), parts.next()).1?;
    let plain = !name.is_empty() && name.len() <= 63 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    plain.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_of_a_path_is_found_in_every_door() {
        for (path, expected) in [
            ("/api/v1/workspaces/team-a/assets", Some("team-a")),
            ("/workspaces/team-a", Some("team-a")),
            ("/assets/team-a/payments/edit", Some("team-a")),
            ("/workspaces/team-a/v0.1/servers", Some("team-a")),
            ("/api/v1/keys", None),
            ("/workspaces", None),
            ("/workspaces/%00", None),
        ] {
            assert_eq!(workspace_in(path).as_deref(), expected, "{path}");
        }
    }
}
