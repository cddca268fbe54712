use anyhow::Result;
use breaker_core::Time;
use breaker_engine::{Batch, Deletion, Floors, Opened, RestoreStep};

use crate::databases::Database;
use crate::samples::{name, transition, transitions_batch};

pub(crate) async fn a_new_store_has_no_past(database: impl Database) -> Result<()> {
    assert_eq!(database.connect().await?.open().await?, Opened::default());
    Ok(())
}

pub(crate) async fn a_life_that_ended_is_followed_by_one_of_the_same_incarnation(
    database: impl Database,
) -> Result<()> {
    for _ in 0..3 {
        let store = database.connect().await?;
        assert_eq!(store.open().await?, Opened::default());
        store.close().await?;
    }
    Ok(())
}

pub(crate) async fn a_life_that_did_not_end_is_followed_by_a_new_incarnation(
    database: impl Database,
) -> Result<()> {
    database.connect().await?.open().await?;
    for crashes in 1..4 {
        let opened = database.connect().await?.open().await?;
        assert_eq!((opened.incarnation, opened.after_crash), (crashes, true));
    }
    let store = database.connect().await?;
    assert_eq!(store.open().await?.incarnation, 4);
    store.close().await?;
    drop(store);
    let opened = database.connect().await?.open().await?;
    assert_eq!((opened.incarnation, opened.after_crash), (4, false));
    Ok(())
}

pub(crate) async fn floors_are_those_of_all_deleted_breakers(
    database: impl Database,
) -> Result<()> {
    let store = database.connect().await?;
    let highest = (7 << 40) + 1;
    for deletions in [&[(2, 9), (highest, 1)][..], &[(1, 3)]] {
        // A breaker that was deleted before it was ever written counts too.
        let deletion = |&(revision, generation): &(u64, u64)| {
            Ok(Deletion { name: name("a/b")?, revision, generation })
        };
        let deletions = deletions.iter().map(deletion).collect::<Result<_>>()?;
        store.commit(&Batch { deletions, ..Batch::default() }).await?;
    }
    drop(store);
    let opened = database.connect().await?.open().await?;
    assert_eq!((opened.revision_floor, opened.generation_floor), (highest, 9));
    Ok(())
}

pub(crate) async fn the_last_transition_is_known_even_when_it_was_trimmed(
    database: impl Database,
) -> Result<()> {
    let store = database.connect().await?;
    let ids = [(2 << 40) + 1, (2 << 40) + 5];
    let transitions = ids.map(|id| transition(id, "a/b", 1)).into_iter().collect::<Result<_>>()?;
    store.commit(&transitions_batch(transitions)).await?;
    drop(store);

    let store = database.connect().await?;
    let opened = store.open().await?;
    assert_eq!((opened.last_transition_id, opened.trimmed_transition_id), (ids[1], 0));
    store.trim(Time::from_nanos(u64::MAX), 10).await?;
    drop(store);

    let opened = database.connect().await?.open().await?;
    assert_eq!((opened.last_transition_id, opened.trimmed_transition_id), (ids[1], ids[1]));
    Ok(())
}

/// A restore that only begins, and reaches this.
fn begins(floors: Floors) -> Batch {
    Batch { restore: Some(RestoreStep::Begins(floors)), ..Batch::default() }
}

pub(crate) async fn a_restore_that_did_not_end_is_known(database: impl Database) -> Result<()> {
    let store = database.connect().await?;
    assert!(!store.open().await?.is_half_restored);
    let transitions = vec![transition(1, "a/b", 1)?];
    let batch = Batch { transitions, ..begins(Floors::default()) };
    store.commit(&batch).await?;
    store.close().await?;
    drop(store);
    let store = database.connect().await?;
    assert!(store.open().await?.is_half_restored);
    store.commit(&Batch { restore: Some(RestoreStep::Ends), ..Batch::default() }).await?;
    drop(store);
    let opened = database.connect().await?.open().await?;
    assert_eq!((opened.is_half_restored, opened.last_transition_id), (false, 1));
    Ok(())
}

pub(crate) async fn a_restore_raises_what_the_store_had_reached(
    database: impl Database,
) -> Result<()> {
    let store = database.connect().await?;
    store.open().await?;
    let high = Floors {
        incarnation: 7,
        revision_floor: 6 << 40,
        generation_floor: 9,
        policy_revision_floor: (5 << 40) + 1,
        trimmed_transition_id: (4 << 40) + 2,
    };
    store.commit(&begins(high)).await?;
    store.commit(&begins(Floors { incarnation: 1, ..Floors::default() })).await?;
    store.close().await?;
    drop(store);
    let opened = database.connect().await?.open().await?;
    let expected = Opened {
        incarnation: 7,
        after_crash: false,
        revision_floor: 6 << 40,
        generation_floor: 9,
        policy_revision_floor: (5 << 40) + 1,
        last_transition_id: (4 << 40) + 2,
        trimmed_transition_id: (4 << 40) + 2,
        is_half_restored: true,
    };
    assert_eq!(opened, expected);
    Ok(())
}
