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
