//! The outcomes of calls that wait for their turn to be reported.
//!
//! The queue is bounded: when the server does not keep up, the oldest outcome makes room for the
//! newest, because it says least about how the dependency is now.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use breaker_core::{BreakerName, ErrorKind, Outcome, PermitId};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::error::Error;

/// Most outcomes that wait at a time.
pub const MAX_QUEUED_OUTCOMES: usize = 10_000;

/// How a call ended.
#[derive(Clone, Debug)]
pub(crate) struct CallOutcome {
    pub(crate) breaker: BreakerName,
    pub(crate) generation: u64,
    pub(crate) permit: Option<PermitId>,
    pub(crate) outcome: Outcome,
    pub(crate) error_kind: Option<ErrorKind>,
    pub(crate) duration: Duration,
    pub(crate) ended_at: Instant,
}

/// An outcome on its way to the server, and who waits for it to arrive.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) call: CallOutcome,
    receipt: oneshot::Sender<Result<(), Error>>,
}

impl Entry {
    fn settle(self, result: Result<(), Error>) {
        // Nobody waits for the receipt of most outcomes.
        let _ = self.receipt.send(result);
    }
}

/// Resolves once the server has counted the outcome of a call. It may be dropped: the outcome is
/// reported all the same.
#[derive(Debug)]
pub struct Receipt(Option<oneshot::Receiver<Result<(), Error>>>);

impl Receipt {
    /// For an outcome that nobody needs to be told.
    pub(crate) const fn nothing_to_report() -> Self {
        Self(None)
    }
}

impl Future for Receipt {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            None => Poll::Ready(Ok(())),
            Some(answer) => Pin::new(answer)
                .poll(context)
                .map(|answer| answer.unwrap_or(Err(Error::Unreported))),
        }
    }
}

#[derive(Debug, Default)]
struct Waiting {
    entries: VecDeque<Entry>,
    /// Outcomes that were accepted and are neither reported nor given up.
    unsettled: usize,
    /// Outcomes that were given up since the client was built.
    given_up: u64,
    is_closed: bool,
}

/// The queue between the calls and the one task that reports them.
#[derive(Debug, Default)]
pub(crate) struct OutcomeQueue {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

impl OutcomeQueue {
    /// Takes an outcome; a full queue gives up the oldest one, a closed queue this one.
    pub(crate) fn push(&self, call: CallOutcome) -> Receipt {
        let (receipt, answer) = oneshot::channel();
        let entry = Entry { call, receipt };
        let mut waiting = self.waiting.lock();
        let victim = if waiting.is_closed {
            Some(entry)
        } else {
            waiting.unsettled += 1;
            waiting.entries.push_back(entry);
            let is_full = waiting.entries.len() > MAX_QUEUED_OUTCOMES;
            is_full
                .then(|| waiting.entries.pop_front())
                .flatten()
                .inspect(|_| waiting.unsettled -= 1)
        };
        waiting.given_up += u64::from(victim.is_some());
        drop(waiting);
        if let Some(victim) = victim {
            victim.settle(Err(Error::Unreported));
        }
        self.changed.notify_one();
        Receipt(Some(answer))
    }

    /// Waits for outcomes and takes at most so many, the oldest first; `None` once the queue is
    /// closed and empty.
    pub(crate) async fn take(&self, most: usize) -> Option<Vec<Entry>> {
        loop {
            {
                let mut waiting = self.waiting.lock();
                let count = waiting.entries.len().min(most);
                if count > 0 {
                    return Some(waiting.entries.drain(..count).collect());
                }
                if waiting.is_closed {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    /// Ends the wait for outcomes that were taken.
    pub(crate) fn settle(&self, entries: Vec<Entry>, result: &Result<(), Error>) {
        {
            let mut waiting = self.waiting.lock();
            waiting.unsettled -= entries.len();
            waiting.given_up += if result.is_err() { entries.len() as u64 } else { 0 };
        }
        for entry in entries {
            entry.settle(result.clone());
        }
    }

    /// Takes no outcomes any more.
    pub(crate) fn close(&self) {
        self.waiting.lock().is_closed = true;
        self.changed.notify_one();
    }

    /// Outcomes that were accepted and are neither reported nor given up.
    pub(crate) fn unsettled(&self) -> usize {
        self.waiting.lock().unsettled
    }

    /// Outcomes that were given up since the client was built.
    pub(crate) fn given_up(&self) -> u64 {
        self.waiting.lock().given_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn success(generation: u64) -> CallOutcome {
        CallOutcome {
            breaker: BreakerName::new("a/b").unwrap(),
            generation,
            permit: None,
            outcome: Outcome::Success,
            error_kind: None,
            duration: Duration::ZERO,
            ended_at: clock::now(),
        }
    }

    #[tokio::test]
    async fn a_full_queue_gives_up_the_oldest_and_counts_it() {
        let queue = OutcomeQueue::default();
        let oldest = queue.push(success(1));
        for _ in 0..MAX_QUEUED_OUTCOMES {
            queue.push(success(2));
        }
        assert!(matches!(oldest.await, Err(Error::Unreported)));
        assert_eq!((queue.given_up(), queue.unsettled()), (1, MAX_QUEUED_OUTCOMES));
        let taken = queue.take(3).await.unwrap();
        assert!(taken.iter().all(|entry| entry.call.generation == 2));
        queue.settle(taken, &Ok(()));
        assert_eq!((queue.given_up(), queue.unsettled()), (1, MAX_QUEUED_OUTCOMES - 3));
    }

    #[tokio::test]
    async fn a_closed_queue_hands_out_what_it_has_and_takes_nothing_more() {
        let queue = OutcomeQueue::default();
        let before = queue.push(success(1));
        queue.close();
        assert!(matches!(queue.push(success(1)).await, Err(Error::Unreported)));
        let taken = queue.take(10).await.unwrap();
        assert_eq!(taken.len(), 1);
        queue.settle(taken, &Ok(()));
        assert!(before.await.is_ok());
        assert!(queue.take(10).await.is_none());
    }
}
