//! `/healthz`: the process lives. `/readyz`: it can serve, and what is missing where it cannot do all. `/metrics`.
//!
//! Without the database the register is out of service, and the gateway is not: a balancer in front of the gateway asks for
//! that part alone, or it would take all replicas out at once although each of them serves.

use crate::base::{Config, telemetry};
use crate::door::{Handles, Query};
use crate::search::{self, Status};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long the database may take to answer before it counts as away.
const PATIENCE: Duration = Duration::from_secs(1);

/// The routes, open to everybody; `/metrics` among them where it has no address of its own.
pub fn router(config: &Config) -> Router<Handles> {
    let router = Router::new()
        .route("/healthz", get(|| async { Json(serde_json::json!({"status": "ok"})) }))
        .route("/readyz", get(ready));
    match config.server.metrics_listen {
        None => router.route("/metrics", get(metrics)),
        Some(_) => router,
    }
}

/// Serves `/metrics` at an address of its own until `stop`.
pub async fn serve_metrics(listener: TcpListener, stop: CancellationToken) {
    let router = Router::new().route("/metrics", get(metrics));
    let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(error = %error, "Metrics are no longer served");
    }
}

/// What `/readyz` is asked. Parameters it does not know are passed over: some probes add their own.
#[derive(Debug, Deserialize)]
struct Asked {
    /// The part whose readiness the status tells of; without it, all of them.
    part: Option<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Part {
    /// The settings and the callers it goes by are in memory: it serves also while the database does not answer.
    Gateway,
}

/// What `/readyz` answers.
#[derive(Debug, Serialize)]
struct Readiness {
    /// `ready`, `degraded` (serves, with something missing), `stopping` or `unavailable`.
    status: &'static str,
    /// `ok` or `unavailable`.
    database: &'static str,
    /// Absent while the database does not answer.
    search: Option<Status>,
    gateway: GatewayStatus,
    /// What is missing, and why.
    degraded: Vec<Missing>,
}

/// The settings the gateway goes by here.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct GatewayStatus {
    generation: i64,
    routes: usize,
    /// How many of the stored things are not in force; those who look after the gateway see which, and why.
    left_out: usize,
}

#[derive(Debug, Serialize)]
struct Missing {
    part: &'static str,
    reason: String,
}

async fn ready(State(handles): State<Handles>, Query(Asked { part }): Query<Asked>) -> Response {
    let answers = tokio::time::timeout(PATIENCE, handles.db.ping()).await;
    let database = matches!(answers, Ok(Ok(())));
    let search = match database {
        true => handles.search.status().await.ok(),
        false => None,
    };
    let mut degraded = Vec::new();
    let mut miss = |part, reason: &str| degraded.push(Missing { part, reason: reason.to_owned() });
    match search.as_ref().map(|search| search.lexical) {
        Some(search::Readiness::Ready) | None => {}
        Some(search::Readiness::Rebuilding) => miss("lexical", "its index is made again; answers may lack what is new"),
        Some(_) => miss("lexical", "its index is being read; texts are compared plainly"),
    }
    match search.as_ref().map(|search| (search.semantic, search.reason.as_deref())) {
        Some((_, Some(reason))) => miss("semantic", reason),
        Some((search::Readiness::Loading, None)) => miss("semantic", "its model is being loaded"),
        _ => {}
    }
    if !database {
        miss("database", "it does not answer");
    }
    if handles.services.limits.store_answers().await == Some(false) {
        miss("redis", "it does not answer: limits and the cache of answers are not shared among replicas");
    }
    for provider in handles.auth.failing_providers() {
        miss("identity-provider", &format!("{provider} gave no usable answer when it was last asked"));
    }
    let snapshot = handles.gateway.snapshot();
    let left_out = handles.gateway.left_out().len();
    if left_out > 0 {
        miss("gateway", &format!("{left_out} of its settings are not in force"));
    }
    let gateway = GatewayStatus { generation: snapshot.generation, routes: snapshot.routes().count(), left_out };
    let serves = database || part == Some(Part::Gateway);
    let (status, code) = match (handles.liveness.is_stopping(), serves, degraded.is_empty()) {
        (true, ..) => ("stopping", StatusCode::SERVICE_UNAVAILABLE),
        (_, false, _) => ("unavailable", StatusCode::SERVICE_UNAVAILABLE),
        (_, _, false) => ("degraded", StatusCode::OK),
        _ => ("ready", StatusCode::OK),
    };
    let database = if database { "ok" } else { "unavailable" };
    let mut response = (code, Json(Readiness { status, database, search, gateway, degraded })).into_response();
    // A balancer asks often and must never be told what was.
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response.extensions_mut().insert(crate::door::AsItIs);
    response
}

async fn metrics() -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], telemetry::metrics()).into_response()
}
