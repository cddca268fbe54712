//! Calls decided by `on_unavailable`.

use std::time::Duration;

use breaker_core::{ConfigPatch, OnUnavailable, StateKind};
use breaker_proto::v1;

use super::server::TestServer;
use super::support::{
    NAME, StoppedTime, allowed, breaker_of, builder, denied, eventually, nobody, ready,
    trips_at_once,
};
use crate::{ClientState, DenyReason};

#[tokio::test(start_paused = true)]
async fn without_a_server_calls_flow_until_a_local_breaker_opens() {
    let time = StoppedTime::begin();
    let client = builder().address(nobody()).build().unwrap();
    let breaker = client.breaker(NAME).unwrap();
    for _ in 0..5 {
        allowed(&breaker).await.failure("http.503");
    }
    let denial = denied(&breaker).await;
    assert_eq!((denial.reason, denial.state), (DenyReason::LocalOpen, Some(StateKind::Open)));
    assert_eq!(denial.retry_after, Some(Duration::from_secs(60)));
    time.pass(Duration::from_secs(60)).await;
    let (probe, other) = (allowed(&breaker).await, breaker.acquire().await);
    assert!(probe.permit().is_none(), "the permit is not the server's");
    drop(other);
    probe.success();
}

#[tokio::test]
async fn allow_and_deny_do_as_they_say() {
    let client = builder().address(nobody()).on_unavailable(OnUnavailable::Allow).build().unwrap();
    let breaker = client.breaker(NAME).unwrap();
    assert!(breaker.allows_all());
    for _ in 0..20 {
        allowed(&breaker).await.failure("");
    }
    let client = builder().address(nobody()).on_unavailable(OnUnavailable::Deny).build().unwrap();
    let denial = denied(&client.breaker(NAME).unwrap()).await;
    assert_eq!((denial.reason, denial.state), (DenyReason::Unavailable, None));
}

#[tokio::test]
async fn what_the_server_last_told_of_a_breaker_holds_while_it_is_away() {
    let deny = ConfigPatch { on_unavailable: Some(OnUnavailable::Deny), ..trips_at_once() };
    let server = TestServer::start(&deny);
    server.create(NAME);
    let none = Duration::ZERO;
    let client = builder().address(&server.address).max_staleness(none).build().unwrap();
    let breaker = ready(&client, NAME).await;
    drop(server);
    eventually(|| client.state().state == ClientState::Fallback).await;
    assert_eq!(denied(&breaker).await.reason, DenyReason::Unavailable);
    // Of others it has told nothing.
    allowed(&client.breaker("payments/other").unwrap()).await.success();
}

#[tokio::test]
async fn the_local_breaker_of_an_open_one_probes_first_and_is_dropped_when_the_server_is_back() {
    let patch = ConfigPatch { success_threshold: Some(2), ..trips_at_once() };
    let server = TestServer::start(&patch);
    server.trip(NAME);
    let none = Duration::ZERO;
    let client = builder().address(&server.address).max_staleness(none).build().unwrap();
    let breaker = ready(&client, NAME).await;
    let address = server.stop();
    eventually(|| client.state().state == ClientState::Fallback).await;
    let probes = [allowed(&breaker).await, allowed(&breaker).await];
    assert_eq!(denied(&breaker).await.reason, DenyReason::LocalOpen);
    let [good, bad] = probes;
    good.success();
    bad.failure("");
    let denial = denied(&breaker).await;
    assert_eq!((denial.reason, denial.state), (DenyReason::LocalOpen, Some(StateKind::Open)));

    let server = TestServer::start_at(&address, &patch);
    server.create(NAME);
    eventually(|| client.state().state == ClientState::Ready).await;
    allowed(&breaker).await.success();
}

#[tokio::test]
async fn outcomes_of_calls_that_nobody_admitted_are_reported_when_the_server_is_there() {
    let address = nobody();
    let client = builder().address(&address).build().unwrap();
    let breaker = client.breaker(NAME).unwrap();
    allowed(&breaker).await.success();
    allowed(&breaker).await.failure("http.503");
    let mut server = TestServer::start_at(&address, &ConfigPatch::default());
    let report = server.reports.recv().await.unwrap().reports.remove(0);
    let outcomes: Vec<_> = report.runs.iter().map(v1::Run::outcome).collect();
    assert_eq!(outcomes, [v1::Outcome::Success, v1::Outcome::Failure]);
    assert_eq!(report.generation, 0);
    eventually(|| server.world(|world| world.totals(NAME)) == [1, 1, 0, 0]).await;
}

#[tokio::test]
async fn the_local_breaker_goes_by_the_breakers_configuration() {
    let server = TestServer::start(&ConfigPatch {
        failure_threshold: Some(2),
        ignored_errors: Some(vec!["http.404".into()]),
        ..trips_at_once()
    });
    server.create(NAME);
    let breaker = breaker_of(&server).await;
    let none = Duration::ZERO;
    drop(breaker);
    let client = builder().address(&server.address).max_staleness(none).build().unwrap();
    let breaker = ready(&client, NAME).await;
    drop(server);
    eventually(|| client.state().state == ClientState::Fallback).await;
    for kind in ["http.404", "http.404", "http.500", "http.404"] {
        allowed(&breaker).await.failure(kind);
    }
    allowed(&breaker).await.failure("http.500");
    assert_eq!(denied(&breaker).await.reason, DenyReason::LocalOpen);
}
