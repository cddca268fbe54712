use std::time::Duration;

use crate::probes::Permit;

/// The answer to a call that asks whether it may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The call may be made.
    Allowed(AllowReason),
    /// The call must not be made.
    Denied {
        /// Why not.
        reason: DenyReason,
        /// When asking again can have another answer, if the breaker knows.
        retry_after: Option<Duration>,
    },
}

/// Why a call may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowReason {
    /// The breaker is CLOSED.
    Closed,
    /// The breaker is HALF_OPEN and the call is one of its probes.
    Probe(Permit),
    /// The breaker is HALF_OPEN, its probes succeeded, and the call is of the share that the ramp
    /// lets through.
    Ramp,
    /// An admin forced the breaker closed.
    ForcedClosed,
    /// An admin disabled the breaker.
    Disabled,
    /// The breaker would have denied the call, but is in SHADOW.
    Shadow,
}

/// Why a call must not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenyReason {
    /// The breaker is OPEN.
    Open,
    /// The breaker is HALF_OPEN and all its permits are out.
    NoPermit,
    /// The breaker is HALF_OPEN, and the call is not of the share that the ramp lets through.
    Ramp,
    /// An admin forced the breaker open.
    ForcedOpen,
}

impl Decision {
    /// Whether the call may be made.
    pub const fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }

    /// The permit, if the call is a probe.
    pub const fn permit(&self) -> Option<Permit> {
        match self {
            Self::Allowed(AllowReason::Probe(permit)) => Some(*permit),
            _ => None,
        }
    }
}
