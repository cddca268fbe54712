use std::thread;
use std::time::Duration;

use super::load::Shared;
use crate::clock;

/// How long the thread sleeps at most, so that it soon sees that the load is to end.
const MAX_NAP: Duration = Duration::from_millis(5);

/// Hands out turns when calls are due, until all are, and then sends the workers home.
///
/// This is a thread because the timer of the runtime counts whole milliseconds, by which every
/// latency would be too long.
pub(super) fn pace(shared: &Shared, workers: usize) {
    let schedule = shared.schedule();
    let mut handed_out = 0;
    while handed_out < schedule.count() && !shared.is_stopped() {
        let now = clock::now();
        let due = schedule.count_due(now);
        shared.hand_out(due - handed_out);
        handed_out = due;
        let next = schedule.due(due).map(|due| due.saturating_duration_since(now));
        thread::sleep(next.unwrap_or(MAX_NAP).min(MAX_NAP));
    }
    shared.dismiss(workers);
}
