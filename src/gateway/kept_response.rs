//! `KeptResponse`: a response that a vendor keeps, and what is asked of it later: to see it, to cancel it, to remove it.

use crate::base::BackendId;
use crate::wire::usage::Usage;
use http::Method;

/// What is asked of a response that was given before.
#[derive(Clone, Debug)]
pub struct KeptResponse {
    /// Where it is kept.
    pub backend: BackendId,
    /// The alias it was asked for by.
    pub model: String,
    pub method: Method,
    /// Its id and what follows it: `resp_1`, `resp_1/cancel`, `resp_1/input_items`.
    pub path: String,
    /// As the client sent it, without what we say ourselves to a vendor.
    pub query: Option<String>,
    /// What was charged for it before, where that was not all: of one made in the background. Set by who finds its usage
    /// reported.
    pub charged: Option<Usage>,
}

impl KeptResponse {
    #[must_use]
    pub fn id(&self) -> &str {
        self.path.split('/').next().unwrap_or_default()
    }

    /// Whether it is to be told as a stream of events.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        let mut parameters = self.query.as_deref().unwrap_or_default().split('&');
        self.method == Method::GET && self.path == self.id() && parameters.any(|one| one == "stream=true")
    }

    /// What of its usage is still to be charged.
    #[must_use]
    pub fn owed(&self, reported: Option<Usage>) -> Option<Usage> {
        Some(reported?.less(self.charged?))
    }
}
