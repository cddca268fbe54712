//! Spans of calls.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{
    Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, Span};
use tonic::Code;

use super::{ANSWER_WITHIN, Otlp, OtlpError};
use crate::rpcs::MethodName;

/// The header that says of which trace a call is.
const TRACE_PARENT: &str = "traceparent";
/// The share of the calls that is traced is a part of this.
const FULL: f64 = 1e6;

/// Who traces calls.
pub(crate) struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    propagator: TraceContextPropagator,
    /// Of `FULL`.
    share: u64,
    /// Grows with each call that its client says nothing about, so that the share is spread evenly.
    calls: AtomicU64,
}

/// A call that is traced.
pub(crate) struct CallSpan(Box<Span>);

impl Traces {
    /// Sends spans to a collector. `instance` is this server among others.
    pub(crate) fn start(otlp: &Otlp, instance: String) -> Result<Self, OtlpError> {
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(&otlp.endpoint)
            .with_timeout(ANSWER_WITHIN)
            .build()?;
        let resource = Resource::builder()
            .with_service_name("breakerd")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attribute(KeyValue::new("service.instance.id", instance))
            .build();
        // Whether a call is traced is decided before anything is made for it.
        let provider = SdkTracerProvider::builder()
            .with_sampler(Sampler::AlwaysOn)
            .with_resource(resource)
            .with_batch_exporter(exporter)
            .build();
        Ok(Self {
            tracer: provider.tracer("breakerd"),
            provider,
            propagator: TraceContextPropagator::new(),
            share: (otlp.sample.clamp(0.0, 1.0) * FULL) as u64,
            calls: AtomicU64::new(0),
        })
    }

    /// Begins to trace a call, if it is one of those that are traced: its client says so, or says
    /// nothing and it is one of the share.
    pub(crate) fn begin(&self, headers: &HeaderMap, method: &MethodName) -> Option<CallSpan> {
        let parent = if headers.contains_key(TRACE_PARENT) {
            self.propagator.extract_with_context(&Context::new(), &Headers(headers))
        } else {
            Context::new()
        };
        let is_traced = if parent.has_active_span() {
            parent.span().span_context().is_sampled()
        } else {
            self.is_of_share()
        };
        if !is_traced {
            return None;
        }
        let MethodName { service, method } = method;
        let span = self
            .tracer
            .span_builder(format!("{service}/{method}"))
            .with_kind(SpanKind::Server)
            .with_attributes([
                KeyValue::new("rpc.system", "grpc"),
                KeyValue::new("rpc.service", service.clone()),
                KeyValue::new("rpc.method", method.clone()),
            ])
            .start_with_context(&self.tracer, &parent);
        Some(CallSpan(Box::new(span)))
    }

    /// Sends what waits, and nothing any more.
    pub(super) fn finish(&self, within: Duration) {
        if let Err(error) = self.provider.shutdown_with_timeout(within) {
            tracing::debug!(%error, "the last spans were not sent");
        }
    }

    fn is_of_share(&self) -> bool {
        let before = self.calls.fetch_add(1, Ordering::Relaxed) % FULL as u64;
        let reached = |calls: u64| calls * self.share / FULL as u64;
        reached(before + 1) > reached(before)
    }
}

impl CallSpan {
    /// The call has ended.
    pub(crate) fn end(mut self, code: Code) {
        self.0.set_attribute(KeyValue::new("rpc.grpc.status_code", i64::from(code as i32)));
        // What the client did wrong is no error of the server.
        let is_error = matches!(
            code,
            Code::Unknown
                | Code::DeadlineExceeded
                | Code::Unimplemented
                | Code::Internal
                | Code::Unavailable
                | Code::DataLoss
        );
        if is_error {
            self.0.set_status(Status::error(code.description()));
        }
        self.0.end();
    }
}

struct Headers<'h>(&'h HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traced(sample: f64, trace_parent: Option<&'static str>) -> usize {
        let otlp = Otlp { endpoint: "http://127.0.0.1:1".to_owned(), sample };
        let traces = Traces::start(&otlp, "test".to_owned()).unwrap();
        let method = MethodName { service: "a.B".to_owned(), method: "C".to_owned() };
        let mut headers = HeaderMap::new();
        if let Some(parent) = trace_parent {
            headers.insert(TRACE_PARENT, http::HeaderValue::from_static(parent));
        }
        (0..1_000).filter(|_| traces.begin(&headers, &method).is_some()).count()
    }

    #[tokio::test]
    async fn the_client_decides_and_else_the_share() {
        let sampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let left_out = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
        for (sample, parent, expected) in [
            (0.01, None, 10),
            (0.0, None, 0),
            (1.0, None, 1_000),
            (0.0, Some(sampled), 1_000),
            (1.0, Some(left_out), 0),
            (0.01, Some("nonsense"), 10),
        ] {
            assert_eq!(traced(sample, parent), expected, "{sample} {parent:?}");
        }
    }
}
