//! Which breakers go when nobody uses them, and what is left of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use breaker_core::{Attribution, ConfigPatch, OverrideKind, Time};
use breaker_engine::{
    Action, Admitted, BreakerReport, ConfigUpdate, Durability, Engine, EngineError, ManualClock,
    Others, Phase, Reported, Selector, Selectors, Subscription, Tasks, Wanted,
};
use proptest::prelude::*;
use tokio::time::sleep;

use crate::flaky::{Flaky, IDLE_TTL, name, start_at, with_paused_time};

const HOUR: Duration = Duration::from_hours(1);
/// A breaker that can go is gone after so much more.
const SLACK: Duration = Duration::from_secs(10 * 60 + 1);
/// What storage may lose of the last use of a breaker.
const GRAIN: Duration = Duration::from_mins(10);
/// Enough for all tasks to come to rest, on the clock of the runtime.
const AT_REST: Duration = Duration::from_secs(1);
const START: Time = Time::from_millis(1_700_000_000_000);

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(START))
}

/// Late enough for a breaker to go that was used at the start and not since.
fn long_after() -> Time {
    START + IDLE_TTL + HOUR
}

fn watch(engine: &Arc<Engine>) -> Subscription {
    engine.watch(Selectors::default(), &[], Phase::default())
}

/// Waits until watchers learn that the breaker is gone.
async fn gone(watching: &mut Subscription, text: &str) {
    while !watching.next().await.deleted.contains(&name(text)) {}
}

fn is_there(engine: &Engine, text: &str) -> bool {
    engine.get(&name(text)).is_ok()
}

fn report(breaker: &str, admitted: Admitted) -> [BreakerReport<'static>; 1] {
    [BreakerReport { breaker: name(breaker), admitted, runs: Vec::new() }]
}

