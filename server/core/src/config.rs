//! What a breaker is configured with, how layers of it are merged, and what is refused.
//!
//! A [`ConfigPatch`] holds what somebody asked for, unchecked. [`Config::resolve`] merges patches
//! over the built-in defaults and is the only way to a [`Config`], so that whoever holds one need
//! not check anything again.

mod check;
mod checked;
mod key;
pub mod limits;
mod odd;
mod rules;
#[cfg(test)]
mod tests;
mod violation;

use std::time::Duration;

pub use self::key::{ConfigPatch, Key, Source, Sources};
pub use self::rules::{
    Adaptive, Backoff, ExpiredProbe, FailureRate, Level, Levels, OnUnavailable, ProbeCalls, Ramp,
    SlowCallRate, Thousandths, WindowSize,
};
pub use self::violation::Violation;

use crate::glob::ErrorGlob;
use crate::outcome::ErrorKind;

/// A checked, complete configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    failure_threshold: u32,
    failure_decay: u32,
    consecutive_failures: u32,
    failure_rate: Option<FailureRate>,
    slow_call_rate: Option<SlowCallRate>,
    window: WindowSize,
    min_reporters: u32,
    max_reporter_share: Option<u32>,
    open_duration: Duration,
    backoff: Option<Backoff>,
    success_threshold: u32,
    /// `None` follows what closes the breaker. Without levels, which change that, a number that is
    /// the same is `None` too: configurations that mean the same are the same.
    max_probes: Option<u32>,
    probe_calls: Option<ProbeCalls>,
    expired_probe: ExpiredProbe,
    ramp: Option<Box<Ramp>>,
    call_timeout: Duration,
    /// Empty for every error.
    failure_errors: Vec<ErrorGlob>,
    ignored_errors: Vec<ErrorGlob>,
    on_unavailable: OnUnavailable,
    adaptive: Option<Box<Adaptive>>,
    levels: Option<Box<Levels>>,
}

/// What layers of configuration make together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The configuration.
    pub config: Config,
    /// Where each of its values comes from.
    pub sources: Sources,
    /// Values that are allowed and make no sense: what is odd, and what to do.
    pub warnings: Vec<Violation>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            failure_threshold: 5,
            failure_decay: 1,
            consecutive_failures: 0,
            failure_rate: None,
            slow_call_rate: None,
            window: WindowSize::Calls(100),
            min_reporters: 1,
            max_reporter_share: None,
            open_duration: Duration::from_secs(60),
            backoff: None,
            success_threshold: 3,
            max_probes: None,
            probe_calls: None,
            expired_probe: ExpiredProbe::Timeout,
            ramp: None,
            call_timeout: Duration::from_secs(10),
            failure_errors: Vec::new(),
            ignored_errors: Vec::new(),
            on_unavailable: OnUnavailable::Local,
            adaptive: None,
            levels: None,
        }
    }
}

impl Config {
    /// Merges the layers, later ones over earlier ones and all over the built-in defaults, and
    /// checks the result.
    ///
    /// # Errors
    /// Every value that was refused.
    pub fn resolve(layers: &[(Source, &ConfigPatch)]) -> Result<Resolved, Vec<Violation>> {
        let mut sources = Sources::BUILT_IN;
        let mut merged = ConfigPatch::default();
        for (source, layer) in layers {
            for key in Key::ALL.into_iter().filter(|&key| layer.is_set(key)) {
                merged.copy_key(key, layer);
                sources.set(key, *source);
            }
        }
        let config = Self::checked(&merged)?;
        let warnings = config.oddities(&merged);
        Ok(Resolved { config, sources, warnings })
    }

    /// The same for a breaker that one process alone reports to: several reporters, as a fleet can
    /// ask for, would never be there.
    pub fn for_one_reporter(&self) -> Self {
        Self { min_reporters: 1, max_reporter_share: None, ..self.clone() }
    }

    /// Failures that trip a CLOSED breaker; 0 is off. Adaptive breakers start from it; with
    /// `levels` each level has its own.
    pub const fn failure_threshold(&self) -> u32 {
        self.failure_threshold
    }

    /// By how much a success lowers the failure count.
    pub const fn failure_decay(&self) -> u32 {
        self.failure_decay
    }

    /// Failures in a row that trip a CLOSED breaker; 0 is off.
    pub const fn consecutive_failures(&self) -> u32 {
        self.consecutive_failures
    }

    /// The share of failed calls that trips a CLOSED breaker.
    pub const fn failure_rate(&self) -> Option<FailureRate> {
        self.failure_rate
    }

    /// The share of slow calls that trips a CLOSED breaker.
    pub const fn slow_call_rate(&self) -> Option<SlowCallRate> {
        self.slow_call_rate
    }

    /// Over which calls metrics and rates are computed.
    pub const fn window(&self) -> WindowSize {
        self.window
    }

    /// How many distinct reporters must have seen failures before the breaker may trip.
    pub const fn min_reporters(&self) -> u32 {
        self.min_reporters
    }

    /// How much of what trips the breaker one reporter may bring, in percent.
    pub const fn max_reporter_share(&self) -> Option<u32> {
        self.max_reporter_share
    }

