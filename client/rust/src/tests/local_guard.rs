//! The second breaker beside the fleet's.

use std::time::Duration;

use breaker_core::ConfigPatch;

use super::server::TestServer;
use super::support::{
    LONG, NAME, StoppedTime, allowed, builder, denied, eventually, ready, settle, trips_at_once,
};
use crate::{Breaker, DenyReason, Error};

/// A fleet that never opens, and a breaker of a client that is guarded.
async fn guarded(own: ConfigPatch) -> (TestServer, Breaker) {
    let server = TestServer::start(&ConfigPatch {
        failure_threshold: Some(3),
        min_reporters: Some(2),
        ..trips_at_once()
    });
    server.create(NAME);
    let client = builder().address(&server.address).local_guard_with(own).build().unwrap();
    let breaker = ready(&client, NAME).await;
    (server, breaker)
}

async fn fails(breaker: &Breaker, times: u32) {
    for _ in 0..times {
        allowed(breaker).await.failure("");
    }
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_fails_alone_stops_itself() {
    let time = StoppedTime::begin();
    let (_server, breaker) = guarded(ConfigPatch::default()).await;
    fails(&breaker, 3).await;
    let denial = denied(&breaker).await;
    assert_eq!(denial.reason, DenyReason::LocalOpen);
    assert_eq!(denial.retry_after, Some(LONG));
    assert!(!breaker.allows_all());
    time.pass(LONG).await;
    allowed(&breaker).await.success();
    drop(allowed(&breaker).await);
}

#[tokio::test]
async fn it_can_have_a_configuration_of_its_own() {
    let own = ConfigPatch { failure_threshold: Some(5), ..ConfigPatch::default() };
    let (_server, breaker) = guarded(own).await;
    fails(&breaker, 5).await;
    assert_eq!(denied(&breaker).await.reason, DenyReason::LocalOpen);
    let wrong = ConfigPatch { call_timeout: Some(Duration::ZERO), ..ConfigPatch::default() };
    let built = builder().address("a:1").local_guard_with(wrong).build();
    assert!(matches!(built, Err(Error::LocalGuard(_))));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_the_fleet_denies_gives_its_leave_back() {
    let time = StoppedTime::begin();
    let (server, breaker) = guarded(ConfigPatch::default()).await;
    fails(&breaker, 3).await;
    for _ in 0..3 {
        // The server gives signs of life.
        time.pass(LONG / 3).await;
        server.change(NAME, |_, _, _| ());
        settle().await;
    }
    server.trip(NAME);
    eventually(|| breaker.status().unwrap().retry_after.is_some()).await;
    for _ in 0..10 {
        assert_eq!(denied(&breaker).await.reason, DenyReason::Open);
    }
    server.change(NAME, |breaker, config, now| {
        breaker.reset(config, breaker_core::Attribution::default(), now);
    });
    eventually(|| breaker.status().unwrap().retry_after.is_none()).await;
    // The guard is HALF_OPEN, and its one permit is there.
    allowed(&breaker).await.success();
}

#[tokio::test]
async fn it_follows_a_changed_configuration_of_the_breaker() {
    let (server, breaker) = guarded(ConfigPatch::default()).await;
    fails(&breaker, 2).await;
    let tighter = ConfigPatch { failure_threshold: Some(30), ..trips_at_once() };
    server.configure(NAME, &tighter);
    let of_copy = || breaker.cell().lock().held.config().failure_threshold();
    eventually(|| of_copy() == 30).await;
    fails(&breaker, 10).await;
}
