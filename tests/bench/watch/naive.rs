//! A server as one would write it in an afternoon: a broadcast channel of messages, which tonic
//! encodes for each stream.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use breaker_proto::v1::breaker_service_server::BreakerService;
use breaker_proto::v1::{
    AcquireRequest, AcquireResponse, BreakerState, ReportRequest, ReportResponse, WatchRequest,
    WatchResponse,
};
use futures::stream::{self, Stream};
use prost_types::Timestamp;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tonic::{Request, Response, Status};

use crate::empty::serve_by_tonic;

/// Changes come one at a time.
const MAX_WAITING: usize = 16;
/// As long as that of the real server.
const TOKEN_BYTES: usize = 24;

struct Naive {
    /// What the breaker is in turns.
    states: [BreakerState; 2],
    /// How often it has changed.
    changes: AtomicUsize,
    messages: broadcast::Sender<WatchResponse>,
}

impl Naive {
    fn message(&self, change: usize) -> WatchResponse {
        WatchResponse {
            changed: vec![self.states[change % 2].clone()],
            resume_token: vec![0xff; TOKEN_BYTES],
            server_time: Some(Timestamp { seconds: 1_700_000_000, nanos: 123_456_789 }),
            ..WatchResponse::default()
        }
    }
}

#[tonic::async_trait]
impl BreakerService for Naive {
    async fn acquire(
        &self,
        _: Request<AcquireRequest>,
    ) -> Result<Response<AcquireResponse>, Status> {
        Ok(Response::new(AcquireResponse::default()))
    }

    /// Changes the breaker, whatever is reported.
    async fn report(&self, _: Request<ReportRequest>) -> Result<Response<ReportResponse>, Status> {
        let change = self.changes.fetch_add(1, Ordering::Relaxed) + 1;
        // It is an error if nobody watches, and no harm.
        let _ = self.messages.send(self.message(change));
        Ok(Response::new(ReportResponse::default()))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    async fn watch(&self, _: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let mut snapshot = self.message(self.changes.load(Ordering::Relaxed));
        snapshot.snapshot_complete = true;
        let next = (Some(snapshot), self.messages.subscribe());
        Ok(Response::new(Box::pin(stream::unfold(next, |(first, mut messages)| async move {
            let item = match first {
                Some(first) => Ok(first),
                None => match messages.recv().await {
                    Ok(message) => Ok(message),
                    Err(RecvError::Lagged(missed)) => Err(Status::data_loss(missed.to_string())),
                    Err(RecvError::Closed) => return None,
                },
            };
            Some((item, (None, messages)))
        }))))
    }
}

/// Starts the server on a free port; it ends with the runtime. Each Report changes its only breaker
/// to the other one of two states.
pub(crate) async fn serve(states: [BreakerState; 2]) -> anyhow::Result<SocketAddr> {
    let naive = Naive {
        states,
        changes: AtomicUsize::new(0),
        messages: broadcast::Sender::new(MAX_WAITING),
    };
    serve_by_tonic(naive).await
}
