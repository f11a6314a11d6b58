//! `Front`: what stands before the router. An answer that lies ready goes out from here; all else goes on.
//!
//! Routing a request, and handing it from layer to layer, costs several times what sending kept bytes costs: each layer
//! is cloned and boxed for it. So a read whose whole answer is known is looked up first. Everything that is promised of
//! an answer is kept here too, with the functions of the layers: its request id, its headers, its count and its log line.
//! Whatever is unusual about a request (a credential that is not remembered, a cookie, a body, an odd `Host`) sends it the
//! long way, where it is judged.

use super::{
    caller::credential,
    handles::Handles,
    layers::{self, REQUEST_ID},
};
use crate::auth::Actor;
use axum::{Router, body::Body, extract::ConnectInfo, response::Response, routing::future::RouteFuture};
use http::{HeaderValue, Method, Request, header};
use metrics::Histogram;
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Instant,
};
use tower::Service;

/// Where answers lie ready.
pub trait ReadyAnswers: Send + Sync {
    /// Under what the answers are counted.
    fn route(&self) -> &'static str;

    /// The answer to a GET without a body, where it is known and still true; `asker` is who comes with a
    /// credential.
    fn find(&self, request: &Request<Body>, asker: Option<&Actor>) -> Option<Response>;
}

/// All doors of the process, and before them the answers that lie ready; cheap to clone.
#[derive(Clone)]
pub struct Front {
    router: Router,
    ready: Option<Arc<ReadyDoor>>,
}

struct ReadyDoor {
    answers: Box<dyn ReadyAnswers>,
    handles: Handles,
    /// How long answers took, by the two statuses they have; made when the first is recorded.
    seconds: [OnceLock<Histogram>; 2],
}

impl Front {
    pub fn new(router: Router, answers: impl ReadyAnswers + 'static, handles: &Handles) -> Self {
        let ready = ReadyDoor { answers: Box::new(answers), handles: handles.clone(), seconds: Default::default() };
        Self { router, ready: Some(Arc::new(ready)) }
    }
}

/// Doors without answers that lie ready.
impl From<Router> for Front {
    fn from(router: Router) -> Self {
        Self { router, ready: None }
    }
}

impl Front {
    /// The answer to a request, where it lies ready; takes some microseconds.
    #[must_use]
    pub fn ready(&self, request: &Request<Body>) -> Option<Response> {
        self.ready.as_ref().and_then(|ready| ready.answer(request))
    }

    /// The answer to a request, the long way.
    pub fn route(&self, request: Request<Body>) -> RouteFuture<Infallible> {
        self.router.clone().call(request)
    }
}

impl ReadyDoor {
    fn answer(&self, request: &Request<Body>) -> Option<Response> {
        /// Headers that make a request more than a plain read.
        const UNUSUAL: [header::HeaderName; 4] =
            [header::COOKIE, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::EXPECT];
        let begun = Instant::now();
        let headers = request.headers();
        let plain = *request.method() == Method::GET
            && !UNUSUAL.iter().any(|name| headers.contains_key(name))
            && layers::check_host(request).is_ok();
        if !plain {
            return None;
        }
        let asker = match credential(headers).ok()? {
            None => None,
            Some(text) => Some(self.handles.auth.recognise(text)?),
        };
        let mut response = self.answers.find(request, asker.as_deref())?;

        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
        let id = layers::request_id(headers, layers::trusts(&self.handles, peer));
        layers::finish_headers(response.headers_mut(), self.handles.public_url.is_secure());
        if let Ok(value) = HeaderValue::from_str(id.as_str()) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        let (status, route, elapsed) = (response.status(), self.answers.route(), begun.elapsed());
        let seconds = self.seconds[usize::from(!status.is_success())]
            .get_or_init(|| layers::request_seconds("GET", route, status.as_str()));
        seconds.record(elapsed.as_secs_f64());
        layers::log(id.as_str(), "GET", request.uri().path(), status, elapsed);
        Some(response)
    }
}
