use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::schedule::Schedule;
use crate::clock;

const INTERVAL: Duration = Duration::from_secs(1);
/// Goes to the beginning of the line and empties it.
const CLEAR: &str = "\r\x1b[K";

/// Tells people how far a load is, once a second, if they look on.
pub(super) struct Progress {
    /// `None` if nobody looks on.
    next: Option<Instant>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { next: io::stderr().is_terminal().then(|| clock::now() + INTERVAL) }
    }

    /// Waits until it is time to show something.
    pub(super) async fn due(&self) {
        match self.next {
            Some(next) => sleep_until(next).await,
            None => std::future::pending().await,
        }
    }

    /// Shows how far it is.
    pub(super) fn show(&mut self, text: impl Display) {
        self.next = self.next.map(|_| clock::now() + INTERVAL);
        // Nobody may be there to read it, which is no error.
        let mut err = io::stderr();
        let _ = write!(err, "{CLEAR}{text}").and_then(|()| err.flush());
    }

    /// Shows how far it is, if it is time to.
    pub(super) fn show_if_due(&mut self, text: impl Display) {
        if self.next.is_some_and(|next| next <= clock::now()) {
            self.show(text);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.next.is_some() {
            let _ = write!(io::stderr(), "{CLEAR}");
        }
    }
}

/// How far a load of calls is, with so many calls answered since the last line.
pub(super) fn of_calls(schedule: &Schedule, now: Instant, answered: u64) -> String {
    let left = schedule.end().saturating_duration_since(now).as_secs();
    let phase = if schedule.is_measured(now) { "measuring" } else { "warming up" };
    format!("{phase}: {answered} calls answered in the last second, {left} s left")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_the_phase_and_what_is_left() {
        let begin = clock::now();
        let schedule = Schedule::new(begin, INTERVAL, INTERVAL * 9, None);
        let early = of_calls(&schedule, begin, 0);
        assert_eq!(early, "warming up: 0 calls answered in the last second, 10 s left");
        let later = of_calls(&schedule, begin + INTERVAL * 4, 12);
        assert_eq!(later, "measuring: 12 calls answered in the last second, 6 s left");
    }
}
