//! What clients send, checked: behind here nobody checks again. Every bad field of a request is
//! named at once.

use std::fmt::Display;
use std::str;
use std::time::Duration;

use breaker_core::limits::MAX_TIME_TO_LIVE;
use breaker_core::{
    Attribution, AttributionError, BreakerName, ErrorKind, PermitId, Run, Time, Violation,
};
use breaker_engine::{Admitted, BreakerReport, Durability, Selector, Selectors};
use breaker_proto::reported::{self, NotUnpacked};
use breaker_proto::v1;
use breaker_wire::{duration_from_message, outcome_from_message, time_from_message};
use tonic::Status;

use super::error::invalid;

const MAX_ID_BYTES: usize = 200;
const MAX_REPORTS: usize = 10_000;
const MAX_RUNS: usize = 100_000;
const MAX_RUN_COUNT: u32 = 1_000_000;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MAX_TOTAL_DURATION: Duration = Duration::from_secs(10_000 * 24 * 60 * 60);
const MAX_AGE: Duration = DAY;
const MIN_TIME_TO_LIVE: Duration = Duration::from_millis(1);
const MAX_SELECTORS: usize = 1_000;
/// Most values of an enum in one list: more than any has.
const MAX_ENUM_VALUES: usize = 100;
/// What else is wrong with a request is not noted.
const MAX_NOTED: usize = 1_000;
/// Most entries of a page, and most breakers asked for by name.
pub(crate) const MAX_PAGE_SIZE: u32 = 1_000;
const DEFAULT_PAGE_SIZE: u32 = 100;

/// Collects what is wrong with a request.
#[derive(Default)]
pub(crate) struct Check(Vec<Violation>);

impl Check {
    /// Notes that a field is bad.
    pub(crate) fn refuse(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.extend([Violation::new(field, description)]);
    }

    /// Notes violations found elsewhere.
    pub(crate) fn extend(&mut self, violations: impl IntoIterator<Item = Violation>) {
        let room = MAX_NOTED.saturating_sub(self.0.len());
        self.0.extend(violations.into_iter().take(room));
    }

    /// The value, or nothing and a note about the field.
    pub(crate) fn value<T, E: Display>(
        &mut self,
        field: impl FnOnce() -> String,
        value: Result<T, E>,
    ) -> Option<T> {
        value.map_err(|error| self.refuse(field(), error.to_string())).ok()
    }

    /// The value, or nothing and the violations.
    pub(crate) fn checked<T>(&mut self, value: Result<T, Violation>) -> Option<T> {
        value.map_err(|violation| self.extend([violation])).ok()
    }

    /// Whether nothing is wrong so far.
    pub(crate) const fn is_passed(&self) -> bool {
        self.0.is_empty()
    }

    /// The request, if nothing is wrong with it.
    pub(crate) fn finish<T>(self, request: Option<T>) -> Result<T, Status> {
        match request {
            Some(request) if self.0.is_empty() => Ok(request),
            _ => Err(invalid(self.0)),
        }
    }

    /// Notes that there are too many of something.
    pub(crate) fn at_most(&mut self, field: &str, what: &str, count: usize, most: usize) {
        if count > most {
            self.refuse(field, format!("{count} {what}; at most {most} are allowed"));
        }
    }

    fn duration(
        &mut self,
        field: impl Fn() -> String,
        message: Option<&prost_types::Duration>,
        most: Duration,
    ) -> Option<Duration> {
        let Some(message) = message else { return Some(Duration::ZERO) };
        // A report has a field like this for each run: its name is made only where it is needed.
        let duration = duration_from_message("", message)
            .map_err(|violation| Violation { field: field(), ..violation });
        let duration = self.checked(duration)?;
        if duration > most {
            let days = most.as_secs() / DAY.as_secs();
            self.refuse(
                field(),
                format!("{duration:?} is too long; at most {days} days are allowed"),
            );
        }
        Some(duration)
    }

    /// An instant, if one is given.
    pub(crate) fn time(
        &mut self,
        field: &str,
        message: Option<&prost_types::Timestamp>,
    ) -> Option<Time> {
        let message = message?;
        if !(0..1_000_000_000).contains(&message.nanos) {
            let description = format!("{} ns is no part of a second; carry it over", message.nanos);
            self.refuse(field, description);
        }
        Some(time_from_message(message))
    }
}

