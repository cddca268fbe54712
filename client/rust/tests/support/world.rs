//! The breakers of the server in the test's process, and its clock.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use breaker_core::{
    Aspect, Breaker, Config, Decision, DenyReason, ErrorKind, Mode, PermitId, Report, Run, Time,
};
use breaker_proto::v1;
use breaker_wire::{
    config_to_message, duration_from_message, duration_to_message, mode_to_message,
    outcome_from_message, state_to_message, time_to_message,
};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use super::{NOT_FOUND, REFUSED};

/// What the test sets and looks at.
pub(crate) struct World {
    pub(crate) now: Time,
    /// Of breakers that have none of their own.
    pub(crate) config: Config,
    pub(crate) breakers: BTreeMap<String, Kept>,
    /// The last one that was given out.
    pub(crate) revision: u64,
    /// Watches are served; otherwise the test has to.
    pub(crate) serves_watches: bool,
    /// Watches go on from their tokens; otherwise they are told to reset.
    pub(crate) resumes: bool,
    /// Answers to reports that get lost after the reports have counted.
    pub(crate) lost_answers: u32,
    /// What Acquire answers in place of a decision.
    pub(crate) acquire_fails_with: Option<Status>,
    /// What Report answers without counting.
    pub(crate) report_fails_with: Option<Status>,
    /// What the server answers to everything while it stands by.
    pub(crate) stands_by: Option<Status>,
    /// How many requests it was asked to serve, while it stood by or not.
    pub(crate) asked: u32,
    /// How many Acquires were decided.
    pub(crate) acquires: u32,
    /// What requests carried as authorization.
    pub(crate) tokens: Vec<String>,
    seen: HashSet<(String, u64)>,
    /// The generations that deleted breakers had.
    retired: HashMap<String, u64>,
}

/// A breaker of the world.
pub(crate) struct Kept {
    pub(crate) breaker: Breaker,
    pub(crate) config: Config,
    pub(crate) revision: u64,
}

impl Kept {
    /// What watches see of it, besides what admins change.
    fn looks(&self) -> (u64, Option<Aspect>, Mode) {
        let Self { breaker, config, .. } = self;
        (breaker.generation(), breaker.aspect(config), breaker.mode())
    }

    /// Gives it a new revision if it does not look as it did.
    fn renew(&mut self, before: (u64, Option<Aspect>, Mode), revision: &mut u64) {
        if self.looks() != before {
            *revision += 1;
            self.revision = *revision;
        }
    }
}

impl World {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            now: Time::from_millis(1_000_000),
            config,
            breakers: BTreeMap::new(),
            revision: 0,
            serves_watches: true,
            resumes: true,
            lost_answers: 0,
            acquire_fails_with: None,
            report_fails_with: None,
            stands_by: None,
            asked: 0,
            acquires: 0,
            tokens: Vec::new(),
            seen: HashSet::new(),
            retired: HashMap::new(),
        }
    }

    /// The breaker of this name, which is there.
    pub(crate) fn breaker(&self, name: &str) -> &Breaker {
        &self.breakers.get(name).unwrap_or_else(|| panic!("{name} is not there")).breaker
    }

    /// How many calls of a breaker were counted as successes, failures, timeouts and ignored.
    pub(crate) fn totals(&self, name: &str) -> [u64; 4] {
        let metrics = self.breakers.get(name).and_then(|kept| kept.breaker.metrics());
        metrics.map_or([0; 4], |metrics| {
            let totals = metrics.totals();
            [totals.successes, totals.failures, totals.timeouts, totals.ignored]
        })
    }

    /// Changes a breaker, which is made if it is not there, under a new revision.
    pub(crate) fn change<T>(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut Breaker, &Config, Time) -> T,
    ) -> T {
        self.revision += 1;
        let (revision, now) = (self.revision, self.now);
        let generation = self.retired.get(name).map_or(1, |generation| generation + 1);
        let config = &self.config;
        let kept = self.breakers.entry(name.to_owned()).or_insert_with(|| Kept {
            breaker: Breaker::with_generation(now, generation),
            config: config.clone(),
            revision,
        });
        kept.revision = revision;
        change(&mut kept.breaker, &kept.config, now)
    }

    pub(crate) fn configure(&mut self, name: &str, config: Config) {
        self.change(name, |_, _, _| ());
        if let Some(kept) = self.breakers.get_mut(name) {
            kept.breaker.reconfigure(&config);
            kept.config = config;
        }
    }

    pub(crate) fn delete(&mut self, name: &str) {
        if let Some(kept) = self.breakers.remove(name) {
            self.revision += 1;
            self.retired.insert(name.to_owned(), kept.breaker.generation());
        }
    }

    /// Lets the clock go on, and the breakers with it.
    pub(crate) fn pass(&mut self, duration: Duration) {
        self.now = self.now + duration;
        let now = self.now;
        for kept in self.breakers.values_mut() {
            let before = kept.looks();
            kept.breaker.advance(&kept.config, now);
            kept.renew(before, &mut self.revision);
        }
    }

    /// What a watch was told of by this revision. A breaker that was deleted since is among them.
    pub(crate) fn revisions_at(&self, token: u64) -> BTreeMap<String, u64> {
        let there = self.breakers.iter().filter(|(_, kept)| kept.revision <= token);
        let there = there.map(|(name, kept)| (name.clone(), kept.revision));
        there.chain(self.retired.keys().map(|name| (name.clone(), 0))).collect()
    }

    pub(crate) fn lead(&mut self) -> Result<(), Status> {
        self.asked += 1;
        self.stands_by.clone().map_or(Ok(()), Err)
    }

    pub(crate) fn acquire(&mut self, name: &str) -> Result<v1::AcquireResponse, Status> {
        if let Some(status) = &self.acquire_fails_with {
            return Err(status.clone());
        }
        self.acquires += 1;
        if !self.breakers.contains_key(name) {
            self.change(name, |_, _, _| ());
        }
        let now = self.now;
        let Some(kept) = self.breakers.get_mut(name) else { return Err(Status::internal("gone")) };
        let before = kept.looks();
        let (decision, _) = kept.breaker.acquire(&kept.config, now);
        kept.renew(before, &mut self.revision);
        Ok(acquire_message(name, kept, decision, now))
    }

    pub(crate) fn report(
        &mut self,
        request: v1::ReportRequest,
    ) -> Result<v1::ReportResponse, Status> {
        if let Some(status) = &self.report_fails_with {
            return Err(status.clone());
        }
        if request.reports.iter().any(|report| report.breaker == REFUSED) {
            return Err(invalid("reports[0].breaker", "is refused"));
        }
        if request.reports.iter().any(|report| report.breaker == NOT_FOUND) {
            return Err(Status::not_found("breakers are not created here"));
        }
        let duplicate = !self.seen.insert((request.reporter_id, request.sequence));
        let mut states = Vec::new();
        if !duplicate {
            for report in &request.reports {
                states.extend(self.record(report));
            }
        }
        if self.lost_answers > 0 {
            self.lost_answers -= 1;
            return Err(Status::unavailable("the answer was lost"));
        }
        Ok(v1::ReportResponse { states, duplicate, server_time: Some(time_to_message(self.now)) })
    }

    /// Counts a report; the state, if the breaker's generation is another than the report's.
    fn record(&mut self, report: &v1::BreakerReport) -> Option<v1::BreakerState> {
        let name = &report.breaker;
        if !self.breakers.contains_key(name) {
            if report.generation > 0 {
                return None;
            }
            self.change(name, |_, _, _| ());
        }
        let now = self.now;
        let kept = self.breakers.get_mut(name)?;
        let (looks, before) = (kept.looks(), kept.breaker.generation());
        for run in &report.runs {
            kept.breaker.record(&kept.config, &core_report(report, run), now);
        }
        kept.renew(looks, &mut self.revision);
        let after = kept.breaker.generation();
        let is_news = match report.generation {
            0 => after != before,
            admitted => after != admitted,
        };
        is_news.then(|| state_message(name, kept))
    }
}

