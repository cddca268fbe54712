//! Who reports the calls of one breaker. It takes memory only while somebody does: the sampler
//! forgets those of a breaker that all were silent for long.

use std::sync::Arc;
use std::time::Duration;

use breaker_core::{BreakerName, ReporterId, Time};

use crate::live::Live;
use crate::signals::Signals;

/// Reporters of one breaker that are remembered. The one that was silent for longest makes room.
const MAX_REPORTERS: usize = 16;

/// After so long without a report of anybody all reporters of a breaker are forgotten.
const SILENCE: Duration = Duration::from_mins(10);

/// Somebody who reports calls of a breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeardReporter {
    /// The id under which it reports; empty for thin clients without one.
    pub id: Arc<str>,
    /// When it last did.
    pub last_report: Time,
    /// How many calls it reported since it is remembered.
    pub calls: u64,
    key: ReporterId,
}

/// The reporters of a breaker, in no order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard(Vec<HeardReporter>);

impl Heard {
    fn note(&mut self, key: ReporterId, now: Time, calls: u64, id: impl FnOnce() -> Arc<str>) {
        if let Some(known) = self.0.iter_mut().find(|reporter| reporter.key == key) {
            known.last_report = known.last_report.max(now);
            known.calls = known.calls.saturating_add(calls);
            return;
        }
        let new = HeardReporter { id: id(), last_report: now, calls, key };
        if self.0.len() < MAX_REPORTERS {
            self.0.push(new);
        } else if let Some(silent) = self.0.iter_mut().min_by_key(|reporter| reporter.last_report) {
            *silent = new;
        }
    }

    /// The last who reported first.
    pub(crate) fn latest_first(&self) -> Vec<HeardReporter> {
        let mut reporters = self.0.clone();
        reporters.sort_by(|a, b| b.last_report.cmp(&a.last_report).then_with(|| a.id.cmp(&b.id)));
        reporters
    }

    fn are_silent(&self, now: Time) -> bool {
        self.0.iter().all(|reporter| now.since(reporter.last_report) >= SILENCE)
    }
}

impl Live {
    /// Notes who reports calls. Its id is asked for only where the breaker has not heard of it.
    pub(crate) fn note_reporter(
        &mut self,
        name: &BreakerName,
        signals: &Signals,
        (key, id): (ReporterId, impl FnOnce() -> Arc<str>),
        calls: u64,
        now: Time,
    ) {
        self.last_report = self.last_report.max(now);
        let heard = self.heard.get_or_insert_with(|| {
            signals.heard.push(name.clone());
            Box::default()
        });
        heard.note(key, now, calls, id);
    }

    /// When calls of the breaker were last reported, since the server leads.
    pub(crate) fn last_report_at(&self) -> Option<Time> {
        (self.last_report > Time::EPOCH).then_some(self.last_report)
    }

    /// Forgets the reporters if all were silent for long. Returns whether there are any still.
    pub(crate) fn forget_silent(&mut self, now: Time) -> bool {
        self.heard.take_if(|heard| heard.are_silent(now));
        self.heard.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_was_silent_for_longest_makes_room() {
        let mut heard = Heard::default();
        let note = |heard: &mut Heard, id: &str, ms| {
            heard.note(ReporterId::of(id), Time::from_millis(ms), 2, || id.into());
        };
        for number in 0..16 {
            note(&mut heard, &format!("r{number}"), 10 + number);
        }
        note(&mut heard, "r0", 100);
        note(&mut heard, "late", 101);
        let reporters = heard.latest_first();
        assert_eq!(reporters.len(), 16);
        let first: Vec<_> = reporters[..3].iter().map(|r| (&*r.id, r.calls)).collect();
        assert_eq!(first, [("late", 2), ("r0", 4), ("r15", 2)]);
        assert!(reporters.iter().all(|reporter| &*reporter.id != "r1"));
    }

    #[test]
    fn they_are_forgotten_when_all_were_silent() {
        let mut heard = Heard::default();
        heard.note(ReporterId::of("a"), Time::EPOCH, 1, || "a".into());
        heard.note(ReporterId::of("b"), Time::EPOCH + SILENCE, 1, || "b".into());
        assert!(!heard.are_silent(Time::EPOCH + SILENCE));
        assert!(heard.are_silent(Time::EPOCH + 2 * SILENCE));
    }
}
