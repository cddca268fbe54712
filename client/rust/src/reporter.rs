//! Brings outcomes to the server.
//!
//! One task does it, with one report in flight at a time: what ends meanwhile goes into the next
//! one. An idle reporter sends at once. A retry carries the sequence number of the report that it
//! repeats, so that a lost answer makes nothing count twice.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use breaker_core::PermitId;
use breaker_proto::v1;
use breaker_wire::{duration_to_message, outcome_to_message};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::backoff::{Backoff, BackoffLimits};
use crate::clock;
use crate::connection::Connection;
use crate::error::Error;
use crate::outcomes::{CallOutcome, Entry, OutcomeQueue, Receipt};

/// Most outcomes in one report.
const MAX_BATCH: usize = 1_000;
/// How long an outcome is kept while the server is away. What happened longer ago says nothing
/// about how the dependency is now.
const OUTCOME_LIFETIME: Duration = Duration::from_secs(60);
/// How long a shutdown waits for the last reports.
const FLUSH_TIME: Duration = Duration::from_secs(5);

/// The end of the reporting task that the client holds; when it is dropped, the task reports what
/// is there and ends.
#[derive(Debug)]
pub(crate) struct Reporter {
    queue: Arc<OutcomeQueue>,
    closing: CancellationToken,
    finished: CancellationToken,
}

impl Reporter {
    /// Starts the task on the current runtime.
    pub(crate) fn start(
        connection: Arc<Connection>,
        reporter_id: String,
        backoff: BackoffLimits,
    ) -> Self {
        let queue = Arc::new(OutcomeQueue::default());
        let closing = CancellationToken::new();
        let finished = CancellationToken::new();
        let task = Task {
            queue: Arc::clone(&queue),
            closing: closing.clone(),
            connection,
            reporter_id,
            sequence: 0,
            backoff,
        };
        let guard = finished.clone().drop_guard();
        tokio::spawn(async move {
            task.run().await;
            drop(guard);
        });
        Self { queue, closing, finished }
    }

    /// Reports an outcome in the background.
    pub(crate) fn report(&self, call: CallOutcome) -> Receipt {
        self.queue.push(call)
    }

    /// Outcomes that were given up so far.
    pub(crate) fn given_up(&self) -> u64 {
        self.queue.given_up()
    }

    /// Takes no outcomes any more and reports those that are there.
    pub(crate) async fn shutdown(&self) -> Result<(), Error> {
        self.close();
        self.finished.cancelled().await;
        match self.queue.unsettled() {
            0 => Ok(()),
            unsettled => Err(Error::Unflushed(unsettled)),
        }
    }

    fn close(&self) {
        self.queue.close();
        self.closing.cancel();
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.close();
    }
}

struct Task {
    queue: Arc<OutcomeQueue>,
    closing: CancellationToken,
    connection: Arc<Connection>,
    reporter_id: String,
    /// Of the last report; the first one is 1.
    sequence: u64,
    backoff: BackoffLimits,
}

impl Task {
    async fn run(mut self) {
        let closing = self.closing.clone();
        let out_of_time = async {
            closing.cancelled().await;
            sleep(FLUSH_TIME).await;
        };
        tokio::select! {
            () = out_of_time => {}
            () = self.deliver_all() => {}
        }
    }

    async fn deliver_all(&mut self) {
        while let Some(batch) = self.queue.take(MAX_BATCH).await {
            self.deliver(batch).await;
        }
    }

    /// Brings a batch to the server. All of a report counts or nothing of it, so one that is
    /// refused is taken apart until only the outcomes that are wrong themselves are left.
    async fn deliver(&mut self, batch: Vec<Entry>) {
        let mut batches = vec![batch];
        while let Some(mut batch) = batches.pop() {
            match self.report(&mut batch).await {
                Err(Error::Invalid { .. }) if batch.len() > 1 => {
                    let later = batch.split_off(batch.len() / 2);
                    batches.extend([later, batch]);
                }
                result => {
                    if let Err(error) = &result {
                        tracing::warn!(count = batch.len(), %error, "outcomes were given up");
                    }
                    self.queue.settle(batch, &result);
                }
            }
        }
    }

    /// Sends one report until it is answered or all of its outcomes are too old.
    async fn report(&mut self, batch: &mut Vec<Entry>) -> Result<(), Error> {
        self.sequence += 1;
        let mut backoff = Backoff::new(self.backoff);
        loop {
            let request = self.request(batch, clock::now());
            let answer = self.connection.request(|mut client| {
                let request = request.clone();
                async move { client.report(request).await }
            });
            let error = match answer.await {
                Err(error) if error.is_unavailable() => error,
                result => return result.map(drop),
            };
            self.give_up_old(batch, &error);
            if batch.is_empty() {
                return Err(error);
            }
            self.pause(backoff.next_delay(clock::chance())).await;
        }
    }

    fn give_up_old(&self, batch: &mut Vec<Entry>, error: &Error) {
        let now = clock::now();
        let is_old = |entry: &mut Entry| now - entry.call.ended_at > OUTCOME_LIFETIME;
        let old: Vec<_> = batch.extract_if(.., is_old).collect();
        if !old.is_empty() {
            tracing::warn!(count = old.len(), %error, "outcomes were given up");
            self.queue.settle(old, &Err(error.clone()));
        }
    }

    /// Waits; the begin of a shutdown cuts the wait short, once.
    async fn pause(&self, delay: Duration) {
        if self.closing.is_cancelled() {
            return sleep(delay).await;
        }
        tokio::select! {
            () = sleep(delay) => {}
            () = self.closing.cancelled() => {}
        }
    }

    fn request(&self, batch: &[Entry], now: Instant) -> v1::ReportRequest {
        v1::ReportRequest {
            reporter_id: self.reporter_id.clone(),
            sequence: self.sequence,
            reports: reports(batch.iter().map(|entry| &entry.call), now),
        }
    }
}

/// The outcomes, gathered by breaker and generation; within those their order stays.
fn reports<'a>(
    calls: impl Iterator<Item = &'a CallOutcome>,
    now: Instant,
) -> Vec<v1::BreakerReport> {
    let mut reports: Vec<v1::BreakerReport> = Vec::new();
    let mut places = HashMap::new();
    for call in calls {
        let place = *places.entry((&call.breaker, call.generation)).or_insert_with(|| {
            reports.push(v1::BreakerReport {
                breaker: call.breaker.as_str().to_owned(),
                generation: call.generation,
                runs: Vec::new(),
                late: false,
            });
            reports.len() - 1
        });
        reports[place].runs.push(run(call, now));
    }
    reports
}

fn run(call: &CallOutcome, now: Instant) -> v1::Run {
    let duration = duration_to_message(call.duration);
    v1::Run {
        outcome: outcome_to_message(call.outcome).into(),
        count: 1,
        total_duration: Some(duration),
        max_duration: Some(duration),
        slow_count: 0,
        error_kind: call.error_kind.as_ref().map_or_else(String::new, |k| k.as_str().to_owned()),
        age: Some(duration_to_message(now - call.ended_at)),
        permit_id: call.permit.map_or(0, PermitId::as_u64),
    }
}