fn core_report<'r>(report: &v1::BreakerReport, run: &'r v1::Run) -> Report<'r> {
    let total = run.total_duration.as_ref().unwrap();
    let calls = Run {
        error_kind: ErrorKind::parse(&run.error_kind).unwrap(),
        slow_count: run.slow_count,
        ..Run::new(outcome_from_message(run.outcome).unwrap(), run.count)
            .lasting(duration_from_message("total", total).unwrap())
    };
    let permit = (run.permit_id != 0).then(|| PermitId::from_u64(run.permit_id));
    let counted = match report.generation {
        0 => Report::current(calls),
        generation => Report::admitted(calls, generation),
    };
    Report { permit, ..counted }
}

/// A breaker as watches tell of it.
pub(crate) fn state_message(name: &str, kept: &Kept) -> v1::BreakerState {
    let Kept { breaker, config, revision } = kept;
    let override_ = breaker.override_in_force();
    v1::BreakerState {
        name: name.to_owned(),
        state: state_to_message(breaker.state()).into(),
        mode: mode_to_message(breaker.mode()).into(),
        generation: breaker.generation(),
        revision: *revision,
        since: Some(time_to_message(breaker.since())),
        retry_time: breaker.retry_at().map(time_to_message),
        override_expire_time: override_.and_then(|o| o.expires_at).map(time_to_message),
        config: Some(config_to_message(config)),
        effective: Some(v1::EffectiveValues {
            max_probes: breaker.effective(config).max_probes,
            ..Default::default()
        }),
        admit_percent: breaker.admit_percent(config),
        level: level_message(breaker, config),
    }
}

fn level_message(breaker: &Breaker, config: &Config) -> Option<v1::CurrentLevel> {
    breaker.level(config).map(|level| v1::CurrentLevel {
        name: level.name.clone(),
        number: u32::try_from(breaker.level_number()).unwrap(),
        serve: level.serve.clone(),
    })
}

fn acquire_message(name: &str, kept: &Kept, decision: Decision, now: Time) -> v1::AcquireResponse {
    let (reason, retry_after) = match decision {
        Decision::Allowed(_) => (v1::AcquireReason::Closed, None),
        Decision::Denied { reason, retry_after } => {
            let reason = match reason {
                DenyReason::Open => v1::AcquireReason::Open,
                DenyReason::NoPermit => v1::AcquireReason::NoPermit,
                DenyReason::Ramp => v1::AcquireReason::RampFull,
                DenyReason::ForcedOpen => v1::AcquireReason::ForcedOpen,
            };
            (reason, retry_after)
        }
    };
    let state = state_message(name, kept);
    v1::AcquireResponse {
        allowed: decision.is_allowed(),
        reason: reason.into(),
        state: state.state,
        mode: state.mode,
        generation: state.generation,
        revision: state.revision,
        permit: decision.permit().map(|permit| v1::Permit {
            id: permit.id.as_u64(),
            time_left: Some(duration_to_message(permit.deadline.since(now))),
        }),
        retry_after: retry_after.map(duration_to_message),
        settings: None,
        level: state.level,
    }
}

pub(crate) fn invalid(field: &str, description: &str) -> Status {
    let details = ErrorDetails::with_bad_request(vec![FieldViolation::new(field, description)]);
    Status::with_error_details(Code::InvalidArgument, "the request is wrong", details)
}
