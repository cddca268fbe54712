//! Brings outcomes to the server.
//!
//! One task does it, with one report in flight at a time: what ends meanwhile goes into the next
//! one. A retry carries the sequence number of the report that it repeats, so that a lost answer
//! makes nothing count twice.

use std::sync::Arc;
use std::time::Duration;

use breaker_proto::v1;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::backoff::Backoff;
use crate::batch::Batch;
use crate::clock;
use crate::error::Error;
use crate::pace::{Pace, Waiting};
use crate::shared::Shared;
use crate::status::BreakerStatus;

/// How long the end of a client waits for the last reports.
const FLUSH_TIME: Duration = Duration::from_secs(5);

/// Over how long clients spread their reports to a server that has come back.
const SPREAD: Duration = Duration::from_millis(200);

/// Reports until the client ends, and then what is left.
pub(crate) async fn report(shared: Arc<Shared>, closing: CancellationToken) {
    let now = clock::now();
    let mut reporter = Reporter {
        pace: Pace::new(shared.common.options.report_interval, now),
        shared,
        closing: closing.clone(),
        sequence: 0,
        waiting_since: None,
    };
    let out_of_time = async {
        closing.cancelled().await;
        sleep(FLUSH_TIME).await;
    };
    tokio::select! {
        () = out_of_time => {}
        () = reporter.run() => {}
    }
}

struct Reporter {
    shared: Arc<Shared>,
    closing: CancellationToken,
    /// Of the last report; the first one is 1.
    sequence: u64,
    pace: Pace,
    /// Since when something waits, as far as this task has seen it.
    waiting_since: Option<Instant>,
}

impl Reporter {
    async fn run(&mut self) {
        let shared = Arc::clone(&self.shared);
        let outbox = &shared.common.outbox;
        while !self.closing.is_cancelled() {
            let waiting = self.look(clock::now());
            let due_at = match outbox.is_flushing() {
                true => Some(clock::now()),
                false => self.pace.due_at(waiting, clock::now()),
            };
            tokio::select! {
                biased;
                () = self.closing.cancelled() => {}
                () = clock::reach(due_at) => {
                    self.pace.pay(waiting, clock::now());
                    self.report_all().await;
                }
                () = outbox.changed() => {}
            }
        }
        self.report_all().await;
    }

    fn look(&mut self, now: Instant) -> Waiting {
        let outbox = &self.shared.common.outbox;
        if !outbox.waits() {
            self.waiting_since = None;
            return Waiting::Nothing;
        }
        let since = *self.waiting_since.get_or_insert(now);
        if outbox.hurries() { Waiting::Prompt } else { Waiting::Since(since) }
    }

    /// Reports what waits now.
    async fn report_all(&mut self) {
        let shared = Arc::clone(&self.shared);
        let outbox = &shared.common.outbox;
        let asked = outbox.flush_asked();
        outbox.begin_to_take();
        self.waiting_since = None;
        loop {
            let (batch, is_left) = Batch::take(&shared.registry, clock::now());
            if !batch.is_empty() {
                self.deliver(batch).await;
            }
            if !is_left {
                break;
            }
        }
        outbox.flushed(asked);
    }

    /// Brings a batch to the server. All of a report counts or nothing of it, so one that is
    /// refused is taken apart until only the outcomes that are wrong themselves are left.
    async fn deliver(&mut self, batch: Batch) {
        let outbox = &Arc::clone(&self.shared).common.outbox;
        let mut batches = vec![batch];
        while let Some(mut batch) = batches.pop() {
            outbox.send(batches.iter().map(Batch::calls).sum::<u64>() + batch.calls());
            let Err(error) = self.send(&batch).await else { continue };
            match batch.halve() {
                Some(later) => batches.extend([later, batch]),
                None => {
                    tracing::warn!(calls = batch.calls(), %error, "outcomes were given up");
                    outbox.give_up(batch.calls());
                }
            }
        }
        outbox.send(0);
    }

    /// Sends one report until it is answered.
    ///
    /// # Errors
    /// If the server finds something in it to be wrong.
    async fn send(&mut self, batch: &Batch) -> Result<(), Error> {
        self.sequence += 1;
        let mut backoff = Backoff::new(self.shared.common.options.backoff);
        loop {
            let request = v1::ReportRequest {
                reporter_id: self.shared.common.options.reporter_id.clone(),
                sequence: self.sequence,
                reports: batch.reports(clock::now()),
            };
            let answer = self.shared.connection.request(|mut client| {
                let request = request.clone();
                async move { client.report(request).await }
            });
            match answer.await {
                Ok(response) => {
                    self.take_in(&response);
                    return Ok(());
                }
                Err(error) if is_wrong(&error) => return Err(error),
                Err(error) => tracing::debug!(%error, "a report has to be repeated"),
            }
            self.pause(backoff.next_delay(clock::chance())).await;
        }
    }

    fn take_in(&self, response: &v1::ReportResponse) {
        self.shared.common.note_sign();
        for state in &response.states {
            match BreakerStatus::from_message(state, response.server_time.as_ref()) {
                Ok(status) => self.shared.take_in(&status, None),
                Err(violation) => tracing::warn!(%violation, "a state makes no sense"),
            }
        }
    }

    /// Waits; the begin of a shutdown cuts the wait short, once, and so does a stream that is alive
    /// again.
    async fn pause(&self, delay: Duration) {
        if self.closing.is_cancelled() {
            return sleep(delay).await;
        }
        let mut phase = self.shared.phase();
        tokio::select! {
            () = sleep(delay) => {}
            () = self.closing.cancelled() => {}
            Ok(()) = phase.changed() => {
                // A server that has just come back is not asked by all of its clients at once.
                sleep(delay.min(SPREAD).mul_f64(clock::chance())).await;
            }
        }
    }
}

/// Whether it would be no use to repeat the report.
fn is_wrong(error: &Error) -> bool {
    match error {
        Error::Invalid { .. } => true,
        Error::Refused(status) => status.code() == Code::NotFound,
        _ => false,
    }
}
