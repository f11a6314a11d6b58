//! The one place where refusals of permission are told to the audit record, whichever door refused.

use crate::audit::{Refusal, Trace};
use crate::auth::Actor;
use crate::base::{ClientAddress, Problem};
use axum::response::Response;
use http::{Method, StatusCode};
use std::sync::{Arc, OnceLock};

/// Who turned out to ask: set by whoever reads the credential, read when the answer is a refusal; and the refusal, where
/// the answer does not show it: of JSON-RPC it is within an answer of status 200.
#[derive(Clone, Debug, Default)]
pub struct Asker(Arc<Told>);

#[derive(Debug, Default)]
struct Told {
    who: OnceLock<Trace>,
    refused: OnceLock<RefusedWithin>,
}

/// A refusal of permission within an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedWithin {
    pub status: StatusCode,
    /// The kind of the problem.
    pub kind: &'static str,
    /// What was asked for: the protocol's method and its object.
    pub asked: String,
}

impl Asker {
    /// Keeps who it is; of several readings of one request the first counts, they say the same.
    pub fn is(&self, actor: &Actor) {
        self.0.who.get_or_init(|| actor.trace());
    }

    /// Keeps that something was not answered for lack of a permission (401, 403); other statuses are no refusal.
    pub fn is_refused(&self, status: StatusCode, kind: &'static str, asked: &str) {
        if is_refusal(status) {
            self.0.refused.get_or_init(|| RefusedWithin { status, kind, asked: asked.to_owned() });
        }
    }

    /// The refusal within the answer, if there is one.
    #[must_use]
    pub fn refused(&self) -> Option<&RefusedWithin> {
        self.0.refused.get()
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
    /// The refusal that `response` is, or has within it, if there is one: 401 and 403.
    pub fn refused_by(&self, response: &Response) -> Option<Refusal> {
        let within = self.asker.refused();
        let status = within.map_or(response.status(), |within| within.status);
        if !is_refusal(status) {
            return None;
        }
        let kind = response.extensions().get::<Problem>().map_or("refused", |problem| problem.kind);
        let kind = within.map_or(kind, |within| within.kind);
        let asked = within.map(|within| format!(" {}", within.asked)).unwrap_or_default();
        let mut trace = self.asker.0.who.get().cloned().unwrap_or_else(|| Actor::anonymous().trace());
        trace.request_id.get_or_insert_with(|| self.request_id.to_owned());
        trace.address = trace.address.or(self.address.map(|address| address.0));
        Some(Refusal {
            trace,
            route: format!("{} {}", self.method, self.route.unwrap_or("none")),
            path: format!("{} {}{asked}", self.method, self.path),
            workspace: workspace_in(self.path),
            status: status.as_u16(),
            kind: kind.to_owned(),
        })
    }
}

fn is_refusal(status: StatusCode) -> bool {
    status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN
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
