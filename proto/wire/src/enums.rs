use breaker_core::{
    Cause, DurationReason, ExpiredProbe, Mode, OnUnavailable, Outcome, Source, StateKind,
    ThresholdReason,
};
use breaker_proto::v1;

/// Defines the two directions between an enum of the core and one of the protocol. The way back
/// takes the number as it came over the wire and is `None` for one that means nothing here.
macro_rules! convert {
    ($core:ty, $message:ty, $to:ident, $from:ident, { $($variant:ident => $name:ident),+ $(,)? }) => {
        #[doc = concat!("A `", stringify!($core), "` as it goes over the wire.")]
        pub const fn $to(value: $core) -> $message {
            match value {
                $(<$core>::$variant => <$message>::$name,)+
            }
        }

        #[doc = concat!("A `", stringify!($core), "` as it came over the wire; `None` if unknown.")]
        pub fn $from(value: i32) -> Option<$core> {
            match <$message>::try_from(value).ok()? {
                $(<$message>::$name => Some(<$core>::$variant),)+
                _ => None,
            }
        }
    };
}

convert!(StateKind, v1::State, state_to_message, state_from_message, {
    Closed => Closed,
    Open => Open,
    HalfOpen => HalfOpen,
});

convert!(Mode, v1::Mode, mode_to_message, mode_from_message, {
    Normal => Normal,
    ForcedOpen => ForcedOpen,
    ForcedClosed => ForcedClosed,
    Disabled => Disabled,
    Shadow => Shadow,
});

convert!(Outcome, v1::Outcome, outcome_to_message, outcome_from_message, {
    Success => Success,
    Failure => Failure,
    Timeout => Timeout,
    Ignored => Ignored,
});

convert!(
    OnUnavailable,
    v1::OnUnavailable,
    on_unavailable_to_message,
    on_unavailable_from_message,
    {
        Allow => Allow,
        Deny => Deny,
        Local => Local,
    }
);

convert!(ExpiredProbe, v1::ExpiredProbe, expired_probe_to_message, expired_probe_from_message, {
    Timeout => Timeout,
    Ignore => Ignore,
});

convert!(
    ThresholdReason,
    v1::ThresholdReason,
    threshold_reason_to_message,
    threshold_reason_from_message,
    {
        Configured => Configured,
        Level => Level,
        HighFailureRate => HighFailureRate,
        LowFailureRate => LowFailureRate,
    }
);

convert!(
    DurationReason,
    v1::DurationReason,
    duration_reason_to_message,
    duration_reason_from_message,
    {
        Configured => Configured,
        Level => Level,
        SlowResponses => SlowResponses,
        FastResponses => FastResponses,
    }
);

convert!(Source, v1::ConfigSource, source_to_message, source_from_message, {
    BuiltIn => BuiltIn,
    Server => Server,
    Policy => Policy,
    Breaker => Breaker,
});

convert!(Cause, v1::Cause, cause_to_message, cause_from_message, {
    FailureThreshold => FailureThreshold,
    ConsecutiveFailures => ConsecutiveFailures,
    FailureRate => FailureRate,
    SlowCallRate => SlowCallRate,
    OpenElapsed => OpenElapsed,
    ProbesSucceeded => ProbesSucceeded,
    RampCompleted => RampCompleted,
    ProbeFailed => ProbeFailed,
    ProbeRate => ProbeRate,
    ProbeExpired => ProbeExpired,
    Deescalated => Deescalated,
    ForcedOpen => ForcedOpen,
    ForcedClosed => ForcedClosed,
    Disabled => Disabled,
    Shadowed => Shadowed,
    Released => Released,
    OverrideExpired => OverrideExpired,
    Tripped => Tripped,
    Reset => Reset,
});
