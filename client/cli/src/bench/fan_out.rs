//! How long a change takes to reach the streams that watch its breaker.
//!
//! One change is under way at a time, and each has a revision of its own, so that no state that a
//! stream gets can be taken for that of another change. What a stream got is timed where its
//! message was read, before it waits to be counted.

use std::time::Duration;

use breaker_proto::v1;
use tokio::time::{Instant, sleep_until, timeout_at};
use tonic::Status;

use super::arrivals::Arrivals;
use super::breakers::RunId;
use super::interrupt::Interrupt;
use super::progress::Progress;
use super::schedule::Rate;
use super::statistics::{Failures, Latencies};
use super::streams::{Event, Streams};
use crate::clock;
use crate::connection::Admin;

/// Who is named for the changes.
const ACTOR: &str = "breakerctl bench";

/// What is watched and changed.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) streams: usize,
    pub(super) changes: u64,
    pub(super) layout: Layout,
    pub(super) rate: Option<Rate>,
    /// How long a stream may take to open, and a change to reach all streams.
    pub(super) timeout: Duration,
}

/// Who watches what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// All streams watch the same breaker.
    Together,
    /// Each watches a namespace of its own.
    Apart,
}

/// What became of it.
#[derive(Debug)]
pub(super) struct Outcome {
    /// Changes that were answered.
    pub(super) changes: u64,
    /// Changes that began later than they were due.
    pub(super) late: u64,
    pub(super) failures: Failures,
    /// How often a stream has not got a change in time.
    pub(super) missed: u64,
    /// Streams that have ended.
    pub(super) cut: u64,
    /// Until a stream had a change; for each change and each stream that was to get it.
    pub(super) latency: Latencies,
    /// Until the last stream had a change that all got.
    pub(super) last: Latencies,
    pub(super) measured_time: Duration,
}

/// The one that makes changes, and counts who has got them.
struct Writer<'a> {
    plan: &'a Plan,
    admin: Admin,
    streams: Streams,
    /// By stream; a stream that has ended is awaited no more.
    is_cut: Vec<bool>,
    breakers: Vec<String>,
    /// By breaker: whether the last change opened it.
    is_open: Vec<bool>,
    outcome: Outcome,
}

impl Plan {
    /// The breakers that are changed.
    pub(super) fn breakers(&self, run_id: &RunId) -> Vec<String> {
        match self.layout {
            Layout::Together => vec![run_id.breaker(0)],
            Layout::Apart => {
                // The first change does not count, and is one more.
                let changed = (self.streams as u64).min(self.changes + 1);
                (0..changed).map(|stream| run_id.breaker_apart(stream)).collect()
            }
        }
    }

    /// What each stream watches.
    pub(super) fn selectors(&self, run_id: &RunId) -> impl ExactSizeIterator<Item = String> {
        (0..self.streams).map(|stream| match self.layout {
            Layout::Together => run_id.breaker(0),
            Layout::Apart => run_id.namespace(stream as u64),
        })
    }
}

/// Makes the changes.
pub(super) async fn run(
    plan: &Plan,
    admin: Admin,
    streams: Streams,
    breakers: Vec<String>,
    interrupt: &Interrupt,
) -> anyhow::Result<Outcome> {
    let mut writer = Writer {
        plan,
        admin,
        streams,
        is_cut: vec![false; plan.streams],
        is_open: vec![false; breakers.len()],
        breakers,
        outcome: Outcome::new()?,
    };
    tokio::select! {
        made = writer.make_changes() => made?,
        () = interrupt.first() => {}
    }
    let cut = writer.is_cut.iter().filter(|&&is_cut| is_cut).count();
    Ok(Outcome { cut: cut as u64, ..writer.outcome })
}

