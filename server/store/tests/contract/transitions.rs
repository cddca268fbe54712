use std::sync::Arc;

use anyhow::Result;
use breaker_core::{Attribution, Cause, Counts, Mode, StateKind, Time, Transition};
use breaker_engine::{Store, TransitionRecord, Trimmed};

use crate::databases::Database;
use crate::samples::{name, transition, transitions_batch, undamaged};

pub(crate) async fn every_field_survives(database: impl Database) -> Result<()> {
    let causes = [
        Cause::FailureThreshold,
        Cause::ConsecutiveFailures,
        Cause::OpenElapsed,
        Cause::ProbesSucceeded,
        Cause::ProbeFailed,
        Cause::ProbeExpired,
        Cause::ForcedOpen,
        Cause::ForcedClosed,
        Cause::Disabled,
        Cause::Shadowed,
        Cause::Released,
        Cause::OverrideExpired,
        Cause::Tripped,
        Cause::Reset,
        Cause::FailureRate,
        Cause::SlowCallRate,
        Cause::RampCompleted,
        Cause::ProbeRate,
        Cause::Deescalated,
    ];
    let states = [StateKind::Closed, StateKind::Open, StateKind::HalfOpen];
    let modes = [Mode::Normal, Mode::ForcedOpen, Mode::ForcedClosed, Mode::Disabled, Mode::Shadow];
    let record = |(index, &cause): (usize, &Cause)| {
        Ok(TransitionRecord {
            id: (6 << 40) + index as u64,
            breaker: name("payments/stripe-api")?,
            revision: (7 << 40) + index as u64,
            transition: Transition {
                from: states[index % 3],
                to: states[(index + 1) % 3],
                from_mode: modes[index % 5],
                to_mode: modes[(index + 1) % 5],
                from_level: (index % 2 == 0).then(|| "warning".into()),
                to_level: (index % 3 == 0).then(|| "critical".into()),
                generation: u64::MAX,
                cause,
                by: Attribution::new("anna", "a reason with ' and \" and ✓ and\na line")?,
                at: Time::from_nanos(1_700_000_000_123_456_789),
                counts: Counts {
                    failure_count: u32::MAX,
                    consecutive_failures: 1,
                    success_count: 2,
                    window_calls: 3,
                    window_failures: 4,
                },
            },
        })
    };
    let records = causes.iter().enumerate().map(record).collect::<Result<Vec<_>>>()?;
    let store = database.connect().await?;
    let batch = transitions_batch(records.iter().cloned().map(Arc::new).collect());
    store.commit(&batch).await?;
    drop(store);
    let store = database.connect().await?;
    assert_eq!(undamaged(store.transitions_after(0, 100).await?)?, records);
    Ok(())
}

/// Transitions 1 to 6, in turn of two breakers.
async fn six(store: &dyn Store) -> Result<()> {
    let of = |id| transition(id, if id % 2 == 0 { "a/even" } else { "a/odd" }, id);
    store.commit(&transitions_batch((1..=6).map(of).collect::<Result<_>>()?)).await?;
    Ok(())
}

fn ids(records: &[TransitionRecord]) -> Vec<u64> {
    records.iter().map(|record| record.id).collect()
}

pub(crate) async fn they_are_read_backwards_from_an_id(database: impl Database) -> Result<()> {
    let store = database.connect().await?;
    six(&*store).await?;
    for (before, limit, expected) in [
        (u64::MAX, usize::MAX, &[6, 5, 4, 3, 2, 1][..]),
        (5, 2, &[4, 3]),
        (2, 9, &[1]),
        (1, 9, &[]),
        (0, 9, &[]),
        (9, 0, &[]),
    ] {
        let found = undamaged(store.transitions_before(before, None, limit).await?)?;
        assert_eq!(ids(&found), expected, "before {before}, at most {limit}");
    }
    Ok(())
}

