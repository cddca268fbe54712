use std::collections::HashMap;
use std::time::Duration;

use super::{Answer, Event, Step, admin, millis, ms, whole_millis};
use crate::{
    AllowReason, Breaker, Config, ConfigPatch, Decision, Mode, PermitId, Report, ReporterId,
    StateKind, Transition,
};

/// Lets a new breaker live through the story and checks every line: its answer, exactly its
/// transitions, and whatever else it says can be seen.
pub(in crate::tests) fn check(patch: &ConfigPatch, story: &[Step]) {
    let mut config = super::config(patch);
    let mut breaker = Breaker::new(ms(0));
    let mut permits = HashMap::new();
    for (line, step) in story.iter().enumerate() {
        let from = (breaker.state(), breaker.mode(), level_name(&breaker, &config));
        let (decision, transitions) = live(&mut breaker, &mut config, step, &permits);
        let context = format!("line {line}: {step:?}\n{breaker:#?}");
        check_answer(step, decision, &mut permits, &context);
        let to = (breaker.state(), breaker.mode(), level_name(&breaker, &config));
        check_transitions(step, &transitions, from, to, &context);
        for expected in &step.seen {
            let really = expected.really(&breaker, &config, ms(step.at_ms));
            assert_eq!(&really, expected, "{context}");
        }
    }
}

fn live(
    breaker: &mut Breaker,
    config: &mut Config,
    step: &Step,
    permits: &HashMap<&str, PermitId>,
) -> (Option<Decision>, Vec<Transition>) {
    let now = ms(step.at_ms);
    let transitions = match &step.event {
        Event::Asks => {
            let (decision, transitions) = breaker.acquire(config, now);
            return (Some(decision), transitions);
        }
        Event::Records { run, generation, probe, reporter } => {
            let permit = probe.map(|name| permits[name]);
            let reporter = ReporterId::of(reporter);
            let report = Report { run: run.clone(), generation: *generation, permit, reporter };
            breaker.record(config, &report, now)
        }
        Event::Passes => breaker.advance(config, now),
        Event::Overrides(kind, ttl_ms) => {
            let ttl = ttl_ms.map(Duration::from_millis);
            breaker.override_with(config, *kind, admin(), ttl, now)
        }
        Event::Releases => breaker.release(config, admin(), now),
        Event::Trips => breaker.trip(config, admin(), now),
        Event::Resets => breaker.reset(config, admin(), now),
        Event::Reconfigures(patch) => {
            let transitions = breaker.advance(config, now);
            *config = super::config(patch);
            breaker.reconfigure(config);
            transitions
        }
    };
    (None, transitions)
}

fn check_answer(
    step: &Step,
    decision: Option<Decision>,
    permits: &mut HashMap<&'static str, PermitId>,
    context: &str,
) {
    let answer = decision.map(|decision| match (decision, step.answer) {
        (Decision::Allowed(AllowReason::Probe(permit)), Some(Answer::Probe(name, _))) => {
            assert_eq!(permits.insert(name, permit.id), None, "a name given twice; {context}");
            Answer::Probe(name, millis(permit.deadline))
        }
        (Decision::Allowed(reason), _) => Answer::Allowed(reason),
        (Decision::Denied { reason, retry_after }, _) => {
            Answer::Denied(reason, retry_after.map(whole_millis))
        }
    });
    assert_eq!(answer, step.answer, "{context}");
}

/// What a transition leads from and to.
type Place = (StateKind, Mode, Option<Box<str>>);

fn level_name(breaker: &Breaker, config: &Config) -> Option<Box<str>> {
    breaker.level(config).map(|level| level.name.as_str().into())
}

fn check_transitions(
    step: &Step,
    transitions: &[Transition],
    mut place: Place,
    to: Place,
    context: &str,
) {
    let told: Vec<_> = transitions.iter().map(|t| (millis(t.at), t.to, t.cause)).collect();
    assert_eq!(told, step.transitions, "{context}");
    for transition in transitions {
        let t = transition.clone();
        assert_eq!((t.from, t.from_mode, t.from_level), place, "{context}");
        place = (t.to, t.to_mode, t.to_level);
    }
    // A changed configuration can take the levels away, of which it need not tell.
    if matches!(step.event, Event::Reconfigures(_)) {
        place.2.clone_from(&to.2);
    }
    assert_eq!(place, to, "a silent change; {context}");
}
