use std::cmp::Reverse;
use std::sync::Arc;

use anyhow::Result;
use breaker_core::{Attribution, Cause, Counts, Mode, StateKind, Time, Transition};
use breaker_engine::{HistoryRange, HistoryScope, Moment, Store, TransitionRecord, Trimmed};
use rand::RngExt;

use crate::databases::Database;
use crate::samples::{name, seeded, transition, transitions_batch, undamaged};

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

/// What happened to two breakers: the third was noticed late, and the last three happened at once.
const EVENTS: [(u64, u64, &str, Cause, &str); 6] = [
    (1, 10, "a/b", Cause::FailureRate, ""),
    (2, 30, "a/c", Cause::FailureRate, ""),
    (3, 20, "a/b", Cause::OverrideExpired, "anna"),
    (5, 40, "a/b", Cause::Tripped, "anna"),
    (6, 40, "a/c", Cause::Tripped, "anna"),
    (7, 40, "a/b", Cause::OpenElapsed, ""),
];

fn at(seconds: u64) -> Time {
    Time::from_millis(seconds * 1_000)
}

fn event(
    (id, at_s, breaker, cause, actor): (u64, u64, &str, Cause, &str),
) -> Result<Arc<TransitionRecord>> {
    let mut record = TransitionRecord::clone(&*transition(id, breaker, at_s)?);
    record.transition.cause = cause;
    record.transition.by = Attribution::new(actor, "")?;
    Ok(Arc::new(record))
}

async fn events(store: &dyn Store) -> Result<()> {
    let events = EVENTS.map(event).into_iter().collect::<Result<_>>()?;
    store.commit(&transitions_batch(events)).await?;
    Ok(())
}

pub(crate) async fn the_latest_come_first_and_of_those_at_once_the_highest_id(
    database: impl Database,
) -> Result<()> {
    let store = database.connect().await?;
    assert!(undamaged(store.history(&HistoryRange::everything(), 9).await?)?.is_empty());
    events(&*store).await?;
    let everything = [(40, 7), (40, 6), (40, 5), (30, 2), (20, 3), (10, 1)];
    for (limit, count) in [(0, 0), (2, 2), (usize::MAX, 6)] {
        let found = undamaged(store.history(&HistoryRange::everything(), limit).await?)?;
        let found: Vec<_> = found.iter().map(TransitionRecord::moment).collect();
        let expected = everything.map(|(at_s, id)| Moment { at: at(at_s), id });
        assert_eq!(found, expected[..count], "at most {limit}");
    }
    Ok(())
}

pub(crate) async fn a_range_begins_with_a_time_and_ends_before_a_place(
    database: impl Database,
) -> Result<()> {
    let store = database.connect().await?;
    events(&*store).await?;
    for (from_s, before, expected) in [
        (0, Moment { at: at(40), id: 7 }, &[6, 5, 2, 3, 1][..]),
        (0, Moment { at: at(40), id: 5 }, &[2, 3, 1]),
        (0, Moment::start_of(at(40)), &[2, 3, 1]),
        (20, Moment::start_of(at(40)), &[2, 3]),
        (20, Moment::start_of(at(30)), &[3]),
        (40, Moment { at: at(40), id: 6 }, &[5]),
        (41, Moment::END, &[]),
        (30, Moment { at: at(20), id: 9 }, &[]),
        (0, Moment::START, &[]),
    ] {
        let range = HistoryRange { before, from: at(from_s), ..HistoryRange::everything() };
        let found = undamaged(store.history(&range, 9).await?)?;
        assert_eq!(ids(&found), expected, "{range:?}");
    }
    Ok(())
}

pub(crate) async fn a_range_is_of_a_breaker_an_actor_or_causes(
    database: impl Database,
) -> Result<()> {
    let store = database.connect().await?;
    events(&*store).await?;
    let actor = |actor: &str| HistoryScope::Actor(actor.into());
    let causes = |causes: &[Cause]| HistoryScope::Causes(causes.to_vec());
    for (scope, expected) in [
        (HistoryScope::Breaker(name("a/b")?), &[7, 5, 3, 1][..]),
        (HistoryScope::Breaker(name("a/unknown")?), &[]),
        (actor("anna"), &[6, 5, 3]),
        (actor("ann"), &[]),
        (causes(&[Cause::Tripped]), &[6, 5]),
        (causes(&[Cause::FailureRate, Cause::OpenElapsed, Cause::Tripped]), &[7, 6, 5, 2, 1]),
        (causes(&[Cause::Reset]), &[]),
    ] {
        let range = HistoryRange { scope, ..HistoryRange::everything() };
        assert_eq!(ids(&undamaged(store.history(&range, 9).await?)?), expected, "{range:?}");
    }
    Ok(())
}

pub(crate) async fn every_range_holds_what_looking_through_everything_finds(
    database: impl Database,
) -> Result<()> {
    let store = database.connect().await?;
    let mut random = seeded(3);
    let causes = [Cause::FailureRate, Cause::OpenElapsed, Cause::Tripped, Cause::Reset];
    let mut records = Vec::new();
    for id in 1..=300 {
        let (breaker, actor) = (random.random_range(0..3), random.random_range(0..3));
        let cause = causes[random.random_range(0..4)];
        let actor = ["", "anna", "bert"][actor];
        let at_s = random.random_range(0..40);
        records.push(event((id, at_s, ["a/b", "a/c", "b/c"][breaker], cause, actor))?);
    }
    store.commit(&transitions_batch(records.clone())).await?;
    records.sort_by_key(|record| Reverse(record.moment()));
    for _ in 0..200 {
        let scope = match random.random_range(0..4) {
            0 => HistoryScope::All,
            1 => HistoryScope::Breaker(name(["a/b", "a/c"][random.random_range(0..2)])?),
            2 => HistoryScope::Actor(["anna", "bert"][random.random_range(0..2)].into()),
            _ => HistoryScope::Causes(causes[random.random_range(0..4)..].to_vec()),
        };
        let (end_s, id) = (random.random_range(0..41), random.random_range(0..302));
        let before = Moment { at: at(end_s), id };
        let range = HistoryRange { scope, before, from: at(random.random_range(0..40)) };
        let limit = random.random_range(0..30);
        let expected = records.iter().filter(|record| range.contains(record)).take(limit);
        let expected: Vec<_> = expected.map(|record| TransitionRecord::clone(record)).collect();
        assert_eq!(
            undamaged(store.history(&range, limit).await?)?,
            expected,
            "{range:?}, at most {limit}"
        );
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
