//! What a breaker is configured with, how layers of it are merged, and what is refused.
//!
//! A [`ConfigPatch`] holds what somebody asked for, unchecked. [`Config::resolve`] merges patches
//! over the built-in defaults and is the only way to a [`Config`], so that whoever holds one need
//! not check anything again.

use std::fmt;
use std::time::Duration;

use crate::glob::ErrorGlob;

/// The bounds of every value. They are generous: their purpose is to refuse what can only be a
/// mistake and to bound memory.
pub mod limits {
    use std::time::Duration;

    /// Largest `failure_threshold`, `consecutive_failures` and `failure_decay`.
    pub const MAX_THRESHOLD: u32 = 1_000_000;
    /// Largest `success_threshold` and `max_probes`.
    pub const MAX_PROBES: u32 = 10_000;
    /// Largest `window.calls`; a call takes 8 bytes.
    pub const MAX_WINDOW_CALLS: u32 = 10_000;
    /// Shortest `open_duration` and `call_timeout`.
    pub const MIN_DURATION: Duration = Duration::from_millis(1);
    /// Longest `open_duration` and `call_timeout`.
    pub const MAX_DURATION: Duration = Duration::from_secs(7 * 24 * 60 * 60);
    /// Most globs in `failure_errors` and in `ignored_errors`.
    pub const MAX_ERROR_GLOBS: usize = 64;
}

/// A value that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field, as a path: `failure_threshold`, `window.calls`.
    pub field: String,
    /// What was wrong, with which value, and what to do.
    pub description: String,
}

impl Violation {
    /// A violation of this field.
    pub fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self { field: field.into(), description: description.into() }
    }

    /// The same violation, of a field within `parent`.
    pub fn within(mut self, parent: &str) -> Self {
        self.field = format!("{parent}.{}", self.field);
        self
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.description)
    }
}

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

/// The keys of a configuration, by their names in files and on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each variant is the key of the same name, described at Config")]
pub enum Key {
    FailureThreshold,
    FailureDecay,
    ConsecutiveFailures,
    Window,
    OpenDuration,
    SuccessThreshold,
    MaxProbes,
    CallTimeout,
    FailureErrors,
    IgnoredErrors,
    OnUnavailable,
}

impl Key {
    /// Every key, in the order in which people read them.
    pub const ALL: [Self; 11] = [
        Self::FailureThreshold,
        Self::FailureDecay,
        Self::ConsecutiveFailures,
        Self::Window,
        Self::OpenDuration,
        Self::SuccessThreshold,
        Self::MaxProbes,
        Self::CallTimeout,
        Self::FailureErrors,
        Self::IgnoredErrors,
        Self::OnUnavailable,
    ];

    /// The name of the key.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FailureThreshold => "failure_threshold",
            Self::FailureDecay => "failure_decay",
            Self::ConsecutiveFailures => "consecutive_failures",
            Self::Window => "window",
            Self::OpenDuration => "open_duration",
            Self::SuccessThreshold => "success_threshold",
            Self::MaxProbes => "max_probes",
            Self::CallTimeout => "call_timeout",
            Self::FailureErrors => "failure_errors",
            Self::IgnoredErrors => "ignored_errors",
            Self::OnUnavailable => "on_unavailable",
        }
    }

    /// The key of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.as_str() == name)
    }
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The defaults built into this crate.
    BuiltIn,
    /// The defaults that the server was started with.
    Server,
    /// The breaker's own configuration.
    Breaker,
}

/// Where each value of a configuration comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sources([Source; Key::ALL.len()]);

impl Sources {
    /// Where the value of this key comes from.
    pub const fn of(&self, key: Key) -> Source {
        self.0[key as usize]
    }
}

