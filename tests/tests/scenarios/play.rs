//! Plays a scenario on a subject, moment by moment.
//!
//! What happens at one instant happens in the order that `breakerctl simulate` has: first calls
//! that end, then the steps in their order. What is expected of calls is looked at when the last
//! of them has ended or was denied.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use anyhow::Context;
use serde_json::json;

use crate::model::{Call, Event, Report, Scenario, Step};
use crate::subject::{Answer, Leave, Seen, Subject, Told, Verdict, or_none};

/// A call: its step, and its number among the calls of that step.
type CallId = (usize, u32);

#[derive(Clone, Copy)]
struct Moment {
    at_ms: u64,
    step: usize,
    part: Part,
}

#[derive(Clone, Copy)]
enum Part {
    Start(CallId),
    End(CallId),
    Whole,
}

/// A scenario that is being played.
pub(crate) struct Play<'s, S> {
    scenario: &'s Scenario,
    subject: S,
    ahead: VecDeque<Moment>,
    leaves: BTreeMap<CallId, Leave>,
    /// What each step has shown by itself: answers, and whether a change was refused.
    shown: BTreeMap<usize, Shown>,
    /// Steps that were looked at.
    checked: usize,
    problems: Vec<String>,
}

#[derive(Default)]
struct Shown {
    allowed: u32,
    denied: u32,
    last: Option<Answer>,
    verdict: Option<Verdict>,
}

impl<'s, S: Subject> Play<'s, S> {
    pub(crate) fn new(scenario: &'s Scenario, subject: S) -> Self {
        let ahead = moments(&scenario.steps);
        let (leaves, shown) = (BTreeMap::new(), BTreeMap::new());
        Self { scenario, subject, ahead, leaves, shown, checked: 0, problems: Vec::new() }
    }

    /// When something happens next, since the beginning.
    pub(crate) fn next_at_ms(&self) -> Option<u64> {
        self.ahead.front().map(|moment| moment.at_ms)
    }

    /// Lets the next thing happen. A subject that fails ends the play.
    pub(crate) async fn go_on(&mut self) {
        let Some(moment) = self.ahead.pop_front() else { return };
        if let Err(error) = self.happen(moment).await {
            self.note(moment.step, &format!("{error:#}"));
            self.ahead.clear();
        }
    }

    /// What was seen otherwise than expected, or not looked at at all.
    pub(crate) fn into_problems(mut self) -> Vec<String> {
        let steps = &self.scenario.steps;
        let to_check = steps.iter().filter(|step| !step.expect.is_empty()).count();
        if self.checked != to_check {
            let (name, checked) = (&self.scenario.name, self.checked);
            self.problems.push(format!("{name:?}: {checked} of {to_check} steps were looked at"));
        }
        self.problems
    }

    async fn happen(&mut self, moment: Moment) -> anyhow::Result<()> {
        self.subject.pass_to(moment.at_ms);
        let step = &self.scenario.steps[moment.step];
        let is_over = match (moment.part, &step.event) {
            (Part::Start(id), Event::Call(call)) => {
                let is_allowed = self.ask(id).await?;
                !is_allowed && id.1 == call.count
            }
            (Part::End(id), Event::Call(call)) => self.end(id, call).await? && id.1 == call.count,
            (_, event) => {
                self.happen_at_once(moment.step, event).await?;
                true
            }
        };
        if is_over && !step.expect.is_empty() { self.check(moment.step).await } else { Ok(()) }
    }

    async fn happen_at_once(&mut self, step: usize, event: &Event) -> anyhow::Result<()> {
        match event {
            Event::Acquire(_) => {
                self.ask((step, 1)).await?;
            }
            Event::Report(report) => self.report(report).await?,
            Event::Admin(admin) => {
                let verdict = self.subject.administer(admin).await?;
                self.shown.entry(step).or_default().verdict = Some(verdict);
            }
            Event::Reconfigure(patch) => self.subject.reconfigure(patch).await?,
            Event::Call(_) | Event::Passes => {}
        }
        Ok(())
    }

    /// Asks for leave; whether it was given.
    async fn ask(&mut self, id: CallId) -> anyhow::Result<bool> {
        let answer = self.subject.acquire().await?;
        let is_allowed = answer.is_allowed;
        let shown = self.shown.entry(id.0).or_default();
        if is_allowed {
            shown.allowed += 1;
            self.leaves.insert(id, answer.leave);
        } else {
            shown.denied += 1;
        }
        shown.last = Some(answer);
        Ok(is_allowed)
    }

