//! Calls of a HALF_OPEN breaker, which ask the server.

use std::future::pending;
use std::time::Duration;

use breaker_core::{ConfigPatch, OnUnavailable, StateKind};
use breaker_proto::v1;

use super::server::TestServer;
use super::support::{
    LONG, NAME, StoppedTime, allowed, breaker_of, builder, denied, eventually, ready, settle,
    trips_at_once,
};
use crate::{Breaker, ClientBuilder, ClientState, DenyReason};

/// A server whose breaker is HALF_OPEN, and has so many permits to give.
fn half_open(max_probes: u32) -> TestServer {
    let server = TestServer::start(&ConfigPatch {
        max_probes: Some(max_probes),
        success_threshold: Some(10),
        on_unavailable: Some(OnUnavailable::Allow),
        ..trips_at_once()
    });
    server.trip(NAME);
    server.pass(LONG);
    server
}

fn patient(server: &TestServer) -> ClientBuilder {
    builder().address(&server.address).permit_timeout(LONG).request_timeout(LONG)
}

fn impatient(server: &TestServer) -> ClientBuilder {
    let moment = Duration::from_millis(10);
    builder().address(&server.address).permit_timeout(moment).request_timeout(moment * 100)
}

fn acquires(server: &TestServer) -> u32 {
    server.world(|world| world.acquires)
}

fn is_asking(breaker: &Breaker) -> bool {
    !breaker.cell().lock().asks.is_idle()
}

#[tokio::test]
async fn a_probe_carries_its_permit_and_no_more_than_its_time() {
    let mut server = half_open(1);
    let breaker = breaker_of(&server).await;
    let guard = allowed(&breaker).await;
    assert_eq!((guard.generation(), guard.call_timeout()), (3, Duration::from_secs(2)));
    let permit = guard.permit().unwrap();
    let _time = StoppedTime::from_now_on();
    guard.success();
    let (run, report) = server.next_run().await;
    assert_eq!((run.permit_id, report.generation), (permit.as_u64(), 3));
    assert_eq!(server.world(|world| world.totals(NAME)), [1, 0, 0, 0]);
}

#[tokio::test]
async fn as_many_calls_ask_at_a_time_as_there_are_permits() {
    let server = half_open(2);
    let breaker = ready(&patient(&server).build().unwrap(), NAME).await;
    server.hold_permits();
    let ask = || tokio::spawn(breaker.clone().acquire_owned());
    let asking = [ask(), ask()];
    eventually(|| acquires(&server) == 2).await;
    let denial = denied(&breaker).await;
    assert_eq!((denial.reason, denial.state), (DenyReason::NoPermit, Some(StateKind::HalfOpen)));
    server.release_permits();
    for asking in asking {
        assert!(asking.await.unwrap().unwrap().permit().is_some());
    }
    assert_eq!(acquires(&server), 2);
}

#[tokio::test]
async fn a_call_that_is_cancelled_while_it_asks_gives_its_permit_back() {
    let mut server = half_open(1);
    let breaker = ready(&patient(&server).build().unwrap(), NAME).await;
    server.hold_permits();
    let asking = tokio::spawn(breaker.clone().acquire_owned());
    eventually(|| acquires(&server) == 1).await;
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    server.release_permits();
    let (run, _) = server.next_run().await;
    assert_eq!(run.outcome(), v1::Outcome::Ignored);
    assert_ne!(run.permit_id, 0);
    eventually(|| !is_asking(&breaker)).await;
    assert!(allowed(&breaker).await.permit().is_some());
}

#[tokio::test]
async fn a_call_that_is_cancelled_while_it_runs_frees_its_permit() {
    let mut server = half_open(1);
    let breaker = breaker_of(&server).await;
    let (begin, has_begun) = tokio::sync::oneshot::channel();
    let handle = breaker.clone();
    let call = tokio::spawn(async move {
        let hanging = async {
            begin.send(()).unwrap();
            pending::<Result<(), ()>>().await
        };
        handle.call(hanging).await
    });
    has_begun.await.unwrap();
    call.abort();
    let (run, report) = server.next_run().await;
    assert_eq!((run.outcome(), report.generation), (v1::Outcome::Ignored, 3));
    assert_ne!(run.permit_id, 0);
}

