//! Outcomes of one breaker that wait to be reported, as runs.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use breaker_core::{ErrorKind, Outcome, PermitId};
use tokio::time::Instant;

/// Most calls in one run, by the protocol.
const MAX_CALLS: u32 = 1_000_000;
/// Longest time from the first to the last end of calls in one run.
const MAX_SPAN: Duration = Duration::from_secs(1);

/// Calls of one outcome that ended one after another, or one call with a permit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Run {
    /// Under which they were admitted; 0 where nobody knew.
    pub(crate) generation: u64,
    pub(crate) permit: Option<PermitId>,
    pub(crate) outcome: Outcome,
    pub(crate) error_kind: Option<ErrorKind<'static>>,
    pub(crate) is_slow: bool,
    pub(crate) count: u32,
    pub(crate) total: Duration,
    pub(crate) longest: Duration,
    /// When the first of them ended.
    pub(crate) began_at: Instant,
    /// When the last of them ended.
    pub(crate) ended_at: Instant,
}

impl Run {
    /// Whether the server has to hear of it at once.
    pub(crate) const fn is_prompt(&self) -> bool {
        self.outcome.is_failure() || self.permit.is_some()
    }

    /// Takes in a run that ended soon after this one, if one run can say both. A run that went on
    /// through an outage would pass off as fresh what is history.
    fn absorb_next(&mut self, later: &Self) -> bool {
        later.ended_at.saturating_duration_since(self.began_at) <= MAX_SPAN && self.absorb(later)
    }

    /// Takes in another run, if one run can say both.
    fn absorb(&mut self, later: &Self) -> bool {
        let can = self.permit.is_none()
            && later.permit.is_none()
            && self.generation == later.generation
            && self.outcome == later.outcome
            && self.is_slow == later.is_slow
            && self.error_kind == later.error_kind
            && self.count <= MAX_CALLS - later.count;
        if can {
            self.count += later.count;
            self.total += later.total;
            self.longest = self.longest.max(later.longest);
            self.began_at = self.began_at.min(later.began_at);
            self.ended_at = self.ended_at.max(later.ended_at);
        }
        can
    }
}

/// The runs of one breaker, in the order in which their calls ended.
#[derive(Debug, Default)]
pub(crate) struct Runs(VecDeque<Run>);

impl Runs {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds what ended last.
    pub(crate) fn push(&mut self, run: Run) {
        if !self.0.back_mut().is_some_and(|last| last.absorb_next(&run)) {
            self.0.push_back(run);
        }
    }

    /// Takes the oldest runs, at most so many.
    pub(crate) fn take(&mut self, most: usize) -> Vec<Run> {
        let taken = self.0.drain(..most.min(self.0.len())).collect();
        // A burst is rare, and what it needed would stay for good.
        if self.0.is_empty() {
            self.0 = VecDeque::new();
        }
        taken
    }

    /// Makes them fewer by an eighth at least: what one run can say becomes one, wherever it
    /// stands; if that is not enough, the oldest go. Returns how many calls went with those.
    pub(crate) fn shrink(&mut self) -> u32 {
        let most = self.0.len() - self.0.len().div_ceil(8);
        self.gather();
        let too_many = self.0.len().saturating_sub(most);
        self.0.drain(..too_many).map(|run| run.count).fold(0, u32::saturating_add)
    }

    /// What is gathered is as old as the oldest of it: it has waited long.
    fn gather(&mut self) {
        let mut gathered: Vec<Run> = Vec::new();
        let mut places = HashMap::new();
        for run in self.0.drain(..) {
            let key = (run.generation, run.outcome, run.is_slow, run.error_kind.clone());
            let place = *places.entry(key).or_insert(gathered.len());
            if !gathered.get_mut(place).is_some_and(|other| other.absorb(&run)) {
                gathered.push(run);
            }
        }
        for run in &mut gathered {
            run.ended_at = run.began_at;
        }
        self.0 = gathered.into();
    }

    /// Whether there are calls of no generation known: the breaker does not exist yet.
    pub(crate) fn begin_a_breaker(&self) -> bool {
        self.0.iter().any(|run| run.generation == 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock;

    fn run(outcome: Outcome, generation: u64) -> Run {
        Run {
            generation,
            permit: None,
            outcome,
            error_kind: None,
            is_slow: false,
            count: 1,
            total: Duration::from_millis(3),
            longest: Duration::from_millis(3),
            began_at: clock::now(),
            ended_at: clock::now(),
        }
    }

    fn outcome() -> impl Strategy<Value = Outcome> {
        prop::sample::select(vec![Outcome::Success, Outcome::Failure, Outcome::Ignored])
    }

    proptest! {
        #[test]
        fn runs_say_the_same_as_the_calls_one_by_one(
            calls in prop::collection::vec((outcome(), 1_u64..3, any::<bool>()), 0..60)
        ) {
            let mut runs = Runs::default();
            for (outcome, generation, is_slow) in &calls {
                runs.push(Run { is_slow: *is_slow, ..run(*outcome, *generation) });
            }
            let told = runs.take(usize::MAX).into_iter().flat_map(|run| {
                std::iter::repeat_n((run.outcome, run.generation, run.is_slow), run.count as usize)
            });
            prop_assert_eq!(told.collect::<Vec<_>>(), calls);
        }

        #[test]
        fn shrinking_keeps_every_call_until_nothing_can_be_said_shorter(
            calls in prop::collection::vec((outcome(), 1_u64..3), 1..60)
        ) {
            let mut runs = Runs::default();
            for (outcome, generation) in &calls {
                runs.push(run(*outcome, *generation));
            }
            let mut given_up = 0;
            for _ in 0..2 {
                let before = runs.len();
                given_up += runs.shrink();
                prop_assert!(runs.len() < before || before == 0);
            }
            let kept: u32 = runs.take(usize::MAX).iter().map(|run| run.count).sum();
            prop_assert_eq!((kept + given_up) as usize, calls.len());
        }
    }

    #[test]
    fn a_probe_stays_a_run_of_its_own() {
        let mut runs = Runs::default();
        runs.push(run(Outcome::Success, 3));
        runs.push(Run { permit: Some(PermitId::from_u64(7)), ..run(Outcome::Success, 3) });
        runs.push(run(Outcome::Success, 3));
        assert_eq!(runs.len(), 3);
    }
}
