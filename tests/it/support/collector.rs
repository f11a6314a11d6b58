//! A collector of OpenTelemetry, as far as stories need one: it takes OTLP over HTTP and keeps what it was told.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// What arrived.
#[derive(Default)]
struct Arrived {
    spans: Vec<Span>,
    /// How often and how much was recorded, by the name of the metric and its labels.
    metrics: BTreeMap<(String, BTreeMap<String, String>), (u64, f64)>,
    /// Paths, heads and bodies, byte for byte.
    raw: Vec<u8>,
}

#[derive(Clone)]
pub struct Collector {
    pub url: String,
    arrived: Arc<Mutex<Arrived>>,
}

impl Collector {
    /// Starts on a free port; it ends with the test's runtime.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let arrived = Arc::<Mutex<Arrived>>::default();
        let service = Router::new().fallback(take).with_state(arrived.clone());
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self { url, arrived }
    }

    pub fn spans(&self) -> Vec<Span> {
        self.arrived.lock().unwrap().spans.clone()
    }

    /// How often and how much was recorded of a metric, by its labels.
    pub fn metric(&self, name: &str) -> Vec<(BTreeMap<String, String>, (u64, f64))> {
        let arrived = self.arrived.lock().unwrap();
        let of_it = arrived.metrics.iter().filter(|((one, _), _)| one == name);
        of_it.map(|((_, labels), figures)| (labels.clone(), *figures)).collect()
    }

    /// Whether this text stands anywhere in what arrived.
    pub fn saw(&self, text: &str) -> bool {
        memchr::memmem::find(&self.arrived.lock().unwrap().raw, text.as_bytes()).is_some()
    }
}

async fn take(State(arrived): State<Arc<Mutex<Arrived>>>, uri: Uri, headers: HeaderMap, body: Bytes) {
    let mut arrived = arrived.lock().unwrap();
    arrived.raw.extend_from_slice(format!("{uri} {headers:?} ").as_bytes());
    arrived.raw.extend_from_slice(&body);
    match uri.path() {
        "/v1/traces" => {
            let told = ExportTraceServiceRequest::decode(body).unwrap();
            let scopes = told.resource_spans.into_iter().flat_map(|one| one.scope_spans);
            arrived.spans.extend(scopes.flat_map(|scope| scope.spans));
        }
        "/v1/metrics" => {
            let told = ExportMetricsServiceRequest::decode(body).unwrap();
            let scopes = told.resource_metrics.into_iter().flat_map(|one| one.scope_metrics);
            for metric in scopes.flat_map(|scope| scope.metrics) {
                let Some(Data::Histogram(histogram)) = metric.data else { continue };
                for point in histogram.data_points {
                    let key = (metric.name.clone(), texts(&point.attributes));
                    arrived.metrics.insert(key, (point.count, point.sum.unwrap_or_default()));
                }
            }
        }
        other => panic!("nothing is collected at {other}"),
    }
}

/// Attributes as texts.
pub fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |one: &KeyValue| match one.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes.iter().map(|one| (one.key.clone(), text(one))).collect()
}