/// A reporter's or client's id: any text that is not too long.
pub(crate) fn check_id(check: &mut Check, field: &str, id: &str) {
    check.at_most(field, "bytes", id.len(), MAX_ID_BYTES);
}

/// The name of a breaker.
pub(crate) fn name(field: &str, name: &str) -> Result<BreakerName, Status> {
    let mut check = Check::default();
    let name = check.value(|| field.to_owned(), BreakerName::new(name));
    check.finish(name)
}

/// The reports of a request, if they are not too many.
pub(crate) fn unpacked(
    request: &reported::ReportRequest,
) -> Result<Vec<reported::BreakerReport>, Status> {
    let mut check = Check::default();
    check.at_most("reports", "reports", request.reports.len(), MAX_REPORTS);
    if !check.is_passed() {
        return check.finish(None);
    }
    let reports = match request.unpack(MAX_RUNS) {
        Ok(reports) => Some(reports),
        Err(NotUnpacked::TooManyRuns(runs)) => {
            check.at_most("reports", "runs in all", runs, MAX_RUNS);
            None
        }
        Err(NotUnpacked::Malformed(index, error)) => {
            check.refuse(format!("reports[{index}]"), error.to_string());
            None
        }
    };
    check.finish(reports)
}

/// What is reported, ready for the engine. It allocates for each breaker and for no run.
pub(crate) fn reports_of<'m>(
    reporter_id: &str,
    sequence: u64,
    messages: &'m [reported::BreakerReport],
) -> Result<Vec<BreakerReport<'m>>, Status> {
    let mut check = Check::default();
    check_id(&mut check, "reporter_id", reporter_id);
    if sequence != 0 && reporter_id.is_empty() {
        let description = "it is empty, but sequence is set; name the process that reports";
        check.refuse("reporter_id", description);
    }
    let mut reports = Vec::with_capacity(messages.len());
    for (index, message) in messages.iter().enumerate() {
        reports.extend(report(&mut check, index, message));
    }
    check.finish(Some(reports))
}

fn report<'m>(
    check: &mut Check,
    index: usize,
    message: &'m reported::BreakerReport,
) -> Option<BreakerReport<'m>> {
    let field = || format!("reports[{index}].breaker");
    let breaker = check.value(field, BreakerName::new(&message.breaker));
    let mut runs = Vec::with_capacity(message.runs.len().min(MAX_RUNS));
    for (position, message) in message.runs.iter().enumerate() {
        runs.extend(run(check, (index, position), message));
    }
    let admitted = match (message.generation, message.late) {
        (0, false) => Admitted::Current,
        (0, true) => Admitted::Late(None),
        (generation, false) => Admitted::Generation(generation),
        (generation, true) => Admitted::Late(Some(generation)),
    };
    Some(BreakerReport { breaker: breaker?, admitted, runs })
}

fn run<'m>(
    check: &mut Check,
    (report, run): (usize, usize),
    message: &'m reported::Run,
) -> Option<(Run<'m>, Option<PermitId>)> {
    let field = |name: &str| format!("reports[{report}].runs[{run}].{name}");
    let outcome = outcome_from_message(message.outcome);
    if outcome.is_none() {
        let description =
            format!("{} is not an outcome; set what became of the call", message.outcome);
        check.refuse(field("outcome"), description);
    }
    let count = message.count;
    if !(1..=MAX_RUN_COUNT).contains(&count) {
        let description = format!("{count} is out of range; it must be 1 to {MAX_RUN_COUNT}");
        check.refuse(field("count"), description);
    }
    let permit = (message.permit_id != 0).then_some(PermitId::from_u64(message.permit_id));
    if permit.is_some() && count > 1 {
        check.refuse(field("count"), format!("{count} calls under one permit; it is for 1"));
    }
    if message.slow_count > count {
        let description =
            format!("{} of {count} calls; at most all can be slow", message.slow_count);
        check.refuse(field("slow_count"), description);
    }
    let total = message.total_duration.as_ref();
    let total_duration = check.duration(|| field("total_duration"), total, MAX_TOTAL_DURATION);
    let longest = message.max_duration.as_ref();
    let max_duration = check.duration(|| field("max_duration"), longest, MAX_TOTAL_DURATION);
    if let (Some(longest), Some(total)) = (max_duration, total_duration)
        && longest > total
    {
        let description = format!("{longest:?} is more than total_duration, {total:?}");
        check.refuse(field("max_duration"), description);
    }
    let age = check.duration(|| field("age"), message.age.as_ref(), MAX_AGE);
    let kind = check.value(|| field("error_kind"), str::from_utf8(&message.error_kind));
    let error_kind =
        kind.and_then(|kind| check.value(|| field("error_kind"), ErrorKind::parse(kind))).flatten();
    let run = Run {
        outcome: outcome?,
        count,
        total_duration: total_duration?,
        slow_count: message.slow_count,
        error_kind,
        age: age?,
    };
    Some((run, permit))
}