    /// How long OPEN lasts, from the failure that opened it. Adaptive breakers start from it; with
    /// `levels` each level has its own.
    pub const fn open_duration(&self) -> Duration {
        self.open_duration
    }

    /// How OPEN grows over successive re-opens.
    pub const fn backoff(&self) -> Option<Backoff> {
        self.backoff
    }

    /// Successful probes that close a HALF_OPEN breaker; with `levels` each level has its own.
    pub const fn success_threshold(&self) -> u32 {
        self.success_threshold
    }

    /// Probes in flight at once, in the whole fleet; as many as are needed to close the breaker
    /// where nothing else was asked for.
    pub fn max_probes(&self) -> u32 {
        self.max_probes_beside(self.success_threshold)
    }

    /// The same where another number of successes closes the breaker.
    pub(crate) fn max_probes_beside(&self, success_threshold: u32) -> u32 {
        self.max_probes.unwrap_or_else(|| self.probes_to_close(success_threshold))
    }

    /// How many probes it takes at least to close the breaker.
    fn probes_to_close(&self, success_threshold: u32) -> u32 {
        self.probe_calls.map_or(success_threshold, |probes| probes.calls)
    }

    /// The other way to judge the probes.
    pub const fn probe_calls(&self) -> Option<ProbeCalls> {
        self.probe_calls
    }

    /// What becomes of a permit past its deadline.
    pub const fn expired_probe(&self) -> ExpiredProbe {
        self.expired_probe
    }

    /// The shares of the calls that flow between the probes and CLOSED.
    pub fn ramp(&self) -> Option<&Ramp> {
        self.ramp.as_deref()
    }

    /// A call longer than this is a TIMEOUT; also the time a permit is good for.
    pub const fn call_timeout(&self) -> Duration {
        self.call_timeout
    }

    /// The error kinds that are failures.
    pub fn failure_errors(&self) -> impl Iterator<Item = &str> {
        let every: &[&str] = if self.failure_errors.is_empty() { &["*"] } else { &[] };
        every.iter().copied().chain(self.failure_errors.iter().map(ErrorGlob::as_str))
    }

    /// The error kinds that count for nothing.
    pub fn ignored_errors(&self) -> impl Iterator<Item = &str> {
        self.ignored_errors.iter().map(ErrorGlob::as_str)
    }

    /// What clients do while the server is away.
    pub const fn on_unavailable(&self) -> OnUnavailable {
        self.on_unavailable
    }

    /// How threshold and open duration follow the recent calls.
    pub fn adaptive(&self) -> Option<&Adaptive> {
        self.adaptive.as_deref()
    }

    /// The levels of severity.
    pub fn levels(&self) -> Option<&Levels> {
        self.levels.as_deref()
    }

    /// Whether an error of this kind is a failure.
    pub fn is_failure_kind(&self, kind: &ErrorKind<'_>) -> bool {
        let matched = |globs: &[ErrorGlob]| globs.iter().any(|glob| glob.matches(kind.as_str()));
        (self.failure_errors.is_empty() || matched(&self.failure_errors))
            && !matched(&self.ignored_errors)
    }

    /// Whether a reporter's share in what trips the breaker matters.
    pub(crate) const fn needs_quorum(&self) -> bool {
        self.min_reporters > 1 || self.max_reporter_share.is_some()
    }

    /// Whether threshold and open duration follow the recent calls.
    pub(crate) const fn has_adaptive(&self) -> bool {
        self.adaptive.is_some()
    }

    /// Whether a rate can trip the breaker.
    pub(crate) const fn has_rates(&self) -> bool {
        self.failure_rate.is_some() || self.slow_call_rate.is_some()
    }

    /// Every value, as a patch that resolves to this configuration. With levels `max_probes` stays
    /// unset where nobody asked for it, because it follows the level.
    pub fn to_patch(&self) -> ConfigPatch {
        let follows_level = self.levels.is_some() && self.max_probes.is_none();
        ConfigPatch {
            failure_threshold: Some(self.failure_threshold),
            failure_decay: Some(self.failure_decay),
            consecutive_failures: Some(self.consecutive_failures),
            failure_rate: Some(self.failure_rate),
            slow_call_rate: Some(self.slow_call_rate),
            window: Some(self.window),
            min_reporters: Some(self.min_reporters),
            max_reporter_share: Some(self.max_reporter_share),
            open_duration: Some(self.open_duration),
            backoff: Some(self.backoff),
            success_threshold: Some(self.success_threshold),
            max_probes: (!follows_level).then(|| self.max_probes()),
            probe_calls: Some(self.probe_calls),
            expired_probe: Some(self.expired_probe),
            ramp: Some(self.ramp().cloned()),
            call_timeout: Some(self.call_timeout),
            failure_errors: Some(self.failure_errors().map(str::to_owned).collect()),
            ignored_errors: Some(self.ignored_errors().map(str::to_owned).collect()),
            on_unavailable: Some(self.on_unavailable),
            adaptive: Some(self.adaptive().copied()),
            levels: Some(self.levels().cloned()),
        }
    }
}
