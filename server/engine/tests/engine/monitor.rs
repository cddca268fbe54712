//! What is kept of all breakers and sampled of those that are used.

use std::sync::Arc;
use std::time::Duration;

use breaker_core::{Attribution, Mode, Outcome, OverrideKind, Run, StateKind, Time};
use breaker_engine::{
    Action, Activity, Admitted, BackupOrigin, BreakerReport, Durability, Engine, FleetCounts,
    ManualClock, Order, Query, SAMPLE_INTERVAL, Selector, Tasks,
};
use proptest::prelude::*;
use tokio::time::sleep;

use crate::flaky::{Flaky, IDLE_TTL, MONITOR_SERIES, name, start_at, with_paused_time};

const START: Time = Time::from_millis(1_700_000_000_000);
/// Enough for all tasks to come to rest, on the clock of the runtime.
const AT_REST: Duration = Duration::from_secs(1);
const STATES: [StateKind; 3] = [StateKind::Closed, StateKind::Open, StateKind::HalfOpen];
const MODES: [Mode; 5] =
    [Mode::Normal, Mode::ForcedOpen, Mode::ForcedClosed, Mode::Disabled, Mode::Shadow];

async fn act(engine: &Arc<Engine>, text: &str, action: Action) {
    let (selector, by) = (Selector::parse(text).unwrap(), Attribution::default());
    engine.apply(&selector, action, by, Durability::Preferred).await.unwrap();
}

fn report(engine: &Engine, reporter: &str, breaker: &str, calls: &[(Outcome, u32)]) {
    let run = |&(outcome, count): &(Outcome, u32)| {
        (Run::new(outcome, count).lasting(Duration::from_millis(10) * count), None)
    };
    let runs = calls.iter().map(run).collect();
    let report = BreakerReport { breaker: name(breaker), admitted: Admitted::Current, runs };
    engine.report(reporter, 0, &[report]).unwrap();
}

/// Lets time pass, and all that is due happen.
async fn pass(clock: &ManualClock, time: Time) {
    clock.advance_to(time);
    sleep(AT_REST).await;
}

