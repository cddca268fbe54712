//! What a breaker is configured with, how layers of it are merged, and what is refused.
//!
//! A [`ConfigPatch`] holds what somebody asked for, unchecked. [`Config::resolve`] merges patches
//! over the built-in defaults and is the only way to a [`Config`], so that whoever holds one need
//! not check anything again.

mod check;
mod key;
pub mod limits;
mod patch;
#[cfg(test)]
mod tests;
mod violation;

use std::time::Duration;

pub use self::key::{Key, Source, Sources};
pub use self::patch::ConfigPatch;
pub use self::violation::Violation;

use self::check::Check;
use crate::glob::ErrorGlob;
use crate::outcome::ErrorKind;

/// What clients do while the server is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnUnavailable {
    /// Allow every call.
    Allow,
    /// Deny every call.
    Deny,
    /// Decide with a breaker of their own that has the same configuration.
    Local,
}

/// A checked, complete configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Config {
    failure_threshold: u32,
    failure_decay: u32,
    consecutive_failures: u32,
    window_calls: u32,
    open_duration: Duration,
    success_threshold: u32,
    max_probes: u32,
    call_timeout: Duration,
    failure_errors: Vec<ErrorGlob>,
    ignored_errors: Vec<ErrorGlob>,
    on_unavailable: OnUnavailable,
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
            window_calls: 100,
            open_duration: Duration::from_secs(60),
            success_threshold: 3,
            max_probes: 3,
            call_timeout: Duration::from_secs(10),
            failure_errors: Vec::new(),
            ignored_errors: Vec::new(),
            on_unavailable: OnUnavailable::Local,
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
        Ok(Resolved { config, sources, warnings: Vec::new() })
    }

    fn checked(patch: &ConfigPatch) -> Result<Self, Vec<Violation>> {
        use limits::{MAX_PROBES, MAX_THRESHOLD, MAX_WINDOW_CALLS};
        let default = Self::default();
        let mut check = Check::default();
        let success_threshold = check.number(
            "success_threshold",
            patch.success_threshold.unwrap_or(default.success_threshold),
            1..=MAX_PROBES,
        );
        let config = Self {
            failure_threshold: check.number(
                "failure_threshold",
                patch.failure_threshold.unwrap_or(default.failure_threshold),
                0..=MAX_THRESHOLD,
            ),
            failure_decay: check.number(
                "failure_decay",
                patch.failure_decay.unwrap_or(default.failure_decay),
                0..=MAX_THRESHOLD,
            ),
            consecutive_failures: check.number(
                "consecutive_failures",
                patch.consecutive_failures.unwrap_or(default.consecutive_failures),
                0..=MAX_THRESHOLD,
            ),
            window_calls: check.number(
                "window.calls",
                patch.window_calls.unwrap_or(default.window_calls),
                1..=MAX_WINDOW_CALLS,
            ),
            open_duration: check
                .duration("open_duration", patch.open_duration.unwrap_or(default.open_duration)),
            success_threshold,
            max_probes: match patch.max_probes {
                Some(max_probes) => check.number("max_probes", max_probes, 1..=MAX_PROBES),
                None => success_threshold,
            },
            call_timeout: check
                .duration("call_timeout", patch.call_timeout.unwrap_or(default.call_timeout)),
            failure_errors: check.failure_errors(patch.failure_errors.as_deref()),
            ignored_errors: check
                .globs("ignored_errors", patch.ignored_errors.as_deref().unwrap_or_default()),
            on_unavailable: patch.on_unavailable.unwrap_or(default.on_unavailable),
        };
        if config.failure_threshold == 0 && config.consecutive_failures == 0 {
            check.refuse(
                "failure_threshold",
                "nothing can trip the breaker: failure_threshold and consecutive_failures are both \
                 0; set one of them",
            );
        }
        check.passed(config)
    }

    /// Failures that trip a CLOSED breaker; 0 is off.
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

    /// How many of the last calls the metrics are computed over.
    pub const fn window_calls(&self) -> u32 {
        self.window_calls
    }

    /// How long OPEN lasts, from the failure that opened it.
    pub const fn open_duration(&self) -> Duration {
        self.open_duration
    }

    /// Successful probes that close a HALF_OPEN breaker.
    pub const fn success_threshold(&self) -> u32 {
        self.success_threshold
    }

    /// Probes in flight at once, in the whole fleet.
    pub const fn max_probes(&self) -> u32 {
        self.max_probes
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

    /// Whether an error of this kind is a failure.
    pub fn is_failure_kind(&self, kind: &ErrorKind) -> bool {
        let matched = |globs: &[ErrorGlob]| globs.iter().any(|glob| glob.matches(kind.as_str()));
        (self.failure_errors.is_empty() || matched(&self.failure_errors))
            && !matched(&self.ignored_errors)
    }

    /// Every value, as a patch that resolves to this configuration.
    pub fn to_patch(&self) -> ConfigPatch {
        ConfigPatch {
            failure_threshold: Some(self.failure_threshold),
            failure_decay: Some(self.failure_decay),
            consecutive_failures: Some(self.consecutive_failures),
            window_calls: Some(self.window_calls),
            open_duration: Some(self.open_duration),
            success_threshold: Some(self.success_threshold),
            max_probes: Some(self.max_probes),
            call_timeout: Some(self.call_timeout),
            failure_errors: Some(self.failure_errors().map(str::to_owned).collect()),
            ignored_errors: Some(self.ignored_errors().map(str::to_owned).collect()),
            on_unavailable: Some(self.on_unavailable),
        }
    }
}
