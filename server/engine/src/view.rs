//! What the engine shows of a breaker.

use std::sync::Arc;
use std::time::Duration;

use breaker_core::{
    Breaker, BreakerName, Config, ConfigPatch, Decision, Mode, OnUnavailable, Sources, StateKind,
    Time,
};

use crate::defaults::Defaults;
use crate::live::Live;
use crate::policy::PolicyName;

/// What a client needs to decide by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct BreakerStatus {
    /// The name.
    pub name: BreakerName,
    /// The state.
    pub state: StateKind,
    /// The mode.
    pub mode: Mode,
    /// The generation.
    pub generation: u64,
    /// The revision.
    pub revision: u64,
    /// When the state began.
    pub since: Time,
    /// When OPEN ends by itself.
    pub retry_at: Option<Time>,
    /// When the override ends by itself.
    pub override_expires_at: Option<Time>,
    /// The effective configuration.
    pub config: Arc<Config>,
}

/// A breaker with everything that is known about it, at one moment.
#[derive(Clone, Debug)]
pub struct BreakerView {
    /// What clients see.
    pub status: BreakerStatus,
    /// The breaker itself.
    pub breaker: Breaker,
    /// Its own configuration.
    pub own_config: ConfigPatch,
    /// The policy in force.
    pub policy: Option<PolicyName>,
    /// Where each value of the effective configuration comes from.
    pub sources: Sources,
    /// Changes with each change of the own configuration.
    pub config_revision: u64,
    /// When it was created.
    pub created_at: Time,
    /// The moment.
    pub now: Time,
}

/// The answer to a call that asked for leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acquired {
    /// Whether the call may be made, and why.
    pub decision: Decision,
    /// The state.
    pub state: StateKind,
    /// The mode.
    pub mode: Mode,
    /// The generation under which the call was admitted.
    pub generation: u64,
    /// The revision.
    pub revision: u64,
    /// A call longer than this is a TIMEOUT.
    pub call_timeout: Duration,
    /// What the client does while the server is away.
    pub on_unavailable: OnUnavailable,
    /// When it was decided.
    pub now: Time,
}

impl BreakerStatus {
    pub(crate) fn of(name: &BreakerName, live: &Live) -> Self {
        let breaker = &live.breaker;
        Self {
            name: name.clone(),
            state: breaker.state(),
            mode: breaker.mode(),
            generation: breaker.generation(),
            revision: live.revision,
            since: breaker.since(),
            retry_at: breaker.retry_at(),
            override_expires_at: breaker.override_in_force().and_then(|o| o.expires_at),
            config: Arc::clone(&live.configured.config),
        }
    }
}

impl BreakerView {
    pub(crate) fn of(name: &BreakerName, live: &Live, defaults: &Defaults, now: Time) -> Self {
        Self {
            status: BreakerStatus::of(name, live),
            breaker: live.breaker.clone(),
            own_config: live.own_patch().cloned().unwrap_or_default(),
            policy: live.policy_name().cloned(),
            sources: *live.configured.sources(defaults),
            config_revision: live.config_revision,
            created_at: live.created_at,
            now,
        }
    }
}

impl Acquired {
    pub(crate) fn of(decision: Decision, live: &Live, now: Time) -> Self {
        Self {
            decision,
            state: live.breaker.state(),
            mode: live.breaker.mode(),
            generation: live.breaker.generation(),
            revision: live.revision,
            call_timeout: live.configured.config.call_timeout(),
            on_unavailable: live.configured.config.on_unavailable(),
            now,
        }
    }
}
