//! What answers say of the disk, and what a change that was not to be leaves there.

use std::sync::Arc;

use breaker_core::ConfigPatch;
use breaker_engine::{
    Durability, Engine, EngineError, Others, PolicyName, PolicySpec, PolicyUpdate, Selector,
    StoreError, Wanted,
};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::flaky::{Flaky, name, start};

fn policy(text: &str) -> PolicyName {
    PolicyName::new(text).unwrap()
}

fn threshold(failure_threshold: u32) -> ConfigPatch {
    ConfigPatch { failure_threshold: Some(failure_threshold), ..ConfigPatch::default() }
}

fn spec(selector: &str, config: ConfigPatch) -> PolicySpec {
    PolicySpec {
        selector: Selector::parse(selector).unwrap(),
        priority: 0,
        config,
        alerts: breaker_core::AlertPatch::default(),
    }
}

fn file(others: Others) -> Wanted {
    Wanted {
        policies: [(policy("a"), (spec("a/*", threshold(9)), "policies[0]".into()))].into(),
        breakers: [(name("a/own"), (threshold(4), "breakers[0]".into()))].into(),
        others,
    }
}

fn is_unavailable<T>(result: Result<T, EngineError>) -> bool {
    matches!(result, Err(EngineError::Store(StoreError::Unavailable(_))))
}

