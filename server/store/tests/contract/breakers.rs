use std::collections::HashSet;
use std::time::Duration;

use anyhow::Result;
use breaker_core::{
    AdaptedSnapshot, Attribution, BadCallsSnapshot, BreakerSnapshot, CallSums, ErrorKind,
    LastFailure, MemorySnapshot, MetricsSnapshot, OverrideKind, OverrideSnapshot, Permit, PermitId,
    QuorumSnapshot, Ramping, StateSnapshot, Time, Totals, WindowSnapshot,
};
use breaker_engine::{Batch, BreakerRow, Deletion};

use crate::databases::Database;
use crate::samples::{full_config, lead_a_life, load, name, row, rows_batch, seeded};

pub(crate) async fn every_field_survives(database: impl Database) -> Result<()> {
    let half_open = BreakerRow {
        name: name("payments/stripe-api")?,
        snapshot: BreakerSnapshot {
            state: StateSnapshot::HalfOpen {
                permits: vec![
                    Permit { id: PermitId::from_u64((9 << 32) + 1), deadline: Time::from_nanos(1) },
                    Permit {
                        id: PermitId::from_u64(u64::MAX),
                        deadline: Time::from_nanos(u64::MAX),
                    },
                ],
                successes: 2,
                failures: 3,
                next_serial: u32::MAX,
                ramp: Some(Ramping { step: 2, ends_at: Time::from_nanos(u64::MAX), credit: 99 }),
            },
            since: Time::from_nanos(1_700_000_000_123_456_789),
            generation: 9,
            failure_count: u32::MAX,
            consecutive_failures: 4,
            override_: Some(OverrideSnapshot {
                kind: OverrideKind::Shadow,
                by: Attribution::new("anna", "a reason with ' and \" and ✓ and\na line")?,
                set_at: Time::from_nanos(5),
                expires_at: Some(Time::from_nanos(u64::MAX)),
            }),
            metrics: Some(MetricsSnapshot {
                totals: Totals {
                    successes: 1,
                    failures: 2,
                    timeouts: 3,
                    ignored: 4,
                    late: 5,
                    denied: u64::MAX,
                },
                window: WindowSnapshot::Calls(vec![1, u64::MAX, 0x0102_0304_0506_0708]),
                recent: (1 << 20) - 1,
                last_failure: Some(LastFailure::new(
                    Time::from_nanos(6),
                    ErrorKind::parse("http.503")?.as_ref(),
                )),
            }),
            memory: Some(memory(
                WindowSnapshot::Calls(vec![1, 2]),
                BadCallsSnapshot::Calls(vec![0, 1, u8::MAX]),
            )),
        },
        own_config: full_config(),
        revision: (5 << 40) + 17,
        config_revision: (4 << 40) + 3,
        created_at: Time::from_nanos(8),
        used_at: Some(Time::from_nanos(11)),
    };
    let mut open = half_open.clone();
    open.name = name("payments/paypal")?;
    open.snapshot.state = StateSnapshot::Open { retry_at: Some(Time::from_nanos(10)) };
    open.snapshot.metrics = Some(MetricsSnapshot {
        totals: Totals::default(),
        window: buckets(),
        recent: 0,
        last_failure: Some(LastFailure::new(Time::EPOCH, None)),
    });
    let bad_buckets = vec![(8, vec![0; 9], vec![1; 9]), (u64::MAX, vec![u32::MAX; 9], vec![0; 9])];
    let bad_calls = BadCallsSnapshot::Buckets { width: 1_000, buckets: bad_buckets };
    open.snapshot.memory = Some(memory(buckets(), bad_calls));
    let mut held_open = row("payments/adyen", 3)?;
    held_open.snapshot.state = StateSnapshot::Open { retry_at: None };
    let mut idle = row("payments/klarna", 3)?;
    idle.used_at = Some(Time::from_nanos(1_700_000_000_000_000_000));
    let rows = vec![held_open, idle, open, half_open];

    let store = database.connect().await?;
    store.commit(&rows_batch(rows.clone())).await?;
    drop(store);
    assert_eq!(load(&*database.connect().await?).await?, rows);
    Ok(())
}

fn buckets() -> WindowSnapshot {
    let sums = CallSums { calls: 4, failures: 3, slow: 2, success_nanos: u64::MAX };
    WindowSnapshot::Buckets { width: 1_000, buckets: vec![(7, sums), (u64::MAX, sums)] }
}

fn memory(window: WindowSnapshot, bad_calls: BadCallsSnapshot) -> MemorySnapshot {
    MemorySnapshot {
        window: Some(window),
        quorum: Some(QuorumSnapshot {
            slots: vec![0, 1, 2, 3, 4, 5, 6, u64::MAX],
            crowd: u64::MAX,
            count: (0..9).collect(),
            streak: vec![u32::MAX; 9],
            window: Some(bad_calls),
        }),
        adapted: Some(AdaptedSnapshot {
            history: vec![1, u64::MAX],
            open_duration: Duration::from_nanos(1_500_000_001),
            base: Duration::from_secs(60),
        }),
        level: 2,
        level_since: Time::from_nanos(11),
        reopens: u32::MAX,
    }
}

