//! What a transition tells, and which ones there can be.

use super::super::walker::{Answer, Event, Subject};
use super::{Clock, Past};
use crate::tests::story::admin;
use crate::{Attribution, Cause, Config, Mode, StateKind, Time, Transition};

/// Whether time alone, or calls, bring a transition about.
fn is_by_itself(cause: Cause) -> bool {
    is_opening(cause)
        || matches!(
            cause,
            Cause::OpenElapsed | Cause::ProbesSucceeded | Cause::RampCompleted | Cause::Deescalated
        )
}

/// Whether the breaker opens or re-opens by itself.
fn is_opening(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::FailureThreshold
            | Cause::ConsecutiveFailures
            | Cause::FailureRate
            | Cause::SlowCallRate
            | Cause::ProbeFailed
            | Cause::ProbeRate
            | Cause::ProbeExpired
    )
}

/// Whether such an event can have led to a transition of this cause. A permit that passes its
/// deadline is an outcome too, and counts as one on the ramp.
fn fits(transition: &Transition, event: &Event) -> bool {
    let has_outcome = matches!(event, Event::Record(_)) || transition.from == StateKind::HalfOpen;
    match transition.cause {
        Cause::OpenElapsed
        | Cause::ProbeExpired
        | Cause::OverrideExpired
        | Cause::RampCompleted
        | Cause::Deescalated => true,
        Cause::FailureThreshold
        | Cause::ConsecutiveFailures
        | Cause::FailureRate
        | Cause::SlowCallRate
        | Cause::ProbesSucceeded
        | Cause::ProbeRate => has_outcome,
        Cause::ProbeFailed => matches!(event, Event::Record(_)),
        Cause::ForcedOpen | Cause::ForcedClosed | Cause::Disabled | Cause::Shadowed => {
            matches!(event, Event::Override(..))
        }
        Cause::Released => matches!(event, Event::Release),
        Cause::Tripped => matches!(event, Event::Trip),
        Cause::Reset => matches!(event, Event::Reset),
    }
}

/// Transitions lead from what was to what is, in the order of time, and tell each change.
pub(super) fn check_transitions(
    before: &Subject,
    event: &Event,
    answer: &Answer,
    after: &Subject,
    past: &Past,
    now: Time,
) {
    let breaker = &before.breaker;
    let (mut state, mut mode) = (breaker.state(), breaker.mode());
    let mut level = breaker.level_number();
    let (mut generation, mut since, mut latest) =
        (breaker.generation(), breaker.since(), past.latest);
    for transition in &answer.transitions {
        assert_eq!((transition.from, transition.from_mode), (state, mode));
        if past.clock == Clock::Monotonic {
            assert!(latest <= transition.at && transition.at <= now, "{transition:?}");
        }
        assert!(fits(transition, event), "{transition:?} by {event:?}");
        assert_eq!(transition.from_level.as_deref(), name_of(level, &before.config));
        level = level_after(level, transition, &before.config);
        assert_eq!(transition.to_level.as_deref(), name_of(level, &before.config));
        if is_by_itself(transition.cause) {
            assert_eq!(transition.by, Attribution::default());
            let stays = transition.cause == Cause::Deescalated;
            assert_eq!(transition.from == transition.to, stays, "{transition:?}");
            assert_eq!(transition.from_mode, transition.to_mode);
            assert!(matches!(transition.from_mode, Mode::Normal | Mode::Shadow), "{transition:?}");
        } else {
            assert_eq!(transition.by, admin());
        }
        if transition.from != transition.to {
            (generation, since) = (generation + 1, transition.at);
        }
        assert_eq!(transition.generation, generation);
        (state, mode, latest) = (transition.to, transition.to_mode, transition.at);
    }
    let breaker = &after.breaker;
    assert_eq!((state, mode), (breaker.state(), breaker.mode()), "a change that nobody was told");
    assert_eq!((generation, since), (breaker.generation(), breaker.since()));
    // A changed configuration can take levels away.
    if !matches!(event, Event::Reconfigure(_)) {
        assert_eq!(level, breaker.level_number(), "a change of level that nobody was told");
    }
}

fn name_of(level: usize, config: &Config) -> Option<&str> {
    config.levels().map(|levels| levels.levels[level].name.as_str())
}

/// A breaker goes up one level when it opens, down one when it has been CLOSED for long enough, and
/// down to the first when an admin resets it.
fn level_after(level: usize, transition: &Transition, config: &Config) -> usize {
    let Some(levels) = config.levels() else { return level };
    match transition.cause {
        Cause::Reset => 0,
        Cause::Deescalated => level.checked_sub(1).unwrap(),
        cause if is_opening(cause) => {
            let counts = transition.counts;
            let is_above =
                counts.window_failures * 100 > levels.escalate_above * counts.window_calls;
            if is_above { (level + 1).min(levels.levels.len() - 1) } else { level }
        }
        _ => level,
    }
}
