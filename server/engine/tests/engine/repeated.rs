//! Reports that are repeated after a restart: none counts twice, and none is lost but in a crash.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use breaker_core::{Attribution, Outcome, Run, Time};
use breaker_engine::{
    Action, Admitted, BreakerReport, Clock, Durability, Engine, ManualClock, Reported, Selector,
    Tasks,
};
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::flaky::{Flaky, name, start, start_at, with_paused_time};

const BREAKERS: [&str; 3] = ["a/a", "a/b", "a/c"];
const REPORTERS: [&str; 3] = ["anna-1", "bert-2", "cleo-3"];
/// How many reports of one breaker can be told apart in its counts.
const MOST_TOLD: usize = 15;
/// By then whatever waits has been written.
const ALL_WRITTEN: Duration = Duration::from_secs(5);

/// A report of 4^n calls, n being its number among those of its breaker: how often each report was
/// counted are the digits of the breaker's count of calls to the base of four.
#[derive(Clone, Copy, Debug)]
struct Told {
    reporter: &'static str,
    sequence: u64,
    breaker: &'static str,
    number: usize,
    outcome: Outcome,
}

impl Told {
    fn send(&self, engine: &Engine) -> Reported {
        let runs = vec![(Run::new(self.outcome, 1 << (2 * self.number)), None)];
        let breaker = name(self.breaker);
        let report = BreakerReport { breaker, admitted: Admitted::Current, runs };
        engine.report(self.reporter, self.sequence, &[report]).unwrap()
    }

    /// How often it was counted, as far as that is less than four times.
    fn counted(&self, engine: &Engine) -> u64 {
        let Ok(view) = engine.get(&name(self.breaker)) else { return 0 };
        let calls = view.breaker.metrics().map_or(0, |metrics| {
            let totals = metrics.totals();
            totals.successes + totals.failures
        });
        calls >> (2 * self.number) & 0b11
    }
}

fn success(reporter: &'static str, sequence: u64) -> Told {
    let (breaker, number) = ("a/a", sequence as usize);
    Told { reporter, sequence, breaker, number, outcome: Outcome::Success }
}