pub(crate) async fn breakers_that_led_a_life_survive(database: impl Database) -> Result<()> {
    let mut random = seeded(7);
    let mut rows = Vec::new();
    let (mut states, mut modes) = (HashSet::new(), HashSet::new());
    let mut remembered = HashSet::new();
    lead_a_life(&mut random, 2_000, |breaker| {
        remembered.extend(breaker.snapshot().memory.iter().flat_map(kinds_of_memory));
        states.insert(breaker.state());
        modes.insert(breaker.mode());
        rows.extend(
            row(&format!("n/{:06}", rows.len()), 1)
                .map(|row| BreakerRow { snapshot: breaker.snapshot(), ..row }),
        );
    })?;
    assert_eq!((states.len(), modes.len()), (3, 5), "some state or mode was never stored");
    assert_eq!(remembered.len(), 5, "some kind of memory was never stored: {remembered:?}");
    let store = database.connect().await?;
    for rows in rows.chunks(300) {
        store.commit(&rows_batch(rows.to_vec())).await?;
    }
    drop(store);
    assert_eq!(load(&*database.connect().await?).await?, rows);
    Ok(())
}

fn kinds_of_memory(memory: &MemorySnapshot) -> Vec<&'static str> {
    let window = memory.window.as_ref().map(|window| match window {
        WindowSnapshot::Calls(_) => "calls",
        WindowSnapshot::Buckets { .. } => "buckets",
    });
    let quorum = memory.quorum.as_ref().map(|_| "quorum");
    let adapted = memory.adapted.as_ref().map(|_| "adapted");
    let level = (memory.level > 0).then_some("level");
    [window, quorum, adapted, level].into_iter().flatten().collect()
}

/// Not a multiple of anything that a store may write at once.
pub(crate) async fn many_rows_are_written_at_once(database: impl Database) -> Result<()> {
    let rows = (0..1_001).map(|n| row(&format!("n/{n:06}"), n)).collect::<Result<Vec<_>>>()?;
    let store = database.connect().await?;
    store.commit(&rows_batch(rows.clone())).await?;
    assert_eq!(load(&*store).await?, rows);
    Ok(())
}

pub(crate) async fn a_later_row_replaces_an_earlier_one(database: impl Database) -> Result<()> {
    let store = database.connect().await?;
    let other = row("a/other", 1)?;
    let mut earlier = row("a/b", 1)?;
    earlier.own_config = full_config();
    earlier.snapshot.metrics = Some(MetricsSnapshot {
        totals: Totals::default(),
        window: WindowSnapshot::Calls(vec![1]),
        recent: 1,
        last_failure: None,
    });
    store.commit(&rows_batch(vec![earlier, other.clone()])).await?;
    // In one batch too, the last one counts.
    let later = row("a/b", 3)?;
    store.commit(&rows_batch(vec![row("a/b", 2)?, later.clone()])).await?;
    assert_eq!(load(&*store).await?, [later, other]);
    Ok(())
}

pub(crate) async fn a_deletion_takes_a_breaker_up_to_its_revision(
    database: impl Database,
) -> Result<()> {
    let store = database.connect().await?;
    let again = row("a/created-again", 11)?;
    store.commit(&rows_batch(vec![row("a/b", 10)?, row("a/c", 9)?, again.clone()])).await?;
    let deletion = |text| Ok(Deletion { name: name(text)?, revision: 10, generation: 1 });
    let deletions = ["a/b", "a/c", "a/created-again", "a/never-there"].map(deletion);
    let deletions = deletions.into_iter().collect::<Result<_>>()?;
    store.commit(&Batch { deletions, ..Batch::default() }).await?;
    assert_eq!(load(&*store).await?, [again]);
    Ok(())
}

pub(crate) async fn a_deletion_comes_after_the_rows_of_its_batch(
    database: impl Database,
) -> Result<()> {
    let store = database.connect().await?;
    let created_again = row("a/c", 6)?;
    let deletion = |text| Ok(Deletion { name: name(text)?, revision: 5, generation: 1 });
    let batch = Batch {
        rows: vec![row("a/b", 5)?, created_again.clone()],
        deletions: ["a/b", "a/c"].map(deletion).into_iter().collect::<Result<_>>()?,
        ..Batch::default()
    };
    store.commit(&batch).await?;
    assert_eq!(load(&*store).await?, [created_again]);
    Ok(())
}

pub(crate) async fn an_empty_batch_changes_nothing(database: impl Database) -> Result<()> {
    let store = database.connect().await?;
    let rows = vec![row("a/b", 1)?];
    store.commit(&rows_batch(rows.clone())).await?;
    store.commit(&Batch::default()).await?;
    assert_eq!(load(&*store).await?, rows);
    Ok(())
}
