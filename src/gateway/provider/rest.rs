//! A REST API: no model, no dialect; the path is the caller's.

use super::{Outcome, Provider};
use crate::base::Clock;
use crate::gateway::settings::BackendSettings;
use crate::wire::call::Dialect;
use http::{HeaderMap, StatusCode};

pub(super) struct Rest;

impl Provider for Rest {
    fn dialect(&self, _asked: Dialect) -> Option<Dialect> {
        None
    }

    fn path(&self, _settings: &BackendSettings, _dialect: Dialect, _model: &str) -> String {
        String::new()
    }

    /// What an API refuses is its answer; a caller may lack a right there that has nothing to do with our credential.
    fn outcome(&self, status: StatusCode, headers: &HeaderMap, clock: &Clock) -> Outcome {
        match status.as_u16() {
            401 | 403 | 408 => Outcome::Refused,
            _ => super::outcome(status, headers, clock),
        }
    }
}