/// Some of the values of a configuration, unchecked; `None` leaves a value to the layer below.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are described at Config")]
pub struct ConfigPatch {
    pub failure_threshold: Option<u32>,
    pub failure_decay: Option<u32>,
    pub consecutive_failures: Option<u32>,
    pub window_calls: Option<u32>,
    pub open_duration: Option<Duration>,
    pub success_threshold: Option<u32>,
    pub max_probes: Option<u32>,
    pub call_timeout: Option<Duration>,
    pub failure_errors: Option<Vec<String>>,
    pub ignored_errors: Option<Vec<String>>,
    pub on_unavailable: Option<OnUnavailable>,
}

impl ConfigPatch {
    /// Takes the value of one key from `other`, be it set or not.
    pub fn copy_key(&mut self, key: Key, other: &Self) {
        match key {
            Key::FailureThreshold => self.failure_threshold = other.failure_threshold,
            Key::FailureDecay => self.failure_decay = other.failure_decay,
            Key::ConsecutiveFailures => self.consecutive_failures = other.consecutive_failures,
            Key::Window => self.window_calls = other.window_calls,
            Key::OpenDuration => self.open_duration = other.open_duration,
            Key::SuccessThreshold => self.success_threshold = other.success_threshold,
            Key::MaxProbes => self.max_probes = other.max_probes,
            Key::CallTimeout => self.call_timeout = other.call_timeout,
            Key::FailureErrors => self.failure_errors.clone_from(&other.failure_errors),
            Key::IgnoredErrors => self.ignored_errors.clone_from(&other.ignored_errors),
            Key::OnUnavailable => self.on_unavailable = other.on_unavailable,
        }
    }

    const fn is_set(&self, key: Key) -> bool {
        match key {
            Key::FailureThreshold => self.failure_threshold.is_some(),
            Key::FailureDecay => self.failure_decay.is_some(),
            Key::ConsecutiveFailures => self.consecutive_failures.is_some(),
            Key::Window => self.window_calls.is_some(),
            Key::OpenDuration => self.open_duration.is_some(),
            Key::SuccessThreshold => self.success_threshold.is_some(),
            Key::MaxProbes => self.max_probes.is_some(),
            Key::CallTimeout => self.call_timeout.is_some(),
            Key::FailureErrors => self.failure_errors.is_some(),
            Key::IgnoredErrors => self.ignored_errors.is_some(),
            Key::OnUnavailable => self.on_unavailable.is_some(),
        }
    }

