//! The Watch stream: what a subscription gives, as messages, until the server drains or leads no more.

use std::pin::Pin;
use std::sync::Arc;

use breaker_engine::{Subscription, Update};
use breaker_proto::encoded::{EncodedState, EncodedWatchResponse};
use futures::{Stream, stream};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::Status;

use super::answers::now_to_message;
use super::error::ended;
use crate::http::StreamGuard;
use crate::seat::{Leading, Seat};

pub(crate) type WatchStream =
    Pin<Box<dyn Stream<Item = Result<EncodedWatchResponse, Status>> + Send>>;

struct Watcher {
    seat: Arc<Seat>,
    leading: Arc<Leading>,
    subscription: Subscription,
    /// Kept, because a wait that begins anew with each message costs as much as the message.
    over: Pin<Box<WaitForCancellationFutureOwned>>,
    phase: Phase,
    _guard: StreamGuard,
}

enum Phase {
    Following,
    Ending,
    Over,
}

/// The stream of one watcher, as long as the server leads. Nothing is read for a watcher that does not read.
pub(crate) fn stream(
    seat: Arc<Seat>,
    leading: Arc<Leading>,
    subscription: Subscription,
    guard: StreamGuard,
) -> WatchStream {
    let over = Box::pin(leading.over.clone().cancelled_owned());
    let phase = Phase::Following;
    let watcher = Watcher { seat, leading, subscription, over, phase, _guard: guard };
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
                    () = &mut self.over => {
                        self.phase = Phase::Ending;
                        self.subscription.read()
                    }
                    update = self.subscription.next() => update,
                };
                if self.leading.holds(self.leading.engine.now()) {
                    Some(Ok(self.to_message(update)))
                } else {
                    // What it knows may be older than what another server has told meanwhile.
                    self.phase = Phase::Over;
                    Some(Err(ended(&self.seat)))
                }
            }
            Phase::Ending => {
                self.phase = Phase::Over;
                Some(Err(ended(&self.seat)))
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
        message.server_time = now_to_message(self.leading.engine.now());
        for state in update.changed {
            message.push_changed(EncodedState::from_bytes(state));
        }
        message
    }
}