    /// Ends a call; whether it had got leave.
    async fn end(&mut self, id: CallId, call: &Call) -> anyhow::Result<bool> {
        let Some(leave) = self.leaves.remove(&id) else { return Ok(false) };
        let told = Told {
            outcome: call.outcome,
            count: 1,
            total_ms: call.duration_ms,
            slow_count: 0,
            error_kind: &call.error_kind,
            reporter: &call.reporter,
            age_ms: 0,
            late: false,
            leave: Some(leave),
        };
        self.subject.report(told).await?;
        Ok(true)
    }

    async fn report(&mut self, report: &Report) -> anyhow::Result<()> {
        let leave = match &report.of {
            None => None,
            Some(label) => {
                let step = self.scenario.step_of(label);
                let leave = step.and_then(|step| self.leaves.get(&(step, 1)));
                Some(*leave.with_context(|| format!("the call {label:?} was denied"))?)
            }
        };
        let told = Told {
            outcome: report.outcome,
            count: report.count,
            total_ms: report.duration_ms * u64::from(report.count),
            slow_count: report.slow_count,
            error_kind: &report.error_kind,
            reporter: &report.reporter,
            age_ms: report.age_ms,
            late: report.late,
            leave,
        };
        self.subject.report(told).await
    }

    async fn check(&mut self, index: usize) -> anyhow::Result<()> {
        self.checked += 1;
        let mut seen = self.subject.look().await?;
        if let Some(shown) = self.shown.get(&index) {
            seen.extend(shown.seen());
        }
        for problem in differences(&self.scenario.steps[index], &seen) {
            self.note(index, &problem);
        }
        Ok(())
    }

    fn note(&mut self, step: usize, problem: &str) {
        self.problems.push(told(self.scenario, step, problem));
    }
}

impl Shown {
    fn seen(&self) -> Seen {
        let mut seen = Seen::new();
        if let Some(answer) = &self.last {
            seen.extend(allowed(self.allowed, self.denied));
            seen.insert("reason", answer.reason.clone());
            seen.insert("retry_after_ms", answer.retry_after_ms.clone());
            seen.insert("permit", json!(answer.leave.permit.is_some()));
        }
        if let Some(verdict) = self.verdict {
            seen.insert("refused", json!(verdict == Verdict::Refused));
        }
        seen
    }
}

/// How many calls got leave, and whether it was all of them or none.
pub(crate) fn allowed(allowed: u32, denied: u32) -> Seen {
    let all_or_none = (allowed == 0 || denied == 0).then_some(denied == 0);
    Seen::from([("allowed", or_none(all_or_none)), ("allowed_calls", json!(allowed))])
}

/// What is expected of a step and is not seen so, or not shown at all.
fn differences(step: &Step, seen: &Seen) -> Vec<String> {
    let mut differences = Vec::new();
    for (key, expected) in &step.expect {
        match seen.get(key.as_str()) {
            None => differences.push(format!("nothing shows `{key}` here")),
            Some(actual) if actual != expected => {
                differences.push(format!("{key} is {actual}, expected {expected}"));
            }
            Some(_) => {}
        }
    }
    differences
}

/// A problem, with the scenario and the step in which it showed.
pub(crate) fn told(scenario: &Scenario, step: usize, problem: &str) -> String {
    let (name, number, at_ms) = (&scenario.name, step + 1, scenario.steps[step].at_ms);
    format!("{name:?}, step {number} at {at_ms} ms: {problem}")
}

/// Everything that happens, in order.
fn moments(steps: &[Step]) -> VecDeque<Moment> {
    let mut moments = VecDeque::new();
    let mut in_flight = BinaryHeap::new();
    for (index, step) in steps.iter().enumerate() {
        let at_ms = step.at_ms;
        let Event::Call(call) = &step.event else {
            end_calls(&mut in_flight, Some(at_ms), &mut moments);
            moments.push_back(Moment { at_ms, step: index, part: Part::Whole });
            continue;
        };
        for number in 1..=call.count {
            end_calls(&mut in_flight, Some(at_ms), &mut moments);
            let id = (index, number);
            moments.push_back(Moment { at_ms, step: index, part: Part::Start(id) });
            in_flight.push(Reverse((at_ms + call.duration_ms, id)));
        }
    }
    end_calls(&mut in_flight, None, &mut moments);
    moments
}

/// Ends the calls that are over by `until`; without one, all.
fn end_calls(
    in_flight: &mut BinaryHeap<Reverse<(u64, CallId)>>,
    until: Option<u64>,
    moments: &mut VecDeque<Moment>,
) {
    while let Some(&Reverse((at_ms, id))) = in_flight.peek()
        && until.is_none_or(|until| at_ms <= until)
    {
        in_flight.pop();
        moments.push_back(Moment { at_ms, step: id.0, part: Part::End(id) });
    }
}
