//! Rows that nobody wrote so, and a clock that was set back between two lives.

use std::sync::Arc;
use std::time::Duration;

use breaker_core::{
    AlertPatch, Attribution, Breaker, Config, ConfigPatch, Mode, Outcome, OverrideKind, Run,
    StateKind, StateSnapshot, Time,
};
use breaker_engine::{
    Action, Admitted, BreakerReport, BreakerRow, Damage, DamagedRow, Durability, Engine,
    HistoryFilter, MAX_NUMBER, ManualClock, Moment, Opened, PolicyName, PolicySpec, Selector,
    TransitionRecord,
};

use crate::flaky::{Flaky, name, start, start_at};

const HOUR: Duration = Duration::from_secs(60 * 60);

fn threshold(failure_threshold: u32) -> ConfigPatch {
    ConfigPatch { failure_threshold: Some(failure_threshold), ..ConfigPatch::default() }
}

fn damaged(text: &str) -> DamagedRow {
    DamagedRow {
        damage: Damage::new("state", "`ajar` is not a state"),
        name: Some(name(text)),
        own_config: None,
        revision: None,
        config_revision: None,
        generation: None,
        created_at: None,
        used_at: None,
    }
}

/// A breaker that opened at this time.
fn open(text: &str, at: Time) -> BreakerRow {
    let mut breaker = Breaker::new(at);
    breaker.trip(&Config::default(), Attribution::default(), at);
    BreakerRow {
        name: name(text),
        snapshot: breaker.snapshot(),
        own_config: ConfigPatch::default(),
        revision: 40,
        config_revision: 40,
        created_at: at,
        used_at: None,
    }
}

fn store_with(rows: impl IntoIterator<Item = BreakerRow>) -> Arc<Flaky> {
    let store = Arc::new(Flaky::default());
    store.rows.lock().extend(rows.into_iter().map(|row| (row.name.clone(), row)));
    store
}

/// State, revision and generation.
fn seen(engine: &Arc<Engine>, text: &str) -> (StateKind, u64, u64) {
    let status = engine.get(&name(text)).unwrap().status;
    (status.state, status.revision, status.generation)
}

