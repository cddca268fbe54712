use std::time::Duration;

use breaker_core::Time;

/// The level at which all of one kind of calls is refused; twice of it is all of both kinds.
pub(super) const FULL: u32 = 1_024;

/// So long the server is looked at before the level is changed.
const WINDOW: Duration = Duration::from_millis(100);
/// The least share of one processor that the server keeps busy when it is the one who has too much
/// to do, in percent. Below that others have taken the machine from it, and refusing calls helps
/// nobody.
const BUSY_PERCENT: u128 = 50;

/// How much the level grows in a window: at least, and at most.
const GROWTH: (u32, u32) = (FULL / 32, FULL / 8);
/// By how much it shrinks in a window once there is room again.
const RELIEF: u32 = FULL / 16;

/// How the server was doing at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) at: Time,
    /// How long it took to get a turn.
    pub(super) delay: Duration,
    /// How long the process has kept processors busy so far, if that is known.
    pub(super) worked: Option<Duration>,
}

/// Finds the level at which the delay stays below a limit: up by how far it is above, down in small
/// steps, so that it swings about the level that is needed.
///
/// A window counts by its shortest delay, as in CoDel: a queue that was empty once in a while does
/// no harm, however long it gets in between.
#[derive(Debug)]
pub(super) struct Controller {
    max_delay: Duration,
    level: u32,
    window: Option<Window>,
}

#[derive(Debug)]
struct Window {
    began: Sample,
    shortest: Duration,
}

impl Controller {
    pub(super) const fn new(max_delay: Duration) -> Self {
        Self { max_delay, level: 0, window: None }
    }

    /// The level from now on.
    pub(super) fn take(&mut self, sample: Sample) -> u32 {
        let Some(window) = &mut self.window else {
            self.window = Some(Window { began: sample, shortest: Duration::MAX });
            return self.level;
        };
        window.shortest = window.shortest.min(sample.delay);
        let lasted = sample.at.since(window.began.at);
        if lasted < WINDOW {
            return self.level;
        }
        let shortest = window.shortest;
        let is_busy = match (window.began.worked, sample.worked) {
            (Some(before), Some(after)) => {
                let worked = after.saturating_sub(before).as_nanos();
                worked * 100 >= lasted.as_nanos() * BUSY_PERCENT
            }
            _ => true,
        };
        self.window = Some(Window { began: sample, shortest: Duration::MAX });
        if shortest > self.max_delay && is_busy {
            let over = shortest.as_nanos() / self.max_delay.as_nanos().max(1);
            let growth = u32::try_from(over).unwrap_or(u32::MAX).saturating_mul(GROWTH.0);
            self.level = (self.level + growth.clamp(GROWTH.0, GROWTH.1)).min(2 * FULL);
        } else if shortest < self.max_delay * 3 / 4 || !is_busy {
            self.level = self.level.saturating_sub(RELIEF);
        }
        self.level
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_DELAY: Duration = Duration::from_millis(50);

    struct Server {
        controller: Controller,
        now: Time,
        worked: Duration,
    }

    impl Server {
        fn new() -> Self {
            let (now, worked) = (Time::from_millis(1_000), Duration::ZERO);
            Self { controller: Controller::new(MAX_DELAY), now, worked }
        }

        /// Lets a second pass; returns the level then.
        fn pass(&mut self, delays_ms: &[u64], busy_percent: u32) -> u32 {
            let mut level = 0;
            let until = self.now + Duration::from_secs(1);
            for delay_ms in delays_ms.iter().cycle() {
                let delay = Duration::from_millis(*delay_ms);
                let passed = Duration::from_millis(10) + delay;
                self.now = self.now + passed;
                self.worked += passed * busy_percent / 100;
                let worked = Some(self.worked);
                level = self.controller.take(Sample { at: self.now, delay, worked });
                if self.now >= until {
                    break;
                }
            }
            level
        }
    }

    #[test]
    fn a_standing_delay_raises_the_level_until_it_is_gone_and_room_lowers_it() {
        let mut server = Server::new();
        assert_eq!(server.pass(&[0, 3], 100), 0);
        let first = server.pass(&[60], 100);
        assert!((FULL / 8..FULL / 2).contains(&first), "{first}");
        let held = server.pass(&[40], 100);
        assert_eq!(held, first, "a little below the limit it stays");
        assert!(server.pass(&[300], 100) > held);
        for _ in 0..20 {
            server.pass(&[300], 100);
        }
        assert_eq!(server.pass(&[300], 100), 2 * FULL, "it has an end");
        let lower = server.pass(&[5], 100);
        assert!(lower < 2 * FULL && lower > FULL, "{lower}");
        for _ in 0..10 {
            server.pass(&[5], 100);
        }
        assert_eq!(server.pass(&[5], 10), 0);
    }

    #[test]
    fn bursts_and_a_machine_that_others_have_taken_are_no_overload() {
        let mut server = Server::new();
        assert_eq!(server.pass(&[80, 80, 0], 100), 0, "the queue was empty in between");
        assert_eq!(server.pass(&[200], 10), 0, "it was not this server that was busy");
    }
}
