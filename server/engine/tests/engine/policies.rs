//! Policies: which one is in force, what a change of them does to breakers, and what is refused.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use breaker_core::{AlertPatch, Attribution, ConfigPatch, Key, Outcome, Run, Source, StateKind};
use breaker_engine::{
    Action, Admitted, BreakerReport, BreakerView, Change, ConfigUpdate, Durability, Engine,
    EngineError, MAX_POLICIES, Others, Phase, PolicyName, PolicySpec, PolicyUpdate, Selector,
    Selectors, Wanted,
};

use tokio::sync::oneshot;

use crate::flaky::{Flaky, name, start};

fn policy(text: &str) -> PolicyName {
    PolicyName::new(text).unwrap()
}

fn threshold(failure_threshold: u32) -> ConfigPatch {
    ConfigPatch { failure_threshold: Some(failure_threshold), ..ConfigPatch::default() }
}

fn spec(selector: &str, priority: i32, config: ConfigPatch) -> PolicySpec {
    PolicySpec {
        selector: Selector::parse(selector).unwrap(),
        priority,
        config,
        alerts: AlertPatch::default(),
    }
}

async fn create(engine: &Arc<Engine>, text: &str, spec: PolicySpec) -> Vec<String> {
    let created = engine.create_policy(policy(text), spec, Durability::Preferred).await.unwrap();
    created.warnings.into_iter().map(|warning| warning.to_string()).collect()
}

fn look(engine: &Engine, text: &str) -> (u32, Option<String>) {
    let view: BreakerView = engine.get(&name(text)).unwrap();
    let policy = view.policy.map(|policy| policy.to_string());
    (view.status.config.failure_threshold(), policy)
}

