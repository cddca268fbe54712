//! What a client's copy holds of a breaker, and what it says to a call.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use breaker_core::{Config, Mode, OnUnavailable, StateKind};
use tokio::time::Instant;

use crate::admission::DenyReason;
use crate::state::ClientState;
use crate::status::{BreakerStatus, CurrentLevel};

/// What the copy holds of a breaker.
#[derive(Clone, Debug, Default)]
pub(crate) enum Held {
    /// Nothing: no snapshot has covered it yet.
    #[default]
    Unknown,
    /// The server does not know it: its first outcome will create it.
    Absent,
    /// Its state.
    Known(Box<Known>),
}

/// The state of a breaker, its times turned into moments of this process' clock.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) state: StateKind,
    pub(crate) mode: Mode,
    pub(crate) generation: u64,
    pub(crate) revision: u64,
    pub(crate) config: Arc<Config>,
    pub(crate) retry_at: Option<Instant>,
    pub(crate) override_ends_at: Option<Instant>,
    pub(crate) admit_percent: Option<u32>,
    pub(crate) level: Option<Arc<CurrentLevel>>,
    pub(crate) max_probes: u32,
}

/// What the copy says to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It may be made, under this generation.
    Allow { generation: u64 },
    /// It must not be made.
    Deny { reason: DenyReason, retry_after: Option<Duration> },
    /// The server has to be asked for a permit. Under SHADOW the call is made whatever it answers.
    Ask { most: u32, is_shadow: bool },
    /// The server is away: `on_unavailable` decides.
    Alone,
}

impl Held {
    /// What came with the stream.
    pub(crate) fn of(status: &BreakerStatus, config: Arc<Config>, now: Instant) -> Self {
        let at = |duration: Duration| now.checked_add(duration);
        Self::Known(Box::new(Known {
            state: status.state,
            mode: status.mode,
            generation: status.generation,
            revision: status.revision,
            config,
            retry_at: status.retry_after.and_then(at),
            override_ends_at: status.override_ends_after.and_then(at),
            admit_percent: status.admit_percent,
            level: status.level.clone(),
            max_probes: status.max_probes,
        }))
    }

    pub(crate) fn known(&self) -> Option<&Known> {
        match self {
            Self::Known(known) => Some(known),
            Self::Unknown | Self::Absent => None,
        }
    }

    /// Under which a call is admitted; 0 for a breaker that does not exist.
    pub(crate) fn generation(&self) -> u64 {
        self.known().map_or(0, |known| known.generation)
    }

    /// The configuration, as far as it is known.
    pub(crate) fn config(&self) -> &Config {
        static DEFAULT: LazyLock<Config> = LazyLock::new(Config::default);
        self.known().map_or(&DEFAULT, |known| &known.config)
    }

    /// What to do while the server is away.
    pub(crate) fn on_unavailable(&self, otherwise: OnUnavailable) -> OnUnavailable {
        self.known().map_or(otherwise, |known| known.config.on_unavailable())
    }

    /// Whether every call is simply allowed until something changes.
    pub(crate) fn allows_all(&self, client: ClientState, otherwise: OnUnavailable) -> bool {
        let on_unavailable = self.on_unavailable(otherwise);
        match (client, self) {
            (ClientState::Fallback, _) | (_, Self::Unknown) => {
                on_unavailable == OnUnavailable::Allow
            }
            (ClientState::Stale, _) if self.is_doubtful(on_unavailable) => false,
            (_, Self::Absent) => true,
            (_, Self::Known(known)) => known.allows_all(),
        }
    }

    /// What to say to a call. `credit` is what of the ramp's share was not used yet, in hundredths
    /// of a call.
    pub(crate) fn decide(
        &self,
        client: ClientState,
        otherwise: OnUnavailable,
        credit: &mut u32,
        now: Instant,
    ) -> Step {
        match (client, self) {
            (ClientState::Fallback, _) | (_, Self::Unknown) => Step::Alone,
            (ClientState::Stale, _) if self.is_doubtful(self.on_unavailable(otherwise)) => {
                Step::Alone
            }
            (_, Self::Absent) => Step::Allow { generation: 0 },
            (_, Self::Known(known)) => known.decide(credit, now),
        }
    }

    /// Whether a stale copy is not trusted to let calls flow: the dependency may have died since,
    /// and the breaker of this process finds that out by itself.
    fn is_doubtful(&self, on_unavailable: OnUnavailable) -> bool {
        let flows =
            self.known().is_none_or(|known| known.mode == Mode::Normal && known.is_closed());
        on_unavailable == OnUnavailable::Local && flows
    }
}

impl Known {
    /// Whether calls flow as far as the state says.
    pub(crate) const fn is_closed(&self) -> bool {
        matches!(self.state, StateKind::Closed)
    }

    const fn allows_all(&self) -> bool {
        match self.mode {
            Mode::ForcedClosed | Mode::Disabled => true,
            Mode::ForcedOpen => false,
            Mode::Normal | Mode::Shadow => self.is_closed(),
        }
    }

    fn decide(&self, credit: &mut u32, now: Instant) -> Step {
        let allow = Step::Allow { generation: self.generation };
        if self.allows_all() {
            return allow;
        }
        let left = |at: Option<Instant>| at.map(|at| at.saturating_duration_since(now));
        let is_shadow = self.mode == Mode::Shadow;
        if self.mode == Mode::ForcedOpen {
            let retry_after = left(self.override_ends_at);
            return Step::Deny { reason: DenyReason::ForcedOpen, retry_after };
        }
        let step = match (self.state, self.admit_percent) {
            (StateKind::Open, _) if self.retry_at.is_none_or(|at| now < at) => {
                Step::Deny { reason: DenyReason::Open, retry_after: left(self.retry_at) }
            }
            (StateKind::HalfOpen, Some(percent)) => match takes(credit, percent) {
                true => allow,
                false => Step::Deny { reason: DenyReason::Ramp, retry_after: None },
            },
            _ => Step::Ask { most: self.max_probes, is_shadow },
        };
        if is_shadow && matches!(step, Step::Deny { .. }) { allow } else { step }
    }
}

/// Whether the next call is of the share. Every so-manyth is, so that the share is exact.
const fn takes(credit: &mut u32, percent: u32) -> bool {
    *credit = credit.saturating_add(percent);
    if *credit < 100 {
        return false;
    }
    *credit -= 100;
    true
}

#[cfg(test)]
mod tests;
