//! Which breakers go when nobody uses them, and what is left of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use breaker_core::{Attribution, ConfigPatch, OverrideKind, Time};
use breaker_engine::{
    Action, Admitted, BreakerReport, ConfigUpdate, Durability, Engine, EngineError, ManualClock,
    Others, Reported, Selector, Selectors, Subscription, Wanted,
};

use crate::flaky::{Flaky, IDLE_TTL, name, start_at};

const HOUR: Duration = Duration::from_hours(1);
const START: Time = Time::from_millis(1_700_000_000_000);

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(START))
}

/// Late enough for a breaker to go that was used at the start and not since.
fn long_after() -> Time {
    START + IDLE_TTL + HOUR
}

fn watch(engine: &Arc<Engine>) -> Subscription {
    engine.watch(Selectors::default(), &[])
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
    engine.acquire("a/asked").unwrap();
    assert!(is_there(&engine, "z/idle"));
    clock.advance_to(long_after() + 2 * HOUR);
    gone(&mut watching, "z/idle").await;
    assert!(is_there(&engine, "a/asked"));
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
