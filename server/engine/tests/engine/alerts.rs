//! Alerts about breakers that live: what raises them, ends them and keeps them over a restart.

use std::sync::Arc;
use std::time::Duration;

use breaker_core::{AlertPatch, Attribution, ConfigPatch, Outcome, Run, StateKind, Time};
use breaker_engine::{
    Action, Admitted, AlertFilter, AlertRow, AlertRule, BreakerReport, Durability, Engine,
    ManualClock, Opened, PolicyName, PolicySpec, Selector,
};
use tokio::time::sleep;

use crate::flaky::{Flaky, STORAGE_DEGRADED, name, start_at};

const START: Time = Time::from_millis(1_700_000_000_000);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// Enough for all tasks to come to rest, on the clock of the runtime.
const AT_REST: Duration = Duration::from_secs(1);

fn world() -> (Arc<Flaky>, Arc<ManualClock>) {
    (Arc::new(Flaky::default()), Arc::new(ManualClock::at(START)))
}

fn report(engine: &Engine, breaker: &str, outcome: Outcome, count: u32) {
    let runs = vec![(Run::new(outcome, count), None)];
    let report = BreakerReport { breaker: name(breaker), admitted: Admitted::Current, runs };
    engine.report("r", 0, &[report]).unwrap();
}

async fn act(engine: &Arc<Engine>, text: &str, action: Action) {
    let (selector, by) = (Selector::parse(text).unwrap(), Attribution::default());
    engine.apply(&selector, action, by, Durability::Preferred).await.unwrap();
}

/// Lets all that is due at a time happen.
async fn pass(clock: &ManualClock, time: Time) {
    clock.advance_to(time);
    sleep(AT_REST).await;
}

fn list(engine: &Engine, filter: &AlertFilter) -> Vec<Arc<AlertRow>> {
    let (mut rows, _) = engine.list_alerts(filter, u64::MAX, 1_000);
    rows.sort_by_key(|row| (row.rule, row.breaker.clone()));
    rows
}

fn firing(engine: &Engine) -> Vec<(AlertRule, String)> {
    let filter = AlertFilter { is_firing: Some(true), ..AlertFilter::default() };
    let breaker = |row: &AlertRow| row.breaker.as_ref().map(ToString::to_string);
    list(engine, &filter).iter().map(|row| (row.rule, breaker(row).unwrap_or_default())).collect()
}

