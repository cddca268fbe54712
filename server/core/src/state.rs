use crate::probes::Probes;
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
    HalfOpen(Probes),
}

impl State {
    pub(crate) const fn kind(&self) -> StateKind {
        match self {
            Self::Closed => StateKind::Closed,
            Self::Open { .. } => StateKind::Open,
            Self::HalfOpen(_) => StateKind::HalfOpen,
        }
    }
}
