//! Streams that follow what happens, until the server drains or leads no more.

use std::future::ready;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use breaker_engine::{Engine, EngineError};
use futures::{Stream, stream};
use tokio::sync::watch;
use tokio::time::sleep;
use tonic::Status;

use super::error::{ended, to_status};
use crate::seat::{Leading, Seat};

/// Most that is read for one message.
pub(super) const CHUNK: usize = 500;

/// A follower hears something at least this often; the protocol promises 5 s.
const HEARTBEAT: Duration = Duration::from_secs(4);

/// The stream of a follower.
pub(crate) type FollowStream<M> = Pin<Box<dyn Stream<Item = Result<M, Status>> + Send>>;

/// What is followed, and how far it is read.
pub(super) trait Tail: Send + 'static {
    /// What followers are sent.
    type Message: Send + 'static;

    /// Reads what comes next, at most a [`CHUNK`], and goes on behind it.
    fn read(
        &mut self,
        engine: &Engine,
    ) -> impl Future<Output = Result<Read<Self::Message>, EngineError>> + Send;
}

/// What was read.
pub(super) struct Read<M> {
    /// What of it passes the filter, and how far it goes. If nothing passes it is a sign of life.
    pub(super) message: M,
    /// Whether anything was read; there can be more then.
    pub(super) is_any: bool,
    /// Whether any of it passes the filter.
    pub(super) is_selected: bool,
}

struct Follower<T> {
    seat: Arc<Seat>,
    leading: Arc<Leading>,
    tail: T,
    /// Says that there is something new to read.
    news: watch::Receiver<u64>,
}

/// Everything that there is to read, and whatever comes then.
pub(super) fn follow<T: Tail>(
    seat: Arc<Seat>,
    leading: Arc<Leading>,
    tail: T,
    news: watch::Receiver<u64>,
) -> FollowStream<T::Message> {
    let follower = Follower { seat, leading, tail, news };
    Box::pin(stream::unfold(Some(follower), |follower| async move {
        let mut follower = follower?;
        let item = follower.next().await;
        // An error is the last that is said.
        let rest = item.is_ok().then_some(follower);
        Some((item, rest))
    }))
}

impl<T: Tail> Follower<T> {
    async fn next(&mut self) -> Result<T::Message, Status> {
        let over = self.leading.over.clone();
        let item = tokio::select! {
            biased;
            () = over.cancelled() => Err(ended(&self.seat)),
            item = self.follow() => item.map_err(to_status),
        };
        // What it knows may be older than what another server has told meanwhile.
        let holds = self.leading.holds(self.leading.engine.now());
        if holds { item } else { Err(ended(&self.seat)) }
    }

    /// Waits for something that passes the filter, or for the time to give a sign of life: that comes
    /// however much goes by that does not pass.
    async fn follow(&mut self) -> Result<T::Message, EngineError> {
        let mut beat = pin!(sleep(HEARTBEAT));
        loop {
            self.news.borrow_and_update();
            let Read { message, is_any, is_selected } =
                self.tail.read(&self.leading.engine).await?;
            if is_selected {
                return Ok(message);
            }
            tokio::select! {
                biased;
                () = &mut beat => return Ok(message),
                () = ready(()), if is_any => {}
                // The sender lives as long as the engine.
                _ = self.news.changed() => {}
            }
        }
    }
}
