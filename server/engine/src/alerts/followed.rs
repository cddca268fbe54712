//! One breaker as the rules see it: what has happened to it, and when they have to look again.

use std::collections::VecDeque;
use std::time::Duration;

use breaker_core::{AlertRules, Flapping, Mode, StateKind, Time, Transition};

use super::row::{AlertRule, Severity};
use super::told;

/// Openings that are remembered of one breaker: as many as a rule can count.
const MAX_OPENINGS: usize = 100;

/// What the rules have to know of a breaker.
#[derive(Clone, Debug, Default)]
pub(super) struct Followed {
    /// Since when it is not CLOSED.
    pub(super) out_since: Option<Time>,
    /// The override, and since when.
    pub(super) forced: Option<(Mode, Time)>,
    /// When it went to OPEN, the latest last.
    pub(super) openings: VecDeque<Time>,
    /// When calls of it were last reported, as far as a rule asks.
    pub(super) reported_at: Option<Time>,
    /// When the rules look at it again.
    pub(super) deadline: Option<Time>,
}

/// Whether something holds that a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) rule: AlertRule,
    pub(super) severity: Severity,
    /// What is told if it holds; `None` if it does not.
    pub(super) holds: Option<String>,
    /// When that can change by itself.
    pub(super) changes_at: Option<Time>,
}

impl Followed {
    /// As a breaker is found.
    pub(super) fn found(
        state: StateKind,
        mode: Mode,
        since: Time,
        forced_at: Option<Time>,
    ) -> Self {
        Self {
            out_since: (state != StateKind::Closed).then_some(since),
            forced: (mode != Mode::Normal).then_some((mode, forced_at.unwrap_or(since))),
            ..Self::default()
        }
    }

    /// Takes in what has happened.
    pub(super) fn take(&mut self, transition: &Transition) {
        let Transition { from, to, from_mode, to_mode, at, .. } = *transition;
        self.out_since = match to {
            StateKind::Closed => None,
            _ => self.out_since.or(Some(at)),
        };
        if to == StateKind::Open && from != to {
            self.openings.push_back(at);
            if self.openings.len() > MAX_OPENINGS {
                self.openings.pop_front();
            }
        }
        if to_mode == Mode::Normal {
            self.forced = None;
        } else if from_mode != to_mode {
            self.forced = Some((to_mode, at));
        }
    }

    /// What the rules say now. Forgets openings that count no more.
    pub(super) fn judge(&mut self, name: &str, rules: &AlertRules, now: Time) -> [Verdict; 4] {
        [
            self.outage(name, rules.prolonged_outage, now),
            self.flapping(name, rules.flapping, now),
            self.forced(name, rules.forced_too_long, now),
            self.reporters(name, rules.reporters_lost, now),
        ]
    }

    /// Whether there is nothing that a rule could ever be about.
    pub(super) fn is_calm(&self) -> bool {
        self.out_since.is_none()
            && self.forced.is_none()
            && self.openings.is_empty()
            && self.reported_at.is_none()
    }

    fn outage(&self, name: &str, limit: Option<Duration>, now: Time) -> Verdict {
        let told = |lasted| format!("{name} has not been CLOSED for {}", told::duration(lasted));
        lasting(AlertRule::ProlongedOutage, Severity::Critical, self.out_since, limit, now, told)
    }

    fn forced(&self, name: &str, limit: Option<Duration>, now: Time) -> Verdict {
        let (mode, since) = self.forced.unzip();
        let mode = mode.map_or("", told::mode);
        let told = |lasted| format!("{name} has been {mode} for {}", told::duration(lasted));
        lasting(AlertRule::ForcedTooLong, Severity::Medium, since, limit, now, told)
    }

    fn reporters(&self, name: &str, limit: Option<Duration>, now: Time) -> Verdict {
        let told =
            |lasted| format!("nobody has reported calls of {name} for {}", told::duration(lasted));
        lasting(AlertRule::ReportersLost, Severity::High, self.reported_at, limit, now, told)
    }

    fn flapping(&mut self, name: &str, rule: Option<Flapping>, now: Time) -> Verdict {
        let Some(Flapping { count, within }) = rule else {
            self.openings.clear();
            return Verdict {
                rule: AlertRule::Flapping,
                severity: Severity::High,
                holds: None,
                changes_at: None,
            };
        };
        while self.openings.front().is_some_and(|opened| now.since(*opened) >= within) {
            self.openings.pop_front();
        }
        let openings = self.openings.len();
        let holds = openings >= count as usize;
        Verdict {
            rule: AlertRule::Flapping,
            severity: Severity::High,
            holds: holds.then(|| {
                format!("{name} went to OPEN {openings} times within {}", told::duration(within))
            }),
            // Once it flaps, that is over when it has not opened for as long as was looked at.
            changes_at: self.openings.front().map(|oldest| *oldest + within),
        }
    }
}

/// The verdict on what may not last longer than a limit.
fn lasting(
    rule: AlertRule,
    severity: Severity,
    since: Option<Time>,
    limit: Option<Duration>,
    now: Time,
    told: impl FnOnce(Duration) -> String,
) -> Verdict {
    let due = since.zip(limit).map(|(since, limit)| (since, since + limit));
    let (holds, changes_at) = match due {
        Some((since, due)) if now >= due => (Some(told(now.since(since))), None),
        Some((_, due)) => (None, Some(due)),
        None => (None, None),
    };
    Verdict { rule, severity, holds, changes_at }
}
