//! The life of a breaker without overrides a second time: one call at a time, one thing after
//! another, and nothing done to be quick or short. What counts is computed anew each time from the
//! list of all calls.

mod calls;
mod changes;
mod rules;

use std::time::Duration;

pub(super) use self::calls::Heard;
use super::ledger::Call;
use crate::{Cause, Config, Outcome, ReporterId, StateKind, Time};

/// A permit, by its number among all that were ever handed out.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Permit {
    pub(super) number: usize,
    pub(super) deadline: Time,
}

/// What a call that asks is told.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Told {
    Go,
    Probe(Permit),
    /// It is of the share that the ramp lets through.
    Flow,
    /// It is not.
    Stay,
    Wait(Duration),
}

/// A change: when, to what, why, and from which level to which.
pub(super) type Change = (Time, StateKind, Cause, (usize, usize));

/// Where the breaker is on its ramp.
#[derive(Clone, Debug)]
struct OnRamp {
    step: usize,
    ends_at: Time,
    /// The shares of all calls that asked so far, added up, in percent: so many hundreds of them
    /// have flown.
    shares: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Reference {
    pub(super) config: Config,
    pub(super) state: StateKind,
    pub(super) since: Time,
    pub(super) generation: u64,
    pub(super) retry_at: Option<Time>,
    pub(super) permits_out: Vec<Permit>,
    handed_out: usize,
    /// Whether each of the probes that were judged in this HALF_OPEN succeeded.
    pub(super) probes: Vec<bool>,
    ramp: Option<OnRamp>,
    /// Every call that counted since the conditions last began afresh.
    counted: Vec<Heard>,
    /// Every call that is in the metrics window, and more.
    measured: Vec<Heard>,
    /// Every call that an adaptive breaker learns from.
    learnt: Vec<Heard>,
    /// How long OPEN lasts, as far as an adaptive breaker has learnt.
    learnt_duration: Duration,
    pub(super) level: usize,
    closed_at_level_since: Time,
    reopens: u32,
    pub(super) late: u64,
    pub(super) changes: Vec<Change>,
}

impl Reference {
    pub(super) fn new(config: Config, now: Time) -> Self {
        Self {
            state: StateKind::Closed,
            since: now,
            generation: 1,
            retry_at: None,
            permits_out: Vec::new(),
            handed_out: 0,
            probes: Vec::new(),
            ramp: None,
            counted: Vec::new(),
            measured: Vec::new(),
            learnt: Vec::new(),
            learnt_duration: config.open_duration(),
            level: 0,
            closed_at_level_since: now,
            reopens: 0,
            late: 0,
            changes: Vec::new(),
            config,
        }
    }

    pub(super) fn time_passes(&mut self, now: Time) {
        while self.one_thing_is_due(now) {}
    }

    fn one_thing_is_due(&mut self, now: Time) -> bool {
        match self.state {
            StateKind::Open => {
                let retry_at = self.retry_at.unwrap();
                if retry_at > now {
                    return false;
                }
                self.become_half_open(retry_at.max(self.since));
                true
            }
            StateKind::HalfOpen => self.half_open_goes_on(now),
            StateKind::Closed => {
                let Some(levels) = self.config.levels() else { return false };
                let due = self.closed_at_level_since + levels.deescalate_after;
                if self.level == 0 || due > now {
                    return false;
                }
                self.level -= 1;
                self.closed_at_level_since = due;
                let levels = (self.level + 1, self.level);
                self.changes.push((due, StateKind::Closed, Cause::Deescalated, levels));
                true
            }
        }
    }

    fn half_open_goes_on(&mut self, now: Time) -> bool {
        let first = self.permits_out.iter().min_by_key(|permit| (permit.deadline, permit.number));
        let overdue = first.filter(|permit| permit.deadline < now).cloned();
        let step_ends = self.ramp.as_ref().map(|ramp| ramp.ends_at).filter(|&at| at <= now);
        if let Some(at) = step_ends
            && overdue.as_ref().is_none_or(|permit| at <= permit.deadline.just_after())
        {
            self.ramp_goes_on(at);
            return true;
        }
        let Some(permit) = overdue else { return false };
        self.permits_out.retain(|other| other.number != permit.number);
        let (call, at) = (Call::expired(&self.config), permit.deadline);
        let heard = self.hears(&call, at, ReporterId::of(""));
        if let Some(heard) = heard {
            self.measures(&heard);
            if self.ramp.is_some() {
                self.counts(heard, at);
            } else {
                self.probed(heard, at, Cause::ProbeExpired);
            }
        }
        true
    }

