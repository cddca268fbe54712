//! The history as one, of which the latest part is in memory and the rest in storage.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use breaker_core::{
    Attribution, Cause, ConfigPatch, Counts, Mode, Outcome, Run, StateKind, Time, Transition,
};
use breaker_engine::{
    Action, Admitted, BreakerReport, Clock, Durability, Engine, EngineError, HistoryFilter,
    ManualClock, Moment, Opened, Selector, Tasks, TransitionRecord,
};
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};
use tokio::sync::oneshot;

use crate::flaky::{Flaky, RETENTION, name, start, start_at, with_paused_time};

/// Transitions that the engine keeps in memory once they are stored.
const KEPT: u64 = 10_000;

fn seconds(seconds: u64) -> Time {
    Time::from_millis(seconds * 1_000)
}

/// A transition of an earlier life.
fn record(id: u64, breaker: &str, at: Time, cause: Cause, actor: &str) -> TransitionRecord {
    TransitionRecord {
        id,
        breaker: name(breaker),
        revision: id,
        transition: Transition {
            from: StateKind::Closed,
            to: StateKind::Open,
            from_mode: Mode::Normal,
            to_mode: Mode::Normal,
            from_level: None,
            to_level: None,
            generation: id,
            cause,
            by: Attribution::new(actor, "").unwrap(),
            at,
            counts: Counts::default(),
        },
    }
}

/// A store in which an earlier life has left its transitions.
fn store_of(records: impl IntoIterator<Item = TransitionRecord>) -> Arc<Flaky> {
    let store = Flaky::default();
    let mut transitions = store.transitions.lock();
    transitions.extend(records.into_iter().map(|record| (record.id, record)));
    let last_transition_id = transitions.last_key_value().map_or(0, |(&id, _)| id);
    drop(transitions);
    *store.opened.lock() = Opened { last_transition_id, ..Opened::default() };
    Arc::new(store)
}

async fn act(engine: &Arc<Engine>, selector: &str, action: Action, actor: &str) {
    let selector = Selector::parse(selector).unwrap();
    let by = Attribution::new(actor, "").unwrap();
    engine.apply(&selector, action, by, Durability::Preferred).await.unwrap();
}

/// Lets the tasks do what there is to do.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// The ids of all pages, and how many pages they were.
async fn page_through(engine: &Engine, filter: &HistoryFilter, limit: usize) -> (Vec<u64>, usize) {
    let (mut ids, mut pages, mut before) = (Vec::new(), 0, Some(Moment::END));
    while let Some(place) = before {
        let page = engine.history(filter, place, limit).await.unwrap();
        ids.extend(page.transitions.iter().map(|record| record.id));
        before = page.next_before;
        pages += 1;
    }
    (ids, pages)
}

