//! Snapshots: what they refuse, and permits that were handed out after one was taken.

use std::time::Duration;

use crate::tests::story::{config, ms};
use crate::{
    Adaptive, Backoff, Breaker, BreakerSnapshot, ConfigPatch, ContentsError, Levels, Outcome,
    OverrideKind, PermitId, Report, Run, SnapshotError, StateKind, StateSnapshot, Thousandths,
    Time, Totals, WindowSnapshot,
};

fn half_open() -> (Breaker, crate::Config) {
    let config = config(&ConfigPatch { max_probes: Some(100), ..Default::default() });
    let mut breaker = Breaker::new(ms(0));
    breaker.trip(&config, Default::default(), ms(0));
    breaker.advance(&config, ms(60_000));
    assert_eq!(breaker.state(), StateKind::HalfOpen);
    (breaker, config)
}

fn probe(breaker: &mut Breaker, config: &crate::Config) -> PermitId {
    breaker.acquire(config, ms(60_001)).0.permit().unwrap().id
}

#[test]
fn a_breaker_comes_back_from_its_snapshot_as_it_was() {
    let (mut breaker, config) = half_open();
    for outcome in [Outcome::Success, Outcome::Failure, Outcome::Timeout, Outcome::Ignored] {
        breaker.record(&config, &Report::current(Run::new(outcome, 70)), ms(60_001));
    }
    for kind in [OverrideKind::Shadow, OverrideKind::ForcedOpen, OverrideKind::Disabled] {
        let ttl = Some(std::time::Duration::from_secs(9));
        breaker.override_with(&config, kind, Default::default(), ttl, ms(60_002));
        breaker.advance(&config, ms(60_002));
        let snapshot = breaker.snapshot();
        let restored = Breaker::restore(snapshot.clone(), &config, ms(60_002)).unwrap();
        match kind {
            // HALF_OPEN: the serials have jumped.
            OverrideKind::Shadow => assert_ne!(restored, breaker),
            _ => assert_eq!(restored, breaker),
        }
        assert_eq!(restored.metrics(), breaker.metrics());
        assert_eq!(restored.override_in_force(), breaker.override_in_force());
    }
}

#[test]
fn a_permit_handed_out_after_the_snapshot_is_known_and_never_handed_out_again() {
    let (mut breaker, config) = half_open();
    let stored = probe(&mut breaker, &config);
    let snapshot = breaker.snapshot();
    let lost = probe(&mut breaker, &config);
    let mut restored = Breaker::restore(snapshot, &config, ms(60_001)).unwrap();
    let fresh = probe(&mut restored, &config);
    assert!(fresh != stored && fresh != lost);
    assert!(restored.knows_permit(stored) && restored.knows_permit(lost));
    let late = Report::current(Run::new(Outcome::Failure, 1)).with_permit(lost);
    restored.record(&config, &late, ms(60_002));
    assert_eq!(restored.state(), StateKind::HalfOpen);
    assert_eq!(restored.metrics().unwrap().totals().late, 1);
}

#[test]
fn a_permit_is_known_from_when_it_was_handed_out_on_and_not_before() {
    let (mut breaker, config) = half_open();
    let first = probe(&mut breaker, &config);
    let next = PermitId::from_u64(first.as_u64() + 1);
    assert!(breaker.knows_permit(first) && !breaker.knows_permit(next));
    assert_eq!(probe(&mut breaker, &config), next);
    assert!(breaker.knows_permit(next));
    assert!(!breaker.knows_permit(PermitId::from_u64(0)));
    assert!(!breaker.knows_permit(PermitId::from_u64(7)), "of no generation");
    let of_next_generation = PermitId::from_u64(first.as_u64() + (1 << 32));
    assert!(!breaker.knows_permit(of_next_generation));
    breaker.reset(&config, Default::default(), ms(60_003));
    assert!(breaker.knows_permit(first), "handed out in an earlier generation");
    assert!(!breaker.knows_permit(of_next_generation), "CLOSED hands out none");
}

#[test]
fn a_snapshot_of_no_breaker_is_refused() {
    let (mut breaker, config) = half_open();
    breaker.record(&config, &Report::current(Run::new(Outcome::Success, 3)), ms(60_001));
    let refusal = |damage: fn(&mut BreakerSnapshot)| {
        let mut snapshot = breaker.snapshot();
        damage(&mut snapshot);
        Breaker::restore(snapshot, &config, ms(60_001)).unwrap_err()
    };
    for generation in [0, u64::MAX] {
        let mut snapshot = breaker.snapshot();
        snapshot.generation = generation;
        let refused = Breaker::restore(snapshot, &config, ms(60_001));
        assert_eq!(refused, Err(SnapshotError::BadGeneration(generation)));
    }
    let with_bad_call = refusal(|snapshot| {
        let window = &mut snapshot.metrics.as_mut().unwrap().window;
        let WindowSnapshot::Calls(calls) = window else { panic!("a window over calls") };
        calls[2] = 4;
    });
    assert_eq!(with_bad_call, SnapshotError::BadMetrics(ContentsError::BadCall(2)));
    let endless = refusal(|snapshot| snapshot.state = StateSnapshot::Open { retry_at: None });
    assert_eq!(endless, SnapshotError::EndlessOpen);
}

