//! `Otlp`: sends spans and metrics to a collector, as OTLP over HTTP. What they tell is for others to say.
//!
//! Spans are handed over when they are over and sent in batches by a thread of the library; what a collector does not take
//! in time is dropped, since nobody waits for it. The library's requests go over the outgoing client of the house.

use super::config::{Export, Fetch};
use super::{HttpClient, Sealed};
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_http::HttpError;
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanProcessor};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;

/// Spans that may wait for the collector; more are dropped.
const SPANS_WAITING: usize = 16_384;
const SPANS_IN_A_BATCH: usize = 1_024;
/// How long a span waits for others.
const SPAN_PAUSE: Duration = Duration::from_secs(2);

/// The way to a collector.
#[derive(Debug)]
pub struct Otlp {
    spans: BatchSpanProcessor,
    metrics: SdkMeterProvider,
    scope: InstrumentationScope,
}

impl Otlp {
    /// The way to the collector that the settings name; nothing where they name none. Needs the runtime of the process.
    ///
    /// # Errors
    /// When the exporter cannot be made of the settings, with the reason.
    pub fn of(settings: &Export, fetch: &Fetch) -> Result<Option<Self>, String> {
        let Some(endpoint) = &settings.otlp_endpoint else { return Ok(None) };
        let runtime = Handle::try_current().map_err(|error| error.to_string())?;
        let at = |signal: &str| format!("{}/v1/{signal}", endpoint.as_str().trim_end_matches('/'));
        let headers = headers(settings.otlp_headers.as_ref())?;
        let client = |signal| Client {
            http: HttpClient::for_named(fetch, endpoint),
            runtime: runtime.clone(),
            signal,
            is_failing: AtomicBool::new(false),
        };
        let spans = SpanExporter::builder()
            .with_http()
            .with_http_client(client("traces"))
            .with_endpoint(at("traces"))
            .with_headers(headers.clone())
            .build()
            .map_err(|error| error.to_string())?;
        let metrics = MetricExporter::builder()
            .with_http()
            .with_http_client(client("metrics"))
            .with_endpoint(at("metrics"))
            .with_headers(headers)
            .build()
            .map_err(|error| error.to_string())?;

        let resource = Resource::builder()
            .with_service_name("wharfinger")
            .with_attributes([
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                KeyValue::new("service.instance.id", uuid::Uuid::now_v7().to_string()),
            ])
            .build();
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(SPANS_WAITING)
            .with_max_export_batch_size(SPANS_IN_A_BATCH)
            .with_scheduled_delay(SPAN_PAUSE)
            .build();
        let mut spans = BatchSpanProcessor::builder(spans).with_batch_config(batches).build();
        spans.set_resource(&resource);
        let reader = PeriodicReader::builder(metrics).with_interval(settings.otlp_metrics_every).build();
        let metrics = SdkMeterProvider::builder().with_resource(resource).with_reader(reader).build();
        let scope = InstrumentationScope::builder("wharfinger").with_version(env!("CARGO_PKG_VERSION")).build();
        Ok(Some(Self { spans, metrics, scope }))
    }

    /// Takes a span that is over.
    pub fn send(&self, span: SpanData) {
        self.spans.on_end(span);
    }

    /// Where instruments are made.
    #[must_use]
    pub fn meter(&self) -> Meter {
        self.metrics.meter_with_scope(self.scope.clone())
    }

    /// What spans are marked with as ours.
    #[must_use]
    pub fn scope(&self) -> &InstrumentationScope {
        &self.scope
    }

    /// Sends what waits, and nothing after it. Waits for the collector, so not on a thread of the runtime.
    pub fn close(&self) {
        let spans = self.spans.shutdown();
        let metrics = self.metrics.shutdown();
        if let Some(error) = spans.err().or(metrics.err()) {
            tracing::warn!(error = %error, "The last spans or metrics did not reach the collector");
        }
    }
}

/// The headers of a setting like `authorization=Bearer abc,x-scope=team`.
///
/// # Errors
/// What is wrong with it; never its values, which may be secrets.
pub(in crate::base) fn headers(setting: Option<&Sealed<String>>) -> Result<HashMap<String, String>, String> {
    let Some(text) = setting else { return Ok(HashMap::new()) };
    let lines = text.expose().split(',').map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            let (name, value) = (name.trim(), value.trim());
            let legal = HeaderName::try_from(name).is_ok() && HeaderValue::try_from(value).is_ok() && !value.is_empty();
            legal
                .then(|| (name.to_owned(), value.to_owned()))
                .ok_or_else(|| "use names and values like `authorization=Bearer abc,x-scope=team`".to_owned())
        })
        .collect()
}

/// The outgoing client as the library wants it: its threads have no runtime, so requests run on ours.
#[derive(Debug)]
struct Client {
    http: HttpClient,
    runtime: Handle,
    signal: &'static str,
    is_failing: AtomicBool,
}

impl Client {
    /// Told once a failure, and not once a batch.
    fn note(&self, failure: Option<&str>) {
        let failed_before = self.is_failing.swap(failure.is_some(), Ordering::Relaxed);
        let Some(error) = failure else { return };
        metrics::counter!("wharfinger_otlp_failures_total", "signal" => self.signal).increment(1);
        if !failed_before {
            tracing::warn!(error, signal = self.signal, "The collector does not take what is sent to it");
        }
    }
}

#[async_trait]
impl opentelemetry_http::HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let request = Request::from_parts(head, Vec::from(body));
        let http = self.http.clone();
        let answer = self.runtime.spawn(async move { http.exchange(request).await }).await;
        match answer {
            Ok(Ok(answer)) => {
                let status = answer.status();
                let failure = (!status.is_success()).then(|| format!("it answered {status}"));
                self.note(failure.as_deref());
                Ok(answer)
            }
            Ok(Err(problem)) => {
                self.note(Some(&problem.detail));
                Err(problem.detail.into())
            }
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_and_a_wrong_one_is_refused_without_its_value() {
        let read = |text: &str| headers(Some(&Sealed::new(text.to_owned())));

        let both = read("authorization=Bearer a=b, x-scope = team").unwrap();
        assert_eq!((both["authorization"].as_str(), both["x-scope"].as_str()), ("Bearer a=b", "team"));
        for wrong in ["canary", "na me=canary", "name="] {
            assert!(!read(wrong).unwrap_err().contains("canary"), "{wrong}");
        }
    }
}
