use std::time::Duration;

use crate::config::OnUnavailable;
use crate::config::key::Key;

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

    /// Whether the value of this key is set.
    pub const fn is_set(&self, key: Key) -> bool {
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
}