async fn act(engine: &Arc<Engine>, text: &str, action: Action) {
    let (selector, by) = (Selector::parse(text).unwrap(), Attribution::default());
    engine.apply(&selector, action, by, Durability::Preferred).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_nobody_uses_goes_like_what_is_deleted_and_what_is_used_stays() {
    let (store, clock) = (Arc::new(Flaky::default()), clock());
    let (engine, tasks) = start_at(&store, &clock).await;
    for text in ["a/asked", "a/reported", "a/reset", "z/idle"] {
        engine.acquire(text).unwrap();
    }
    let mut watching = watch(&engine);
    clock.advance_to(START + IDLE_TTL / 2);
    engine.acquire("a/asked").unwrap();
    engine.report("", 0, &report("a/reported", Admitted::Current)).unwrap();
    act(&engine, "a/reset", Action::Reset).await;
    let old = engine.get(&name("z/idle")).unwrap().status;

    // The names are gone through in order, so that the last one goes last.
    clock.advance_to(long_after());
    gone(&mut watching, "z/idle").await;
    assert!(["a/asked", "a/reported", "a/reset"].iter().all(|text| is_there(&engine, text)));
    assert_eq!((engine.breaker_count(), engine.stats().idle_dropped()), (3, 1));

    let late = report("z/idle", Admitted::Generation(old.generation));
    assert_eq!(engine.report("", 0, &late).unwrap(), Reported::Counted(Vec::new()));
    assert!(!is_there(&engine, "z/idle"), "its calls are history");
    engine.acquire("z/idle").unwrap();
    let new = engine.get(&name("z/idle")).unwrap().status;
    assert!(new.generation > old.generation && new.revision > old.revision);
    engine.delete(&name("z/idle"), None, Durability::Preferred).await.unwrap();
    tasks.shut_down().await.unwrap();
    let stored: Vec<_> = store.rows.lock().keys().map(ToString::to_string).collect();
    assert_eq!(stored, ["a/asked", "a/reported", "a/reset"]);
}

#[tokio::test(start_paused = true)]
async fn what_an_admin_has_made_and_what_would_be_missed_stays() {
    let (store, clock) = (Arc::new(Flaky::default()), clock());
    let (engine, tasks) = start_at(&store, &clock).await;
    let nothing = ConfigPatch::default;
    engine.create(name("a/created"), nothing(), Durability::Required).await.unwrap();
    for text in ["a/configured", "a/held", "a/named", "a/open", "z/idle"] {
        engine.acquire(text).unwrap();
    }
    let update = ConfigUpdate { values: nothing(), keys: Vec::new() };
    engine.update(&name("a/configured"), update, None, Durability::Required).await.unwrap();
    let held = Action::Override { kind: OverrideKind::Disabled, time_to_live: None };
    act(&engine, "a/held", held).await;
    act(&engine, "a/open", Action::Trip).await;
    let named = |text: &str| (name(text), (nothing(), "file".to_owned()));
    let breakers = BTreeMap::from([named("a/named"), named("a/applied")]);
    let wanted = Wanted { breakers, others: Others::Keep, ..Wanted::default() };
    engine.reconcile(wanted, Durability::Preferred).await.unwrap();
    let stays = ["a/applied", "a/configured", "a/created", "a/held", "a/named", "a/open"];

    let mut watching = watch(&engine);
    clock.advance_to(long_after());
    gone(&mut watching, "z/idle").await;
    assert!(stays.iter().all(|text| is_there(&engine, text)));
    engine.acquire("z/idle").unwrap();
    tasks.shut_down().await.unwrap();

    // Who has made a breaker is known over a restart.
    let (engine, tasks) = start_at(&store, &clock).await;
    let mut watching = watch(&engine);
    clock.advance_to(long_after() + IDLE_TTL + HOUR);
    gone(&mut watching, "z/idle").await;
    assert!(stays.iter().all(|text| is_there(&engine, text)));
    act(&engine, "a/held", Action::Release).await;
    clock.advance_to(long_after() + 2 * (IDLE_TTL + HOUR));
    gone(&mut watching, "a/held").await;
    assert!(is_there(&engine, "a/created"));
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_restarts_every_day_drops_what_nobody_used_for_longer() {
    let (store, clock) = (Arc::new(Flaky::default()), clock());
    let (engine, tasks) = start_at(&store, &clock).await;
    engine.acquire("a/asked").unwrap();
    engine.acquire("z/idle").unwrap();
    clock.advance_to(START + IDLE_TTL / 2);
    engine.acquire("a/asked").unwrap();
    tasks.shut_down().await.unwrap();

    let (engine, tasks) = start_at(&store, &clock).await;
    let mut watching = watch(&engine);
    clock.advance_to(long_after());
    gone(&mut watching, "z/idle").await;
    assert!(is_there(&engine, "a/asked"));
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_was_away_gives_clients_time_to_come_back() {
    let (store, clock) = (Arc::new(Flaky::default()), clock());
    let (engine, tasks) = start_at(&store, &clock).await;
    engine.acquire("a/asked").unwrap();
    engine.acquire("z/idle").unwrap();
    tasks.shut_down().await.unwrap();

    clock.advance_to(long_after());
    let (engine, tasks) = start_at(&store, &clock).await;
    let mut watching = watch(&engine);
    clock.advance_to(long_after() + HOUR / 2);
    sleep(AT_REST).await;
    assert!(is_there(&engine, "z/idle"));
    engine.acquire("a/asked").unwrap();
    clock.advance_to(long_after() + 2 * HOUR);
    gone(&mut watching, "z/idle").await;
    assert!(is_there(&engine, "a/asked"));
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_nobody_uses_goes_within_minutes_once_it_may() {
    let (store, clock) = (Arc::new(Flaky::default()), clock());
    let (engine, tasks) = start_at(&store, &clock).await;
    engine.acquire("z/idle").unwrap();
    let mut now = START + IDLE_TTL - HOUR;
    while now < START + IDLE_TTL {
        clock.advance_to(now);
        sleep(AT_REST).await;
        assert!(is_there(&engine, "z/idle"), "it has gone early");
        now = now + Duration::from_mins(1);
    }
    while now < START + IDLE_TTL + SLACK {
        clock.advance_to(now);
        sleep(AT_REST).await;
        now = now + Duration::from_mins(1);
    }
    assert!(!is_there(&engine, "z/idle"), "it is there still");
    tasks.shut_down().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_goes_makes_room() {
    let (store, clock) = (Arc::new(Flaky::default()), clock());
    let (engine, tasks) = start_at(&store, &clock).await;
    for index in 0..10 {
        engine.acquire(&format!("a/{index}")).unwrap();
    }
    let create = async |text| {
        let created = engine.create(name(text), ConfigPatch::default(), Durability::Required);
        created.await.map(|_| ())
    };
    let refused = [
        engine.acquire("b/asked").map(|_| ()),
        engine.report("", 0, &report("b/reported", Admitted::Current)).map(|_| ()),
        create("b/created").await,
    ];
    for refused in refused {
        let error = refused.unwrap_err();
        assert!(matches!(error, EngineError::TooManyBreakers { limit: 10 }), "{error}");
        let told = error.to_string();
        assert!(
            ["max_breakers", "10", "idle_ttl"].iter().all(|word| told.contains(word)),
            "{told}"
        );
    }
    let mut watching = watch(&engine);
    clock.advance_to(long_after());
    gone(&mut watching, "a/9").await;
    engine.acquire("b/asked").unwrap();
    engine.report("", 0, &report("b/reported", Admitted::Current)).unwrap();
    create("b/created").await.unwrap();
    tasks.shut_down().await.unwrap();
}

/// Something that happens to one of a few breakers, or to the server.
#[derive(Clone, Copy, Debug)]
enum Step {
    Acquire(usize),
    Report(usize),
    Trip(usize),
    Reset(usize),
    Configure(usize),
    /// So many minutes pass.
    Pass(u64),
    /// The server stops, and starts so many minutes later.
    Restart(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let which = || 0..BREAKERS.len();
    prop_oneof![
        6 => which().prop_map(Step::Acquire),
        3 => which().prop_map(Step::Report),
        1 => which().prop_map(Step::Trip),
        2 => which().prop_map(Step::Reset),
        1 => which().prop_map(Step::Configure),
        6 => (1..24_u64).prop_map(|hours| Step::Pass(60 * hours)),
        6 => (1..40_u64).prop_map(Step::Pass),
        2 => (0..16 * 60_u64).prop_map(Step::Restart),
    ]
}

const BREAKERS: [&str; 5] = ["a/a", "a/b", "b/a", "b/b", "c/c"];

/// What a breaker that is there was last used for.
#[derive(Clone, Copy, Debug)]
struct Known {
    used: Time,
    /// It was used then or later, for all that the server can know.
    remembered: Time,
    /// It was tripped and not reset.
    is_tripped: bool,
    is_configured: bool,
}

struct World {
    store: Arc<Flaky>,
    clock: Arc<ManualClock>,
    engine: Arc<Engine>,
    tasks: Tasks,
    started: Time,
    now: Time,
    known: BTreeMap<&'static str, Known>,
}

impl World {
    async fn new() -> Self {
        let (store, clock) = (Arc::new(Flaky::default()), clock());
        let (engine, tasks) = start_at(&store, &clock).await;
        let known = BTreeMap::new();
        Self { store, clock, engine, tasks, started: START, now: START, known }
    }

    async fn go_on(mut self, step: Step) -> Result<Self, TestCaseError> {
        match step {
            Step::Acquire(which) => {
                self.engine.acquire(BREAKERS[which]).unwrap();
                self.used(which);
            }
            Step::Report(which) => {
                let report = report(BREAKERS[which], Admitted::Current);
                self.engine.report("", 0, &report).unwrap();
                self.used(which);
            }
            Step::Trip(which) if self.is_known(which) => {
                act(&self.engine, BREAKERS[which], Action::Trip).await;
                self.used(which).is_tripped = true;
            }
            Step::Reset(which) if self.is_known(which) => {
                act(&self.engine, BREAKERS[which], Action::Reset).await;
                self.used(which).is_tripped = false;
            }
            Step::Configure(which) if self.is_known(which) => {
                let update = ConfigUpdate { values: ConfigPatch::default(), keys: Vec::new() };
                let name = name(BREAKERS[which]);
                self.engine.update(&name, update, None, Durability::Preferred).await.unwrap();
                self.used(which).is_configured = true;
            }
            Step::Trip(_) | Step::Reset(_) | Step::Configure(_) => {}
            Step::Pass(minutes) => {
                self.now = self.now + Duration::from_mins(minutes);
                self.clock.advance_to(self.now);
            }
            Step::Restart(minutes) => {
                self.tasks.shut_down().await.unwrap();
                self.now = self.now + Duration::from_mins(minutes);
                self.clock.advance_to(self.now);
                (self.engine, self.tasks) = start_at(&self.store, &self.clock).await;
                self.started = self.now;
                for known in self.known.values_mut() {
                    known.remembered = known.remembered.min(known.used - GRAIN);
                }
            }
        }
        sleep(AT_REST).await;
        self.check()?;
        Ok(self)
    }

    fn is_known(&self, which: usize) -> bool {
        self.known.contains_key(BREAKERS[which])
    }

    fn used(&mut self, which: usize) -> &mut Known {
        let used = self.now;
        let new = Known { used, remembered: used, is_tripped: false, is_configured: false };
        let known = self.known.entry(BREAKERS[which]).or_insert(new);
        (known.used, known.remembered) = (used, used);
        known
    }

    fn check(&mut self) -> Result<(), TestCaseError> {
        let (now, since_start) = (self.now, self.now.since(self.started));
        for text in BREAKERS {
            let is_there = is_there(&self.engine, text);
            let Some(known) = self.known.get(text) else {
                prop_assert!(!is_there, "{text} is back, and nobody has used it");
                continue;
            };
            let stays = known.is_tripped || known.is_configured;
            let may_go = !stays && now.since(known.remembered) >= IDLE_TTL && since_start >= HOUR;
            let has_to_go =
                !stays && now.since(known.used) >= IDLE_TTL + SLACK && since_start >= HOUR + SLACK;
            prop_assert!(is_there || may_go, "{text} has gone: {known:?}");
            prop_assert!(!is_there || !has_to_go, "{text} is there still: {known:?}");
            if !is_there {
                self.known.remove(text);
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_a_breaker_goes_when_it_is_idle_and_never_before(
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
}
