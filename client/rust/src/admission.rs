use std::sync::Arc;
use std::time::Duration;

use breaker_core::{Mode, PermitId, StateKind};
use breaker_proto::v1;
use breaker_wire::{duration_from_message, mode_from_message, state_from_message};

use crate::error::Error;
use crate::status::CurrentLevel;

/// Why a call must not be made, and what to do instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// Why.
    pub reason: DenyReason,
    /// The state of the breaker; `None` if the server is away and could not tell.
    pub state: Option<StateKind>,
    /// The mode of the breaker; `None` if the server is away and could not tell.
    pub mode: Option<Mode>,
    /// When asking again can have another answer, if the breaker knows.
    pub retry_after: Option<Duration>,
    /// The level of a multi-level breaker, and what to serve; `None` without levels.
    pub level: Option<Arc<CurrentLevel>>,
}

impl Denial {
    /// What to serve instead, of a breaker with levels: `degraded`, `emergency`.
    pub fn serve(&self) -> Option<&str> {
        self.level.as_ref().map(|level| level.serve.as_str())
    }
}

/// Why a call must not be made, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DenyReason {
    /// The breaker is OPEN.
    Open,
    /// The breaker is HALF_OPEN, and all its permits are out.
    NoPermit,
    /// The breaker is HALF_OPEN, and the call is not of the share that its ramp lets through.
    Ramp,
    /// An admin forced the breaker open.
    ForcedOpen,
    /// The server is away, and `on_unavailable` is `deny`.
    Unavailable,
    /// A breaker of this process alone is OPEN, or HALF_OPEN with enough probes under way: the one
    /// that stands in while the server is away, or the local guard.
    LocalOpen,
}

impl DenyReason {
    /// The word for it, as in metrics: `open`, `no_permit`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::NoPermit => "no_permit",
            Self::Ramp => "ramp",
            Self::ForcedOpen => "forced_open",
            Self::Unavailable => "unavailable",
            Self::LocalOpen => "local_open",
        }
    }

    const fn describe(self) -> &'static str {
        match self {
            Self::Open => "the breaker is open",
            Self::NoPermit => "the breaker is half-open and enough probes are under way",
            Self::Ramp => "the breaker is half-open and lets only some calls through",
            Self::ForcedOpen => "the breaker was forced open",
            Self::Unavailable => "breakerd is away",
            Self::LocalOpen => "the breaker of this process is open",
        }
    }
}

impl std::error::Error for Denial {}

impl std::fmt::Display for Denial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.reason.describe())?;
        match self.retry_after {
            Some(retry_after) => write!(f, "; ask again in {retry_after:?}"),
            None => Ok(()),
        }
    }
}

/// What the server answered to Acquire.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Allowed { generation: u64, probe: Option<Probe> },
    Denied(Denial),
}

/// The right to make one probe call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe {
    pub(crate) permit: PermitId,
    pub(crate) time_left: Option<Duration>,
}

impl TryFrom<v1::AcquireResponse> for Answer {
    type Error = Error;

    fn try_from(message: v1::AcquireResponse) -> Result<Self, Error> {
        let duration = |field, message: Option<&prost_types::Duration>| {
            message.map(|message| duration_from_message(field, message)).transpose()
        };
        if message.allowed {
            let probe = match &message.permit {
                Some(permit) => Some(Probe {
                    permit: PermitId::from_u64(permit.id),
                    time_left: duration("permit.time_left", permit.time_left.as_ref())
                        .map_err(Error::Malformed)?,
                }),
                None => None,
            };
            return Ok(Self::Allowed { generation: message.generation, probe });
        }
        let reason = match message.reason() {
            v1::AcquireReason::NoPermit => DenyReason::NoPermit,
            v1::AcquireReason::RampFull => DenyReason::Ramp,
            v1::AcquireReason::ForcedOpen => DenyReason::ForcedOpen,
            // A server that is newer may know further reasons; all of them refuse the call.
            _ => DenyReason::Open,
        };
        Ok(Self::Denied(Denial {
            reason,
            state: state_from_message(message.state),
            mode: mode_from_message(message.mode),
            retry_after: duration("retry_after", message.retry_after.as_ref())
                .map_err(Error::Malformed)?,
            level: message.level.map(CurrentLevel::from).map(Arc::new),
        }))
    }
}
