//! What fires, and why: transitions and time come in, alerts come out. No clock and no I/O.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::time::Duration;

use breaker_core::{AlertRules, BreakerName, StateKind, Time, Transition};

use super::followed::{Followed, Found, Verdict};
use super::kept::{Kept, Raised};
use super::row::{AlertRow, AlertRule, Severity};
use super::told;

/// Deadlines that are out of date are let go once there are so many of them, and as many again as
/// breakers are followed.
const STALE_DEADLINES: usize = 1_000;

/// What is known of a breaker when the rules look at it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) rules: AlertRules,
    /// When calls of it were last reported.
    pub(super) reported_at: Option<Time>,
}

/// The rule about storage, which is the server's own.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StorageRule {
    /// For how long it may fail; `None` for ever.
    pub(crate) degraded: Option<Duration>,
    /// After how long that is told again.
    pub(crate) repeat_after: Option<Duration>,
}

/// The alerts, and the breakers that there may be some about.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) kept: Kept,
    followed: HashMap<BreakerName, Followed>,
    /// When the rules have to look at a breaker again. An entry can be out of date.
    deadlines: BinaryHeap<Reverse<(Time, BreakerName)>>,
    storage_rule: StorageRule,
    storage_failing: Option<(Time, String)>,
}

impl Book {
    pub(super) fn new(rows: Vec<AlertRow>, first_number: u64, storage_rule: StorageRule) -> Self {
        Self {
            kept: Kept::new(rows, first_number),
            followed: HashMap::new(),
            deadlines: BinaryHeap::new(),
            storage_rule,
            storage_failing: None,
        }
    }

    /// Takes in a breaker as it is found: at the start, or after its transitions were missed. If it is
    /// not CLOSED and nobody was told, that is told now. `out_since` is what [`Kept::outages`] says.
    pub(super) fn find(
        &mut self,
        name: &BreakerName,
        found: &Found,
        out_since: Option<Time>,
        seen: &Seen,
        now: Time,
    ) {
        let key = (AlertRule::StateChange, Some(name.clone()));
        let severity = severity_of(found.state);
        if found.state == StateKind::Closed {
            self.kept.resolve(&key, now);
        } else if self.kept.firing(&key).is_none_or(|row| row.severity != severity) {
            self.kept.resolve(&key, found.since);
            if seen.rules.state_change {
                let summary = told::found(name.as_str(), found.state);
                self.kept.raise(Raised { key, severity, summary }, found.since, None);
            }
        }
        // It fires since the outage had lasted for so long.
        let outage = self.kept.firing(&(AlertRule::ProlongedOutage, Some(name.clone())));
        let lasted = seen.rules.prolonged_outage.unwrap_or_default();
        let told_of = outage.map(|row| row.started_at - lasted);
        let flaps = self.kept.firing(&(AlertRule::Flapping, Some(name.clone()))).is_some();
        let followed = self.followed.entry(name.clone()).or_default();
        followed.out_since = [followed.out_since, out_since, told_of].into_iter().flatten().min();
        followed.find(found);
        if flaps && followed.openings.is_empty() {
            // When it last opened is not known.
            followed.openings.push_back(now);
        }
        self.look_at(name, seen, now);
    }

    /// Takes in what has happened to a breaker.
    pub(super) fn take(
        &mut self,
        name: &BreakerName,
        transition: &Transition,
        seen: &Seen,
        now: Time,
    ) {
        let Transition { from, to, at, .. } = *transition;
        if from != to {
            let key = (AlertRule::StateChange, Some(name.clone()));
            self.kept.resolve(&key, at);
            if seen.rules.state_change {
                let severity = severity_of(to);
                let ended_at = (to == StateKind::Closed).then_some(at);
                let summary = told::transition(name.as_str(), transition);
                self.kept.raise(Raised { key, severity, summary }, at, ended_at);
            }
        }
        self.followed.entry(name.clone()).or_default().take(transition);
        self.look_at(name, seen, now);
    }

    /// Whether an alert fires because nobody reports a breaker.
    pub(super) fn is_lost(&self, name: &BreakerName) -> bool {
        self.kept.firing(&(AlertRule::ReportersLost, Some(name.clone()))).is_some()
    }

    /// A breaker is gone, and with it all that was to be told of it.
    pub(super) fn forget(&mut self, name: &BreakerName, now: Time) {
        self.followed.remove(name);
        for rule in AlertRule::ALL {
            self.kept.resolve(&(rule, Some(name.clone())), now);
        }
    }

    /// How storage is doing: since when it fails, and how.
    pub(super) fn storage(&mut self, failing: Option<(Time, String)>, now: Time) {
        self.storage_failing = failing;
        self.look_at_storage(now);
    }

