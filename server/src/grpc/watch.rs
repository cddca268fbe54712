//! The Watch stream: what a subscription gives, as messages, until the server drains.

use std::pin::Pin;
use std::sync::Arc;

use breaker_engine::{Engine, Subscription, Update};
use breaker_proto::encoded::{EncodedState, EncodedWatchResponse};
use futures::{Stream, stream};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::answers::now_to_message;
use super::error::draining;
use crate::http::StreamGuard;

pub(crate) type WatchStream =
    Pin<Box<dyn Stream<Item = Result<EncodedWatchResponse, Status>> + Send>>;

struct Watcher {
    engine: Arc<Engine>,
    subscription: Subscription,
    drain: CancellationToken,
    phase: Phase,
    _guard: StreamGuard,
}

enum Phase {
    Following,
    Draining,
    Over,
}

/// The stream of one watcher. Nothing is read for a watcher that does not read.
pub(crate) fn stream(
    engine: Arc<Engine>,
    subscription: Subscription,
    drain: CancellationToken,
    guard: StreamGuard,
) -> WatchStream {
    let watcher = Watcher { engine, subscription, drain, phase: Phase::Following, _guard: guard };
    Box::pin(stream::unfold(watcher, |mut watcher| async move {
        let item = watcher.next().await?;
        Some((item, watcher))
    }))
}

impl Watcher {
    async fn next(&mut self) -> Option<Result<EncodedWatchResponse, Status>> {
        match self.phase {
            Phase::Following => {
                let update = tokio::select! {
                    biased;
                    () = self.drain.cancelled() => {
                        self.phase = Phase::Draining;
                        self.subscription.read()
                    }
                    update = self.subscription.next() => update,
                };
                Some(Ok(self.to_message(update)))
            }
            Phase::Draining => {
                self.phase = Phase::Over;
                Some(Err(draining()))
            }
            Phase::Over => None,
        }
    }

    fn to_message(&self, update: Update) -> EncodedWatchResponse {
        let mut message = EncodedWatchResponse::default();
        message.deleted = update.deleted.iter().map(ToString::to_string).collect();
        message.snapshot_complete = update.snapshot_complete;
        message.reset = update.reset;
        message.resume_token = update.token;
        message.server_time = now_to_message(self.engine.now());
        for state in update.changed {
            message.push_changed(EncodedState::from_bytes(state));
        }
        message
    }
}
