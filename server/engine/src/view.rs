//! What the engine shows of a breaker.

use std::sync::Arc;
use std::time::Duration;

use breaker_core::{
    Breaker, BreakerName, Config, ConfigPatch, Decision, Effective, LastFailure, Level, Mode,
    OnUnavailable, Override, Rates, Sources, StateKind, Time, Totals,
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
    /// The configuration.
    pub config: Arc<Config>,
    /// What of it is in force.
    pub effective: Effective,
    /// What of the calls flows on the ramp, in percent.
    pub admit_percent: Option<u32>,
    /// The number of the level, from 0.
    pub level_number: usize,
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

/// A breaker as a list shows it: without what only one who looks at it alone wants to know.
#[derive(Clone, Debug)]
pub struct BreakerOutline {
    /// What clients see.
    pub status: BreakerStatus,
    /// The override in force.
    pub override_in_force: Option<Override>,
    /// Permits that are out.
    pub permits_out: usize,
    /// Rates over the window.
    pub rates: Rates,
    /// Counts since the breaker was created.
    pub totals: Totals,
    /// The last call that failed.
    pub last_failure: Option<LastFailure>,
    /// The policy in force.
    pub policy: Option<PolicyName>,
    /// Changes with each change of the own configuration.
    pub config_revision: u64,
    /// When it was created.
    pub created_at: Time,
    /// The moment.
    pub now: Time,
}

/// The answer to a call that asked for leave.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// A call longer than this is slow.
    pub slow_call_duration: Option<Duration>,
    /// The level of a breaker that has levels.
    pub level: Option<CurrentLevel>,
    /// When it was decided.
    pub now: Time,
}

/// The level of a breaker, by reference to the configuration that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentLevel {
    config: Arc<Config>,
    /// Its number, from 0.
    pub number: usize,
}

impl CurrentLevel {
    /// The level itself.
    pub fn level(&self) -> Option<&Level> {
        self.config.levels()?.at(self.number)
    }
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
            effective: breaker.effective(&live.configured.config),
            admit_percent: breaker.admit_percent(&live.configured.config),
            level_number: breaker.level_number(),
        }
    }

    /// The level; `None` without levels.
    pub fn level(&self) -> Option<&Level> {
        self.config.levels()?.at(self.level_number)
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

impl BreakerOutline {
    pub(crate) fn of(name: &BreakerName, live: &Live, now: Time) -> Self {
        let metrics = live.breaker.metrics();
        Self {
            status: BreakerStatus::of(name, live),
            override_in_force: live.breaker.override_in_force().cloned(),
            permits_out: live.breaker.probes().map_or(0, |probes| probes.out().len()),
            rates: metrics.map(|metrics| metrics.rates(now)).unwrap_or_default(),
            totals: metrics.map(|metrics| *metrics.totals()).unwrap_or_default(),
            last_failure: metrics.and_then(|metrics| metrics.last_failure().cloned()),
            policy: live.policy_name().cloned(),
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
            slow_call_duration: live.configured.config.slow_call_rate().map(|slow| slow.duration),
            level: live.configured.config.levels().is_some().then(|| CurrentLevel {
                config: Arc::clone(&live.configured.config),
                number: live.breaker.level_number(),
            }),
            now,
        }
    }
}