    /// When something can change by itself.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        let breakers = self.deadlines.peek().map(|Reverse((at, _))| *at);
        breakers.into_iter().chain(self.storage_deadline()).min()
    }

    /// A breaker whose time has come.
    pub(super) fn pop_due(&mut self, now: Time) -> Option<BreakerName> {
        while self.deadlines.peek().is_some_and(|Reverse((at, _))| *at <= now)
            && let Some(Reverse((at, name))) = self.deadlines.pop()
        {
            // One that an earlier deadline has overtaken is stale.
            if let Some(followed) = self.followed.get_mut(&name)
                && followed.deadline == Some(at)
            {
                followed.deadline = None;
                return Some(name);
            }
        }
        None
    }

    /// Every breaker that is followed, or that something fires about.
    pub(super) fn names(&self) -> HashSet<BreakerName> {
        let firing = self.kept.firing_keys().filter_map(|(_, breaker)| breaker.clone());
        self.followed.keys().cloned().chain(firing).collect()
    }

    /// Looks whether storage has failed for too long.
    pub(super) fn look_at_storage(&mut self, now: Time) {
        let key = (AlertRule::StorageDegraded, None);
        let Some((since, error)) = &self.storage_failing else {
            self.kept.resolve(&key, now);
            return;
        };
        if self.storage_rule.degraded.is_some_and(|limit| now >= *since + limit) {
            let lasted = told::duration(now.since(*since));
            let summary = format!("storage has failed for {lasted}: {error}");
            let severity = Severity::Critical;
            self.kept.raise(Raised { key: key.clone(), severity, summary }, now, None);
            self.kept.repeat(&key, self.storage_rule.repeat_after, now);
        }
    }

    /// Applies the rules to a breaker.
    pub(super) fn look_at(&mut self, name: &BreakerName, seen: &Seen, now: Time) {
        let Seen { rules, reported_at } = seen;
        if !rules.state_change {
            self.kept.resolve(&(AlertRule::StateChange, Some(name.clone())), now);
        }
        let followed = self.followed.entry(name.clone()).or_default();
        followed.reported_at = followed.reported_at.max(*reported_at);
        if rules.reporters_lost.is_none() {
            followed.reported_at = None;
        }
        let verdicts = followed.judge(name.as_str(), rules, now);
        let (is_calm, is_reported) = (followed.is_calm(), followed.reported_at.is_some());
        let mut next: Option<Time> = None;
        let mut fires = false;
        for Verdict { rule, severity, holds, changes_at } in verdicts {
            let key = (rule, Some(name.clone()));
            let is_over = match (rule, &holds) {
                // It has to calm down first.
                (AlertRule::Flapping, None) => changes_at.is_none(),
                // After a restart nobody knows of reports that came before.
                (AlertRule::ReportersLost, None) => is_reported || rules.reporters_lost.is_none(),
                (_, holds) => holds.is_none(),
            };
            if let Some(summary) = holds {
                self.kept.raise(Raised { key: key.clone(), severity, summary }, now, None);
            } else if is_over {
                self.kept.resolve(&key, now);
            }
            let repeats_at = self.kept.repeat(&key, rules.repeat_after, now);
            fires |= self.kept.firing(&key).is_some();
            next = [next, changes_at, repeats_at].into_iter().flatten().min();
        }
        if is_calm && !fires {
            self.followed.remove(name);
        } else if let Some(next) = next {
            self.wake_at(name, next);
        }
    }

    fn wake_at(&mut self, name: &BreakerName, at: Time) {
        let Some(followed) = self.followed.get_mut(name) else { return };
        if followed.deadline.is_some_and(|waiting| waiting <= at) {
            return;
        }
        followed.deadline = Some(at);
        self.deadlines.push(Reverse((at, name.clone())));
        if self.deadlines.len() > 2 * self.followed.len() + STALE_DEADLINES {
            let waiting = |(name, followed): (&BreakerName, &Followed)| {
                followed.deadline.map(|at| Reverse((at, name.clone())))
            };
            self.deadlines = self.followed.iter().filter_map(waiting).collect();
        }
    }

    fn storage_deadline(&self) -> Option<Time> {
        let StorageRule { degraded, repeat_after } = self.storage_rule;
        let (since, _) = self.storage_failing.as_ref()?;
        match self.kept.firing(&(AlertRule::StorageDegraded, None)) {
            None => degraded.map(|limit| *since + limit),
            Some(row) if row.acknowledgement.is_some() => None,
            Some(row) => repeat_after.map(|repeat_after| row.notified_at + repeat_after),
        }
    }

    /// How many deadlines wait, those that are out of date included.
    #[cfg(test)]
    pub(super) fn deadline_count(&self) -> usize {
        self.deadlines.len()
    }

    /// How many breakers are followed.
    #[cfg(test)]
    pub(super) fn followed_count(&self) -> usize {
        self.followed.len()
    }
}

/// How bad it is that a breaker went there.
const fn severity_of(state: StateKind) -> Severity {
    match state {
        StateKind::Open => Severity::High,
        StateKind::Closed | StateKind::HalfOpen => Severity::Medium,
    }
}