fn activity(engine: &Engine, breaker: &str) -> Activity {
    engine.activity(&name(breaker)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_sample_tells_what_happened_since_the_one_before() {
    let (store, clock) = (Arc::new(Flaky::default()), Arc::new(ManualClock::at(START)));
    let (engine, tasks) = start_at(&store, &clock).await;
    let calls = [(Outcome::Success, 30), (Outcome::Failure, 1), (Outcome::Timeout, 1)];
    report(&engine, "", "a/busy", &calls);
    report(&engine, "", "b/slow", &[(Outcome::Success, 5), (Outcome::Ignored, 7)]);
    act(&engine, "a/busy", Action::Trip).await;
    for _ in 0..10 {
        assert!(!engine.acquire("a/busy").unwrap().decision.is_allowed());
    }
    engine.acquire("c/allowed").unwrap();
    assert_eq!(engine.dashboard(None, 10).rates.calls, 0.0, "no sample was taken yet");

    pass(&clock, START + SAMPLE_INTERVAL).await;
    let dashboard = engine.dashboard(None, 10);
    let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
    assert!(close(dashboard.rates.calls, 37.0 / 5.0), "{:?}", dashboard.rates);
    assert!(close(dashboard.rates.failures, 2.0 / 5.0) && close(dashboard.rates.denied, 2.0));
    let names = |list: &[breaker_engine::BusyBreaker]| -> Vec<String> {
        list.iter().map(|busy| busy.name.to_string()).collect()
    };
    assert_eq!(names(&dashboard.busiest), ["a/busy", "b/slow"]);
    assert_eq!(names(&dashboard.slowest), ["a/busy", "b/slow"]);
    assert_eq!(names(&dashboard.most_denied), ["a/busy"]);
    assert_eq!(dashboard.busiest[0].state, StateKind::Open);
    assert!(close(dashboard.busiest[0].average_response_time_ms, 10.0));
    let of_b = engine.dashboard(Some("b"), 10);
    assert!(close(of_b.rates.calls, 1.0) && names(&of_b.busiest) == ["b/slow"]);
    assert_eq!(names(&engine.dashboard(None, 1).busiest), ["a/busy"]);
    let sample = activity(&engine, "a/busy").samples[0];
    assert_eq!((sample.successes, sample.failures, sample.timeouts, sample.denied), (30, 1, 1, 10));

    report(&engine, "", "b/slow", &[(Outcome::Success, 50)]);
    pass(&clock, START + 2 * SAMPLE_INTERVAL).await;
    let dashboard = engine.dashboard(None, 10);
    assert!(close(dashboard.rates.calls, 10.0) && dashboard.rates.denied == 0.0);
    assert_eq!(names(&dashboard.busiest), ["b/slow"], "what is not used drops out");
    assert!(dashboard.most_denied.is_empty());
    assert_eq!(activity(&engine, "a/busy").samples.len(), 1, "nothing happened");
    assert_eq!(activity(&engine, "b/slow").samples.len(), 2);

    pass(&clock, START + 3 * SAMPLE_INTERVAL).await;
    assert_eq!(engine.dashboard(None, 10).rates, breaker_engine::CallRates::default());
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_expires_counts_in_the_next_sample() {
    let (store, clock) = (Arc::new(Flaky::default()), Arc::new(ManualClock::at(START)));
    let (engine, tasks) = start_at(&store, &clock).await;
    engine.acquire("a/a").unwrap();
    act(&engine, "a/a", Action::Trip).await;
    let half_open = START + Duration::from_mins(1);
    pass(&clock, half_open).await;
    assert!(engine.acquire("a/a").unwrap().decision.permit().is_some());
    // It expires right after its deadline, and not at it.
    pass(&clock, half_open + Duration::from_secs(10) + Duration::from_millis(1)).await;
    pass(&clock, half_open + Duration::from_secs(20)).await;
    let timeouts: Vec<_> = activity(&engine, "a/a").samples.iter().map(|s| s.timeouts).collect();
    assert_eq!(timeouts, [1]);
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_is_made_anew_is_sampled_as_itself() {
    let (store, clock) = (Arc::new(Flaky::default()), Arc::new(ManualClock::at(START)));
    let (engine, tasks) = start_at(&store, &clock).await;
    report(&engine, "", "a/a", &[(Outcome::Success, 5)]);
    pass(&clock, START + SAMPLE_INTERVAL).await;
    report(&engine, "", "a/a", &[(Outcome::Success, 3)]);
    engine.delete(&name("a/a"), None, Durability::Preferred).await.unwrap();
    report(&engine, "", "a/a", &[(Outcome::Success, 7)]);
    pass(&clock, START + 2 * SAMPLE_INTERVAL).await;
    let successes: Vec<_> = activity(&engine, "a/a").samples.iter().map(|s| s.successes).collect();
    assert_eq!(successes, [5, 7]);
    assert_eq!(activity(&engine, "a/a").reporters[0].calls, 7);
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_counted_before_a_restart_is_no_news() {
    let (store, clock) = (Arc::new(Flaky::default()), Arc::new(ManualClock::at(START)));
    let (engine, tasks) = start_at(&store, &clock).await;
    report(&engine, "r", "a/a", &[(Outcome::Success, 100)]);
    act(&engine, "a/a", Action::Trip).await;
    tasks.shut_down().await.unwrap();
    let (engine, tasks) = start_at(&store, &clock).await;
    assert_eq!(engine.health(None).counts.in_state(StateKind::Open), 1);
    assert!(activity(&engine, "a/a").reporters.is_empty());
    report(&engine, "r", "a/a", &[(Outcome::Success, 3)]);
    pass(&clock, START + SAMPLE_INTERVAL).await;
    let successes: Vec<_> = activity(&engine, "a/a").samples.iter().map(|s| s.successes).collect();
    assert_eq!(successes, [3]);
    assert_eq!(engine.uptime(), SAMPLE_INTERVAL);
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn samples_are_kept_of_so_many_breakers_and_no_more() {
    let (store, clock) = (Arc::new(Flaky::default()), Arc::new(ManualClock::at(START)));
    let (engine, tasks) = start_at(&store, &clock).await;
    let all: Vec<_> = (0..MONITOR_SERIES + 3).map(|number| format!("a/{number}")).collect();
    for turn in 1..=3 {
        all.iter().for_each(|text| report(&engine, "", text, &[(Outcome::Success, 1)]));
        pass(&clock, START + turn * SAMPLE_INTERVAL).await;
    }
    let kept = all.iter().map(|text| activity(&engine, text).samples.len());
    let kept: Vec<_> = kept.filter(|&samples| samples > 0).collect();
    assert_eq!(kept, [3; MONITOR_SERIES], "those in use keep their places");
    assert!(engine.activity(&name("a/unknown")).is_err());
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_breaker_knows_its_last_reporters_and_forgets_silent_ones() {
    let (store, clock) = (Arc::new(Flaky::default()), Arc::new(ManualClock::at(START)));
    let (engine, tasks) = start_at(&store, &clock).await;
    engine.acquire("a/asked").unwrap();
    assert_eq!(activity(&engine, "a/asked").last_report_at, None);
    for number in 0..20 {
        clock.advance_to(START + Duration::from_secs(number));
        let calls = [(Outcome::Success, 2), (Outcome::Ignored, 5)];
        report(&engine, &format!("replica-{number:02}"), "a/a", &calls);
    }
    report(&engine, "", "a/thin", &[(Outcome::Success, 1)]);
    let known = activity(&engine, "a/a");
    assert_eq!(known.reporters.len(), 16);
    assert_eq!((&*known.reporters[0].id, known.reporters[0].calls), ("replica-19", 2));
    assert_eq!(&*known.reporters[15].id, "replica-04");
    assert_eq!(known.last_report_at, Some(START + Duration::from_secs(19)));
    assert_eq!(&*activity(&engine, "a/thin").reporters[0].id, "");

    let mut now = START + Duration::from_secs(19);
    while now < START + Duration::from_mins(9) {
        now = now + Duration::from_secs(30);
        pass(&clock, now).await;
        assert_eq!(activity(&engine, "a/a").reporters.len(), 16);
        report(&engine, "replica-19", "a/thin", &[(Outcome::Success, 1)]);
    }
    while now < START + Duration::from_mins(13) {
        now = now + Duration::from_secs(30);
        pass(&clock, now).await;
    }
    let known = activity(&engine, "a/a");
    assert!(known.reporters.is_empty() && known.last_report_at.is_some());
    assert_eq!(activity(&engine, "a/thin").reporters.len(), 2);
    report(&engine, "replica-01", "a/a", &[(Outcome::Success, 1)]);
    assert_eq!(activity(&engine, "a/a").reporters.len(), 1);
    tasks.shut_down().await.unwrap();
}

/// Something that happens to one of a few breakers, or to the server.
#[derive(Clone, Copy, Debug)]
enum Step {
    Acquire(usize),
    Report(usize, Outcome),
    Act(usize, Action),
    Delete(usize),
    /// So many minutes pass.
    Pass(u64),
    Restart,
    /// All is deleted and a backup of it restored.
    Restore,
}

const BREAKERS: [&str; 5] = ["a/a", "a/b", "b/a", "b/b", "c/c"];

fn any_action() -> impl Strategy<Value = Action> {
    let kind = prop_oneof![
        Just(OverrideKind::ForcedOpen),
        Just(OverrideKind::ForcedClosed),
        Just(OverrideKind::Disabled),
        Just(OverrideKind::Shadow),
    ];
    let set = |kind, minutes: Option<u64>| Action::Override {
        kind,
        time_to_live: minutes.map(Duration::from_mins),
    };
    let set = (kind, prop::option::of(1..90_u64)).prop_map(move |(kind, ttl)| set(kind, ttl));
    prop_oneof![
        3 => set,
        1 => Just(Action::Release),
        2 => Just(Action::Trip),
        1 => Just(Action::Reset),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    let which = || 0..BREAKERS.len();
    let outcome = prop_oneof![Just(Outcome::Success), Just(Outcome::Failure)];
    prop_oneof![
        6 => which().prop_map(Step::Acquire),
        6 => (which(), outcome).prop_map(|(which, outcome)| Step::Report(which, outcome)),
        4 => (which(), any_action()).prop_map(|(which, action)| Step::Act(which, action)),
        1 => which().prop_map(Step::Delete),
        4 => (1..30_u64).prop_map(Step::Pass),
        1 => Just(Step::Pass(IDLE_TTL.as_secs() / 60 + 90)),
        1 => Just(Step::Restart),
        1 => Just(Step::Restore),
    ]
}

struct World {
    store: Arc<Flaky>,
    clock: Arc<ManualClock>,
    engine: Arc<Engine>,
    tasks: Tasks,
    now: Time,
}

impl World {
    async fn new() -> Self {
        let (store, clock) = (Arc::new(Flaky::default()), Arc::new(ManualClock::at(START)));
        let (engine, tasks) = start_at(&store, &clock).await;
        Self { store, clock, engine, tasks, now: START }
    }

    async fn go_on(mut self, step: Step) -> Result<Self, TestCaseError> {
        match step {
            Step::Acquire(which) => drop(self.engine.acquire(BREAKERS[which]).unwrap()),
            Step::Report(which, outcome) => {
                report(&self.engine, "r", BREAKERS[which], &[(outcome, 3)]);
            }
            Step::Act(which, action) => {
                let (selector, by) = (Selector::parse(BREAKERS[which]), Attribution::default());
                let acted =
                    self.engine.apply(&selector.unwrap(), action, by, Durability::Preferred).await;
                // There is none of this name, or it is held.
                drop(acted);
            }
            Step::Delete(which) => {
                let name = name(BREAKERS[which]);
                drop(self.engine.delete(&name, None, Durability::Preferred).await);
            }
            Step::Pass(minutes) => {
                self.now = self.now + Duration::from_mins(minutes);
                self.clock.advance_to(self.now);
            }
            Step::Restart => self = self.restarted().await,
            Step::Restore => self = self.restored().await,
        }
        sleep(AT_REST).await;
        self.check()?;
        Ok(self)
    }

    async fn restarted(self) -> Self {
        self.tasks.shut_down().await.unwrap();
        let (engine, tasks) = start_at(&self.store, &self.clock).await;
        Self { engine, tasks, ..self }
    }

    /// The same breakers on another server, by way of a restore.
    async fn restored(self) -> Self {
        self.tasks.shut_down().await.unwrap();
        let rows: Vec<_> = self.store.rows.lock().values().cloned().collect();
        let store = Arc::new(Flaky::default());
        let (engine, tasks) = start_at(&store, &self.clock).await;
        let mut restore = Arc::clone(&engine).restore().await.unwrap();
        restore.begin(1, BackupOrigin::default()).unwrap();
        for row in rows {
            restore.breaker(2, row).unwrap();
        }
        restore.finish().await.unwrap();
        Self { store, engine, tasks, ..self }
    }

    /// What is kept is what somebody finds who looks at every breaker.
    fn check(&self) -> Result<(), TestCaseError> {
        let (modes, after) = (Vec::new(), None);
        let query = Query {
            selector: None,
            states: Vec::new(),
            modes,
            order: Order::Name,
            after,
            limit: 100,
        };
        let all = self.engine.list(&query).breakers;
        let health = self.engine.health(None);
        let of = |namespace: &'static str| {
            let is_its_own = move |text: &str| text.starts_with(&format!("{namespace}/"));
            all.iter()
                .filter(move |view| namespace.is_empty() || is_its_own(view.status.name.as_str()))
        };
        let check = |namespace: &'static str, counts: &FleetCounts| {
            for state in STATES {
                let found = of(namespace).filter(|view| view.status.state == state).count();
                prop_assert_eq!(
                    counts.in_state(state),
                    found as u64,
                    "{:?} {:?}",
                    namespace,
                    state
                );
            }
            for mode in MODES {
                let found = of(namespace).filter(|view| view.status.mode == mode).count();
                prop_assert_eq!(counts.in_mode(mode), found as u64, "{:?} {:?}", namespace, mode);
            }
            prop_assert_eq!(counts.breakers(), of(namespace).count() as u64);
            Ok(())
        };
        check("", &health.counts)?;
        for state in STATES {
            let kept = self.engine.stats().breakers_in_state(state);
            prop_assert_eq!(u64::try_from(kept).unwrap(), health.counts.in_state(state));
        }
        let mut found = 0;
        for namespace in ["a", "b", "c"] {
            let counts = self.engine.health(Some(namespace)).counts;
            check(namespace, &counts)?;
            let listed = health.namespaces.iter().find(|of| of.name() == namespace);
            prop_assert_eq!(listed.map(|of| of.counts), (counts.breakers() > 0).then_some(counts));
            found += usize::from(counts.breakers() > 0);
            self.check_unhealthy(Some(namespace), of(namespace))?;
        }
        prop_assert_eq!((health.namespaces.len(), health.namespace_count), (found, found));
        let percents = health.namespaces.iter().map(|of| of.counts.health_percent());
        prop_assert!(percents.is_sorted(), "{:?}", health.namespaces);
        self.check_unhealthy(None, of(""))
    }

    fn check_unhealthy<'v>(
        &self,
        namespace: Option<&str>,
        all: impl Iterator<Item = &'v breaker_engine::BreakerView>,
    ) -> Result<(), TestCaseError> {
        let unhealthy = all.filter(|view| view.status.state != StateKind::Closed);
        let mut expected: Vec<_> =
            unhealthy.map(|view| (view.status.since, view.status.name.clone())).collect();
        expected.sort_unstable();
        let expected: Vec<_> = expected.into_iter().map(|(_, name)| name).collect();
        let shown = self.engine.health(namespace).unhealthy;
        let shown: Vec<_> = shown.into_iter().map(|breaker| breaker.name).collect();
        prop_assert_eq!(shown, expected);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_sums_are_those_of_all_breakers(
        steps in prop::collection::vec(any_step(), 1..100),
    ) {
        with_paused_time(async {
            let mut world = World::new().await;
            for step in steps {
                world = world.go_on(step).await?;
            }
            world.tasks.shut_down().await.unwrap();
            Ok::<_, TestCaseError>(())
        })?;
    }

    /// The samples of a breaker add up to what it has counted.
    #[test]
    fn samples_add_up_to_the_totals(
        steps in prop::collection::vec((0..2_usize, 0..4_usize, 1..5_u32, 0..8_u64), 1..60),
    ) {
        with_paused_time(async {
            let clock = Arc::new(ManualClock::at(START));
            let (engine, tasks) = start_at(&Arc::new(Flaky::default()), &clock).await;
            let mut now = START;
            for (which, what, count, seconds) in steps {
                let text = BREAKERS[which];
                match what {
                    0 => report(&engine, "", text, &[(Outcome::Success, count)]),
                    1 => report(&engine, "", text, &[(Outcome::Failure, count)]),
                    2 => report(&engine, "", text, &[(Outcome::Timeout, count)]),
                    _ => drop(engine.acquire(text).unwrap()),
                }
                now = now + Duration::from_secs(seconds);
                pass(&clock, now).await;
            }
            // Permits that are out expire first, and count then.
            pass(&clock, now + Duration::from_secs(60)).await;
            pass(&clock, now + Duration::from_secs(66)).await;
            for text in &BREAKERS[..2] {
                let Ok(view) = engine.get(&name(text)) else { continue };
                let totals = view.breaker.metrics().map(|metrics| *metrics.totals());
                let totals = totals.unwrap_or_default();
                let samples = activity(&engine, text).samples;
                let sum = |part: fn(&breaker_engine::ActivitySample) -> u32| -> u64 {
                    samples.iter().map(|sample| u64::from(part(sample))).sum()
                };
                prop_assert_eq!(sum(|s| s.successes), totals.successes);
                prop_assert_eq!(sum(|s| s.failures), totals.failures);
                prop_assert_eq!(sum(|s| s.timeouts), totals.timeouts);
                prop_assert_eq!(sum(|s| s.denied), totals.denied);
            }
            tasks.shut_down().await.unwrap();
            Ok::<_, TestCaseError>(())
        })?;
    }
}
