//! What a collector of OpenTelemetry is told: spans of calls, and the numbers of `/metrics`.
//!
//! Nothing waits for it. Spans go through a bounded queue of their own thread, which drops what finds
//! it full; the numbers are read when they are sent, so that those of a time in which the collector
//! was away are made up for by the next ones: all of them are sums since the start.

mod numbers;
mod traces;

use std::sync::Arc;
use std::time::Duration;

use breaker_engine::Clock;
use thiserror::Error;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;

use crate::http::Pages;

pub(crate) use self::traces::{CallSpan, Traces};

/// How long the last words may take when the server goes down, twice: for numbers and for spans.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long the collector may take for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Where the collector is, and what it gets.
#[derive(Clone, Debug, PartialEq)]
pub struct Otlp {
    /// Where it takes OTLP over gRPC.
    pub endpoint: String,
    /// The share of the calls that are traced whose client says nothing about it, 0 to 1.
    pub sample: f64,
}

/// Nothing can be sent to the collector.
#[derive(Debug, Error)]
pub enum OtlpError {
    /// Its address is none.
    #[error(transparent)]
    Endpoint(#[from] tonic::transport::Error),
    /// Spans cannot be sent.
    #[error(transparent)]
    Spans(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// Who tells the collector.
pub(crate) struct Teller {
    traces: Arc<Traces>,
    numbers: JoinHandle<()>,
    stop: CancellationToken,
}

impl Teller {
    /// Begins to tell the numbers. `instance` is this server among others.
    pub(crate) fn start(
        otlp: &Otlp,
        traces: Arc<Traces>,
        pages: Pages,
        clock: Arc<dyn Clock>,
        instance: String,
    ) -> Result<Self, OtlpError> {
        let endpoint = Endpoint::from_shared(otlp.endpoint.clone())?;
        let channel = endpoint.timeout(ANSWER_WITHIN).connect_timeout(ANSWER_WITHIN).connect_lazy();
        let stop = CancellationToken::new();
        let numbers = numbers::tell(pages, clock, channel, instance, stop.clone());
        Ok(Self { traces, numbers: tokio::spawn(numbers), stop })
    }

    /// Says what was not said yet, if the collector hears it.
    pub(crate) async fn finish(mut self) {
        self.stop.cancel();
        if timeout(LAST_WORDS, &mut self.numbers).await.is_err() {
            self.numbers.abort();
        }
        let traces = Arc::clone(&self.traces);
        // It waits for the thread of the spans.
        let finished = tokio::task::spawn_blocking(move || traces.finish(LAST_WORDS));
        if let Err(error) = finished.await {
            tracing::debug!(%error, "the last spans were not sent");
        }
    }
}