fn about(rule: AlertRule) -> (AlertRule, String) {
    (rule, "a/b".to_owned())
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_one_over_probes_and_restarts_until_the_breaker_is_closed() {
    let (store, clock) = world();
    let (engine, tasks) = start_at(&store, &clock).await;
    report(&engine, "a/b", Outcome::Failure, 5);
    sleep(AT_REST).await;
    assert_eq!(firing(&engine), [about(AlertRule::StateChange)]);
    pass(&clock, START + MINUTE).await;
    assert_eq!(engine.get(&name("a/b")).unwrap().status.state, StateKind::HalfOpen);
    assert_eq!(firing(&engine), [about(AlertRule::StateChange)]);
    tasks.shut_down().await.unwrap();

    *store.opened.lock() = Opened { incarnation: 1, ..Opened::default() };
    let (engine, tasks) = start_at(&store, &clock).await;
    assert_eq!(list(&engine, &AlertFilter::default()).len(), 2, "nothing is told twice");
    pass(&clock, START + 5 * MINUTE - SECOND).await;
    assert_eq!(firing(&engine), [about(AlertRule::StateChange)]);
    pass(&clock, START + 5 * MINUTE).await;
    let both = [about(AlertRule::StateChange), about(AlertRule::ProlongedOutage)];
    assert_eq!(firing(&engine), both);
    let outage = list(&engine, &AlertFilter::default()).pop().unwrap();
    tasks.shut_down().await.unwrap();

    *store.opened.lock() = Opened { incarnation: 2, ..Opened::default() };
    let (engine, tasks) = start_at(&store, &clock).await;
    pass(&clock, START + 6 * MINUTE).await;
    assert_eq!(firing(&engine), both);
    assert_eq!(list(&engine, &AlertFilter::default()).pop().unwrap(), outage, "it is the same");
    act(&engine, "a/b", Action::Reset).await;
    sleep(AT_REST).await;
    assert_eq!(firing(&engine), []);
    let over = list(&engine, &AlertFilter::default()).pop().unwrap();
    assert_eq!((over.id, over.ended_at), (outage.id, Some(START + 6 * MINUTE)));
    assert!(over.revision > outage.revision);
    tasks.shut_down().await.unwrap();
    assert_eq!(store.alerts.lock()[&over.id], *over);
}

#[tokio::test(start_paused = true)]
async fn reporters_that_fall_silent_are_missed_where_a_policy_asks_and_while_it_does() {
    let (store, clock) = world();
    let (engine, tasks) = start_at(&store, &clock).await;
    let alerts = AlertPatch { reporters_lost: Some(Some(MINUTE)), ..AlertPatch::default() };
    let selector = Selector::parse("a/*").unwrap();
    let spec = PolicySpec { selector, priority: 0, config: ConfigPatch::default(), alerts };
    let policy = PolicyName::new("missed").unwrap();
    engine.create_policy(policy.clone(), spec, Durability::Preferred).await.unwrap();
    report(&engine, "a/b", Outcome::Success, 1);
    report(&engine, "c/d", Outcome::Success, 1);
    pass(&clock, START + 59 * SECOND).await;
    // The alerts hear that it opens at the very moment at which the first report is too old.
    report(&engine, "a/b", Outcome::Failure, 5);
    pass(&clock, START + MINUTE).await;
    act(&engine, "a/b", Action::Reset).await;
    pass(&clock, START + 118 * SECOND).await;
    assert_eq!(firing(&engine), []);
    let told = list(&engine, &AlertFilter::default());
    assert!(told.iter().all(|row| row.rule == AlertRule::StateChange), "{told:?}");
    for round in 1..=2 {
        let silent_for = u32::try_from(120 * round).unwrap();
        pass(&clock, START + silent_for * SECOND).await;
        assert_eq!(firing(&engine), [about(AlertRule::ReportersLost)], "round {round}");
        report(&engine, "a/b", Outcome::Success, 1);
        sleep(AT_REST).await;
        assert_eq!(firing(&engine), [], "round {round}");
    }
    pass(&clock, START + 360 * SECOND).await;
    assert_eq!(firing(&engine), [about(AlertRule::ReportersLost)]);
    engine.delete_policy(&policy, None, Durability::Preferred).await.unwrap();
    sleep(AT_REST).await;
    assert_eq!(firing(&engine), []);
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_is_deleted_takes_its_alerts_along_though_another_follows_at_once() {
    let (store, clock) = world();
    let (engine, tasks) = start_at(&store, &clock).await;
    report(&engine, "a/b", Outcome::Failure, 5);
    sleep(AT_REST).await;
    assert_eq!(firing(&engine), [about(AlertRule::StateChange)]);
    // The engine has no turn between the two.
    let deleted = name("a/b");
    let deleting = engine.delete(&deleted, None, Durability::Preferred);
    let using = async {
        while engine.get(&name("a/b")).is_ok() {
            tokio::task::yield_now().await;
        }
        engine.acquire("a/b").unwrap();
    };
    let (deleted, ()) = tokio::join!(deleting, using);
    deleted.unwrap();
    sleep(AT_REST).await;
    assert_eq!(engine.get(&name("a/b")).unwrap().status.state, StateKind::Closed);
    assert_eq!(firing(&engine), []);
    pass(&clock, START + 10 * MINUTE).await;
    assert_eq!(firing(&engine), []);
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn storage_that_is_away_is_told_meanwhile_and_kept_once_it_is_back() {
    let (store, clock) = world();
    let (engine, tasks) = start_at(&store, &clock).await;
    store.go_away();
    report(&engine, "a/b", Outcome::Failure, 5);
    sleep(AT_REST).await;
    pass(&clock, START + STORAGE_DEGRADED - SECOND).await;
    assert_eq!(firing(&engine), [about(AlertRule::StateChange)]);
    pass(&clock, START + STORAGE_DEGRADED).await;
    let degraded = (AlertRule::StorageDegraded, String::new());
    assert_eq!(firing(&engine), [about(AlertRule::StateChange), degraded]);
    assert!(store.alerts.lock().is_empty());
    store.come_back();
    let mut status = engine.storage_status();
    status.wait_for(|status| status.failing.is_none()).await.unwrap();
    sleep(AT_REST).await;
    assert_eq!(firing(&engine), [about(AlertRule::StateChange)]);
    let is_kept = |row: &AlertRow| row.rule == AlertRule::StorageDegraded && row.ended_at.is_some();
    assert!(store.alerts.lock().values().any(is_kept));
    tasks.shut_down().await.unwrap();
}
