//! Calls decided from the copy.

use std::time::Duration;

use breaker_core::{
    Attribution, ConfigPatch, Level, Levels, Mode, OnUnavailable, OverrideKind, Ramp, StateKind,
};

use super::server::TestServer;
use super::support::{
    NAME, StoppedTime, allowed, breaker_of, builder, client_of, denied, eventually, ready, settle,
    trips_at_once,
};
use crate::{CallError, DenyReason, Serving};

fn override_with(server: &TestServer, kind: OverrideKind, time_to_live: Option<Duration>) {
    server.change(NAME, |breaker, config, now| {
        breaker.override_with(config, kind, Attribution::default(), time_to_live, now);
    });
}

#[tokio::test]
async fn a_closed_breaker_lets_calls_flow_without_asking() {
    let server = TestServer::start(&ConfigPatch::default());
    server.create(NAME);
    let breaker = breaker_of(&server).await;
    assert!(breaker.allows_all());
    assert_eq!(allowed(&breaker).await.generation(), 1);
    assert_eq!(server.world(|world| world.acquires), 0);
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_denies_and_says_how_long() {
    let time = StoppedTime::begin();
    let server = TestServer::start(&trips_at_once());
    server.trip(NAME);
    server.pass(Duration::from_secs(10));
    let breaker = breaker_of(&server).await;
    time.pass(Duration::from_secs(5)).await;
    let denial = denied(&breaker).await;
    assert_eq!((denial.reason, denial.state), (DenyReason::Open, Some(StateKind::Open)));
    assert_eq!(denial.retry_after, Some(Duration::from_secs(15)));
    let status = breaker.status().unwrap();
    assert_eq!((status.generation, status.retry_after), (2, Some(Duration::from_secs(15))));
    assert_eq!(server.world(|world| world.acquires), 0);
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_past_its_time_is_asked_for_a_permit() {
    let time = StoppedTime::begin();
    let server = TestServer::start(&trips_at_once());
    server.trip(NAME);
    let breaker = breaker_of(&server).await;
    time.pass(Duration::from_secs(14)).await;
    server.create("other/breaker");
    time.pass(Duration::from_secs(14)).await;
    // Somebody who only waits for the time to pass has not heard of HALF_OPEN.
    server.world(|world| world.now = world.now + Duration::from_secs(30));
    time.pass(Duration::from_secs(3)).await;
    let guard = allowed(&breaker).await;
    assert_eq!(guard.generation(), 3);
    assert!(guard.permit().is_some());
}

#[tokio::test]
async fn overrides_decide_before_the_state_does() {
    let server = TestServer::start(&trips_at_once());
    server.create(NAME);
    let breaker = breaker_of(&server).await;
    let mut by_mode = Vec::new();
    let kinds = [
        OverrideKind::ForcedOpen,
        OverrideKind::ForcedClosed,
        OverrideKind::Disabled,
        OverrideKind::Shadow,
    ];
    for kind in kinds {
        override_with(&server, kind, None);
        eventually(|| breaker.status().unwrap().mode == kind.mode()).await;
        by_mode.push(breaker.acquire().await.map(drop).map_err(|denial| denial.reason));
    }
    assert_eq!(by_mode, [Err(DenyReason::ForcedOpen), Ok(()), Ok(()), Ok(())]);
}

#[tokio::test(start_paused = true)]
async fn forced_open_says_how_long_if_it_ends() {
    let _time = StoppedTime::begin();
    let server = TestServer::start(&ConfigPatch::default());
    override_with(&server, OverrideKind::ForcedOpen, Some(Duration::from_secs(60)));
    let breaker = breaker_of(&server).await;
    let denial = denied(&breaker).await;
    assert_eq!(denial.mode, Some(Mode::ForcedOpen));
    assert_eq!(denial.retry_after, Some(Duration::from_secs(60)));
    assert_eq!(breaker.status().unwrap().retry_after, Some(Duration::from_secs(60)));
    override_with(&server, OverrideKind::ForcedOpen, None);
    eventually(|| breaker.status().unwrap().retry_after.is_none()).await;
    assert_eq!(denied(&breaker).await.retry_after, None);
}

#[tokio::test]
async fn shadow_denies_nothing_and_asks_for_permits_all_the_same() {
    let server = TestServer::start(&trips_at_once());
    override_with(&server, OverrideKind::Shadow, None);
    server.trip(NAME);
    let breaker = breaker_of(&server).await;
    assert_eq!(breaker.status().unwrap().state, StateKind::Open);
    assert_eq!(allowed(&breaker).await.permit(), None);
    server.pass(Duration::from_secs(30));
    eventually(|| breaker.status().unwrap().state == StateKind::HalfOpen).await;
    let probe = allowed(&breaker).await;
    assert!(probe.permit().is_some());
    // All permits are out: the call is made without one.
    assert_eq!(allowed(&breaker).await.permit(), None);
}

#[tokio::test]
async fn a_ramp_lets_its_share_through_without_permits() {
    let ramp = Ramp { percents: vec![25], step: Duration::from_secs(60) };
    let server = TestServer::start(&ConfigPatch { ramp: Some(Some(ramp)), ..trips_at_once() });
    server.trip(NAME);
    server.pass(Duration::from_secs(30));
    let breaker = breaker_of(&server).await;
    allowed(&breaker).await.success();
    eventually(|| server.world(|world| world.breaker(NAME).ramping().is_some())).await;
    let asked = server.world(|world| world.acquires);
    eventually(|| breaker.cell().lock().held.known().unwrap().admit_percent == Some(25)).await;
    let mut allowed = 0;
    for _ in 0..200 {
        match breaker.acquire().await {
            Ok(guard) => {
                allowed += 1;
                assert_eq!(guard.permit(), None);
                guard.ignored();
            }
            Err(denial) => assert_eq!(denial.reason, DenyReason::Ramp),
        }
    }
    assert_eq!((allowed, server.world(|world| world.acquires)), (50, asked));
}

#[tokio::test]
async fn levels_say_what_to_serve() {
    let level = |name: &str, serve: &str| Level {
        name: name.into(),
        failure_threshold: 1,
        open_duration: Duration::from_secs(30),
        success_threshold: 1,
        serve: serve.into(),
    };
    let levels = vec![level("normal", "degraded"), level("bad", "emergency")];
    let levels =
        Levels { levels, escalate_above: 50, deescalate_after: Duration::from_secs(3_600) };
    let patch = ConfigPatch { levels: Some(Some(levels)), ..ConfigPatch::default() };
    let server = TestServer::start(&patch);
    server.trip(NAME);
    let breaker = breaker_of(&server).await;
    let denial = denied(&breaker).await;
    assert_eq!(denial.serve(), Some("degraded"));
    assert_eq!(denial.level.unwrap().name, "normal");

    let serving = Serving::new().on("degraded", |_| "from the cache").on("emergency", |_| "sorry");
    let call = async { Ok::<_, ()>("from the bank") };
    let served = breaker.caller().call_serving(&serving, call).await;
    assert_eq!(served, Ok("from the cache"));
    let nothing = Serving::new().on("emergency", |_| "sorry");
    let call = async { Ok::<_, ()>("from the bank") };
    let served = breaker.caller().call_serving(&nothing, call).await;
    assert!(matches!(served, Err(CallError::Denied(_))));
}

#[tokio::test]
async fn before_any_snapshot_the_builder_decides() {
    let server = TestServer::by_hand();
    for choice in [OnUnavailable::Allow, OnUnavailable::Local, OnUnavailable::Deny] {
        let client = builder().address(&server.address).on_unavailable(choice).build().unwrap();
        let breaker = client.breaker(NAME).unwrap();
        assert_eq!(breaker.status(), None);
        match choice {
            OnUnavailable::Deny => {
                let denial = denied(&breaker).await;
                assert_eq!((denial.reason, denial.state), (DenyReason::Unavailable, None));
            }
            _ => assert_eq!(allowed(&breaker).await.generation(), 0),
        }
    }
}

#[tokio::test]
async fn a_breaker_that_is_not_there_is_closed_and_its_first_outcome_makes_it() {
    let mut server = TestServer::start(&ConfigPatch::default());
    let breaker = breaker_of(&server).await;
    let status = breaker.status().unwrap();
    assert_eq!((status.state, status.generation, status.revision), (StateKind::Closed, 0, 0));
    let guard = allowed(&breaker).await;
    assert_eq!(guard.generation(), 0);
    assert_eq!(guard.call_timeout(), Duration::from_secs(10));
    let _time = StoppedTime::from_now_on();
    // It is in a hurry, so no time has to pass.
    guard.success();
    let (run, report) = server.next_run().await;
    assert_eq!((report.generation, run.count), (0, 1));
    eventually(|| breaker.status().unwrap().generation == 1).await;
}

#[tokio::test]
async fn a_breaker_that_the_selectors_cover_is_decided_from_the_first_call_on() {
    let server = TestServer::start(&trips_at_once());
    server.trip(NAME);
    let client = builder().address(&server.address).selectors(["payments/**"]).build().unwrap();
    assert!(client.ready(Duration::from_secs(10)).await);
    let breaker = client.breaker(NAME).unwrap();
    assert_eq!(denied(&breaker).await.reason, DenyReason::Open);
    let asked = server.asked();
    settle().await;
    assert_eq!((asked, server.asked()), (1, 0), "one stream covers it");
}

#[tokio::test]
async fn a_deleted_breaker_is_absent_and_one_made_anew_is_known() {
    let server = TestServer::start(&trips_at_once());
    server.trip(NAME);
    let breaker = breaker_of(&server).await;
    assert_eq!(denied(&breaker).await.reason, DenyReason::Open);
    server.delete(NAME);
    eventually(|| breaker.status().unwrap().generation == 0).await;
    assert_eq!(allowed(&breaker).await.generation(), 0);
    server.create(NAME);
    eventually(|| breaker.status().unwrap().generation == 3).await;
    assert_eq!(allowed(&breaker).await.generation(), 3);
}

#[tokio::test]
async fn the_same_name_is_the_same_breaker_and_no_name_is_none() {
    let server = TestServer::start(&ConfigPatch::default());
    let client = client_of(&server);
    let (one, other) = (ready(&client, NAME).await, client.breaker(NAME).unwrap());
    assert!(std::ptr::eq(one.cell(), other.cell()));
    let error = client.breaker("stripe").unwrap_err();
    assert!(matches!(error, crate::Error::Name(_)), "{error}");
}
