use anyhow::Result;
use breaker_core::Time;
use breaker_engine::{
    Acknowledgement, AlertRow, AlertRule, Batch, MAX_NUMBER, ReceiverRow, Severity, Store,
};

use crate::databases::Database;
use crate::samples::name;

fn alert(id: u64) -> AlertRow {
    AlertRow {
        id,
        revision: id + 1,
        rule: AlertRule::StateChange,
        severity: Severity::High,
        breaker: None,
        summary: "something has happened".to_owned(),
        started_at: Time::from_millis(1),
        ended_at: None,
        notified_at: Time::from_millis(2),
        repeat_count: 0,
        acknowledgement: None,
    }
}

fn written(alerts: Vec<AlertRow>) -> Batch {
    Batch { alerts, ..Batch::default() }
}

/// Every alert of a store, by id.
async fn load(store: &dyn Store) -> Result<Vec<AlertRow>> {
    let mut stored = store.alerts().await?;
    anyhow::ensure!(stored.damaged.is_empty(), "{:?}", stored.damaged);
    stored.rows.sort_by_key(|row| row.id);
    Ok(stored.rows)
}

pub(crate) async fn every_field_survives(database: impl Database) -> Result<()> {
    let mut rows = vec![AlertRow {
        revision: MAX_NUMBER - 1,
        breaker: Some(name("payments/stripe")?),
        summary: "' \" é ✓ \n".to_owned(),
        started_at: Time::from_nanos(1_700_000_000_123_456_789),
        ended_at: Some(Time::from_nanos(u64::MAX)),
        repeat_count: u32::MAX,
        acknowledgement: Some(Acknowledgement {
            actor: "maria".to_owned(),
            comment: String::new(),
            at: Time::from_millis(9),
        }),
        ..alert(1)
    }];
    let kinds = AlertRule::ALL.iter().zip(Severity::ALL.iter().cycle());
    rows.extend(kinds.zip(2..).map(|((&rule, &severity), id)| AlertRow {
        rule,
        severity,
        ..alert(id)
    }));
    let store = database.connect().await?;
    store.commit(&written(rows.clone())).await?;
    drop(store);
    assert_eq!(load(&*database.connect().await?).await?, rows);
    Ok(())
}

pub(crate) async fn a_later_row_replaces_an_earlier_one(database: impl Database) -> Result<()> {
    let store = database.connect().await?;
    store.commit(&written(vec![alert(1), alert(2)])).await?;
    let later = AlertRow { revision: 7, ended_at: Some(Time::from_millis(3)), ..alert(1) };
    store.commit(&written(vec![later.clone()])).await?;
    assert_eq!(load(&*store).await?, [later, alert(2)]);
    Ok(())
}

pub(crate) async fn those_that_are_deleted_are_gone(database: impl Database) -> Result<()> {
    let store = database.connect().await?;
    store.commit(&written((1..=300).map(alert).collect())).await?;
    let alert_deletions = (1..=299).chain([1_000]).collect();
    store.commit(&Batch { alert_deletions, ..Batch::default() }).await?;
    assert_eq!(load(&*store).await?, [alert(300)]);
    Ok(())
}

pub(crate) async fn how_far_receivers_were_told_survives(database: impl Database) -> Result<()> {
    let row = |name: &str, told| ReceiverRow { name: name.into(), told };
    let written = |receivers| Batch { receivers, ..Batch::default() };
    let store = database.connect().await?;
    assert_eq!(store.alerts().await?.receivers, []);
    store.commit(&written(vec![row("ops", 1), row("slack", MAX_NUMBER - 1)])).await?;
    store.commit(&written(vec![row("ops", 2)])).await?;
    drop(store);
    let stored = database.connect().await?.alerts().await?;
    assert_eq!(stored.damaged_receivers, []);
    let mut receivers = stored.receivers;
    receivers.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(receivers, [row("ops", 2), row("slack", MAX_NUMBER - 1)]);
    Ok(())
}