#[tokio::test(start_paused = true)]
async fn what_happened_before_a_restart_and_after_it_is_in_order_of_time() {
    let old = [(1, 5), (2, 30), (3, 10)];
    let old = old.map(|(id, at_s)| record(id, "a/b", seconds(at_s), Cause::FailureRate, ""));
    let clock = Arc::new(ManualClock::at(seconds(20)));
    let (engine, tasks) = start_at(&store_of(old), &clock).await;
    engine.acquire("a/b").unwrap();
    act(&engine, "a/b", Action::Trip, "").await;
    clock.advance_to(seconds(40));
    act(&engine, "a/b", Action::Reset, "").await;
    for limit in 1..7 {
        let (ids, _) = page_through(&engine, &HistoryFilter::default(), limit).await;
        assert_eq!(ids, [5, 2, 4, 3, 1], "{limit} a page");
    }
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_latest_are_read_without_a_database_where_memory_holds_them_all() {
    let old = record(1, "a/b", seconds(10), Cause::FailureRate, "");
    let clock = Arc::new(ManualClock::at(seconds(20)));
    let store = store_of([old]);
    let (engine, tasks) = start_at(&store, &clock).await;
    engine.acquire("a/b").unwrap();
    act(&engine, "a/b", Action::Trip, "").await;
    act(&engine, "a/b", Action::Reset, "").await;
    store.go_away();
    let since_start = HistoryFilter { from: Some(seconds(20)), ..HistoryFilter::default() };
    assert_eq!(page_through(&engine, &since_start, 9).await, (vec![3, 2], 1));
    let since_old = HistoryFilter { from: Some(seconds(10)), ..HistoryFilter::default() };
    assert!(engine.history(&since_old, Moment::END, 9).await.is_err(), "one is in the database");
    let latest = engine.history(&HistoryFilter::default(), Moment::END, 1).await.unwrap();
    assert_eq!(latest.transitions[0].id, 3);
    let error = engine.history(&HistoryFilter::default(), Moment::END, 3).await.unwrap_err();
    assert!(matches!(error, EngineError::Store(_)), "{error}");
    store.come_back();
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_page_looks_through_a_part_of_the_history_only_and_goes_on_from_there() {
    let breaker = |id| if id % 6_000 == 1 { "a/rare" } else { "b/often" };
    let old = (1..=18_000).map(|id| record(id, breaker(id), seconds(id), Cause::FailureRate, ""));
    let store = store_of(old);
    let (engine, tasks) = start(&store).await;
    // In memory, and earlier than all that is stored: the clock was set back.
    engine.acquire("a/new").unwrap();
    act(&engine, "a/new", Action::Trip, "").await;
    let rare = Selector::parse("a/*").unwrap();
    let filter = HistoryFilter { selector: Some(rare), ..HistoryFilter::default() };
    let first = engine.history(&filter, Moment::END, 10).await.unwrap();
    assert!(first.transitions.is_empty(), "it came back before it had found one");
    let (ids, pages) = page_through(&engine, &filter, 10).await;
    assert_eq!(ids, [12_001, 6_001, 1, 18_001]);
    assert!((4..6).contains(&pages), "{pages} pages");
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_has_left_memory_is_read_from_storage_without_a_gap() {
    let store = Arc::new(Flaky::default());
    let clock = Arc::new(ManualClock::at(seconds(1)));
    let (engine, tasks) = start_at(&store, &clock).await;
    for index in 0..10 {
        engine.acquire(&format!("a/{index}")).unwrap();
    }
    let rounds = KEPT / 20 + 5;
    for round in 0..rounds {
        clock.advance_to(Time::from_millis(1_000 + round));
        act(&engine, "a/*", Action::Trip, "anna").await;
        act(&engine, "a/*", Action::Reset, "bert").await;
    }
    let latest = engine.latest_transition();
    assert_eq!(latest, rounds * 20);
    let (ids, _) = page_through(&engine, &HistoryFilter::default(), 1_000).await;
    assert!(ids.iter().copied().eq((1..=latest).rev()), "{} of {latest}", ids.len());
    let filter = HistoryFilter { actor: Some("bert".into()), ..HistoryFilter::default() };
    let (ids, _) = page_through(&engine, &filter, 999).await;
    assert_eq!(ids.len() as u64, latest / 2);
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_has_been_kept_for_long_enough_is_deleted_by_the_clock() {
    let old = (1..=5_010).map(|id| record(id, "a/b", seconds(id), Cause::FailureRate, ""));
    let store = store_of(old);
    let now = seconds(5_000) + RETENTION;
    let clock = Arc::new(ManualClock::at(now));
    let (engine, tasks) = start_at(&store, &clock).await;
    engine.acquire("a/b").unwrap();
    // Five steps follow one another at once, long before the next look.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(store.transitions.lock().first_key_value().map(|(&id, _)| id), Some(5_000));
    let (ids, _) = page_through(&engine, &HistoryFilter::default(), 1_000).await;
    assert_eq!(ids.len(), 11);
    let gone = engine.transitions_after(4_998, 1).await.unwrap_err();
    assert!(matches!(gone, EngineError::HistoryGone { after: 4_998, gone: 4_999 }), "{gone}");
    assert_eq!(engine.transitions_after(4_999, 1).await.unwrap()[0].id, 5_000);

    act(&engine, "a/b", Action::Trip, "").await;
    clock.advance_to(now + RETENTION);
    act(&engine, "a/b", Action::Reset, "").await;
    clock.advance_to(now + RETENTION + Duration::from_nanos(1));
    tokio::time::sleep(Duration::from_secs(6)).await;
    let (ids, _) = page_through(&engine, &HistoryFilter::default(), 10).await;
    assert_eq!(ids, [5_013, 5_012], "the trip, 5,011, is not shown from memory either");
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn under_steady_load_trimming_and_durable_changes_have_their_turn() {
    let old = (1..=3_000).map(|id| record(id, "a/b", Time::EPOCH, Cause::FailureRate, ""));
    let store = store_of(old);
    let clock = Arc::new(ManualClock::at(Time::EPOCH + 2 * RETENTION));
    let (engine, tasks) = start_at(&store, &clock).await;
    engine.acquire("a/load").unwrap();
    // Whenever a commit ends something waits for the next one, for a thousand commits.
    let mut left = 1_000;
    let loading = Arc::clone(&engine);
    *store.meanwhile.lock() = Some(Box::new(move || {
        if left > 0 {
            left -= 1;
            let engine = Arc::clone(&loading);
            let action = [Action::Trip, Action::Reset][left % 2];
            tokio::spawn(async move { act(&engine, "a/load", action, "").await });
        }
    }));
    engine.acquire("a/first").unwrap();
    let create = engine.create(name("a/new"), ConfigPatch::default(), Durability::Required);
    create.await.unwrap();
    assert!(store.commits.load(Ordering::SeqCst) < 100, "the change waited for the load to end");
    while store.transitions.lock().contains_key(&3_000) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(store.commits.load(Ordering::SeqCst) < 100, "trimming waited for the load to end");
    *store.meanwhile.lock() = None;
    tasks.shut_down().await.unwrap();
}

#[derive(Clone, Debug)]
enum Step {
    Trip(usize, usize),
    Reset(usize, usize),
    Fail(usize),
    Pass(u64),
}

const BREAKERS: [&str; 4] = ["a/b", "a/c", "b/b", "b/c"];
const ACTORS: [&str; 3] = ["", "anna", "bert"];
const CAUSES: [Cause; 4] =
    [Cause::Tripped, Cause::Reset, Cause::FailureThreshold, Cause::OpenElapsed];

fn steps(count: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (0..4_usize, 0..3_usize).prop_map(|(breaker, actor)| Step::Trip(breaker, actor)),
        2 => (0..4_usize, 0..3_usize).prop_map(|(breaker, actor)| Step::Reset(breaker, actor)),
        2 => (0..4_usize).prop_map(Step::Fail),
        2 => (0..20_u64).prop_map(Step::Pass),
    ];
    proptest::collection::vec(step, 0..count)
}

fn filters() -> impl Strategy<Value = HistoryFilter> {
    let selector = prop_oneof![
        2 => Just(None),
        1 => (0..4_usize).prop_map(|breaker| Some(BREAKERS[breaker])),
        1 => Just(Some("a/*")),
    ];
    let causes = prop_oneof![
        2 => Just(vec![]),
        1 => (0..4_usize).prop_map(|from| CAUSES[from..].to_vec()),
    ];
    let actor =
        prop_oneof![3 => Just(None), 1 => (1..3_usize).prop_map(|a| Some(ACTORS[a].into()))];
    let time = || proptest::option::weighted(0.2, (0..55_u64).prop_map(seconds));
    (selector, causes, actor, time(), time()).prop_map(|(selector, causes, actor, from, until)| {
        let selector = selector.map(|text| Selector::parse(text).unwrap());
        HistoryFilter { selector, causes, actor, from, until }
    })
}

/// What an earlier life has left: breaker, time, cause and actor of each.
fn old() -> impl Strategy<Value = Vec<(usize, u64, usize, usize)>> {
    proptest::collection::vec((0..4_usize, 0..50_u64, 0..4_usize, 0..3_usize), 0..40)
}

/// An engine that goes on from what an earlier life has left, some of it later than its clock.
async fn start_after(old: &[(usize, u64, usize, usize)]) -> (Arc<Flaky>, World, Tasks) {
    let old = old.iter().zip(1..).map(|(&(breaker, at_s, cause, actor), id)| {
        record(id, BREAKERS[breaker], seconds(at_s), CAUSES[cause], ACTORS[actor])
    });
    let store = store_of(old);
    let clock = Arc::new(ManualClock::at(seconds(10)));
    let (engine, tasks) = start_at(&store, &clock).await;
    for breaker in BREAKERS {
        engine.acquire(breaker).unwrap();
    }
    (store, World { engine, clock, is_held: false }, tasks)
}

struct World {
    engine: Arc<Engine>,
    clock: Arc<ManualClock>,
    /// Whether a commit hangs: nobody can wait for storage then.
    is_held: bool,
}

impl World {
    async fn go_on(&self, step: &Step) {
        match *step {
            Step::Trip(..) | Step::Reset(..) if self.is_held => {}
            Step::Trip(breaker, actor) => {
                act(&self.engine, BREAKERS[breaker], Action::Trip, ACTORS[actor]).await;
            }
            Step::Reset(breaker, actor) => {
                act(&self.engine, BREAKERS[breaker], Action::Reset, ACTORS[actor]).await;
            }
            Step::Fail(breaker) => {
                let runs = vec![(Run::new(Outcome::Failure, 5), None)];
                let breaker = name(BREAKERS[breaker]);
                let report = BreakerReport { breaker, admitted: Admitted::Current, runs };
                self.engine.report("", 0, &[report]).unwrap();
            }
            // Less than the retention in all, so that nothing is deleted.
            Step::Pass(millis) => {
                self.clock.advance_to(self.clock.now() + Duration::from_millis(millis * 10));
            }
        }
        settle().await;
    }
}

type Story = (Vec<(usize, u64, usize, usize)>, Vec<Step>, Vec<Step>, HistoryFilter, usize, bool);

async fn page_through_while_it_grows(
    (old, before, meanwhile, filter, limit, is_held): &Story,
) -> Result<(), TestCaseError> {
    let (store, mut world, tasks) = start_after(old).await;
    for step in before {
        world.go_on(step).await;
    }
    let (reached, _reached) = oneshot::channel();
    let (let_go, held) = oneshot::channel();
    if *is_held {
        *store.gate.lock() = Some((reached, held));
        world.is_held = true;
        world.go_on(&Step::Fail(0)).await;
    }
    let known = world.engine.latest_transition();
    let mut found: Vec<Arc<TransitionRecord>> = Vec::new();
    let (mut meanwhile, mut place) = (meanwhile.iter(), Some(Moment::END));
    while let Some(before) = place {
        let page = world.engine.history(filter, before, *limit).await.unwrap();
        prop_assert!(page.transitions.len() <= *limit);
        found.extend(page.transitions);
        place = page.next_before;
        if let Some(step) = meanwhile.next() {
            world.go_on(step).await;
        }
    }
    let _ = let_go.send(());
    store.gate.lock().take();
    tasks.shut_down().await.unwrap();

    prop_assert!(found.is_sorted_by(|a, b| a.moment() > b.moment()), "in order, none twice");
    let stored = store.transitions.lock();
    let mut expected: Vec<_> = stored
        .values()
        .filter(|record| record.id <= known && filter.matches(record))
        .map(|record| (record.moment(), record))
        .collect();
    expected.sort_by_key(|(moment, _)| Reverse(*moment));
    let was_there = found.iter().filter(|record| record.id <= known);
    let was_there: Vec<_> = was_there.map(|record| (record.moment(), &**record)).collect();
    prop_assert_eq!(was_there, expected);
    let came: HashSet<_> = found.iter().filter(|record| record.id > known).map(|r| r.id).collect();
    prop_assert!(came.iter().all(|id| filter.matches(&stored[id])));
    Ok(())
}

#[test]
fn paging_gives_exactly_what_the_filter_lets_through_while_new_ones_arrive() {
    let story = (old(), steps(40), steps(20), filters(), 1..9_usize, any::<bool>());
    let mut runner = TestRunner::new(Cases { cases: 300, ..Cases::default() });
    let checked = runner.run(&story, |story| with_paused_time(page_through_while_it_grows(&story)));
    checked.unwrap();
}