/// What a damaged row can hold beside times, and still be one of a breaker.
#[test]
fn counts_at_the_end_of_the_numbers_stay_there() {
    let (mut breaker, config) = half_open();
    breaker.record(&config, &Report::current(Run::new(Outcome::Success, 1)), ms(60_001));
    let mut snapshot = breaker.snapshot();
    let most = u64::MAX;
    let totals = &mut snapshot.metrics.as_mut().unwrap().totals;
    *totals = Totals {
        successes: most,
        failures: most,
        timeouts: most,
        ignored: most,
        late: most,
        denied: most,
    };
    snapshot.failure_count = u32::MAX;
    snapshot.consecutive_failures = u32::MAX;
    let mut restored = Breaker::restore(snapshot, &config, ms(60_001)).unwrap();
    restored.trip(&config, Default::default(), ms(60_002));
    assert!(!restored.acquire(&config, ms(60_002)).0.is_allowed());
    for outcome in [Outcome::Success, Outcome::Failure, Outcome::Timeout, Outcome::Ignored] {
        let late = Report::admitted(Run::new(outcome, 2), 1);
        restored.record(&config, &late, ms(60_003));
    }
    let totals = *restored.metrics().unwrap().totals();
    assert_eq!((totals.calls(), totals.late, totals.denied), (most, most, most));
}

/// The OPEN of a breaker that tripped a second into the story, restored at another time.
fn ends(retry_at: Time, now: Time, patch: &ConfigPatch) -> Option<Time> {
    let config = config(patch);
    let mut breaker = Breaker::new(ms(0));
    breaker.trip(&config, Default::default(), ms(1_000));
    let mut snapshot = breaker.snapshot();
    snapshot.state = StateSnapshot::Open { retry_at: Some(retry_at) };
    let mut restored = Breaker::restore(snapshot, &config, now).unwrap();
    assert!(restored.since() <= now);
    let retry_at = restored.retry_at();
    restored.advance(&config, retry_at.unwrap());
    assert_eq!(restored.state(), StateKind::HalfOpen);
    retry_at
}

#[test]
fn open_ends_within_its_time_however_far_a_clock_was_set_back() {
    let minute = ConfigPatch::default();
    assert_eq!(ends(ms(61_000), ms(31_000), &minute), Some(ms(61_000)), "the rest of its time");
    let hour_before = ms(0) - Duration::from_secs(3_600);
    let in_a_minute = Some(hour_before + Duration::from_secs(60));
    assert_eq!(ends(ms(61_000), hour_before, &minute), in_a_minute, "all of its time");
    let absurd = Time::from_nanos(u64::MAX);
    assert_eq!(ends(absurd, ms(31_000), &minute), Some(ms(91_000)));
    assert_eq!(ends(absurd, hour_before, &minute), in_a_minute);
    // An OPEN that began short stays short.
    let in_two_seconds = Some(hour_before + Duration::from_secs(2));
    assert_eq!(ends(ms(3_000), hour_before, &minute), in_two_seconds);
}

#[test]
fn open_lasts_no_longer_than_the_longest_that_the_configuration_has() {
    let absurd = Time::from_nanos(u64::MAX);
    let within = |patch: &ConfigPatch| ends(absurd, ms(2_000), patch).unwrap().since(ms(2_000));
    let seconds = Duration::from_secs;
    let (multiplier, jitter) = (Thousandths(2_000), Thousandths(0));
    let backoff = Backoff { multiplier, max: seconds(600), jitter };
    let backoff = ConfigPatch { backoff: Some(Some(backoff)), ..Default::default() };
    assert_eq!(within(&backoff), seconds(600));
    let adaptive = ConfigPatch { adaptive: Some(Some(Adaptive::default())), ..Default::default() };
    assert_eq!(within(&adaptive), seconds(300));
    let levels = ConfigPatch { levels: Some(Some(Levels::default())), ..Default::default() };
    assert_eq!(within(&levels), seconds(120));
    let levels = ConfigPatch { backoff: backoff.backoff, ..levels };
    assert_eq!(within(&levels), seconds(600));
}
