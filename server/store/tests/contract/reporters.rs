use anyhow::Result;
use breaker_core::Time;
use breaker_engine::{Batch, Forgotten, ReporterRow, Silence, Store};

use crate::databases::Database;
use crate::samples::{load, row};

fn reporter(id: &str, heard_at_ms: u64) -> ReporterRow {
    let heard_at = Time::from_millis(heard_at_ms);
    ReporterRow { id: id.into(), highest: 1, recent: 1, heard_at }
}

fn written(reporters: Vec<ReporterRow>) -> Batch {
    Batch { reporters, ..Batch::default() }
}

/// At most so many of the reporters of a store, the one first that was silent for longest.
async fn heard_last(store: &dyn Store, limit: usize) -> Result<Vec<ReporterRow>> {
    let mut rows = Vec::new();
    store.reporters(limit, &mut |loaded| rows.push(loaded)).await?;
    let read =
        |loaded: Result<_, (String, _)>| loaded.map_err(|(id, d)| anyhow::anyhow!("{id} {d}"));
    rows.into_iter().map(read).collect()
}

async fn ids(store: &dyn Store, limit: usize) -> Result<Vec<String>> {
    let rows = heard_last(store, limit).await?;
    Ok(rows.into_iter().map(|row| row.id.into()).collect())
}

pub(crate) async fn every_field_survives(database: impl Database) -> Result<()> {
    let rows = vec![
        ReporterRow { highest: u64::MAX, recent: u128::MAX, ..reporter("a", 1) },
        ReporterRow { highest: 1 << 63, recent: (1 << 127) | 1, ..reporter("\0 ' ✓ \u{7f}", 2) },
        ReporterRow { recent: 0x0102_0304_0506_0709, ..reporter(&"é".repeat(100), 1_700_000) },
    ];
    let store = database.connect().await?;
    store.commit(&written(rows.clone())).await?;
    drop(store);
    assert_eq!(heard_last(&*database.connect().await?, 10).await?, rows);
    Ok(())
}

pub(crate) async fn they_are_written_with_the_rows_that_their_reports_are_in(
    database: impl Database,
) -> Result<()> {
    let store = database.connect().await?;
    let rows = vec![row("a/b", 1)?];
    let reporters = vec![reporter("a", 1)];
    store.commit(&Batch { rows: rows.clone(), ..written(reporters.clone()) }).await?;
    assert_eq!(load(&*store).await?, rows);
    assert_eq!(heard_last(&*store, 10).await?, reporters);
    Ok(())
}

pub(crate) async fn a_later_row_replaces_an_earlier_one(database: impl Database) -> Result<()> {
    let store = database.connect().await?;
    store.commit(&written(vec![reporter("a", 1), reporter("b", 2)])).await?;
    let later = ReporterRow { highest: 3, recent: 0b101, ..reporter("a", 3) };
    store.commit(&written(vec![later.clone()])).await?;
    assert_eq!(heard_last(&*store, 10).await?, [reporter("b", 2), later]);
    Ok(())
}

pub(crate) async fn those_heard_of_last_are_read_and_the_longest_silent_comes_first(
    database: impl Database,
) -> Result<()> {
    let store = database.connect().await?;
    let rows = (0..5_000).map(|number| reporter(&format!("r{}", number * 7_919 % 5_000), number));
    store.commit(&written(rows.collect())).await?;
    assert_eq!(ids(&*store, 5_000).await?.len(), 5_000);
    let latest: Vec<_> =
        (4_997..5_000).map(|number| format!("r{}", number * 7_919 % 5_000)).collect();
    assert_eq!(ids(&*store, 3).await?, latest);
    Ok(())
}

pub(crate) async fn the_silent_are_forgotten_a_few_at_a_time(
    database: impl Database,
) -> Result<()> {
    let store = database.connect().await?;
    let heard = [("a", 10), ("b", 99), ("c", 100), ("d", 20), ("e", 200), ("f", 30)];
    store.commit(&written(heard.map(|(id, at)| reporter(id, at)).into())).await?;
    let forget = |after: &str, limit| {
        let (since, after) = (Time::from_millis(100), after.as_bytes().to_vec());
        let store = &store;
        async move { store.forget_reporters(&Silence { since, after, limit }).await }
    };
    let forgotten = |count, last: Option<&str>| Forgotten { count, last: last.map(Into::into) };
    assert_eq!(forget("", 2).await?, forgotten(2, Some("b")));
    assert_eq!(ids(&*store, 10).await?, ["d", "f", "c", "e"]);
    assert_eq!(forget("b", 1).await?, forgotten(0, Some("c")));
    assert_eq!(forget("c", 3).await?, forgotten(2, Some("f")), "there could be more");
    assert_eq!(forget("f", 3).await?, forgotten(0, None));
    assert_eq!(forget("", 3).await?, forgotten(0, None));
    assert_eq!(ids(&*store, 10).await?, ["c", "e"]);
    Ok(())
}
