//! What fires, and why: transitions and time come in, alerts come out. No clock and no I/O.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::time::Duration;

use breaker_core::{AlertRules, BreakerName, StateKind, Time, Transition};

use super::followed::{Followed, Verdict};
use super::kept::{Kept, Raised};
use super::row::{AlertRow, AlertRule, Severity};
use super::told;

/// The alerts, and the breakers that there may be some about.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) kept: Kept,
    followed: HashMap<BreakerName, Followed>,
    /// When the rules have to look at a breaker again. An entry can be out of date.
    deadlines: BinaryHeap<Reverse<(Time, BreakerName)>>,
    /// For how long storage may fail.
    storage_limit: Option<Duration>,
    storage_failing: Option<(Time, String)>,
}

impl Book {
    pub(super) fn new(
        rows: Vec<AlertRow>,
        first_number: u64,
        storage_limit: Option<Duration>,
    ) -> Self {
        Self {
            kept: Kept::new(rows, first_number),
            followed: HashMap::new(),
            deadlines: BinaryHeap::new(),
            storage_limit,
            storage_failing: None,
        }
    }

    /// Takes in a breaker as it is found at the start. What fires about it tells since when it is so.
    pub(super) fn find(&mut self, name: &BreakerName, mut found: Followed, now: Time) {
        let firing = |book: &Self, rule| {
            book.kept.firing(&(rule, Some(name.clone()))).map(|row| row.started_at)
        };
        if let Some(out_since) = &mut found.out_since {
            let known = [AlertRule::StateChange, AlertRule::ProlongedOutage];
            let known = known.into_iter().filter_map(|rule| firing(self, rule)).min();
            *out_since = known.unwrap_or(*out_since).min(*out_since);
        }
        if firing(self, AlertRule::Flapping).is_some() {
            found.openings.push_back(now);
        }
        if !found.is_calm() {
            found.deadline = Some(now);
            self.deadlines.push(Reverse((now, name.clone())));
            self.followed.insert(name.clone(), found);
        }
    }

    /// Lets everything be over that fires about breakers of which nothing of the kind was found.
    pub(super) fn settle_found(&mut self, now: Time) {
        let over: Vec<_> = self
            .kept
            .firing_keys()
            .filter(|(rule, breaker)| match (rule, breaker) {
                (AlertRule::StorageDegraded, _) | (_, None) => true,
                // Who reports a breaker is known again when they do.
                (AlertRule::ReportersLost, _) => false,
                (AlertRule::StateChange, Some(name)) => {
                    self.followed.get(name).is_none_or(|found| found.out_since.is_none())
                }
                (_, Some(name)) => !self.followed.contains_key(name),
            })
            .cloned()
            .collect();
        for key in over {
            self.kept.resolve(&key, now);
        }
    }

    /// Takes in what has happened to a breaker that lives by these rules.
    pub(super) fn take(
        &mut self,
        name: &BreakerName,
        transition: &Transition,
        rules: &AlertRules,
        now: Time,
    ) {
        if transition.from != transition.to {
            let key = (AlertRule::StateChange, Some(name.clone()));
            self.kept.resolve(&key, now);
            if rules.state_change {
                let severity = match transition.to {
                    StateKind::Open => Severity::High,
                    StateKind::Closed | StateKind::HalfOpen => Severity::Medium,
                };
                let ended_at = (transition.to == StateKind::Closed).then_some(now);
                let summary = told::transition(name.as_str(), transition);
                self.kept.raise(Raised { key, severity, summary }, now, ended_at);
            }
        }
        self.followed.entry(name.clone()).or_default().take(transition);
        self.look_at(name, rules, now);
    }

    /// Notes when calls of a breaker were last reported, whose rules ask for that.
    pub(super) fn reported(&mut self, name: &BreakerName, at: Time, rules: &AlertRules, now: Time) {
        self.followed.entry(name.clone()).or_default().reported_at = Some(at);
        self.look_at(name, rules, now);
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

    /// Every breaker that is followed: the rules have changed.
    pub(super) fn names(&self) -> Vec<BreakerName> {
        let firing = self.kept.firing_keys().filter_map(|(_, breaker)| breaker.clone());
        let names: BTreeSet<_> = self.followed.keys().cloned().chain(firing).collect();
        names.into_iter().collect()
    }

    /// Looks whether storage has failed for too long.
    pub(super) fn look_at_storage(&mut self, now: Time) {
        let key = (AlertRule::StorageDegraded, None);
        let Some((since, error)) = &self.storage_failing else {
            self.kept.resolve(&key, now);
            return;
        };
        if self.storage_limit.is_some_and(|limit| now >= *since + limit) {
            let lasted = told::duration(now.since(*since));
            let summary = format!("storage has failed for {lasted}: {error}");
            let severity = Severity::Critical;
            self.kept.raise(Raised { key, severity, summary }, now, None);
        }
    }

    /// Applies the rules to a breaker.
    pub(super) fn look_at(&mut self, name: &BreakerName, rules: &AlertRules, now: Time) {
        if !rules.state_change {
            self.kept.resolve(&(AlertRule::StateChange, Some(name.clone())), now);
        }
        let followed = self.followed.entry(name.clone()).or_default();
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
            let mut looks = changes_at;
            if let Some(firing) = self.kept.firing(&key) {
                fires = true;
                let repeats = rules.repeat_after.filter(|_| firing.acknowledgement.is_none());
                if let Some(repeat_after) = repeats {
                    let mut due = firing.notified_at + repeat_after;
                    if now >= due {
                        self.kept.repeat(&key, now);
                        due = now + repeat_after;
                    }
                    looks = Some(looks.map_or(due, |at| at.min(due)));
                }
            }
            next = next.into_iter().chain(looks).min();
        }
        if is_calm && !fires {
            self.followed.remove(name);
        } else if let Some(followed) = self.followed.get_mut(name)
            && let Some(next) = next
            && followed.deadline.is_none_or(|waiting| next < waiting)
        {
            followed.deadline = Some(next);
            self.deadlines.push(Reverse((next, name.clone())));
        }
    }

    fn storage_deadline(&self) -> Option<Time> {
        let key = (AlertRule::StorageDegraded, None);
        let (since, _) = self.storage_failing.as_ref()?;
        self.storage_limit.map(|limit| *since + limit).filter(|_| self.kept.firing(&key).is_none())
    }

    /// How many breakers are followed.
    #[cfg(test)]
    pub(super) fn followed_count(&self) -> usize {
        self.followed.len()
    }
}
