//! Which calls of a HALF_OPEN breaker ask the server for a permit.
//!
//! Only as many can get one as there are permits, so no more ask at a time; the others are told at
//! once that there is none. And a server that does not answer keeps one call waiting at a time.

use std::time::Duration;

use tokio::time::Instant;

/// How long calls are denied without asking after the server had no permit left.
const REST: Duration = Duration::from_millis(20);

/// The asking of one breaker.
#[derive(Debug, Default)]
pub(crate) struct Asks {
    under_way: u32,
    refused_until: Option<Instant>,
    /// How many signs of life the server had given when it did not answer.
    unanswered_at: Option<u64>,
}

/// How the asking of one call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// With leave, or with a denial for longer.
    Answered,
    /// There was no permit left.
    NoPermit,
    /// There was no answer, after so many signs of life.
    Unanswered { signs: u64 },
}

impl Asks {
    /// Whether a call may ask, when so many permits exist and the server has given so many signs
    /// of life.
    pub(crate) fn begin(&mut self, permits: u32, signs: u64, now: Instant) -> bool {
        let is_silent = self.unanswered_at == Some(signs);
        let most = if is_silent { 1 } else { permits };
        let may = self.under_way < most && self.refused_until.is_none_or(|until| now >= until);
        self.under_way += u32::from(may);
        may
    }

    /// Notes how it was answered.
    pub(crate) fn answered(&mut self, how: Asked, now: Instant) {
        match how {
            Asked::Answered => self.unanswered_at = None,
            Asked::NoPermit => {
                self.unanswered_at = None;
                self.refused_until = Some(now + REST);
            }
            Asked::Unanswered { signs } => self.unanswered_at = Some(signs),
        }
    }

    /// Makes room for another call.
    pub(crate) const fn end(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[tokio::test(start_paused = true)]
    async fn as_many_ask_as_there_are_permits_and_one_while_the_server_is_silent() {
        let now = clock::now();
        let mut asks = Asks::default();
        assert!(asks.begin(2, 0, now) && asks.begin(2, 0, now) && !asks.begin(2, 0, now));
        asks.answered(Asked::Unanswered { signs: 0 }, now);
        asks.end();
        assert!(!asks.begin(2, 0, now), "one is still waiting");
        asks.end();
        assert!(asks.begin(2, 0, now) && !asks.begin(2, 0, now));
        assert!(asks.begin(2, 1, now), "the server is alive again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_remembered_for_a_moment() {
        let now = clock::now();
        let mut asks = Asks::default();
        assert!(asks.begin(5, 0, now));
        asks.answered(Asked::NoPermit, now);
        asks.end();
        assert!(!asks.begin(5, 0, now + REST / 2));
        assert!(asks.begin(5, 0, now + REST));
    }
}
