//! How much a breaker remembers, and which permits it has let go.

use super::super::ledger::{Ledger, calls};
use super::super::walker::{Answer, Event, Subject};
use crate::{BadCallsSnapshot, Outcome, Permit, Probes, Time, WindowSize, WindowSnapshot};

/// What a breaker remembers is bounded, however long it lives.
pub(super) fn check_memory(after: &Subject) {
    let Subject { breaker, config } = after;
    let check_size = |kept: usize, is_calls: bool| match config.window() {
        WindowSize::Calls(calls) => assert!(is_calls && kept <= calls as usize),
        WindowSize::Duration(_) => assert!(!is_calls && kept <= 100),
    };
    let check_window = |window: &WindowSnapshot| match window {
        WindowSnapshot::Calls(calls) => check_size(calls.len(), true),
        WindowSnapshot::Buckets { buckets, .. } => check_size(buckets.len(), false),
    };
    let snapshot = breaker.snapshot();
    if let Some(metrics) = &snapshot.metrics {
        check_window(&metrics.window);
    }
    let Some(memory) = snapshot.memory else { return };
    if let Some(window) = &memory.window {
        check_window(window);
    }
    if let Some(adapted) = &memory.adapted {
        assert!(adapted.history.len() <= config.adaptive().unwrap().window as usize);
    }
    let Some(quorum) = memory.quorum else { return };
    assert_eq!((quorum.slots.len(), quorum.count.len(), quorum.streak.len()), (8, 9, 9));
    match &quorum.window {
        None => {}
        Some(BadCallsSnapshot::Calls(calls)) => check_size(calls.len(), true),
        Some(BadCallsSnapshot::Buckets { buckets, .. }) => check_size(buckets.len(), false),
    }
}

/// The permits that passed their deadline on this step, in the order of their deadlines. How many
/// they are depends on how long HALF_OPEN lasted, which the metrics have to tell; never are they
/// more than were overdue.
pub(super) fn expired(
    ledger: &Ledger,
    before: &Subject,
    event: &Event,
    answer: &Answer,
    after: &Subject,
    now: Time,
) -> Vec<Permit> {
    let out = before.breaker.probes().map_or(&[][..], Probes::out);
    let mut overdue: Vec<_> = out.iter().filter(|permit| permit.deadline < now).copied().collect();
    overdue.sort_unstable_by_key(|permit| (permit.deadline, permit.id));
    let told = after.breaker.metrics().map(|metrics| *metrics.totals()).unwrap_or_default();
    let reported = match event {
        Event::Record(report) => calls(&report.run),
        _ => Vec::new(),
    };
    let of_reports = reported
        .iter()
        .filter(|call| !matches!(call.judged(&before.config), Outcome::Success | Outcome::Failure))
        .count() as u64;
    let count = told.timeouts + told.ignored - ledger.timeouts_and_ignored() - of_reports;
    assert!(count as usize <= overdue.len(), "more permits passed their deadline than were out");
    if answer.transitions.is_empty() {
        assert_eq!(count as usize, overdue.len());
    }
    overdue.truncate(count as usize);
    overdue
}
