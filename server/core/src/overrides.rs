use thiserror::Error;

use crate::time::Time;

/// Longest actor, in bytes.
const MAX_ACTOR_BYTES: usize = 200;
/// Longest reason, in bytes.
const MAX_REASON_BYTES: usize = 1000;

/// What an admin made of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The breaker leads its automatic life.
    Normal,
    /// Every call is denied.
    ForcedOpen,
    /// Every call is allowed.
    ForcedClosed,
    /// Every call is allowed and only metrics are recorded.
    Disabled,
    /// Transitions happen and are reported, calls are never denied.
    Shadow,
}

/// The modes an admin can set; all but SHADOW stop the automatic transitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OverrideKind {
    /// FORCED_OPEN.
    ForcedOpen,
    /// FORCED_CLOSED.
    ForcedClosed,
    /// DISABLED.
    Disabled,
    /// SHADOW.
    Shadow,
}

impl OverrideKind {
    /// The mode of a breaker under such an override.
    pub const fn mode(self) -> Mode {
        match self {
            Self::ForcedOpen => Mode::ForcedOpen,
            Self::ForcedClosed => Mode::ForcedClosed,
            Self::Disabled => Mode::Disabled,
            Self::Shadow => Mode::Shadow,
        }
    }
}

/// Who did something to a breaker, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attribution {
    actor: Box<str>,
    reason: Box<str>,
}

/// Why an attribution was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AttributionError {
    /// The actor is too long.
    #[error("the actor is {0} bytes long; at most {MAX_ACTOR_BYTES} are allowed")]
    ActorTooLong(usize),
    /// The reason is too long.
    #[error("the reason is {0} bytes long; at most {MAX_REASON_BYTES} are allowed")]
    ReasonTooLong(usize),
}

impl Attribution {
    /// Who, at most 200 bytes, and why, at most 1000; both may be empty.
    pub fn new(actor: &str, reason: &str) -> Result<Self, AttributionError> {
        if actor.len() > MAX_ACTOR_BYTES {
            Err(AttributionError::ActorTooLong(actor.len()))
        } else if reason.len() > MAX_REASON_BYTES {
            Err(AttributionError::ReasonTooLong(reason.len()))
        } else {
            Ok(Self { actor: actor.into(), reason: reason.into() })
        }
    }

    /// Who.
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// Why.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// An admin's override of a breaker's automatic life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// What the admin made of the breaker.
    pub kind: OverrideKind,
    /// Who set it, and why.
    pub by: Attribution,
    /// When it was set.
    pub set_at: Time,
    /// When it ends by itself; `None` if only Release ends it.
    pub expires_at: Option<Time>,
}