/// Which states to follow.
pub(crate) fn selectors(texts: &[String]) -> Result<Selectors, Status> {
    let mut check = Check::default();
    check.at_most("selectors", "selectors", texts.len(), MAX_SELECTORS);
    let mut selectors = Vec::with_capacity(texts.len().min(MAX_SELECTORS));
    for (index, text) in texts.iter().enumerate().take(MAX_SELECTORS) {
        selectors.extend(check.value(|| format!("selectors[{index}]"), Selector::parse(text)));
    }
    check.finish(Some(Selectors::new(selectors)))
}

/// One selector; an empty text selects everything.
pub(crate) fn selector(check: &mut Check, text: &str) -> Option<Selector> {
    if text.is_empty() {
        None
    } else {
        check.value(|| "selector".to_owned(), Selector::parse(text))
    }
}

/// The values of an enum; those that this server does not know are refused, and too many of them.
pub(crate) fn known<T>(
    check: &mut Check,
    field: &str,
    values: &[i32],
    convert: impl Fn(i32) -> Option<T>,
) -> Vec<T> {
    check.at_most(field, "values", values.len(), MAX_ENUM_VALUES);
    let mut all = Vec::new();
    for (index, &value) in values.iter().enumerate().take(MAX_ENUM_VALUES) {
        match convert(value) {
            Some(value) => all.push(value),
            None => check.refuse(format!("{field}[{index}]"), format!("{value} is not known")),
        }
    }
    all
}

/// How many entries a page may have.
pub(crate) fn page_size(check: &mut Check, size: u32) -> usize {
    match size {
        0 => DEFAULT_PAGE_SIZE as usize,
        1..=MAX_PAGE_SIZE => size as usize,
        _ => {
            let description = format!("{size} is out of range; it must be 1 to {MAX_PAGE_SIZE}");
            check.refuse("page_size", description);
            0
        }
    }
}

/// Whether a change may be made without being on disk.
pub(crate) const fn durability(require_durable: bool) -> Durability {
    if require_durable { Durability::Required } else { Durability::Preferred }
}

/// Who and why, from these two fields.
pub(crate) fn attribution(
    check: &mut Check,
    [actor_field, reason_field]: [&str; 2],
    actor: &str,
    reason: &str,
) -> Option<Attribution> {
    let refused = |error: AttributionError| {
        let field = match error {
            AttributionError::ActorTooLong(_) => actor_field,
            AttributionError::ReasonTooLong(_) => reason_field,
        };
        Violation::new(field, error.to_string())
    };
    check.checked(Attribution::new(actor, reason).map_err(refused))
}

/// Which breakers to change, by whom and why.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) selector: Selector,
    pub(crate) by: Attribution,
    pub(crate) durability: Durability,
    pub(crate) time_to_live: Option<Duration>,
}

/// The target of a change, with the time to live of an override.
pub(crate) fn target(
    message: Option<v1::ChangeTarget>,
    time_to_live: Option<prost_types::Duration>,
) -> Result<Target, Status> {
    let mut check = Check::default();
    let message = message.unwrap_or_default();
    let selector = check.value(|| "target.selector".to_owned(), Selector::parse(&message.selector));
    let fields = ["target.actor", "target.reason"];
    let by = attribution(&mut check, fields, &message.actor, &message.reason);
    let time_to_live = time_to_live.and_then(|message| {
        let time = check.checked(duration_from_message("time_to_live", &message))?;
        if !(MIN_TIME_TO_LIVE..=MAX_TIME_TO_LIVE).contains(&time) {
            let description = format!("{time:?} is out of range; it must be 1ms to 365 days");
            check.refuse("time_to_live", description);
        }
        Some(time)
    });
    let durability = durability(message.require_durable);
    let target =
        selector.zip(by).map(|(selector, by)| Target { selector, by, durability, time_to_live });
    check.finish(target)
}

#[cfg(test)]
mod tests;
