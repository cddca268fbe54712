//! What is counted while a simulation runs: nothing is kept of single calls or changes, so that a
//! long story needs no more memory than a short one.

use std::mem;
use std::time::Duration;

use breaker_core::{StateKind, Time, Transition};

use super::{Admitted, Call};
use crate::simulate::story::{Health, Story};

/// Columns of the chart.
pub(super) const COLUMNS: u64 = 72;

/// What became of a fleet's calls.
#[derive(Clone, Debug, PartialEq)]
pub struct Tally {
    /// Calls that were let through.
    pub allowed: u64,
    /// Calls that were denied.
    pub denied: u64,
    /// Calls that were let through to the ill dependency, and failed.
    pub wasted: u64,
    /// How long calls that were let through to the ill dependency took, added up.
    pub waited: Duration,
    /// Calls that were denied although the dependency was well when they were wanted.
    pub denied_while_well: u64,
    /// Calls that were let through as probes.
    pub probes: u64,
    /// The most probes that were under way at once.
    pub most_probes: u32,
    /// How often a breaker opened, all breakers together.
    pub opened: u64,
    /// From the first illness until a replica met a breaker that was not CLOSED, at once if one
    /// did already; `None` for never.
    pub first_open_after: Option<Duration>,
    /// The same until every replica did at the same time.
    pub all_open_after: Option<Duration>,
    /// From the end of the last illness until every replica met a CLOSED breaker for good; `None`
    /// if that was not before the end, or if the story has no such end.
    pub recovered_after: Option<Duration>,
    /// How much was refused at most within each column of the chart, 0 to 1: 1 if every replica
    /// met an OPEN breaker, and half of that for a HALF_OPEN one.
    pub columns: Vec<f64>,
}

/// How many replicas meet which state; the others meet CLOSED.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) open: u32,
    pub(super) half_open: u32,
}

/// Counts for one fleet.
#[derive(Debug)]
pub(super) struct Counter<'a> {
    story: &'a Story,
    replicas: u32,
    tally: Tally,
    probes_under_way: u32,
    standing: Standing,
    since: Time,
    all_closed_since: Option<Time>,
}

impl<'a> Counter<'a> {
    pub(super) fn new(story: &'a Story, replicas: u32) -> Self {
        Self {
            story,
            replicas,
            tally: Tally {
                allowed: 0,
                denied: 0,
                wasted: 0,
                waited: Duration::ZERO,
                denied_while_well: 0,
                probes: 0,
                most_probes: 0,
                opened: 0,
                first_open_after: None,
                all_open_after: None,
                recovered_after: None,
                columns: vec![0.0; COLUMNS as usize],
            },
            probes_under_way: 0,
            standing: Standing::ALL_CLOSED,
            since: Time::EPOCH,
            all_closed_since: Some(Time::EPOCH),
        }
    }

    pub(super) fn deny(&mut self, call: &Call) {
        self.tally.denied += 1;
        self.tally.denied_while_well += u64::from(self.story.health(call.at) == Health::Well);
    }

    pub(super) fn start(&mut self, call: &Admitted) {
        self.tally.allowed += 1;
        if call.fate.health == Health::Ill {
            self.tally.wasted += u64::from(call.fate.outcome.is_failure());
            self.tally.waited += call.fate.duration;
        }
        if call.permit.is_some() {
            self.tally.probes += 1;
            self.probes_under_way += 1;
            self.tally.most_probes = self.tally.most_probes.max(self.probes_under_way);
        }
    }

    pub(super) fn end(&mut self, call: &Admitted) {
        self.probes_under_way -= u32::from(call.permit.is_some());
    }

    pub(super) fn count_openings(&mut self, transitions: &[Transition]) {
        let is_opening = |t: &&Transition| t.to == StateKind::Open && t.from != StateKind::Open;
        self.tally.opened += transitions.iter().filter(is_opening).count() as u64;
    }

    pub(super) const fn standing(&self) -> Standing {
        self.standing
    }

    /// Takes over what the replicas meet from now on.
    pub(super) fn change(&mut self, standing: Standing, at: Time) {
        self.pass(at);
        self.standing = standing;
        // Calls of the story can still end after it, and it is not told any more what they do.
        if at > self.story.end() {
            return;
        }
        if standing != Standing::ALL_CLOSED {
            self.all_closed_since = None;
        } else if self.all_closed_since.is_none() {
            self.all_closed_since = Some(at);
        }
    }

    pub(super) fn finish(mut self) -> Tally {
        self.pass(self.story.end());
        if let Some((well_again, closed)) = self.story.is_well_again().zip(self.all_closed_since) {
            self.tally.recovered_after = Some(closed.since(well_again));
        }
        self.tally
    }

    /// Counts the time until now, during which the replicas met what they still meet.
    fn pass(&mut self, now: Time) {
        let now = now.min(self.story.end());
        let since = mem::replace(&mut self.since, now);
        if now == since || self.standing == Standing::ALL_CLOSED {
            return;
        }
        let Standing { open, half_open } = self.standing;
        let refused = (f64::from(open) + f64::from(half_open) / 2.0) / f64::from(self.replicas);
        for column in column_of(self.story, since)..=column_of(self.story, now) {
            let shown = &mut self.tally.columns[column];
            *shown = shown.max(refused);
        }
        if let Some(ill) = self.story.falls_ill().filter(|&ill| ill < now) {
            let after = since.max(ill).since(ill);
            self.tally.first_open_after.get_or_insert(after);
            if open + half_open == self.replicas {
                self.tally.all_open_after.get_or_insert(after);
            }
        }
    }
}

impl Standing {
    pub(super) const ALL_CLOSED: Self = Self { open: 0, half_open: 0 };

    /// The same, with `count` more replicas that meet this state.
    pub(super) const fn with(mut self, state: StateKind, count: u32) -> Self {
        match state {
            StateKind::Closed => {}
            StateKind::Open => self.open += count,
            StateKind::HalfOpen => self.half_open += count,
        }
        self
    }

    /// The same, with one replica less that meets this state.
    pub(super) const fn without_one(mut self, state: StateKind) -> Self {
        match state {
            StateKind::Closed => {}
            StateKind::Open => self.open -= 1,
            StateKind::HalfOpen => self.half_open -= 1,
        }
        self
    }
}

/// The column in which an instant lies; the last one for the end itself.
fn column_of(story: &Story, at: Time) -> usize {
    let column = at.as_nanos() * COLUMNS / story.end().as_nanos();
    column.min(COLUMNS - 1) as usize
}
