use breaker_core::{Cause, Mode, StateKind};

/// A value that is stored as a lower-case word.
pub(crate) trait Word: Copy {
    /// What the word stands for, for messages.
    const NOUN: &str;

    /// The word.
    fn as_word(self) -> &'static str;

    /// The value of a word.
    fn from_word(word: &str) -> Option<Self>;
}

macro_rules! words {
    ($type:ty, $noun:literal, { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl Word for $type {
            const NOUN: &str = $noun;

            fn as_word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

words!(StateKind, "state", {
    Closed => "closed",
    Open => "open",
    HalfOpen => "half_open",
});

words!(Mode, "mode", {
    Normal => "normal",
    ForcedOpen => "forced_open",
    ForcedClosed => "forced_closed",
    Disabled => "disabled",
    Shadow => "shadow",
});

words!(Cause, "cause", {
    FailureThreshold => "failure_threshold",
    ConsecutiveFailures => "consecutive_failures",
    FailureRate => "failure_rate",
    SlowCallRate => "slow_call_rate",
    OpenElapsed => "open_elapsed",
    ProbesSucceeded => "probes_succeeded",
    RampCompleted => "ramp_completed",
    ProbeFailed => "probe_failed",
    ProbeRate => "probe_rate",
    ProbeExpired => "probe_expired",
    Deescalated => "deescalated",
    ForcedOpen => "forced_open",
    ForcedClosed => "forced_closed",
    Disabled => "disabled",
    Shadowed => "shadowed",
    Released => "released",
    OverrideExpired => "override_expired",
    Tripped => "tripped",
    Reset => "reset",
});
