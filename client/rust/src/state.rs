use std::time::Duration;

use tokio::time::Instant;

/// What a client has to go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientState {
    /// The stream of changes is alive: calls are decided from a copy that is the server's.
    Ready,
    /// The stream was cut or is silent: the last known states hold, an OPEN one no longer than its
    /// time.
    Stale,
    /// The copy is too old, or there never was one: `on_unavailable` decides.
    Fallback,
}

impl ClientState {
    /// The name, as in metrics: `ready`, `stale`, `fallback`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Stale => "stale",
            Self::Fallback => "fallback",
        }
    }
}

/// The state of a client, and how long it has been so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientStatus {
    /// The state.
    pub state: ClientState,
    /// For how long.
    pub lasted: Duration,
}

/// The state of a client, and since when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Phase {
    pub(crate) state: ClientState,
    pub(crate) since: Instant,
}