fn refused(error: EngineError) -> Vec<(String, String)> {
    match error {
        EngineError::Invalid(violations) => {
            violations.into_iter().map(|v| (v.field, v.description)).collect()
        }
        other => panic!("{other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_best_policy_is_in_force_alone() {
    let (engine, tasks) = start(&Arc::new(Flaky::default())).await;
    for (text, selector, priority, failures) in [
        ("all", "**", 0, 10),
        ("pay", "pay/*", 5, 20),
        ("pay-two", "pay/s*", 5, 30),
        ("b", "*/same", 5, 40),
        ("a", "same/*", 5, 50),
        ("exact", "pay/exact", 9, 60),
    ] {
        create(&engine, text, spec(selector, priority, threshold(failures))).await;
    }
    for (breaker, failures, expected) in [
        ("x/y", 10, "all"),
        ("pay/visa", 20, "pay"),
        // One priority: the longer literal part, `pay/s` over `pay/`.
        ("pay/stripe", 30, "pay-two"),
        // And as long: the first by name.
        ("same/same", 50, "a"),
        ("pay/exact", 60, "exact"),
    ] {
        engine.acquire(breaker).unwrap();
        assert_eq!(look(&engine, breaker), (failures, Some(expected.to_owned())), "{breaker}");
    }
    let explained = engine.explain(&name("pay/s-not-there"));
    let names: Vec<_> = explained.policies.iter().map(|row| row.name.to_string()).collect();
    assert_eq!(
        (names, explained.exists),
        (vec!["pay-two".into(), "pay".into(), "all".into()], false)
    );
    assert_eq!(explained.config.failure_threshold(), 30);
    assert_eq!(explained.sources.of(Key::FailureThreshold), Source::Policy);
    assert_eq!(explained.sources.of(Key::OpenDuration), Source::BuiltIn);
    assert_eq!(engine.policy(&policy("pay")).unwrap().breaker_count, 1);
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_change_reaches_breakers_at_once_and_takes_nothing_from_them() {
    let (engine, tasks) = start(&Arc::new(Flaky::default())).await;
    engine.acquire("a/mine").unwrap();
    engine.acquire("b/other").unwrap();
    let own = ConfigPatch { open_duration: Some(Duration::from_secs(7)), ..ConfigPatch::default() };
    engine.create(name("a/own"), own, Durability::Preferred).await.unwrap();
    let runs = vec![(Run::new(Outcome::Failure, 4), None)];
    let report = BreakerReport { breaker: name("a/mine"), admitted: Admitted::Current, runs };
    engine.report("", 0, &[report]).unwrap();
    let before = |text: &str| engine.get(&name(text)).unwrap().status.revision;
    let (mine, own, other) = (before("a/mine"), before("a/own"), before("b/other"));
    let mut watch = engine.watch(Selectors::default(), &[], Phase::default());
    while !watch.next().await.snapshot_complete {}

    create(&engine, "a", spec("a/*", 0, threshold(9))).await;
    assert_eq!(look(&engine, "a/mine"), (9, Some("a".into())));
    let view = engine.get(&name("a/own")).unwrap();
    assert_eq!(
        (view.status.config.failure_threshold(), view.sources.of(Key::OpenDuration)),
        (9, Source::Breaker)
    );
    assert_eq!((before("a/mine"), before("a/own"), before("b/other")), (mine + 1, own + 1, other));
    assert_eq!(view.config_revision, own, "its own configuration is the same, and so its etag");
    let view = engine.get(&name("a/mine")).unwrap();
    assert_eq!(view.breaker.counts(view.now).failure_count, 4);
    let mut told = watch.next().await.changed;
    told.sort_unstable();
    assert_eq!(told, ["a/mine", "a/own"].map(bytes::Bytes::from), "Watch tells, and nobody else");

    // A policy that makes no difference is not a change of the breaker.
    create(&engine, "same", spec("a/mine", 1, threshold(9))).await;
    assert_eq!((look(&engine, "a/mine"), before("a/mine")), ((9, Some("same".into())), mine + 1));
    engine.delete_policy(&policy("same"), None, Durability::Preferred).await.unwrap();
    engine.delete_policy(&policy("a"), None, Durability::Preferred).await.unwrap();
    assert_eq!(look(&engine, "a/mine"), (5, None));
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_stays_open_for_the_time_it_began_with() {
    let store = Arc::new(Flaky::default());
    let (engine, tasks) = start(&store).await;
    let runs = vec![(Run::new(Outcome::Failure, 5), None)];
    let report = BreakerReport { breaker: name("a/b"), admitted: Admitted::Current, runs };
    engine.report("", 0, &[report]).unwrap();
    let until = engine.get(&name("a/b")).unwrap().status.retry_at;
    let longer =
        ConfigPatch { open_duration: Some(Duration::from_secs(600)), ..ConfigPatch::default() };
    create(&engine, "long", spec("**", 0, longer)).await;
    let view = engine.get(&name("a/b")).unwrap();
    assert_eq!((view.status.state, view.status.retry_at), (StateKind::Open, until));
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn breakers_of_one_policy_share_its_configuration() {
    let (engine, tasks) = start(&Arc::new(Flaky::default())).await;
    engine.acquire("a/before").unwrap();
    create(&engine, "a", spec("a/*", 0, threshold(9))).await;
    engine.acquire("a/after").unwrap();
    let config = |text: &str| engine.get(&name(text)).unwrap().status.config;
    assert!(Arc::ptr_eq(&config("a/before"), &config("a/after")));
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_a_breaker_could_not_run_on_is_refused_and_the_breaker_named() {
    let (engine, tasks) = start(&Arc::new(Flaky::default())).await;
    let row = ConfigPatch { consecutive_failures: Some(3), ..ConfigPatch::default() };
    create(&engine, "row", spec("a/*", 0, row)).await;
    // It trips on failures in a row alone, which it leaves to its policy.
    engine.create(name("a/odd"), threshold(0), Durability::Preferred).await.unwrap();
    let nothing = ConfigPatch { consecutive_failures: Some(0), ..ConfigPatch::default() };
    let update = PolicyUpdate {
        values: nothing.clone(),
        keys: vec![Key::ConsecutiveFailures],
        ..PolicyUpdate::default()
    };
    let row = policy("row");
    let error = engine.update_policy(&row, update, None, Durability::Preferred).await.unwrap_err();
    let violations = refused(error);
    assert_eq!(violations.len(), 1);
    assert!(violations[0].0 == "config" && violations[0].1.contains("`a/odd`"), "{violations:?}");
    let error = engine.delete_policy(&row, None, Durability::Required).await.unwrap_err();
    assert!(refused(error)[0].1.contains("`a/odd`"));
    let over = spec("a/odd", 1, nothing.clone());
    let error = engine.create_policy(policy("over"), over, Durability::Preferred).await;
    assert!(refused(error.unwrap_err())[0].1.contains("`a/odd`"));
    assert_eq!(look(&engine, "a/odd").1, Some("row".into()), "nothing was changed");
    // The other way round, what is a breaker's own is checked over the policy.
    let update = ConfigUpdate { values: nothing, keys: vec![Key::ConsecutiveFailures] };
    let error = engine.update(&name("a/odd"), update, None, Durability::Preferred).await;
    assert_eq!(refused(error.unwrap_err())[0].0, "failure_threshold");
    engine.delete(&name("a/odd"), None, Durability::Preferred).await.unwrap();
    engine.delete_policy(&row, None, Durability::Required).await.unwrap();
    let error = engine.create(name("a/odd"), threshold(0), Durability::Preferred).await;
    assert_eq!(refused(error.unwrap_err())[0].0, "failure_threshold");
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn ties_are_warned_of_where_they_meet() {
    let (engine, tasks) = start(&Arc::new(Flaky::default())).await;
    let any = || threshold(9);
    assert!(create(&engine, "a", spec("a/*", 1, any())).await.is_empty());
    // They could meet, and do not yet.
    assert!(create(&engine, "b", spec("*/b", 1, any())).await.is_empty());
    let same = create(&engine, "same", spec("a/*", 1, any())).await;
    assert!(same.len() == 1 && same[0].contains("`a` and `same`"), "{same:?}");
    engine.acquire("a/b").unwrap();
    let met = create(&engine, "c", spec("a/b*", 1, any())).await;
    assert_eq!(met.len(), 3, "{met:?}");
    assert!(met.iter().all(|warning| warning.contains("breaker `a/b`")), "{met:?}");
    assert!(met[0].starts_with("priority: ") && met[0].contains("`c` and `a`"), "{met:?}");
    assert!(create(&engine, "higher", spec("a/*", 2, any())).await.is_empty());
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_etag_lets_one_of_two_updates_through() {
    let (engine, tasks) = start(&Arc::new(Flaky::default())).await;
    create(&engine, "a", spec("a/*", 1, threshold(9))).await;
    let etag = Some(engine.policy(&policy("a")).unwrap().row.revision);
    let update = |priority| {
        let update = PolicyUpdate { priority: Some(priority), ..PolicyUpdate::default() };
        let engine = Arc::clone(&engine);
        async move { engine.update_policy(&policy("a"), update, etag, Durability::Required).await }
    };
    let (first, second) = tokio::join!(update(2), update(3));
    assert_eq!(u32::from(first.is_ok()) + u32::from(second.is_ok()), 1);
    let lost = first.err().or(second.err()).unwrap();
    assert!(matches!(lost, EngineError::PolicyEtagMismatch { .. }), "{lost}");
    let gone = engine.delete_policy(&policy("a"), etag, Durability::Preferred).await.unwrap_err();
    assert!(matches!(gone, EngineError::PolicyEtagMismatch { .. }), "{gone}");
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn there_are_no_more_policies_than_there_may_be() {
    let (engine, tasks) = start(&Arc::new(Flaky::default())).await;
    let named = |index: usize| {
        (policy(&format!("p{index}")), (spec("a/*", index as i32, threshold(9)), String::new()))
    };
    let policies = (0..MAX_POLICIES).map(named).collect();
    let wanted = Wanted { policies, ..Wanted::default() };
    engine.reconcile(wanted, Durability::Required).await.unwrap();
    let (extra, (spec, _)) = named(MAX_POLICIES);
    let error = engine.create_policy(extra, spec, Durability::Preferred).await.unwrap_err();
    assert!(matches!(error, EngineError::TooManyPolicies(1_001)), "{error}");
    tasks.shut_down().await.unwrap();
}

fn file(others: Others) -> Wanted {
    Wanted {
        policies: [(policy("a"), (spec("a/*", 1, threshold(9)), "policies[0]".into()))].into(),
        breakers: [(name("a/own"), (threshold(4), "breakers[0]".into()))].into(),
        others,
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_is_applied_in_one_commit_and_a_second_time_changes_nothing() {
    let store = Arc::new(Flaky::default());
    let (engine, tasks) = start(&store).await;
    engine.create(name("a/pruned"), threshold(2), Durability::Preferred).await.unwrap();
    engine.acquire("a/by-itself").unwrap();
    create(&engine, "pruned", spec("**", 0, threshold(3))).await;
    let action = Action::Trip;
    let selector = Selector::parse("a/pruned").unwrap();
    let by = Attribution::default();
    engine.apply(&selector, action, by, Durability::Preferred).await.unwrap();

    let (planned, _) = engine.plan(file(Others::Prune)).await.unwrap();
    assert!(engine.policy(&policy("a")).is_err(), "a plan changes nothing");
    let applied = engine.reconcile(file(Others::Prune), Durability::Preferred).await.unwrap();
    assert!(applied.is_durable);
    assert_eq!(applied.result, planned);
    let a = spec("a/*", 1, threshold(9));
    let expected = [
        Change::Policy(policy("a"), None, Some(a.clone())),
        Change::Policy(policy("pruned"), Some(spec("**", 0, threshold(3))), None),
        Change::Breaker(name("a/own"), None, threshold(4)),
        Change::Breaker(name("a/pruned"), Some(threshold(2)), ConfigPatch::default()),
    ];
    assert_eq!(applied.result, expected);
    assert_eq!(look(&engine, "a/own"), (4, Some("a".into())));
    assert_eq!(look(&engine, "a/by-itself"), (9, Some("a".into())));
    assert_eq!(look(&engine, "a/pruned"), (9, Some("a".into())));
    let state = engine.get(&name("a/pruned")).unwrap().status.state;
    assert_eq!(state, StateKind::Open, "its state is not the file's to forget");
    {
        let (policies, rows) = (store.policies.lock(), store.rows.lock());
        assert_eq!(policies.keys().collect::<Vec<_>>(), [&policy("a")]);
        assert_eq!(rows[&name("a/own")].own_config, threshold(4));
    }

    let revision = engine.get(&name("a/own")).unwrap().status.revision;
    let again = engine.reconcile(file(Others::Prune), Durability::Preferred).await.unwrap();
    let unchanged = [
        Change::Policy(policy("a"), Some(a.clone()), Some(a)),
        Change::Breaker(name("a/own"), Some(threshold(4)), threshold(4)),
    ];
    assert_eq!(again.result, unchanged);
    assert_eq!(engine.get(&name("a/own")).unwrap().status.revision, revision);
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_file_of_which_anything_is_refused_changes_nothing() {
    let store = Arc::new(Flaky::default());
    let (engine, tasks) = start(&store).await;
    let commits = store.commits.load(Ordering::SeqCst);
    let mut wanted = file(Others::Prune);
    wanted.breakers.insert(name("z/bad"), (threshold(0), "breakers[1]".into()));
    let error = engine.reconcile(wanted, Durability::Preferred).await.unwrap_err();
    assert_eq!(refused(error)[0].0, "breakers[1].config.failure_threshold");
    assert_eq!(engine.breaker_count(), 0);
    assert_eq!(store.commits.load(Ordering::SeqCst), commits);

    let mut wanted = file(Others::Keep);
    for index in 0..10 {
        let place = format!("breakers[{index}]");
        wanted.breakers.insert(name(&format!("z/{index}")), (threshold(1), place));
    }
    let error = engine.reconcile(wanted, Durability::Preferred).await.unwrap_err();
    assert!(matches!(error, EngineError::TooManyBreakers { .. }), "{error}");
    assert!(engine.policy(&policy("a")).is_err());
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_file_takes_effect_without_storage_unless_it_has_to_be_durable() {
    let store = Arc::new(Flaky::default());
    let (engine, tasks) = start(&store).await;
    store.go_away();
    let error = engine.reconcile(file(Others::Keep), Durability::Required).await.unwrap_err();
    assert!(matches!(error, EngineError::Store(_)), "{error}");
    assert!(engine.policy(&policy("a")).is_err());
    let applied = engine.reconcile(file(Others::Keep), Durability::Preferred).await.unwrap();
    assert!(!applied.is_durable);
    assert_eq!(look(&engine, "a/own"), (4, Some("a".into())));
    assert!(engine.delete_policy(&policy("a"), None, Durability::Required).await.is_err());
    assert!(engine.policy(&policy("a")).is_ok());

    store.come_back();
    let mut status = engine.storage_status();
    status.wait_for(|status| status.failing.is_none()).await.unwrap();
    tasks.shut_down().await.unwrap();
    assert!(store.policies.lock().contains_key(&policy("a")));
    assert_eq!(store.rows.lock()[&name("a/own")].own_config, threshold(4));
}

#[tokio::test(start_paused = true)]
async fn a_policy_deleted_while_storage_is_away_stays_deleted() {
    let store = Arc::new(Flaky::default());
    let (engine, tasks) = start(&store).await;
    create(&engine, "a", spec("a/*", 1, threshold(9))).await;
    create(&engine, "b", spec("b/*", 1, threshold(9))).await;
    store.go_away();
    for gone in ["a", "b"] {
        let deleted = engine.delete_policy(&policy(gone), None, Durability::Preferred).await;
        assert!(!deleted.unwrap().is_durable);
    }
    create(&engine, "b", spec("b/*", 2, threshold(8))).await;
    let etag = engine.policy(&policy("b")).unwrap().row.revision;
    store.come_back();
    tasks.shut_down().await.unwrap();

    let (engine, tasks) = start(&store).await;
    assert!(engine.policy(&policy("a")).is_err());
    assert_eq!(engine.policy(&policy("b")).unwrap().row.revision, etag);
    create(&engine, "c", spec("c/*", 1, threshold(9))).await;
    assert!(engine.policy(&policy("c")).unwrap().row.revision > etag, "etags go on");
    engine.acquire("b/x").unwrap();
    assert_eq!(look(&engine, "b/x"), (8, Some("b".into())));
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_change_that_was_written_and_cannot_be_made_any_more_is_taken_back_on_disk() {
    let store = Arc::new(Flaky::default());
    let (engine, tasks) = start(&store).await;
    let in_a_row = ConfigPatch { consecutive_failures: Some(3), ..ConfigPatch::default() };
    create(&engine, "row", spec("a/*", 0, in_a_row)).await;
    let ((reached, has_come), (go, go_on)) = (oneshot::channel(), oneshot::channel());
    *store.gate.lock() = Some((reached, go_on));
    let deletion = {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move {
            engine.delete_policy(&policy("row"), None, Durability::Required).await
        })
    };
    has_come.await.unwrap();
    // It cannot run without the policy, whose deletion is on its way to the disk.
    let odd = {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move {
            engine.create(name("a/odd"), threshold(0), Durability::Preferred).await
        })
    };
    while engine.get(&name("a/odd")).is_err() {
        tokio::task::yield_now().await;
    }
    go.send(()).unwrap();
    assert!(refused(deletion.await.unwrap().unwrap_err())[0].1.contains("`a/odd`"));
    odd.await.unwrap().unwrap();
    tasks.shut_down().await.unwrap();
    assert!(store.policies.lock().contains_key(&policy("row")));
}

/// Breakers that are made while a policy comes must not be missed by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_breaker_made_during_a_change_gets_the_policy() {
    for round in 0..50 {
        let (engine, tasks) = start(&Arc::new(Flaky::default())).await;
        let maker = {
            let engine = Arc::clone(&engine);
            tokio::task::spawn_blocking(move || {
                for index in 0..10 {
                    engine.acquire(&format!("a/{index}")).unwrap();
                }
            })
        };
        create(&engine, "a", spec("a/*", 1, threshold(9))).await;
        maker.await.unwrap();
        for index in 0..10 {
            assert_eq!(look(&engine, &format!("a/{index}")).0, 9, "round {round}");
        }
        tasks.shut_down().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_odd_is_told_again_by_a_file_that_changes_nothing() {
    let (engine, tasks) = start(&Arc::new(Flaky::default())).await;
    let odd = ConfigPatch { consecutive_failures: Some(5), ..ConfigPatch::default() };
    let mut wanted = file(Others::Keep);
    let policies = [("odd", odd.clone()), ("tie", threshold(9))];
    for (index, (text, config)) in policies.into_iter().enumerate() {
        let place = format!("policies[{}]", index + 1);
        wanted.policies.insert(policy(text), (spec("b/*", 0, config), place));
    }
    wanted.breakers.insert(name("c/odd"), (odd, "breakers[1]".into()));
    let first = engine.reconcile(wanted.clone(), Durability::Preferred).await.unwrap();
    let mut fields: Vec<_> = first.warnings.iter().map(|warning| warning.field.as_str()).collect();
    fields.sort_unstable();
    let in_a_row =
        ["breakers[1]", "policies[1]"].map(|at| format!("{at}.config.consecutive_failures"));
    assert_eq!(fields, [&in_a_row[0], &in_a_row[1], "policies[1].priority"]);
    let again = engine.reconcile(wanted, Durability::Preferred).await.unwrap();
    assert_eq!(again.warnings, first.warnings);
    tasks.shut_down().await.unwrap();
}
