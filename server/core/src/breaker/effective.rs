//! What the configuration amounts to just now: adaptive breakers and those with levels have other
//! values than the configured ones.

use std::time::Duration;

use crate::adapted::{DurationReason, ThresholdReason};
use crate::breaker::Breaker;
use crate::config::{Config, Level};

/// The values in force, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effective {
    /// Failures that trip the breaker; 0 is off.
    pub failure_threshold: u32,
    /// Why it is so many.
    pub threshold_reason: ThresholdReason,
    /// How long OPEN lasts, before backoff.
    pub open_duration: Duration,
    /// Why it is so long.
    pub duration_reason: DurationReason,
    /// Successful probes that close the breaker.
    pub success_threshold: u32,
    /// Probes in flight at once.
    pub max_probes: u32,
}

/// Where the ramp stands and what is in force: what clients see of a breaker and can change without
/// a change of state, mode or level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aspect {
    effective: Effective,
    admit_percent: Option<u32>,
}

impl Breaker {
    /// The values in force.
    pub fn effective(&self, config: &Config) -> Effective {
        if let Some(level) = self.level(config) {
            return Effective {
                failure_threshold: level.failure_threshold,
                threshold_reason: ThresholdReason::Level,
                open_duration: level.open_duration,
                duration_reason: DurationReason::Level,
                success_threshold: level.success_threshold,
                max_probes: config.max_probes_beside(level.success_threshold),
            };
        }
        let base = config.failure_threshold();
        let adapted = self.memory.as_deref().and_then(|memory| memory.adapted.as_deref());
        let learnt = adapted.zip(config.adaptive());
        let (failure_threshold, threshold_reason) = learnt
            .map_or((base, ThresholdReason::Configured), |(adapted, adaptive)| {
                adapted.failure_threshold(adaptive, base)
            });
        let (open_duration, duration_reason) = learnt
            .map_or((config.open_duration(), DurationReason::Configured), |(adapted, _)| {
                (adapted.open_duration, adapted.duration_reason())
            });
        Effective {
            failure_threshold,
            threshold_reason,
            open_duration,
            duration_reason,
            success_threshold: config.success_threshold(),
            max_probes: config.max_probes(),
        }
    }

    /// The level, and its number from 0; `None` without levels.
    pub fn level<'c>(&self, config: &'c Config) -> Option<&'c Level> {
        let levels = &config.levels()?.levels;
        levels.get(self.level_number()).or(levels.last())
    }

    /// The number of the level, from 0.
    pub fn level_number(&self) -> usize {
        self.memory.as_deref().map_or(0, |memory| memory.level)
    }

    /// What of the calls flows on the ramp, in percent; `None` if the breaker is on none.
    pub fn admit_percent(&self, config: &Config) -> Option<u32> {
        self.ramping().map(|ramping| ramping.admit_percent(config.ramp()))
    }

    /// What can change without a transition; `None` where the configuration has no such rule.
    pub fn aspect(&self, config: &Config) -> Option<Aspect> {
        (config.has_adaptive() || config.ramp().is_some() || self.ramping().is_some()).then(|| {
            Aspect { effective: self.effective(config), admit_percent: self.admit_percent(config) }
        })
    }
}
