//! Restoring on a store that goes away, and what nobody may do meanwhile.

use std::sync::Arc;

use breaker_core::{Breaker, ConfigPatch, Time};
use breaker_engine::{
    BackupOrigin, BreakerRow, Durability, EngineError, Floors, Opened, Restored, StoreError,
};

use crate::flaky::{Flaky, name, start};

fn row(text: &str) -> BreakerRow {
    BreakerRow {
        name: name(text),
        snapshot: Breaker::new(Time::from_millis(1)).snapshot(),
        own_config: ConfigPatch::default(),
        revision: (3 << 40) + 5,
        config_revision: 1,
        created_at: Time::from_millis(1),
        used_at: None,
    }
}

fn origin() -> BackupOrigin {
    BackupOrigin { floors: Floors { incarnation: 3, ..Floors::default() }, last_transition_id: 0 }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_made_while_a_backup_is_restored_and_all_lies_above_it_afterwards() {
    let store = Arc::new(Flaky::default());
    let (engine, tasks) = start(&store).await;
    let mut restore = Arc::clone(&engine).restore().await.unwrap();
    restore.begin(1, origin()).unwrap();
    restore.breaker(2, row("a/b")).unwrap();
    assert!(matches!(engine.acquire("a/b"), Err(EngineError::Restoring)));
    let created = engine.create(name("a/c"), ConfigPatch::default(), Durability::Required).await;
    assert!(matches!(created, Err(EngineError::Restoring)));
    assert!(matches!(Arc::clone(&engine).restore().await, Err(EngineError::Restoring)));

    let restored = restore.finish().await.unwrap();
    assert_eq!(restored, Restored { breakers: 1, ..Restored::default() });
    assert_eq!(engine.get(&name("a/b")).unwrap().status.revision, 4 << 40);
    engine.acquire("a/c").unwrap();
    assert!(engine.get(&name("a/c")).unwrap().status.revision > 4 << 40);
    assert!(matches!(Arc::clone(&engine).restore().await, Err(EngineError::NotEmpty(_))));
    tasks.shut_down().await.unwrap();
    assert_eq!(store.rows.lock()[&name("a/b")].revision, 4 << 40);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_not_begun_with_and_one_that_goes_away_is_lost() {
    let store = Arc::new(Flaky::default());
    let (engine, _tasks) = start(&store).await;
    store.go_away();
    let refused = Arc::clone(&engine).restore().await.err();
    assert!(matches!(refused, Some(EngineError::Store(StoreError::Unavailable(_)))));
    store.come_back();
    // What was given up before anything was written leaves nothing behind.
    let mut restore = Arc::clone(&engine).restore().await.unwrap();
    restore.breaker(2, row("a/b")).unwrap();
    drop(restore);

    let mut restore = Arc::clone(&engine).restore().await.unwrap();
    restore.begin(1, origin()).unwrap();
    restore.breaker(2, row("a/b")).unwrap();
    let (reached, is_reached) = tokio::sync::oneshot::channel();
    let (go_on, may_go_on) = tokio::sync::oneshot::channel();
    *store.gate.lock() = Some((reached, may_go_on));
    let finishing = tokio::spawn(restore.finish());
    is_reached.await.unwrap();
    store.go_away();
    go_on.send(()).unwrap();
    let failed = finishing.await.unwrap().unwrap_err();
    assert!(failed.to_string().contains("throw the database away"), "{failed}");
    assert!(matches!(engine.acquire("a/b"), Err(EngineError::HalfRestored)));
    assert!(matches!(Arc::clone(&engine).restore().await, Err(EngineError::HalfRestored)));
}

#[tokio::test(start_paused = true)]
async fn a_row_that_comes_twice_is_refused_by_its_line() {
    let store = Arc::new(Flaky::default());
    let (engine, tasks) = start(&store).await;
    let mut restore = Arc::clone(&engine).restore().await.unwrap();
    restore.breaker(2, row("a/b")).unwrap();
    let error = restore.breaker(3, row("a/b")).unwrap_err();
    assert_eq!(error.to_string(), "line 3: breaker `a/b` comes twice");
    drop(restore);
    tasks.shut_down().await.unwrap();
    assert_eq!(*store.opened.lock(), Opened::default());
}
