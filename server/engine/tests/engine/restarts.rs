//! What a server makes of what an earlier one has left in storage.

use std::sync::Arc;

use breaker_core::{AlertPatch, Attribution, ConfigPatch, Key, Source};
use breaker_engine::{
    Action, Durability, Engine, EngineError, Opened, PolicyName, PolicySpec, Selector, Tasks,
};

use crate::flaky::{Flaky, name, start};

fn policy(text: &str) -> PolicyName {
    PolicyName::new(text).unwrap()
}

fn threshold(failure_threshold: u32) -> ConfigPatch {
    ConfigPatch { failure_threshold: Some(failure_threshold), ..ConfigPatch::default() }
}

async fn create_policy(
    engine: &Arc<Engine>,
    text: &str,
    selector: &str,
    config: ConfigPatch,
) -> u64 {
    let selector = Selector::parse(selector).unwrap();
    let spec = PolicySpec { selector, priority: 0, config, alerts: AlertPatch::default() };
    let created = engine.create_policy(policy(text), spec, Durability::Preferred).await;
    created.unwrap().result.row.revision
}

#[tokio::test(start_paused = true)]
async fn what_was_given_out_and_lost_is_not_given_out_after_a_crash_and_a_clean_stop() {
    let store = Arc::new(Flaky::default());
    let (engine, tasks) = start(&store).await;
    engine.acquire("a/b").unwrap();
    create_policy(&engine, "kept", "a/*", threshold(9)).await;
    store.go_away();
    let lost = create_policy(&engine, "lost", "b/*", threshold(9)).await;
    assert!(tasks.shut_down().await.is_err());

    store.come_back();
    *store.opened.lock() = Opened { incarnation: 1, after_crash: true, ..Opened::default() };
    let (engine, tasks) = start(&store).await;
    let shown = engine.get(&name("a/b")).unwrap().status.revision;
    tasks.shut_down().await.unwrap();

    *store.opened.lock() = Opened { incarnation: 1, ..Opened::default() };
    let (engine, tasks) = start(&store).await;
    assert_eq!(engine.get(&name("a/b")).unwrap().status.revision, shown);
    assert!(create_policy(&engine, "new", "b/*", threshold(9)).await > lost);
    tasks.shut_down().await.unwrap();
}

/// Starts a server whose store holds a breaker that its defaults and policies do not fit any more:
/// it trips on failures in a row alone, which it left to a policy.
async fn start_with_odd(store: &Arc<Flaky>) -> (Arc<Engine>, Tasks) {
    let (engine, tasks) = start(store).await;
    create_policy(&engine, "row", "a/*", in_a_row()).await;
    engine.create(name("a/odd"), threshold(0), Durability::Preferred).await.unwrap();
    tasks.shut_down().await.unwrap();
    store.policies.lock().clear();
    start(store).await
}

fn in_a_row() -> ConfigPatch {
    ConfigPatch { consecutive_failures: Some(3), ..ConfigPatch::default() }
}

#[tokio::test(start_paused = true)]
async fn own_values_that_do_not_fit_any_more_are_left_out_and_kept() {
    let store = Arc::new(Flaky::default());
    let (engine, tasks) = start_with_odd(&store).await;
    let view = engine.get(&name("a/odd")).unwrap();
    assert_eq!(view.own_config, threshold(0), "what is its own is shown");
    assert_eq!(view.status.config.failure_threshold(), 5, "and is not in force");
    assert_eq!(view.sources.of(Key::FailureThreshold), Source::BuiltIn);
    let selector = Selector::parse("a/odd").unwrap();
    let by = Attribution::default();
    engine.apply(&selector, Action::Trip, by, Durability::Required).await.unwrap();
    tasks.shut_down().await.unwrap();
    assert_eq!(store.rows.lock()[&name("a/odd")].own_config, threshold(0), "a write keeps them");
}

#[tokio::test(start_paused = true)]
async fn own_values_that_do_not_fit_follow_policies_until_they_do() {
    let (engine, tasks) = start_with_odd(&Arc::new(Flaky::default())).await;
    let in_force = || engine.get(&name("a/odd")).unwrap().status.config.failure_threshold();
    create_policy(&engine, "nine", "a/*", threshold(9)).await;
    assert_eq!(in_force(), 9);
    create_policy(&engine, "exact", "a/odd", in_a_row()).await;
    assert_eq!(in_force(), 0);
    let error = engine.delete_policy(&policy("exact"), None, Durability::Preferred).await;
    assert!(matches!(error, Err(EngineError::Invalid(_))), "from now on it needs the policy");
    tasks.shut_down().await.unwrap();
}