#[tokio::test]
async fn an_answer_that_comes_too_late_is_given_back() {
    let mut server = half_open(1);
    let client = builder()
        .address(&server.address)
        .permit_timeout(Duration::from_millis(10))
        .request_timeout(LONG)
        .build()
        .unwrap();
    let breaker = ready(&client, NAME).await;
    server.hold_permits();
    // It is decided by `on_unavailable`, under the generation of the copy.
    let guard = allowed(&breaker).await;
    assert_eq!((guard.generation(), guard.permit()), (3, None));
    eventually(|| acquires(&server) == 1).await;
    server.release_permits();
    let (run, _) = server.next_run().await;
    assert_eq!(run.outcome(), v1::Outcome::Ignored);
    assert_ne!(run.permit_id, 0);
}

#[tokio::test]
async fn a_silent_server_keeps_one_call_waiting_at_a_time() {
    let server = half_open(5);
    let breaker = ready(&impatient(&server).build().unwrap(), NAME).await;
    server.hold_permits();
    allowed(&breaker).await.ignored();
    let denial = denied(&breaker).await;
    assert_eq!(denial.reason, DenyReason::NoPermit);
    eventually(|| !is_asking(&breaker)).await;
    let asking = tokio::spawn(breaker.clone().acquire_owned());
    eventually(|| is_asking(&breaker)).await;
    assert_eq!(denied(&breaker).await.reason, DenyReason::NoPermit);
    asking.await.unwrap().unwrap().ignored();

    // A message of the stream is a sign of life.
    let signs = breaker.cell().common().signs();
    server.change(NAME, |_, _, _| ());
    eventually(|| breaker.cell().common().signs() > signs).await;
    server.release_permits();
    let has_permit = async || match breaker.acquire().await {
        Ok(guard) => guard.permit().is_some(),
        Err(_) => false,
    };
    while !has_permit().await {
        settle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_remembered_for_a_moment() {
    let time = StoppedTime::begin();
    let server = half_open(1);
    let breaker = breaker_of(&server).await;
    let probe = allowed(&breaker).await;
    assert_eq!(denied(&breaker).await.reason, DenyReason::NoPermit);
    assert_eq!(acquires(&server), 2);
    time.pass(Duration::from_millis(19)).await;
    assert_eq!(denied(&breaker).await.reason, DenyReason::NoPermit);
    assert_eq!(acquires(&server), 2);
    time.pass(Duration::from_millis(1)).await;
    assert_eq!(denied(&breaker).await.reason, DenyReason::NoPermit);
    assert_eq!(acquires(&server), 3);
    probe.success();
}

#[tokio::test]
async fn an_answer_of_a_newer_state_is_taken_as_it_is() {
    let server = half_open(1);
    let breaker = breaker_of(&server).await;
    // Its new streams are silent, so the copy does not hear of it.
    server.world(|world| world.serves_watches = false);
    server.cut_streams();
    eventually(|| breaker.client().state().state == ClientState::Stale).await;
    server.change(NAME, |breaker, config, now| {
        breaker.reset(config, breaker_core::Attribution::default(), now);
    });
    let guard = allowed(&breaker).await;
    assert_eq!((guard.generation(), guard.permit()), (4, None));
}

#[tokio::test]
async fn a_refusal_of_the_request_itself_is_decided_by_on_unavailable() {
    let server = half_open(1);
    let breaker = breaker_of(&server).await;
    server.world(|world| world.acquire_fails_with = Some(tonic::Status::not_found("gone")));
    assert_eq!(allowed(&breaker).await.permit(), None);
    settle().await;
    assert!(!is_asking(&breaker));
}