    /// This patch with the values of `over`, where it has any, in place of its own.
    fn overlaid(mut self, over: &Self) -> Self {
        for key in Key::ALL.into_iter().filter(|&key| over.is_set(key)) {
            self.copy_key(key, over);
        }
        self
    }
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
    pub fn resolve(layers: &[(Source, &ConfigPatch)]) -> Result<(Self, Sources), Vec<Violation>> {
        let mut sources = Sources([Source::BuiltIn; Key::ALL.len()]);
        let mut merged = ConfigPatch::default();
        for (source, layer) in layers {
            for key in Key::ALL.into_iter().filter(|&key| layer.is_set(key)) {
                sources.0[key as usize] = *source;
            }
            merged = merged.overlaid(layer);
        }
        Ok((Self::checked(&merged)?, sources))
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
        if check.0.is_empty() { Ok(config) } else { Err(check.0) }
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
    pub fn is_failure_kind(&self, kind: &crate::ErrorKind) -> bool {
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

/// Collects violations, so that an answer names every bad field at once.
#[derive(Default)]
struct Check(Vec<Violation>);

impl Check {
    fn refuse(&mut self, field: &str, description: impl Into<String>) {
        self.0.push(Violation::new(field, description));
    }

    fn number(&mut self, field: &str, value: u32, range: std::ops::RangeInclusive<u32>) -> u32 {
        if !range.contains(&value) {
            let (least, most) = range.into_inner();
            self.refuse(field, format!("{value} is out of range; it must be {least} to {most}"));
        }
        value
    }

    fn duration(&mut self, field: &str, value: Duration) -> Duration {
        if !(limits::MIN_DURATION..=limits::MAX_DURATION).contains(&value) {
            self.refuse(field, format!("{value:?} is out of range; it must be 1ms to 7 days"));
        }
        value
    }

    /// `["*"]`, the default, is kept as an empty list, so that the common case costs nothing.
    fn failure_errors(&mut self, globs: Option<&[String]>) -> Vec<ErrorGlob> {
        match globs {
            None => Vec::new(),
            Some([]) => {
                self.refuse("failure_errors", "the list is empty, so no error would be a failure; leave it out or name some");
                Vec::new()
            }
            Some([every]) if every == "*" => Vec::new(),
            Some(globs) => self.globs("failure_errors", globs),
        }
    }

    fn globs(&mut self, field: &str, globs: &[String]) -> Vec<ErrorGlob> {
        if globs.len() > limits::MAX_ERROR_GLOBS {
            self.refuse(
                field,
                format!("{} globs; at most {} are allowed", globs.len(), limits::MAX_ERROR_GLOBS),
            );
            return Vec::new();
        }
        let mut checked = Vec::with_capacity(globs.len());
        for (index, glob) in globs.iter().enumerate() {
            match ErrorGlob::new(glob) {
                Ok(glob) => checked.push(glob),
                Err(error) => self.refuse(&format!("{field}[{index}]"), error.to_string()),
            }
        }
        checked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(patch: ConfigPatch) -> Result<Config, Vec<Violation>> {
        Config::resolve(&[(Source::Breaker, &patch)]).map(|(config, _)| config)
    }

    #[test]
    fn nothing_set_gives_the_defaults_of_the_design() {
        let config = resolve(ConfigPatch::default()).unwrap();
        assert_eq!(config, Config::default());
        assert_eq!(resolve(config.to_patch()).unwrap(), config);
        assert_eq!(config.failure_errors().collect::<Vec<_>>(), ["*"]);
    }

    #[test]
    fn max_probes_follows_success_threshold_until_it_is_set() {
        let patch = ConfigPatch { success_threshold: Some(7), ..Default::default() };
        assert_eq!(resolve(patch.clone()).unwrap().max_probes(), 7);
        let patch = ConfigPatch { max_probes: Some(1), ..patch };
        assert_eq!(resolve(patch).unwrap().max_probes(), 1);
    }

    #[test]
    fn a_later_layer_wins_and_the_answer_says_so() {
        let server = ConfigPatch {
            failure_threshold: Some(9),
            failure_decay: Some(2),
            ..Default::default()
        };
        let own = ConfigPatch { failure_threshold: Some(3), ..Default::default() };
        let (config, sources) =
            Config::resolve(&[(Source::Server, &server), (Source::Breaker, &own)]).unwrap();
        assert_eq!((config.failure_threshold(), config.failure_decay()), (3, 2));
        assert_eq!(sources.of(Key::FailureThreshold), Source::Breaker);
        assert_eq!(sources.of(Key::FailureDecay), Source::Server);
        assert_eq!(sources.of(Key::CallTimeout), Source::BuiltIn);
    }

    #[test]
    fn every_bad_value_is_named() {
        let bad = ConfigPatch {
            failure_threshold: Some(0),
            failure_decay: Some(u32::MAX),
            window_calls: Some(0),
            open_duration: Some(Duration::ZERO),
            success_threshold: Some(0),
            max_probes: Some(10_001),
            call_timeout: Some(Duration::from_secs(10_000_000)),
            failure_errors: Some(vec![]),
            ignored_errors: Some(vec!["fine".into(), String::new()]),
            ..Default::default()
        };
        let fields: Vec<_> = resolve(bad).unwrap_err().into_iter().map(|v| v.field).collect();
        assert_eq!(
            fields,
            [
                "success_threshold",
                "failure_decay",
                "window.calls",
                "open_duration",
                "max_probes",
                "call_timeout",
                "failure_errors",
                "ignored_errors[1]",
                "failure_threshold",
            ]
        );
    }
}