impl Writer<'_> {
    async fn make_changes(&mut self) -> anyhow::Result<()> {
        self.make_change(0, None).await;
        self.outcome = Outcome::new()?;
        let mut progress = Progress::new();
        let begin = clock::now();
        for number in 1..=self.plan.changes {
            let due = self.plan.rate.map(|rate| begin + rate.offset(number));
            self.make_change(number, due).await;
            progress.show_if_due(format_args!("change {number} of {}", self.plan.changes));
            self.outcome.measured_time = clock::now().duration_since(begin);
        }
        Ok(())
    }

    /// Makes a change when it is due, and waits until all streams have got it, or for too long.
    async fn make_change(&mut self, number: u64, due: Option<Instant>) {
        // One that is late counts from when it was due. Any other counts from when it is sent: the
        // timer of the runtime is late by up to a millisecond.
        let late_since = due.filter(|&due| due < clock::now());
        if let Some(due) = due {
            sleep_until(due).await;
        }
        let place = usize::try_from(number).map_or(0, |number| number % self.breakers.len());
        let sent = clock::now();
        match self.spread(place, sent + self.plan.timeout).await {
            Ok(arrivals) => {
                self.is_open[place] = !self.is_open[place];
                self.outcome.late += u64::from(late_since.is_some());
                self.outcome.record(&arrivals, late_since.unwrap_or(sent));
            }
            Err(status) => self.outcome.failures.record(status.code()),
        }
    }

    /// Changes a breaker, and says who has got that by the deadline.
    async fn spread(&mut self, place: usize, deadline: Instant) -> Result<Arrivals, Status> {
        let change = if self.is_open[place] { Change::Reset } else { Change::Trip };
        let answer = change.make(self.admin.clone(), self.breakers[place].clone());
        let answer = timeout_at(deadline, answer);
        tokio::pin!(answer);
        let mut arrivals = Arrivals::new(self.is_cut.len(), self.awaited(place));
        let mut is_answered = false;
        while !arrivals.is_complete() {
            tokio::select! {
                answer = &mut answer, if !is_answered => {
                    let late = |_| Err(Status::deadline_exceeded("no answer"));
                    arrivals.answered(answer.unwrap_or_else(late)?);
                    is_answered = true;
                }
                event = self.streams.next() => match event {
                    Event::State(sighting) => arrivals.take(sighting),
                    Event::Cut { stream } => {
                        self.is_cut[stream] = true;
                        arrivals.cut(stream);
                    }
                    Event::Opened | Event::Refused(_) => {}
                },
                () = sleep_until(deadline), if is_answered => break,
            }
        }
        Ok(arrivals)
    }

    /// The streams that a change of this breaker is to reach.
    fn awaited(&self, place: usize) -> impl Iterator<Item = usize> {
        let streams = match self.plan.layout {
            Layout::Together => 0..self.is_cut.len(),
            Layout::Apart => place..place + 1,
        };
        streams.filter(|&stream| !self.is_cut[stream])
    }
}

/// What is done to a breaker, so that its state is another one.
#[derive(Clone, Copy, Debug)]
enum Change {
    Trip,
    Reset,
}

impl Change {
    /// The revision of the breaker with it.
    async fn make(self, mut admin: Admin, breaker: String) -> Result<u64, Status> {
        let target =
            v1::ChangeTarget { selector: breaker, actor: ACTOR.to_owned(), ..Default::default() };
        let target = Some(target);
        let result = match self {
            Self::Trip => admin.trip(v1::TripRequest { target }).await?.into_inner().result,
            Self::Reset => admin.reset(v1::ResetRequest { target }).await?.into_inner().result,
        };
        let breaker = result.and_then(|result| result.breakers.into_iter().next());
        let state = breaker.and_then(|breaker| breaker.state);
        let state = state.ok_or_else(|| Status::internal("an answer without a state"))?;
        Ok(state.revision)
    }
}

impl Outcome {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            changes: 0,
            late: 0,
            failures: Failures::default(),
            missed: 0,
            cut: 0,
            latency: Latencies::new()?,
            last: Latencies::new()?,
            measured_time: Duration::ZERO,
        })
    }

    /// Takes a change that was answered.
    fn record(&mut self, arrivals: &Arrivals, since: Instant) {
        self.changes += 1;
        self.missed += arrivals.missed();
        let latencies = arrivals.times().iter().map(|at| at.saturating_duration_since(since));
        latencies.clone().for_each(|latency| self.latency.record(latency));
        if arrivals.missed() == 0
            && let Some(last) = latencies.max()
        {
            self.last.record(last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::streams::Sighting;
    use super::*;

    fn plan(layout: Layout, streams: usize) -> Plan {
        Plan { streams, changes: 4, layout, rate: None, timeout: Duration::from_secs(1) }
    }

    #[test]
    fn only_breakers_that_are_changed_are_made() {
        let run_id = RunId::new(1);
        assert_eq!(plan(Layout::Together, 9).breakers(&run_id), [run_id.breaker(0)]);
        assert_eq!(plan(Layout::Together, 9).selectors(&run_id).nth(8), Some(run_id.breaker(0)));
        let apart = plan(Layout::Apart, 9);
        assert_eq!(apart.breakers(&run_id).len(), 5, "four changes and the one that is no count");
        assert_eq!(plan(Layout::Apart, 2).breakers(&run_id).len(), 2);
        assert_eq!(apart.selectors(&run_id).nth(8), Some(run_id.namespace(8)));
    }

    #[test]
    fn the_last_stream_counts_only_where_all_have_got_the_change() {
        let sent = clock::now();
        let mut outcome = Outcome::new().unwrap();
        let mut arrivals = Arrivals::new(2, 0..2);
        arrivals.answered(1);
        let mut see = |stream, millis| {
            let at = sent + Duration::from_millis(millis);
            arrivals.take(Sighting { stream, revision: 1, at });
            outcome.record(&arrivals, sent);
            (outcome.missed, outcome.latency.count(), outcome.last.count())
        };
        assert_eq!(see(0, 1), (1, 1, 0));
        assert_eq!(see(1, 5), (1, 3, 1));
        assert!(outcome.last.percentiles().unwrap().max >= Duration::from_millis(5));
    }
}
