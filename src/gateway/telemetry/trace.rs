//! `Trace`: where a request stands in the trace of whoever sent it, as W3C Trace Context has it.

use crate::base::BackendId;
use crate::gateway::balance::mixed;
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;

pub(in crate::gateway) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// A request whose spans are wanted.
#[derive(Clone, Debug)]
pub struct Trace {
    id: TraceId,
    span: SpanId,
    /// The caller's span; none when the trace begins here.
    parent: Option<SpanId>,
    state: TraceState,
}

impl Trace {
    /// The trace that the headers carry on, or one that begins here; nothing when its spans are not wanted: the caller
    /// said so, or it is none of the sampled `part`. Headers that say nothing legal are taken away, since a backend could
    /// not carry them on either (3.3).
    pub(super) fn begin(headers: &mut HeaderMap, part: f64) -> Option<Self> {
        let (most, span) = uuid::Uuid::new_v4().as_u64_pair();
        // The fixed bits of a UUID are no chance.
        let span = SpanId::from_bytes(mixed(span).to_be_bytes());
        if headers.contains_key(TRACEPARENT) {
            let extracted =
                TraceContextPropagator::new().extract_with_context(&Context::new(), &HeaderExtractor(headers));
            let caller = extracted.span().span_context().clone();
            if caller.is_valid() {
                return caller.is_sampled().then(|| Self {
                    id: caller.trace_id(),
                    span,
                    parent: Some(caller.span_id()),
                    state: caller.trace_state().clone(),
                });
            }
            headers.remove(TRACEPARENT);
        }
        headers.remove(TRACESTATE);
        let draw = mixed(most ^ 1);
        // As large a part of all numbers as is wanted lies below the bound.
        if part < 1.0 && (draw >> 11) as f64 >= part * (1_u64 << 53) as f64 {
            return None;
        }
        let id = (u128::from(draw) << 64) | u128::from(mixed(most));
        Some(Self { id: TraceId::from(id), span, parent: None, state: TraceState::NONE })
    }

    /// The context of the request's own span, and its parent.
    pub(super) fn own(&self) -> (SpanContext, SpanId) {
        (self.context(self.span), self.parent.unwrap_or(SpanId::INVALID))
    }

    /// The context of the span of the attempt at this backend, which is asked once at most.
    pub(super) fn attempt(&self, backend: BackendId) -> (SpanContext, SpanId) {
        let seed = u64::from_be_bytes(self.span.to_bytes()) ^ mixed(backend.0.as_u128() as u64);
        (self.context(SpanId::from_bytes(mixed(seed).to_be_bytes())), self.span)
    }

    /// What a backend is sent as `traceparent`.
    pub(in crate::gateway) fn header_for(&self, backend: BackendId) -> Option<HeaderValue> {
        let (context, _) = self.attempt(backend);
        HeaderValue::try_from(format!("00-{}-{}-01", context.trace_id(), context.span_id())).ok()
    }

    fn context(&self, span: SpanId) -> SpanContext {
        SpanContext::new(self.id, span, TraceFlags::SAMPLED, false, self.state.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(parent: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, parent.parse().unwrap());
        headers.insert(TRACESTATE, "vendor=1".parse().unwrap());
        headers
    }

    #[test]
    fn a_callers_trace_goes_on_and_its_wish_not_to_be_traced_is_kept() {
        let mut sampled = headers("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        let mut unsampled = headers("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");

        let trace = Trace::begin(&mut sampled, 0.0).unwrap();

        assert_eq!(trace.id.to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(trace.own().1.to_string(), "b7ad6b7169203331");
        assert_eq!(trace.own().0.trace_state().header(), "vendor=1");
        assert!(Trace::begin(&mut unsampled, 1.0).is_none());
        assert_eq!(unsampled.len(), 2, "they go on to the backend as they came");
    }

    #[test]
    fn what_is_no_trace_begins_a_new_one_and_is_not_sent_on() {
        for wrong in ["", "00-0-0-01", "00-00000000000000000000000000000000-b7ad6b7169203331-01", "what"] {
            let mut headers = headers(wrong);

            let trace = Trace::begin(&mut headers, 1.0).unwrap();

            assert!(trace.own().0.is_valid() && trace.parent.is_none(), "{wrong}");
            assert!(headers.is_empty(), "{wrong}");
        }
    }

    #[test]
    fn about_the_wanted_part_is_traced() {
        let traced = |part| (0..4_000).filter(|_| Trace::begin(&mut HeaderMap::new(), part).is_some()).count();

        assert_eq!((traced(0.0), traced(1.0)), (0, 4_000));
        assert!((800..1_200).contains(&traced(0.25)));
    }

    #[test]
    fn each_backend_gets_a_span_of_its_own() {
        let trace = Trace::begin(&mut HeaderMap::new(), 1.0).unwrap();
        let (one, other) = (BackendId::new(), BackendId::new());

        assert_eq!(trace.attempt(one), trace.attempt(one));
        assert_ne!(trace.header_for(one), trace.header_for(other));
        assert_ne!(trace.attempt(one).0.span_id(), trace.own().0.span_id());
        let mut sent = HeaderMap::new();
        sent.insert(TRACEPARENT, trace.header_for(one).unwrap());
        assert_eq!(Trace::begin(&mut sent, 0.0).unwrap().own().1, trace.attempt(one).0.span_id());
    }
}