pub(crate) async fn they_are_read_backwards_for_one_breaker(database: impl Database) -> Result<()> {
    let store = database.connect().await?;
    six(&*store).await?;
    for (breaker, before, limit, expected) in [
        ("a/even", u64::MAX, 9, &[6, 4, 2][..]),
        ("a/even", 6, 1, &[4]),
        ("a/odd", 6, 9, &[5, 3, 1]),
        ("a/unknown", 6, 9, &[]),
    ] {
        let breaker = name(breaker)?;
        let found = undamaged(store.transitions_before(before, Some(&breaker), limit).await?)?;
        assert_eq!(ids(&found), expected, "{breaker} before {before}, at most {limit}");
    }
    Ok(())
}

pub(crate) async fn they_are_read_forwards_from_an_id(database: impl Database) -> Result<()> {
    let store = database.connect().await?;
    six(&*store).await?;
    for (after, limit, expected) in [
        (0, usize::MAX, &[1, 2, 3, 4, 5, 6][..]),
        (2, 2, &[3, 4]),
        (6, 9, &[]),
        (u64::MAX, 9, &[]),
        (0, 0, &[]),
    ] {
        let found = undamaged(store.transitions_after(after, limit).await?)?;
        assert_eq!(ids(&found), expected, "after {after}, at most {limit}");
    }
    Ok(())
}

pub(crate) async fn one_that_is_there_already_is_left(database: impl Database) -> Result<()> {
    let store = database.connect().await?;
    let batch = |from, breaker| {
        let transitions = (from..from + 3).map(|id| transition(id, breaker, 1));
        Ok::<_, anyhow::Error>(transitions_batch(transitions.collect::<Result<_>>()?))
    };
    store.commit(&batch(1, "a/first")?).await?;
    store.commit(&batch(2, "a/second")?).await?;
    let found = undamaged(store.transitions_after(0, 9).await?)?;
    assert_eq!(ids(&found), [1, 2, 3, 4]);
    assert_eq!(found[2].breaker, name("a/first")?);
    assert_eq!(found[3].breaker, name("a/second")?);
    Ok(())
}

/// An override that ends by its time to live can be noticed after something that came later.
pub(crate) async fn trimming_takes_the_oldest_ids_up_to_the_first_that_is_younger(
    database: impl Database,
) -> Result<()> {
    let store = database.connect().await?;
    let transitions = [(3, 10), (4, 12), (6, 30), (7, 11), (9, 40)];
    let transitions = transitions.map(|(id, at_s)| transition(id, "a/b", at_s));
    let transitions = transitions.into_iter().collect::<Result<_>>()?;
    store.commit(&transitions_batch(transitions)).await?;

    let at = |seconds: u64| Time::from_millis(seconds * 1_000);
    // What took effect at that very moment is not older.
    for (older_than, count, trimmed, left) in [
        (at(10), 0, 0, &[3, 4, 6, 7, 9][..]),
        (at(20), 2, 4, &[6, 7, 9]),
        (at(20), 0, 4, &[6, 7, 9]),
        (at(40), 2, 7, &[9]),
        (Time::from_nanos(u64::MAX), 1, 9, &[]),
        (Time::from_nanos(u64::MAX), 0, 9, &[]),
    ] {
        let expected = Trimmed { count, trimmed_transition_id: trimmed };
        assert_eq!(store.trim(older_than, 10).await?, expected, "{older_than:?}");
        let found = undamaged(store.transitions_after(0, 9).await?)?;
        assert_eq!(ids(&found), left, "{older_than:?}");
    }
    Ok(())
}

pub(crate) async fn trimming_takes_no_more_than_its_limit(database: impl Database) -> Result<()> {
    let store = database.connect().await?;
    six(&*store).await?;
    let later = Time::from_millis(99_000);
    for (limit, count, trimmed) in [(0, 0, 0), (4, 4, 4), (4, 2, 6), (4, 0, 6)] {
        let expected = Trimmed { count, trimmed_transition_id: trimmed };
        assert_eq!(store.trim(later, limit).await?, expected);
    }
    Ok(())
}
