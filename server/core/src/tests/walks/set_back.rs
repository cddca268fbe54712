//! Snapshots that are read under another clock, or with times that nobody wrote.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;

use super::steps::{Act, Step};
use super::walker::Walker;
use super::{configs, steps};
use crate::tests::deterministic;
use crate::{
    BadCallsSnapshot, Breaker, BreakerSnapshot, Config, Mode, StateKind, StateSnapshot, Time,
    WindowSnapshot, limits,
};

/// What a breaker under any of these configurations waits for lies no further away.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

proptest! {
    #![proptest_config(deterministic(500))]

    #[test]
    fn nothing_lies_further_in_the_future_than_it_can(
        config in configs::config(),
        walk in steps::walk(),
        set_back in 0..2_000_000_000_u64,
        strange in prop::collection::vec((any::<Index>(), any::<u64>()), 0..4),
    ) {
        let walker = walked(&config, &walk);
        let now = walker.now - Duration::from_nanos(set_back);
        let config = walker.subject.config;
        let mut snapshot = walker.subject.breaker.snapshot();
        for (index, time) in strange {
            let mut times = times(&mut snapshot);
            let index = index.index(times.len());
            *times[index] = Time::from_nanos(time);
        }
        let stored = snapshot.clone();
        snapshot.bound(&config, now);
        check_past(&mut snapshot.clone(), now)?;
        check_future(&stored, &snapshot, &config, now)?;
        prop_assert!(!snapshot.clone().bound(&config, now), "there is nothing left to bound");
        let breaker = Breaker::restore(stored, &config, now).unwrap();
        prop_assert_eq!(&breaker, &Breaker::restore(snapshot, &config, now).unwrap());
        check_life(breaker, &config, now)?;
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_open_longer(
        config in configs::config(),
        walk in steps::walk(),
        set_back in 0..2_000_000_000_u64,
    ) {
        let is_reconfiguration = |step: &Step| matches!(step.act, Act::Reconfigure(_));
        prop_assume!(!walk.iter().any(is_reconfiguration));
        let walker = walked(&config, &walk);
        let stored = walker.subject.breaker;
        let now = walker.now - Duration::from_nanos(set_back);
        let breaker = Breaker::restore(stored.snapshot(), &walker.subject.config, now).unwrap();
        if let Some(retry_at) = breaker.retry_at() {
            let length = stored.retry_at().unwrap().since(stored.since());
            prop_assert!(retry_at.since(now) <= length);
            prop_assert!(retry_at <= stored.retry_at().unwrap());
        }
        prop_assert_eq!(breaker.state(), stored.state());
        prop_assert_eq!(breaker.generation(), stored.generation());
        prop_assert_eq!(breaker.mode(), stored.mode());
    }
}

fn walked(config: &crate::ConfigPatch, walk: &[Step]) -> Walker {
    let mut walker = Walker::new(config);
    for step in walk {
        let event = walker.next(step);
        walker.live(&event);
    }
    walker
}

/// Every time of a snapshot that is one by itself: those that have been, then those to come.
fn times(snapshot: &mut BreakerSnapshot) -> Vec<&mut Time> {
    let (mut past, to_come) = split_times(snapshot);
    past.extend(to_come);
    past
}

fn split_times(snapshot: &mut BreakerSnapshot) -> (Vec<&mut Time>, Vec<&mut Time>) {
    let BreakerSnapshot { state, since, override_, metrics, memory, .. } = snapshot;
    let (mut past, mut to_come) = (vec![since], Vec::new());
    if let Some(override_) = override_ {
        past.push(&mut override_.set_at);
        to_come.extend(&mut override_.expires_at);
    }
    past.extend(
        metrics.iter_mut().flat_map(|m| &mut m.last_failure).map(|failure| &mut failure.at),
    );
    past.extend(memory.iter_mut().map(|memory| &mut memory.level_since));
    match state {
        StateSnapshot::Closed => {}
        StateSnapshot::Open { retry_at } => to_come.extend(retry_at),
        StateSnapshot::HalfOpen { permits, ramp, .. } => {
            to_come.extend(permits.iter_mut().map(|permit| &mut permit.deadline));
            to_come.extend(ramp.iter_mut().map(|ramping| &mut ramping.ends_at));
        }
    }
    (past, to_come)
}

fn check_past(snapshot: &mut BreakerSnapshot, now: Time) -> Result<(), TestCaseError> {
    for time in split_times(snapshot).0 {
        prop_assert!(*time <= now);
    }
    let metrics = snapshot.metrics.as_ref().map(|metrics| &metrics.window);
    let memory = snapshot.memory.as_ref();
    let counted = memory.and_then(|memory| memory.window.as_ref());
    for window in metrics.into_iter().chain(counted) {
        if let WindowSnapshot::Buckets { width, buckets } = window {
            prop_assert!(buckets.iter().all(|(index, _)| index * width <= now.as_nanos()));
        }
    }
    let quorum = memory.and_then(|memory| memory.quorum.as_ref());
    if let Some(BadCallsSnapshot::Buckets { width, buckets }) =
        quorum.and_then(|quorum| quorum.window.as_ref())
    {
        prop_assert!(buckets.iter().all(|(index, ..)| index * width <= now.as_nanos()));
    }
    Ok(())
}

fn check_future(
    stored: &BreakerSnapshot,
    bounded: &BreakerSnapshot,
    config: &Config,
    now: Time,
) -> Result<(), TestCaseError> {
    if let (Some(was), Some(is)) = (&stored.override_, &bounded.override_) {
        let length = was.expires_at.map(|at| at.since(was.set_at));
        prop_assert!(is.expires_at.map(|at| at.since(now)) <= length);
        prop_assert!(is.expires_at.is_none_or(|at| at <= now + limits::MAX_TIME_TO_LIVE));
    }
    match &bounded.state {
        StateSnapshot::Closed => {}
        StateSnapshot::Open { retry_at } => {
            prop_assert!(retry_at.is_none_or(|at| at <= now + LONGEST_WAIT));
        }
        StateSnapshot::HalfOpen { permits, ramp, .. } => {
            let latest = now + config.call_timeout();
            prop_assert!(permits.iter().all(|permit| permit.deadline <= latest));
            let step = config.ramp().map_or(Duration::ZERO, |ramp| ramp.step);
            prop_assert!(ramp.is_none_or(|ramping| ramping.ends_at <= now + step));
        }
    }
    Ok(())
}

/// Left to itself, OPEN ends within its bound.
fn check_life(mut breaker: Breaker, config: &Config, now: Time) -> Result<(), TestCaseError> {
    if breaker.mode() != Mode::Normal || breaker.state() != StateKind::Open {
        return Ok(());
    }
    let due = breaker.next_deadline(config).unwrap().max(now);
    prop_assert!(due <= now + LONGEST_WAIT);
    breaker.advance(config, due);
    prop_assert_eq!(breaker.state(), StateKind::HalfOpen);
    Ok(())
}
