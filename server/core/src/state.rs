use crate::probes::Probes;
use crate::ramp::Ramping;
use crate::time::Time;

/// The name of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StateKind {
    /// Calls flow.
    Closed,
    /// Calls are refused.
    Open,
    /// A few probes find out whether calls can flow again.
    HalfOpen,
}

/// A state with what is true in it alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Closed,
    /// `retry_at` is `None` while an override holds the breaker open.
    Open {
        retry_at: Option<Time>,
    },
    HalfOpen(Box<HalfOpen>),
}

/// HALF_OPEN: the probes, and once they have succeeded the ramp, if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HalfOpen {
    pub(crate) probes: Probes,
    pub(crate) ramp: Option<Ramping>,
}

impl State {
    /// HALF_OPEN as it begins.
    pub(crate) fn probing() -> Self {
        Self::HalfOpen(Box::new(HalfOpen { probes: Probes::new(), ramp: None }))
    }

    pub(crate) const fn kind(&self) -> StateKind {
        match self {
            Self::Closed => StateKind::Closed,
            Self::Open { .. } => StateKind::Open,
            Self::HalfOpen(_) => StateKind::HalfOpen,
        }
    }
}
