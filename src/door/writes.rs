//! What a write passes before its handler: first who calls, then whether the same deed was done already.
//!
//! Both stand around the handlers of a route and not around the router, so that a method the route does not take is
//! answered 405 to everybody, with or without a credential, and whatever `Idempotency-Key` it carries.

use super::{
    caller::Caller,
    handles::Handles,
    idempotency,
    respond::{Failure, render_problem},
};
use crate::base::Problem;
use axum::{
    Router,
    extract::{FromRequestParts, Request, State},
    middleware::{self, Next},
    response::Response,
    routing::MethodRouter,
};
use http::Method;
use std::sync::Arc;

/// Whether a request of this method changes something.
pub(super) fn writes(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH | Method::DELETE)
}

/// A route whose writes all need a credential: without one, or with one that does not hold, they end in 401 before
/// anything of them is read. With `Idempotency-Key` they are done once.
pub fn guarded_writes(route: MethodRouter<Handles>, handles: &Arc<Handles>) -> MethodRouter<Handles> {
    route
        .route_layer(middleware::from_fn_with_state(handles.clone(), idempotency::once))
        .route_layer(middleware::from_fn_with_state(handles.clone(), by_somebody))
}

/// Routes that ask for credentials themselves, and whose writes with `Idempotency-Key` are done once.
pub fn writes_done_once<S: Clone + Send + Sync + 'static>(routes: Router<S>, handles: &Handles) -> Router<S> {
    routes.layer(middleware::from_fn_with_state(Arc::new(handles.clone()), idempotency::once))
}

async fn by_somebody(State(handles): State<Arc<Handles>>, request: Request, next: Next) -> Response {
    if !writes(request.method()) {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    match Caller::from_request_parts(&mut parts, handles.as_ref()).await {
        Ok(caller) if caller.is_anonymous() => {
            render_problem(&Problem::unauthenticated("Whoever changes something says who they are."))
        }
        Ok(_) => next.run(Request::from_parts(parts, body)).await,
        Err(Failure(problem)) => render_problem(&problem),
    }
}
