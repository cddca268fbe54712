//! Snapshots: what they refuse, and permits that were handed out after one was taken.

use crate::tests::story::{config, ms};
use crate::{
    Breaker, ConfigPatch, Outcome, OverrideKind, PermitId, Report, Run, SnapshotError, StateKind,
    WindowSnapshot,
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
        let restored = Breaker::restore(snapshot.clone(), &config).unwrap();
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
    let mut restored = Breaker::restore(snapshot, &config).unwrap();
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
    let mut without_generation = breaker.snapshot();
    without_generation.generation = 0;
    assert_eq!(Breaker::restore(without_generation, &config), Err(SnapshotError::NoGeneration));
    let mut with_bad_call = breaker.snapshot();
    let window = &mut with_bad_call.metrics.as_mut().unwrap().window;
    let WindowSnapshot::Calls(calls) = window else { panic!("a window over calls") };
    calls[2] = 4;
    assert_eq!(Breaker::restore(with_bad_call, &config), Err(SnapshotError::BadCall(2)));
}
