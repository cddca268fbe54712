//! A database that goes away and comes back: nobody waits for it, and nothing is lost.

use std::sync::Arc;

use breaker_core::{Attribution, ConfigPatch, Mode, Outcome, OverrideKind, Run, StateKind};
use breaker_engine::{
    Action, Admitted, BreakerReport, Durability, Engine, EngineError, Selector, StoreError,
};
use tokio::sync::oneshot;

use crate::flaky::{Flaky, name, start};

fn failures(breaker: &str) -> BreakerReport<'static> {
    let runs = vec![(Run::new(Outcome::Failure, 5), None)];
    BreakerReport { breaker: name(breaker), admitted: Admitted::Current, runs }
}

async fn force_open(engine: &Arc<Engine>, durability: Durability) -> Result<bool, EngineError> {
    let action = Action::Override { kind: OverrideKind::ForcedOpen, time_to_live: None };
    let selector = Selector::parse("a/b").unwrap();
    let changed = engine.apply(&selector, action, Attribution::default(), durability).await?;
    Ok(changed.is_durable)
}

#[tokio::test(start_paused = true)]
async fn a_change_is_made_without_storage_and_written_when_it_is_back() {
    let store = Arc::new(Flaky::default());
    let (engine, tasks) = start(&store).await;
    store.go_away();
    engine.report("", 0, &[failures("a/b")]).unwrap();
    assert_eq!(engine.get(&name("a/b")).unwrap().status.state, StateKind::Open);
    assert!(!force_open(&engine, Durability::Preferred).await.unwrap(), "it says so");
    assert!(engine.storage_status().borrow().failing.is_some());
    assert_eq!(engine.waiting_transitions(), 2);

    store.come_back();
    let mut status = engine.storage_status();
    status.wait_for(|status| status.failing.is_none()).await.unwrap();
    tasks.shut_down().await.unwrap();
    let rows = store.rows.lock();
    assert!(rows[&name("a/b")].snapshot.override_.is_some());
    assert_eq!(store.transitions.lock().len(), 2, "no transition was lost");
}

#[tokio::test(start_paused = true)]
async fn a_change_that_has_to_be_durable_is_not_made_without_storage() {
    let store = Arc::new(Flaky::default());
    let (engine, tasks) = start(&store).await;
    engine.acquire("a/b").unwrap();
    store.go_away();
    let error = force_open(&engine, Durability::Required).await.unwrap_err();
    assert!(matches!(error, EngineError::Store(StoreError::Unavailable(_))), "{error}");
    let created = engine.create(name("a/c"), ConfigPatch::default(), Durability::Required).await;
    assert!(created.is_err());
    assert!(engine.delete(&name("a/b"), None, Durability::Required).await.is_err());
    let view = engine.get(&name("a/b")).unwrap();
    // Its revision may: what could not be written can have got through, and lies below then.
    assert_eq!((view.status.mode, view.status.state), (Mode::Normal, StateKind::Closed));
    assert!(engine.get(&name("a/c")).is_err());

    store.come_back();
    assert!(force_open(&engine, Durability::Required).await.unwrap());
    assert_eq!(engine.get(&name("a/b")).unwrap().status.mode, Mode::ForcedOpen);
    tasks.shut_down().await.unwrap();
}

/// The next commit waits: returns what tells that it has come, and what lets it go on.
fn hold_next_commit(store: &Flaky) -> (oneshot::Receiver<()>, oneshot::Sender<()>) {
    let (reached, is_reached) = oneshot::channel();
    let (go_on, may_go_on) = oneshot::channel();
    *store.gate.lock() = Some((reached, may_go_on));
    (is_reached, go_on)
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_takes_long_is_shown_before_it_is_given_up() {
    let store = Arc::new(Flaky::default());
    let (engine, tasks) = start(&store).await;
    let (is_reached, go_on) = hold_next_commit(&store);
    engine.report("", 0, &[failures("a/b")]).unwrap();
    is_reached.await.unwrap();
    let mut status = engine.storage_status();
    let shown = status.wait_for(|status| status.failing.is_some()).await.unwrap().clone();
    assert_eq!(shown.attempts, 0, "it has not failed yet");
    go_on.send(()).unwrap();
    status.wait_for(|status| status.failing.is_none()).await.unwrap();
    tasks.shut_down().await.unwrap();
    assert_eq!(store.transitions.lock().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_cannot_write_at_its_end_says_so() {
    let store = Arc::new(Flaky::default());
    let (engine, tasks) = start(&store).await;
    engine.acquire("a/b").unwrap();
    store.go_away();
    assert!(tasks.shut_down().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn no_more_breakers_are_made_than_there_may_be() {
    let store = Arc::new(Flaky::default());
    let (engine, tasks) = start(&store).await;
    for index in 0..10 {
        engine.acquire(&format!("a/{index}")).unwrap();
    }
    let refused = |error| matches!(error, EngineError::TooManyBreakers { limit: 10 });
    assert!(refused(engine.acquire("a/10").unwrap_err()));
    assert!(refused(engine.report("", 0, &[failures("a/10"), failures("a/0")]).unwrap_err()));
    assert_eq!(engine.get(&name("a/0")).unwrap().status.state, StateKind::Closed);
    engine.delete(&name("a/0"), None, Durability::Preferred).await.unwrap();
    assert!(engine.acquire("a/10").is_ok());
    tasks.shut_down().await.unwrap();
}