    fn ramp_goes_on(&mut self, at: Time) {
        let ramp = self.ramp.as_mut().unwrap();
        let configured = self.config.ramp();
        ramp.step += 1;
        match configured {
            Some(configured) if ramp.step < configured.percents.len() => {
                ramp.ends_at = at + configured.step;
            }
            _ => self.become_closed(at, Cause::RampCompleted),
        }
    }

    pub(super) fn admit_percent(&self) -> Option<u32> {
        let ramp = self.ramp.as_ref()?;
        let configured = self.config.ramp().and_then(|ramp_| ramp_.percents.get(ramp.step));
        Some(configured.copied().unwrap_or(100))
    }

    pub(super) fn asks(&mut self, now: Time) -> Told {
        self.time_passes(now);
        match self.state {
            StateKind::Closed => return Told::Go,
            StateKind::Open => return Told::Wait(self.retry_at.unwrap().since(now)),
            StateKind::HalfOpen => {}
        }
        if let Some(percent) = self.admit_percent() {
            let ramp = self.ramp.as_mut().unwrap();
            let before = ramp.shares / 100;
            ramp.shares += u64::from(percent);
            return if ramp.shares / 100 > before { Told::Flow } else { Told::Stay };
        }
        let out = self.permits_out.len();
        let is_wanted = match self.config.probe_calls() {
            // At least one is out as long as there is no verdict: somebody has to bring it.
            Some(judged) => out == 0 || out + self.probes.len() < judged.calls as usize,
            None => true,
        };
        if is_wanted && out < self.max_probes() as usize {
            let deadline = now + self.config.call_timeout();
            let permit = Permit { number: self.handed_out, deadline };
            self.handed_out += 1;
            self.permits_out.push(permit.clone());
            return Told::Probe(permit);
        }
        let first = self.permits_out.iter().map(|permit| permit.deadline).min();
        Told::Wait(first.unwrap().since(now))
    }

    pub(super) fn call_ended(
        &mut self,
        call: &Call,
        (reporter, generation): (ReporterId, Option<u64>),
        permit: Option<usize>,
        now: Time,
    ) {
        self.time_passes(now);
        let mut has_permit = false;
        if let Some(number) = permit {
            let out_before = self.permits_out.len();
            self.permits_out.retain(|permit| permit.number != number);
            has_permit = self.permits_out.len() < out_before;
        }
        let heard = self.hears(call, now - call.age, reporter);
        if let Some(heard) = &heard {
            self.measures(heard);
        }
        let of_older_generation = generation.is_some() && generation != Some(self.generation);
        let permit_is_gone = permit.is_some() && !has_permit;
        if of_older_generation || permit_is_gone {
            self.late += 1;
            return;
        }
        match (self.state, heard) {
            (StateKind::Closed, Some(heard)) => self.counts(heard, now),
            (StateKind::HalfOpen, Some(heard)) if self.ramp.is_some() => self.counts(heard, now),
            (StateKind::HalfOpen, Some(heard)) if has_permit => {
                self.probed(heard, now, Cause::ProbeFailed);
            }
            _ => {}
        }
        self.time_passes(now);
    }

    fn probed(&mut self, heard: Heard, now: Time, cause: Cause) {
        let ended_at = heard.at;
        let succeeded = heard.outcome == Outcome::Success;
        self.learns(heard);
        self.probes.push(succeeded);
        let (all, failed) = (self.probes.len(), self.probes.iter().filter(|ok| !**ok).count());
        match self.config.probe_calls() {
            None if !succeeded => self.opens_by_itself(now, ended_at, cause),
            None if all - failed >= self.success_threshold() as usize => self.probes_succeeded(now),
            Some(judged) if all >= judged.calls as usize => {
                if failed * 100 >= judged.failure_percent as usize * all {
                    self.opens_by_itself(now, ended_at, Cause::ProbeRate);
                } else {
                    self.probes_succeeded(now);
                }
            }
            _ => {}
        }
    }

    fn probes_succeeded(&mut self, now: Time) {
        match self.config.ramp() {
            None => self.become_closed(now, Cause::ProbesSucceeded),
            Some(ramp) => {
                self.ramp = Some(OnRamp { step: 0, ends_at: now + ramp.step, shares: 0 });
                self.counted.clear();
            }
        }
    }
}