#[tokio::test(start_paused = true)]
async fn a_report_that_was_counted_counts_no_more_after_a_stop() {
    let store = Arc::new(Flaky::default());
    let (engine, tasks) = start(&store).await;
    let told = [1, 2, 3, 5].map(|sequence| success("anna-1", sequence));
    assert!(told.iter().all(|told| told.send(&engine) != Reported::Duplicate));
    tasks.shut_down().await.unwrap();

    let (engine, tasks) = start(&store).await;
    assert!(told.iter().all(|told| told.send(&engine) == Reported::Duplicate));
    assert!(told.iter().all(|told| told.counted(&engine) == 1));
    assert_ne!(success("anna-1", 4).send(&engine), Reported::Duplicate);
    assert_ne!(success("bert-2", 4).send(&engine), Reported::Duplicate);
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_a_crash_has_left_is_counted_once_and_what_it_took_counts_anew() {
    let store = Arc::new(Flaky::default());
    let (engine, tasks) = start(&store).await;
    let (written, lost) = (success("anna-1", 1), success("anna-1", 2));
    written.send(&engine);
    sleep(ALL_WRITTEN).await;
    lost.send(&engine);
    tasks.abandon();

    let (engine, tasks) = start(&store).await;
    assert_eq!(written.send(&engine), Reported::Duplicate);
    assert_ne!(lost.send(&engine), Reported::Duplicate);
    assert_eq!((written.counted(&engine), lost.counted(&engine)), (1, 1));
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn reports_about_breakers_that_are_gone_are_remembered_over_a_stop() {
    let store = Arc::new(Flaky::default());
    let (engine, tasks) = start(&store).await;
    let report = BreakerReport {
        breaker: name("a/gone"),
        admitted: Admitted::Generation(1),
        runs: vec![(Run::new(Outcome::Failure, 1), None)],
    };
    engine.report("anna-1", 1, std::slice::from_ref(&report)).unwrap();
    tasks.shut_down().await.unwrap();
    let (engine, tasks) = start(&store).await;
    assert_eq!(engine.report("anna-1", 1, &[report]).unwrap(), Reported::Duplicate);
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn many_reporters_are_written_before_the_row_that_holds_their_reports() {
    const MANY: u64 = 12_000;
    let one_success = || BreakerReport {
        breaker: name("a/b"),
        admitted: Admitted::Current,
        runs: vec![(Run::new(Outcome::Success, 1), None)],
    };
    for last_commit in 1..=3 {
        let store = Arc::new(Flaky::default());
        let (engine, tasks) = start(&store).await;
        // The first row of the breaker is written without any report.
        engine.acquire("a/b").unwrap();
        sleep(ALL_WRITTEN).await;
        let written = store.commits.load(Ordering::SeqCst);
        *store.last_commit.lock() = Some(written + last_commit);
        let report_all = |engine: &Engine| {
            for reporter in 0..MANY {
                engine.report(&format!("reporter-{reporter}"), 1, &[one_success()]).unwrap();
            }
        };
        report_all(&engine);
        sleep(ALL_WRITTEN).await;
        tasks.abandon();

        store.come_back();
        let (engine, tasks) = start(&store).await;
        let successes = |engine: &Engine| {
            let view = engine.get(&name("a/b")).unwrap();
            view.breaker.metrics().map_or(0, |metrics| metrics.totals().successes)
        };
        // Two commits of reporters alone, and one of the others together with the row.
        let (in_row, unknown) = [(0, 7_000), (0, 5_000), (MANY, 0)][last_commit - 1];
        assert_eq!(successes(&engine), in_row, "{last_commit}");
        report_all(&engine);
        assert_eq!(successes(&engine), in_row + unknown, "{last_commit}");
        tasks.shut_down().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn without_storage_reporters_wait_and_are_written_when_it_is_back() {
    let store = Arc::new(Flaky::default());
    let (engine, tasks) = start(&store).await;
    store.go_away();
    let told = [1, 2, 3].map(|sequence| success("anna-1", sequence));
    for told in told {
        told.send(&engine);
        sleep(ALL_WRITTEN).await;
        assert_eq!(told.send(&engine), Reported::Duplicate);
    }
    store.come_back();
    sleep(ALL_WRITTEN).await;
    tasks.abandon();
    let (engine, tasks) = start(&store).await;
    assert!(told.iter().all(|told| told.send(&engine) == Reported::Duplicate));
    assert!(told.iter().all(|told| told.counted(&engine) == 1));
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn storage_forgets_reporters_that_said_nothing_for_a_day() {
    let store = Arc::new(Flaky::default());
    let clock = Arc::new(ManualClock::at(Time::from_millis(1)));
    let (engine, tasks) = start_at(&store, &clock).await;
    let (silent, steady) = (success("anna-1", 1), success("bert-2", 2));
    silent.send(&engine);
    steady.send(&engine);
    sleep(ALL_WRITTEN).await;
    clock.advance_to(clock.now() + Duration::from_hours(23));
    success("bert-2", 3).send(&engine);
    sleep(2 * ALL_WRITTEN).await;
    assert_eq!(store.reporters.lock().len(), 2);
    clock.advance_to(clock.now() + Duration::from_hours(2));
    sleep(2 * ALL_WRITTEN).await;
    assert_eq!(store.reporters.lock().len(), 1);
    assert_eq!(silent.send(&engine), Reported::Duplicate, "there is room for it in memory");
    tasks.abandon();
    let (engine, tasks) = start_at(&store, &clock).await;
    assert_eq!(steady.send(&engine), Reported::Duplicate);
    assert_ne!(silent.send(&engine), Reported::Duplicate);
    tasks.shut_down().await.unwrap();
}

/// Something that happens to the server.
#[derive(Clone, Copy, Debug)]
enum Step {
    Report(usize, usize, Outcome),
    /// One of the reports so far is sent again.
    Repeat(usize),
    Pass(u64),
    GoesAway,
    ComesBack,
    Crashes,
    Stops,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let outcome = prop_oneof![3 => Just(Outcome::Success), 1 => Just(Outcome::Failure)];
    let report = (0..REPORTERS.len(), 0..BREAKERS.len(), outcome);
    let step = prop_oneof![
        8 => report.prop_map(|(reporter, breaker, outcome)| Step::Report(reporter, breaker, outcome)),
        2 => (0..50_usize).prop_map(Step::Repeat),
        6 => (0..1_500_u64).prop_map(Step::Pass),
        1 => Just(Step::GoesAway),
        2 => Just(Step::ComesBack),
        1 => Just(Step::Crashes),
        1 => Just(Step::Stops),
    ];
    proptest::collection::vec(step, 1..80)
}

struct World {
    store: Arc<Flaky>,
    engine: Arc<Engine>,
    tasks: Tasks,
    told: Vec<Told>,
}

impl World {
    async fn new() -> Self {
        let store = Arc::new(Flaky::default());
        let (engine, tasks) = start(&store).await;
        Self { store, engine, tasks, told: Vec::new() }
    }

    async fn go_on(mut self, step: Step) -> Result<Self, TestCaseError> {
        match step {
            Step::Report(reporter, breaker, outcome) => self.report(reporter, breaker, outcome)?,
            Step::Repeat(which) if !self.told.is_empty() => {
                let told = self.told[which % self.told.len()];
                prop_assert_eq!(told.send(&self.engine), Reported::Duplicate);
            }
            Step::Repeat(_) => {}
            Step::Pass(millis) => sleep(Duration::from_millis(millis)).await,
            Step::GoesAway => self.store.go_away(),
            Step::ComesBack => self.store.come_back(),
            Step::Crashes => self = self.crash().await?,
            Step::Stops => self = self.stop().await?,
        }
        for told in &self.told {
            prop_assert!(told.counted(&self.engine) <= 1, "{told:?} counts twice");
        }
        Ok(self)
    }

    fn report(
        &mut self,
        reporter: usize,
        breaker: usize,
        outcome: Outcome,
    ) -> Result<(), TestCaseError> {
        let (reporter, breaker) = (REPORTERS[reporter], BREAKERS[breaker]);
        let number = self.told.iter().filter(|told| told.breaker == breaker).count();
        if number < MOST_TOLD {
            let before = self.told.iter().filter(|told| told.reporter == reporter).count();
            let told = Told { reporter, sequence: 1 + before as u64, breaker, number, outcome };
            prop_assert_ne!(told.send(&self.engine), Reported::Duplicate);
            self.told.push(told);
        }
        Ok(())
    }

    async fn stop(self) -> Result<Self, TestCaseError> {
        let Self { store, engine, tasks, told } = self;
        store.come_back();
        let before: Vec<_> = told.iter().map(|told| told.counted(&engine)).collect();
        tasks.shut_down().await.unwrap();
        let (engine, tasks) = start(&store).await;
        for (told, before) in told.iter().zip(before) {
            prop_assert_eq!(told.send(&engine), Reported::Duplicate);
            prop_assert_eq!(told.counted(&engine), before);
        }
        Ok(Self { store, engine, tasks, told })
    }

    async fn crash(self) -> Result<Self, TestCaseError> {
        let Self { store, tasks, told, .. } = self;
        tasks.abandon();
        store.come_back();
        let (engine, tasks) = start(&store).await;
        // The clients do not know which of their reports have arrived.
        for told in &told {
            let counted = told.counted(&engine);
            let is_counted_now = told.send(&engine) != Reported::Duplicate;
            prop_assert!(counted == 0 || !is_counted_now, "{told:?} is in a row and not known");
        }
        Ok(Self { store, engine, tasks, told })
    }
}

#[test]
fn whatever_happens_nothing_counts_twice_and_a_stop_loses_nothing() {
    let mut runner = TestRunner::new(Cases { cases: 300, ..Cases::default() });
    let outcome = runner.run(&steps(), |steps| {
        with_paused_time(async {
            let mut world = World::new().await;
            for step in steps {
                world = world.go_on(step).await?;
            }
            Ok(())
        })
    });
    outcome.unwrap();
}

/// A reporter, and an admin between its reports: the writer reads rows all the time.
async fn work(engine: Arc<Engine>, reporter: usize) -> Vec<Told> {
    let mut sent = Vec::new();
    for number in 0..MOST_TOLD {
        let breaker = BREAKERS[(reporter + number) % BREAKERS.len()];
        let told = Told {
            reporter: REPORTERS[reporter],
            sequence: 1 + number as u64,
            breaker,
            number: (reporter * MOST_TOLD + number) / BREAKERS.len(),
            outcome: [Outcome::Success, Outcome::Failure][number % 2],
        };
        told.send(&engine);
        sent.push(told);
        if engine.storage_status().borrow().failing.is_none() {
            let action = [Action::Trip, Action::Reset][number % 2];
            let durability = [Durability::Preferred, Durability::Required][number / 2 % 2];
            let selector = Selector::parse(breaker).unwrap();
            // Storage can be gone by then.
            drop(engine.apply(&selector, action, Attribution::default(), durability).await);
        }
    }
    sent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reports_that_come_while_rows_are_read_count_once_after_a_crash() {
    for round in 0..60 {
        let store = Arc::new(Flaky::default());
        *store.last_commit.lock() = Some(1 + round % 20);
        let (engine, tasks) = start(&store).await;
        let mut working = JoinSet::new();
        for reporter in 0..REPORTERS.len() {
            working.spawn(work(Arc::clone(&engine), reporter));
        }
        let told: Vec<_> = working.join_all().await.into_iter().flatten().collect();
        tasks.abandon();
        store.come_back();
        let (engine, tasks) = start(&store).await;
        for told in told {
            told.send(&engine);
            assert!(told.counted(&engine) <= 1, "{told:?} counts twice");
        }
        tasks.abandon();
    }
}
