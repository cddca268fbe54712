//! The hot path: asking for leave, and reporting how calls went.

use breaker_core::{BreakerName, NameError, Outcome, PermitId, Report, ReporterId, Run, Violation};

use crate::engine::{Engine, UnknownBreakers};
use crate::error::EngineError;
use crate::live::Live;
use crate::view::{Acquired, BreakerStatus};

/// How calls of one breaker ended.
#[derive(Clone, Debug)]
pub struct BreakerReport<'a> {
    /// The breaker.
    pub breaker: BreakerName,
    /// Under what the calls were admitted.
    pub admitted: Admitted,
    /// The calls, in the order in which they ended, each run with the permit of a probe.
    pub runs: Vec<(Run<'a>, Option<PermitId>)>,
}

/// Under what calls were admitted, as far as the caller knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// The caller does not know; taken as the current generation.
    Current,
    /// This generation.
    Generation(u64),
    /// They are history, of this generation or one that the caller does not know: they count like
    /// those of an older generation.
    Late(Option<u64>),
}

impl Admitted {
    /// The generation, where the caller knows it.
    const fn generation(self) -> Option<u64> {
        match self {
            Self::Current => None,
            Self::Generation(generation) => Some(generation),
            Self::Late(generation) => generation,
        }
    }

    /// The calls as the core takes them.
    const fn report(self, run: Run<'_>) -> Report<'_> {
        match self {
            Self::Current => Report::current(run),
            Self::Generation(generation) => Report::admitted(run, generation),
            Self::Late(_) => Report::late(run),
        }
    }
}

/// What became of a report.
#[derive(Clone, Debug, PartialEq)]
pub enum Reported {
    /// It was counted. The states of the reported breakers whose generation is not the reported
    /// one; where none was reported, of those that the report itself has moved.
    Counted(Vec<BreakerStatus>),
    /// It had come before and counted for nothing.
    Duplicate,
}

impl Engine {
    /// Asks whether one call may be made. A breaker that does not exist is created.
    ///
    /// # Errors
    /// If the name is none, or if the breaker does not exist and cannot be created.
    pub fn acquire(&self, name: &str) -> Result<Acquired, EngineError> {
        let now = self.now();
        let decide = |name: &BreakerName, live: &mut Live| {
            let signals = self.signals();
            live.note_use(name, signals, now);
            let decision =
                live.change(name, signals, |breaker, config| breaker.acquire(config, now));
            if decision.permit().is_some() {
                live.mark_for_writing(name, signals);
            } else if !decision.is_allowed() {
                live.touch(name, signals);
            }
            signals.stats.count_decision(&decision);
            Acquired::of(decision, live, now)
        };
        if let Some(acquired) = self.breakers().with(name, decide) {
            return Ok(acquired);
        }
        let name = BreakerName::new(name).map_err(|error| refused("breaker", &error))?;
        self.may_create(&name)?;
        self.breakers().with_or_create(name, now, decide)
    }

    /// Counts how calls ended: all of the report, or nothing of it.
    ///
    /// # Errors
    /// Everything in it that cannot be, or if a breaker does not exist and cannot be created.
    pub fn report(
        &self,
        reporter: &str,
        sequence: u64,
        reports: &[BreakerReport<'_>],
    ) -> Result<Reported, EngineError> {
        self.check(reports)?;
        if sequence != 0 && !self.reporters().note(reporter, sequence, self.now()) {
            self.stats().count_duplicate_report();
            return Ok(Reported::Duplicate);
        }
        self.stats().count_report();
        let mut moved = Vec::new();
        let key = ReporterId::of(reporter);
        for report in reports {
            moved.extend(self.count((key, reporter), report));
        }
        Ok(Reported::Counted(moved))
    }

    /// Refuses what cannot be: generations that were not reached, permits that were not handed
    /// out, breakers that cannot be created.
    fn check(&self, reports: &[BreakerReport<'_>]) -> Result<(), EngineError> {
        let is_strict = self.now() >= self.lenient_until();
        let mut violations = Vec::new();
        let mut unknown = 0;
        for (index, report) in reports.iter().enumerate() {
            let known = self.breakers().with(report.breaker.as_str(), |_, live| {
                if is_strict {
                    check_against(live, report, index, &mut violations);
                }
            });
            if known.is_none() && report.admitted.generation().is_none() {
                self.may_create(&report.breaker)?;
                unknown += 1;
            }
        }
        if !violations.is_empty() {
            return Err(EngineError::Invalid(violations));
        }
        if unknown > 0 { self.breakers().has_room_for(unknown) } else { Ok(()) }
    }

    fn count(
        &self,
        (key, reporter): (ReporterId, &str),
        report: &BreakerReport<'_>,
    ) -> Option<BreakerStatus> {
        let now = self.now();
        let record = |name: &BreakerName, live: &mut Live| {
            let signals = self.signals();
            live.note_use(name, signals, now);
            let known = report.admitted.generation().unwrap_or(live.breaker.generation());
            live.change_in_turn(name, signals, &report.runs, |breaker, config, (run, permit)| {
                let counted = report.admitted.report(run.borrowed()).by(key);
                breaker.record(config, &Report { permit: *permit, ..counted }, now)
            });
            let id = || self.reporters().shared_id(reporter);
            live.note_reporter(name, signals, (key, id), calls_in(&report.runs), now);
            live.tell_report(name, signals, self.policies().defaults());
            signals
                .stats
                .count_reported(report.runs.iter().map(|(run, _)| (run.outcome, run.count)));
            live.touch(name, signals);
            (live.breaker.generation() != known).then(|| BreakerStatus::of(name, live))
        };
        match self.breakers().with(report.breaker.as_str(), record) {
            Some(moved) => moved,
            // The calls were admitted by a breaker that was deleted since.
            None if report.admitted.generation().is_some() => None,
            // Between the check and now another caller may have taken the last place.
            None => self.breakers().with_or_create(report.breaker.clone(), now, record).ok()?,
        }
    }

    fn may_create(&self, name: &BreakerName) -> Result<(), EngineError> {
        match self.unknown_breakers() {
            UnknownBreakers::Create => Ok(()),
            UnknownBreakers::Refuse => Err(EngineError::UnknownBreaker(name.clone())),
        }
    }
}

/// How many calls count: those that were not ignored.
fn calls_in(runs: &[(Run<'_>, Option<PermitId>)]) -> u64 {
    let counting = runs.iter().filter(|(run, _)| run.outcome != Outcome::Ignored);
    counting.map(|(run, _)| u64::from(run.count)).sum()
}

fn check_against(
    live: &Live,
    report: &BreakerReport<'_>,
    index: usize,
    violations: &mut Vec<Violation>,
) {
    let current = live.breaker.generation();
    let generation = report.admitted.generation();
    if let Some(generation) = generation.filter(|&generation| generation > current) {
        violations.push(Violation::new(
            format!("reports[{index}].generation"),
            format!(
                "{generation} lies in the future of breaker `{}`, which is at {current}; report \
                 the generation that Acquire or Watch gave",
                report.breaker
            ),
        ));
    }
    for (run, (_, permit)) in report.runs.iter().enumerate() {
        if let Some(permit) = permit.filter(|&permit| !live.breaker.knows_permit(permit)) {
            violations.push(Violation::new(
                format!("reports[{index}].runs[{run}].permit_id"),
                format!(
                    "{} was never handed out by breaker `{}`; report the id that Acquire gave",
                    permit.as_u64(),
                    report.breaker
                ),
            ));
        }
    }
}

fn refused(field: &str, error: &NameError) -> EngineError {
    EngineError::Invalid(vec![Violation::new(field, error.to_string())])
}