/// Storage is away: whatever is applied cannot be on disk, the second time as the first.
async fn assert_not_durable(engine: &Arc<Engine>, wanted: Wanted) {
    for _ in 0..2 {
        let applied = engine.reconcile(wanted.clone(), Durability::Preferred).await.unwrap();
        assert!(!applied.is_durable);
        assert!(is_unavailable(engine.reconcile(wanted.clone(), Durability::Required).await));
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_changes_nothing_is_not_durable_before_what_it_names_is() {
    let store = Arc::new(Flaky::default());
    let (engine, tasks) = start(&store).await;
    store.go_away();
    assert_not_durable(&engine, file(Others::Keep)).await;
    let policies_alone = Wanted { breakers: [].into(), ..file(Others::Keep) };
    assert_not_durable(&engine, policies_alone).await;
    let breakers_alone = Wanted { policies: [].into(), ..file(Others::Keep) };
    assert_not_durable(&engine, breakers_alone).await;

    store.come_back();
    assert!(engine.reconcile(file(Others::Keep), Durability::Required).await.unwrap().is_durable);
    assert!(store.policies.lock().contains_key(&policy("a")));
    assert_eq!(store.rows.lock()[&name("a/own")].own_config, threshold(4));
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_file_that_prunes_is_not_durable_before_what_was_pruned_is_gone_from_disk() {
    let store = Arc::new(Flaky::default());
    let (engine, tasks) = start(&store).await;
    let nothing = Wanted { others: Others::Prune, ..Wanted::default() };
    engine.reconcile(file(Others::Keep), Durability::Required).await.unwrap();
    store.go_away();
    engine.delete_policy(&policy("a"), None, Durability::Preferred).await.unwrap();
    assert_not_durable(&engine, nothing.clone()).await;

    let (changes, _) = engine.plan(nothing.clone()).await.unwrap();
    assert_eq!(changes, [], "there is nothing left to change");
    store.come_back();
    assert!(engine.reconcile(nothing, Durability::Required).await.unwrap().is_durable);
    assert!(store.policies.lock().is_empty());
    assert_eq!(store.rows.lock()[&name("a/own")].own_config, ConfigPatch::default());
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_update_that_leaves_a_policy_as_it_is_is_not_durable_before_the_policy_is() {
    let store = Arc::new(Flaky::default());
    let (engine, tasks) = start(&store).await;
    store.go_away();
    let created = spec("a/*", threshold(9));
    engine.create_policy(policy("a"), created, Durability::Preferred).await.unwrap();
    let update = |durability| {
        let (engine, update) = (Arc::clone(&engine), PolicyUpdate::default());
        async move { engine.update_policy(&policy("a"), update, None, durability).await }
    };
    assert!(!update(Durability::Preferred).await.unwrap().is_durable);
    assert!(is_unavailable(update(Durability::Required).await));
    store.come_back();
    assert!(update(Durability::Required).await.unwrap().is_durable);
    tasks.shut_down().await.unwrap();
}

/// Starts a change that has to be durable and returns once it is on its way to the disk.
async fn on_its_way<T: Send + 'static>(
    store: &Flaky,
    change: impl Future<Output = T> + Send + 'static,
) -> (JoinHandle<T>, oneshot::Sender<()>) {
    let ((reached, has_come), (go, go_on)) = (oneshot::channel(), oneshot::channel());
    *store.gate.lock() = Some((reached, go_on));
    let change = tokio::spawn(change);
    has_come.await.unwrap();
    (change, go)
}

/// Trips on failures in a row alone, which a policy has to ask for: see [`in_a_row`].
fn odd() -> ConfigPatch {
    threshold(0)
}

fn in_a_row() -> ConfigPatch {
    ConfigPatch { consecutive_failures: Some(3), ..ConfigPatch::default() }
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_was_written_and_then_refused_is_not_left_on_disk() {
    let store = Arc::new(Flaky::default());
    let (engine, tasks) = start(&store).await;
    let row = spec("a/*", in_a_row());
    engine.create_policy(policy("row"), row, Durability::Required).await.unwrap();
    let ghost = {
        let (engine, over) = (Arc::clone(&engine), PolicySpec { priority: 1, ..off("a/odd") });
        async move { engine.create_policy(policy("ghost"), over, Durability::Required).await }
    };
    let (ghost, go) = on_its_way(&store, ghost).await;
    // It cannot run on the policy that is on its way to the disk.
    let created = {
        let engine = Arc::clone(&engine);
        tokio::spawn(
            async move { engine.create(name("a/odd"), odd(), Durability::Preferred).await },
        )
    };
    while engine.get(&name("a/odd")).is_err() {
        tokio::task::yield_now().await;
    }
    go.send(()).unwrap();
    assert!(matches!(ghost.await.unwrap(), Err(EngineError::Invalid(_))));
    created.await.unwrap().unwrap();
    tasks.shut_down().await.unwrap();
    assert_eq!(store.policies.lock().keys().collect::<Vec<_>>(), [&policy("row")]);
}

/// What keeps a breaker that is [`odd`] from running.
fn off(selector: &str) -> PolicySpec {
    spec(selector, ConfigPatch { consecutive_failures: Some(0), ..ConfigPatch::default() })
}

#[tokio::test(start_paused = true)]
async fn a_breaker_made_after_one_of_its_name_was_written_and_refused_stays_on_disk() {
    let store = Arc::new(Flaky::default());
    let (engine, tasks) = start(&store).await;
    let row = spec("a/*", in_a_row());
    engine.create_policy(policy("row"), row, Durability::Required).await.unwrap();
    let refused = {
        let engine = Arc::clone(&engine);
        async move { engine.create(name("a/odd"), odd(), Durability::Required).await }
    };
    let (refused, go) = on_its_way(&store, refused).await;
    let deletion = {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move {
            engine.delete_policy(&policy("row"), None, Durability::Preferred).await
        })
    };
    while engine.policy(&policy("row")).is_ok() {
        tokio::task::yield_now().await;
    }
    store.go_away();
    go.send(()).unwrap();
    assert!(matches!(refused.await.unwrap(), Err(EngineError::Invalid(_))));
    deletion.await.unwrap().unwrap();
    assert_eq!(store.rows.lock()[&name("a/odd")].own_config, odd(), "what was refused");
    engine.acquire("a/odd").unwrap();
    store.come_back();
    tasks.shut_down().await.unwrap();
    assert_eq!(store.rows.lock()[&name("a/odd")].own_config, ConfigPatch::default());
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_is_deleted_before_its_change_is_answered_was_changed_all_the_same() {
    let store = Arc::new(Flaky::default());
    let (engine, tasks) = start(&store).await;
    let created = {
        let engine = Arc::clone(&engine);
        let spec = spec("a/*", threshold(9));
        async move { engine.create_policy(policy("a"), spec, Durability::Preferred).await }
    };
    let (created, go) = on_its_way(&store, created).await;
    let deleted = {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move {
            engine.delete_policy(&policy("a"), None, Durability::Preferred).await
        })
    };
    while engine.policy(&policy("a")).is_ok() {
        tokio::task::yield_now().await;
    }
    go.send(()).unwrap();
    let created = created.await.unwrap().unwrap().result;
    assert_eq!((created.row.name, created.breaker_count), (policy("a"), 0));
    deleted.await.unwrap().unwrap();
    tasks.shut_down().await.unwrap();
}
