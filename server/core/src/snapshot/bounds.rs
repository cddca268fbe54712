//! What of a snapshot may lie in the future, and how far.
//!
//! A server that starts after its machine's clock was set back reads times that have not come yet,
//! and a damaged row can hold any. A breaker that waited for them would stay OPEN, or forced, for
//! as long as the clock was set back, or for centuries.

use std::time::Duration;

use super::{BadCallsSnapshot, BreakerSnapshot, MemorySnapshot, StateSnapshot, WindowSnapshot};
use crate::config::{Config, limits};
use crate::overrides::Override;
use crate::time::Time;
use crate::window::is_ahead;

impl BreakerSnapshot {
    /// Takes back what lies further in the future than it can: what has happened lies at `now` at
    /// the latest, and what is to come no further from it than it lay from where it began, nor than
    /// this configuration, or the longest time to live, lets it at most. Returns whether there was anything to take back.
    ///
    /// That can only be after a clock was set back, in a snapshot that was damaged, or under a
    /// configuration that has become shorter since: an OPEN of an hour that meets an
    /// `open_duration` of a minute has a minute left.
    pub fn bound(&mut self, config: &Config, now: Time) -> bool {
        // The memory first: how long OPEN may last depends on what it has learnt.
        let mut is_bounded = self.memory.as_mut().is_some_and(|memory| memory.bound(now));
        let longest_open = self.longest_open(config);
        is_bounded |= self.state.bound(config, self.since, longest_open, now);
        is_bounded |= put_at_latest(&mut self.since, now);
        if let Some(override_) = &mut self.override_ {
            is_bounded |= bound_override(override_, now);
        }
        if let Some(metrics) = &mut self.metrics {
            is_bounded |= metrics.window.drop_ahead(now);
            if let Some(failure) = &mut metrics.last_failure {
                is_bounded |= put_at_latest(&mut failure.at, now);
            }
        }
        is_bounded
    }

    /// How long OPEN can last under a configuration, whatever led to it.
    fn longest_open(&self, config: &Config) -> Duration {
        if let Some(backoff) = config.backoff() {
            return backoff.max;
        }
        if let Some(levels) = config.levels() {
            let of_levels = levels.levels.iter().map(|level| level.open_duration);
            return of_levels.max().unwrap_or(config.open_duration());
        }
        let Some(adaptive) = config.adaptive() else { return config.open_duration() };
        let adapted = self.memory.as_ref().and_then(|memory| memory.adapted.as_ref());
        // What was learnt under a higher maximum holds until the next trip.
        let learnt = adapted.map_or(Duration::ZERO, |adapted| adapted.open_duration);
        config.open_duration().max(adaptive.max_open_duration).max(learnt)
    }
}

impl StateSnapshot {
    fn bound(&mut self, config: &Config, since: Time, longest_open: Duration, now: Time) -> bool {
        match self {
            Self::Closed | Self::Open { retry_at: None } => false,
            Self::Open { retry_at: Some(retry_at) } => {
                let length = retry_at.since(since).min(longest_open);
                put_at_latest(retry_at, now + length)
            }
            Self::HalfOpen { permits, ramp, .. } => {
                let mut is_bounded = false;
                for permit in permits {
                    is_bounded |= put_at_latest(&mut permit.deadline, now + config.call_timeout());
                }
                if let Some(ramping) = ramp {
                    let step = config.ramp().map_or(Duration::ZERO, |ramp| ramp.step);
                    is_bounded |= put_at_latest(&mut ramping.ends_at, now + step);
                }
                is_bounded
            }
        }
    }
}

impl MemorySnapshot {
    fn bound(&mut self, now: Time) -> bool {
        let mut is_bounded = put_at_latest(&mut self.level_since, now);
        if let Some(window) = &mut self.window {
            is_bounded |= window.drop_ahead(now);
        }
        if let Some(BadCallsSnapshot::Buckets { width, buckets }) =
            self.quorum.as_mut().and_then(|quorum| quorum.window.as_mut())
        {
            is_bounded |= drop_ahead(buckets, |(index, ..)| is_ahead(*index, now, *width));
        }
        if let Some(adapted) = &mut self.adapted {
            let open_duration = adapted.open_duration.min(limits::MAX_DURATION);
            is_bounded |= open_duration != adapted.open_duration;
            adapted.open_duration = open_duration;
        }
        is_bounded
    }
}

impl WindowSnapshot {
    fn drop_ahead(&mut self, now: Time) -> bool {
        match self {
            Self::Calls(_) => false,
            Self::Buckets { width, buckets } => {
                drop_ahead(buckets, |(index, _)| is_ahead(*index, now, *width))
            }
        }
    }
}

fn bound_override(override_: &mut Override, now: Time) -> bool {
    let Override { set_at, expires_at, .. } = override_;
    let mut is_bounded = false;
    if let Some(expires_at) = expires_at {
        let length = expires_at.since(*set_at).min(limits::MAX_TIME_TO_LIVE);
        is_bounded |= put_at_latest(expires_at, now + length);
    }
    is_bounded | put_at_latest(set_at, now)
}

fn drop_ahead<B>(buckets: &mut Vec<B>, is_ahead: impl Fn(&B) -> bool) -> bool {
    let before = buckets.len();
    buckets.retain(|bucket| !is_ahead(bucket));
    buckets.len() < before
}

fn put_at_latest(time: &mut Time, latest: Time) -> bool {
    let is_later = *time > latest;
    *time = (*time).min(latest);
    is_later
}