#[tokio::test(start_paused = true)]
async fn a_damaged_breaker_starts_closed_on_its_policy_and_its_row_heals() {
    let store = store_with([open("a/well", Time::from_millis(1))]);
    let (engine, tasks) = start(&store).await;
    let selector = Selector::parse("a/*").unwrap();
    let spec =
        PolicySpec { selector, priority: 0, config: threshold(9), alerts: AlertPatch::default() };
    let policy = PolicyName::new("nine").unwrap();
    engine.create_policy(policy, spec, Durability::Required).await.unwrap();
    tasks.shut_down().await.unwrap();
    let well = store.rows.lock()[&name("a/well")].clone();

    let of_its_own = DamagedRow {
        own_config: Some(threshold(4)),
        revision: Some(70),
        config_revision: Some(60),
        generation: Some(8),
        created_at: Some(Time::from_millis(1)),
        ..damaged("a/own")
    };
    *store.damaged.lock() = vec![damaged("a/damaged"), of_its_own];
    let (engine, tasks) = start(&store).await;
    let (state, revision, generation) = seen(&engine, "a/damaged");
    assert_eq!(state, StateKind::Closed);
    assert!(revision > 1 << 31 && revision < 1 << 40, "by a wide margin, below the next crash");
    assert!(generation > 1 << 19);
    let view = engine.get(&name("a/damaged")).unwrap();
    assert_eq!(view.status.config.failure_threshold(), 9, "on its policy");
    assert_eq!(seen(&engine, "a/own"), (StateKind::Closed, 71, 9), "just above what it had");
    let view = engine.get(&name("a/own")).unwrap();
    assert_eq!((view.status.config.failure_threshold(), view.config_revision), (4, 60));
    assert_eq!(seen(&engine, "a/well"), (StateKind::Open, well.revision, 2));
    assert_eq!(engine.stats().damaged_rows(), 2);
    tasks.shut_down().await.unwrap();

    assert_eq!(store.rows.lock()[&name("a/damaged")].revision, revision, "it was written");
    assert_eq!(store.rows.lock()[&name("a/well")], well, "and nothing else was");
    let (engine, tasks) = start(&store).await;
    assert_eq!(seen(&engine, "a/damaged"), (StateKind::Closed, revision, generation));
    assert_eq!(engine.stats().damaged_rows(), 0);
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_row_of_nobody_is_left_and_its_breaker_is_made_anew() {
    let store = store_with([]);
    *store.damaged.lock() = vec![DamagedRow { name: None, ..damaged("a/b") }];
    let (engine, tasks) = start(&store).await;
    assert_eq!((engine.breaker_count(), engine.stats().damaged_rows()), (0, 1));
    engine.acquire("a/b").unwrap();
    tasks.shut_down().await.unwrap();
    assert_eq!(store.rows.lock().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn numbers_that_no_breaker_has_are_damage_like_any_other() {
    let row = || open("a/b", Time::from_millis(1));
    let of = |damage: fn(&mut BreakerRow)| {
        let mut row = row();
        damage(&mut row);
        row
    };
    for (damaged, revision, generation) in [
        (of(|row| row.snapshot.generation = 0), 41, 1 << 20),
        (of(|row| row.snapshot.generation = u64::MAX), 41, 1 << 20),
        (of(|row| row.snapshot.state = StateSnapshot::Open { retry_at: None }), 41, 3),
        (of(|row| row.revision = MAX_NUMBER), 1 << 32, 3),
        (of(|row| row.revision = u64::MAX), 1 << 32, 3),
        (of(|row| row.config_revision = u64::MAX), 41, 3),
    ] {
        let store = store_with([damaged.clone()]);
        let (engine, tasks) = start(&store).await;
        assert_eq!(seen(&engine, "a/b"), (StateKind::Closed, revision, generation), "{damaged:?}");
        engine.report("", 0, &[failures("a/b")]).unwrap();
        assert_eq!(seen(&engine, "a/b"), (StateKind::Open, revision + 1, generation + 1));
        tasks.shut_down().await.unwrap();
        let (engine, tasks) = start(&store).await;
        assert_eq!(engine.stats().damaged_rows(), 0, "{damaged:?}");
        assert_eq!(seen(&engine, "a/b"), (StateKind::Open, revision + 1, generation + 1));
        tasks.shut_down().await.unwrap();
    }
}

fn failures(breaker: &str) -> BreakerReport<'static> {
    let runs = vec![(Run::new(Outcome::Failure, 5), None)];
    BreakerReport { breaker: name(breaker), admitted: Admitted::Current, runs }
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_a_damaged_breaker_is_above_what_the_crash_lost() {
    let store = store_with([]);
    *store.opened.lock() = Opened { incarnation: 3, after_crash: true, ..Opened::default() };
    let legible = DamagedRow { revision: Some((2 << 40) + 9), ..damaged("a/legible") };
    *store.damaged.lock() = vec![legible, damaged("a/b")];
    let (engine, tasks) = start(&store).await;
    assert_eq!(seen(&engine, "a/legible").1, (3 << 40) + 1);
    assert!(seen(&engine, "a/b").1 > 3 << 40);
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_set_back_makes_nothing_last_longer() {
    let was = Time::from_millis(1) + HOUR;
    let store = store_with([open("a/open", was), open("a/forced", was)]);
    let (engine, tasks) = start_at(&store, &Arc::new(ManualClock::at(was))).await;
    let action = Action::Override { kind: OverrideKind::ForcedOpen, time_to_live: Some(HOUR / 2) };
    let forced = Selector::parse("a/forced").unwrap();
    let by = Attribution::default();
    engine.apply(&forced, action, by, Durability::Required).await.unwrap();
    let shown = seen(&engine, "a/open").1;
    tasks.shut_down().await.unwrap();

    let now = Time::from_millis(1);
    let (engine, tasks) = start_at(&store, &Arc::new(ManualClock::at(now))).await;
    let view = engine.get(&name("a/open")).unwrap();
    assert_eq!((view.status.state, view.status.since), (StateKind::Open, now));
    assert_eq!(view.status.retry_at, Some(now + Duration::from_secs(60)));
    assert!(view.status.revision > shown, "it is not what was shown under that revision");
    let view = engine.get(&name("a/forced")).unwrap();
    assert_eq!(view.status.mode, Mode::ForcedOpen);
    assert_eq!(view.status.override_expires_at, Some(now + HOUR / 2));
    assert_eq!(engine.stats().damaged_rows(), 0);
    tasks.shut_down().await.unwrap();
    assert_eq!(store.rows.lock()[&name("a/open")].snapshot.since, now, "it was written");
}

/// Stores so many transitions; those of these ids are damaged.
async fn start_with_history(
    store: &Arc<Flaky>,
    count: u64,
    damaged: impl Iterator<Item = u64>,
) -> (Arc<Engine>, breaker_engine::Tasks) {
    let mut breaker = Breaker::new(Time::from_millis(1));
    let by = Attribution::default();
    let transition = breaker.trip(&Config::default(), by, Time::from_millis(1)).remove(0);
    for id in 1..=count {
        let record = TransitionRecord {
            id,
            breaker: name("a/b"),
            revision: id,
            transition: transition.clone(),
        };
        store.transitions.lock().insert(id, record);
    }
    store.damaged_transitions.lock().extend(damaged);
    *store.opened.lock() = Opened { last_transition_id: count, ..Opened::default() };
    start(store).await
}

#[tokio::test(start_paused = true)]
async fn a_follower_gets_every_transition_between_the_damaged_ones() {
    let store = store_with([]);
    let is_damaged = |id: &u64| (2..=60).contains(id) || id.is_multiple_of(7);
    let (engine, tasks) = start_with_history(&store, 100, (1..=100).filter(is_damaged)).await;
    let expected: Vec<u64> = (1..=100).filter(|id| !is_damaged(id)).collect();
    for limit in [1, 3, 10, 1_000] {
        let (mut position, mut seen) = (0, Vec::new());
        loop {
            let records = engine.transitions_after(position, limit).await.unwrap();
            let Some(last) = records.last() else { break };
            position = last.id;
            seen.extend(records.iter().map(|record| record.id));
        }
        assert_eq!(seen, expected, "{limit} at a time");
    }
    assert_eq!(engine.stats().damaged_rows(), 100 - expected.len() as u64, "each is counted once");
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn pages_go_on_behind_more_damaged_transitions_than_one_page_looks_through() {
    let store = store_with([]);
    let (engine, tasks) = start_with_history(&store, 7_000, 2..=6_999).await;
    let selector = Selector::parse("a/b").unwrap();
    let filter = HistoryFilter { selector: Some(selector), ..HistoryFilter::default() };
    let (mut before, mut seen, mut pages) = (Moment::END, Vec::new(), 0);
    loop {
        let page = engine.history(&filter, before, 10).await.unwrap();
        seen.extend(page.transitions.iter().map(|record| record.id));
        pages += 1;
        let Some(next) = page.next_before else { break };
        assert!(next < before, "a page goes on further back");
        before = next;
    }
    assert_eq!(seen, [7_000, 1]);
    assert!(pages <= 3, "{pages} pages");
    tasks.shut_down().await.unwrap();
}
