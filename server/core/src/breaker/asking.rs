//! How a call asks for leave.

use crate::breaker::Breaker;
use crate::config::Config;
use crate::decision::{AllowReason, Decision, DenyReason};
use crate::overrides::Mode;
use crate::probes::{PermitId, was_handed_out};
use crate::state::State;
use crate::time::Time;
use crate::transition::Transition;

impl Breaker {
    /// Asks whether a call may be made.
    pub fn acquire(&mut self, config: &Config, now: Time) -> (Decision, Vec<Transition>) {
        let transitions = self.advance(config, now);
        let decision = self.decide(config, now);
        if !decision.is_allowed() {
            let denied = &mut self.metrics_mut(config).totals.denied;
            *denied = denied.saturating_add(1);
        }
        (decision, transitions)
    }

    /// Whether the breaker can have handed out this permit, now or earlier.
    pub fn knows_permit(&self, id: PermitId) -> bool {
        was_handed_out(id, self.generation, self.probes())
    }

    fn decide(&mut self, config: &Config, now: Time) -> Decision {
        let mode = self.mode();
        match mode {
            Mode::ForcedOpen => {
                let expires_at = self.override_.as_ref().and_then(|o| o.expires_at);
                let retry_after = expires_at.map(|at| at.since(now));
                return Decision::Denied { reason: DenyReason::ForcedOpen, retry_after };
            }
            Mode::ForcedClosed => return Decision::Allowed(AllowReason::ForcedClosed),
            Mode::Disabled => return Decision::Allowed(AllowReason::Disabled),
            Mode::Normal | Mode::Shadow => {}
        }
        let max_probes = self.max_probes(config);
        let (reason, retry_at) = match &mut self.state {
            State::Closed => return Decision::Allowed(AllowReason::Closed),
            State::Open { retry_at } => (DenyReason::Open, *retry_at),
            State::HalfOpen(half_open) => match &mut half_open.ramp {
                Some(ramping) => {
                    if ramping.admits(ramping.admit_percent(config.ramp())) {
                        return Decision::Allowed(AllowReason::Ramp);
                    }
                    (DenyReason::Ramp, None)
                }
                None => {
                    let probes = &mut half_open.probes;
                    let together = config.probe_calls().map(|judged| judged.calls);
                    if probes.has_room(max_probes, together) {
                        let deadline = now + config.call_timeout();
                        let permit = probes.hand_out(self.generation, deadline);
                        return Decision::Allowed(AllowReason::Probe(permit));
                    }
                    let first = probes.first_to_expire();
                    (DenyReason::NoPermit, first.map(|permit| permit.deadline))
                }
            },
        };
        match mode {
            Mode::Shadow => Decision::Allowed(AllowReason::Shadow),
            _ => Decision::Denied { reason, retry_after: retry_at.map(|at| at.since(now)) },
        }
    }

    pub(super) fn take_back(&mut self, id: PermitId) -> bool {
        match &mut self.state {
            State::HalfOpen(half_open) => half_open.probes.take_back(id),
            State::Closed | State::Open { .. } => false,
        }
    }

    /// How many probes may be out at once on this level.
    fn max_probes(&self, config: &Config) -> u32 {
        match self.level(config) {
            Some(level) => config.max_probes_beside(level.success_threshold),
            None => config.max_probes(),
        }
    }
}
