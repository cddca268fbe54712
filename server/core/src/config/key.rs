use crate::config::rules::{
    Adaptive, Backoff, ExpiredProbe, FailureRate, Levels, OnUnavailable, ProbeCalls, Ramp,
    SlowCallRate, WindowSize,
};
use std::time::Duration;

/// Defines the keys of a configuration, by their names in files and on the wire, and the patch that
/// has a field for each of them.
macro_rules! keys {
    ($($key:ident $field:ident: $type:ty,)+) => {
        /// The keys of a configuration, by their names in files and on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "each variant is the key of the same name, described at Config")]
        pub enum Key {
            $($key,)+
        }

        impl Key {
            /// Every key, in the order in which people read them.
            pub const ALL: [Self; [$(Self::$key,)+].len()] = [$(Self::$key,)+];

            /// The name of the key.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$key => stringify!($field),)+
                }
            }
        }

        /// Some of the values of a configuration, unchecked; `None` leaves a value to the layer
        /// below. A rule that can be off is `Some(None)` where it is turned off.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the fields are described at Config")]
        pub struct ConfigPatch {
            $(pub $field: Option<$type>,)+
        }

        impl ConfigPatch {
            /// Takes the value of one key from `other`, be it set or not.
            pub fn copy_key(&mut self, key: Key, other: &Self) {
                match key {
                    $(Key::$key => self.$field.clone_from(&other.$field),)+
                }
            }

            /// Whether the value of this key is set.
            pub const fn is_set(&self, key: Key) -> bool {
                match key {
                    $(Key::$key => self.$field.is_some(),)+
                }
            }
        }
    };
}

keys! {
    FailureThreshold failure_threshold: u32,
    FailureDecay failure_decay: u32,
    ConsecutiveFailures consecutive_failures: u32,
    FailureRate failure_rate: Option<FailureRate>,
    SlowCallRate slow_call_rate: Option<SlowCallRate>,
    Window window: WindowSize,
    MinReporters min_reporters: u32,
    MaxReporterShare max_reporter_share: Option<u32>,
    OpenDuration open_duration: Duration,
    Backoff backoff: Option<Backoff>,
    SuccessThreshold success_threshold: u32,
    MaxProbes max_probes: u32,
    ProbeCalls probe_calls: Option<ProbeCalls>,
    ExpiredProbe expired_probe: ExpiredProbe,
    Ramp ramp: Option<Ramp>,
    CallTimeout call_timeout: Duration,
    FailureErrors failure_errors: Vec<String>,
    IgnoredErrors ignored_errors: Vec<String>,
    OnUnavailable on_unavailable: OnUnavailable,
    Adaptive adaptive: Option<Adaptive>,
    Levels levels: Option<Levels>,
}

impl Key {
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
    /// The policy that matches the breaker best.
    Policy,
    /// The breaker's own configuration.
    Breaker,
}

/// Where each value of a configuration comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sources([Source; Key::ALL.len()]);

impl Sources {
    pub(super) const BUILT_IN: Self = Self([Source::BuiltIn; Key::ALL.len()]);

    /// Where the value of this key comes from.
    pub const fn of(&self, key: Key) -> Source {
        self.0[key as usize]
    }

    pub(super) const fn set(&mut self, key: Key, source: Source) {
        self.0[key as usize] = source;
    }
}
