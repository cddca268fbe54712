//! The end of a client.

use std::time::Duration;

use breaker_core::{ConfigPatch, OnUnavailable};
use breaker_proto::v1;
use tokio::runtime::Handle;

use super::server::TestServer;
use super::support::{
    NAME, StoppedTime, allowed, breaker_of, builder, client_of, denied, eventually, nobody, ready,
    settle, trips_at_once,
};
use crate::{ClientState, DenyReason, Error};

fn alive_tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

#[tokio::test]
async fn a_shutdown_reports_what_is_there_and_takes_nothing_more() {
    let server = TestServer::start(&ConfigPatch::default());
    server.create(NAME);
    let client = client_of(&server);
    let breaker = ready(&client, NAME).await;
    let late = allowed(&breaker).await;
    for _ in 0..5 {
        allowed(&breaker).await.success();
    }
    client.shutdown().await.unwrap();
    assert_eq!(server.world(|world| world.totals(NAME)), [5, 0, 0, 0]);
    assert_eq!(client.state().state, ClientState::Fallback);
    late.success();
    allowed(&breaker).await.success();
    assert_eq!(client.outcomes_given_up(), 2);
    // A second one has nothing to do.
    client.shutdown().await.unwrap();
}

#[tokio::test]
async fn after_a_shutdown_calls_are_decided_as_in_fallback() {
    let deny = ConfigPatch { on_unavailable: Some(OnUnavailable::Deny), ..trips_at_once() };
    let server = TestServer::start(&deny);
    server.create(NAME);
    let client = client_of(&server);
    let breaker = ready(&client, NAME).await;
    client.shutdown().await.unwrap();
    assert_eq!(denied(&breaker).await.reason, DenyReason::Unavailable);
    allowed(&client.breaker("payments/new").unwrap()).await.success();
    assert!(client.flush(Duration::from_millis(1)).await || client.waiting_runs() == 0);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_beside_a_dead_server_takes_five_seconds() {
    let time = StoppedTime::begin();
    let client = builder().address(nobody()).build().unwrap();
    let breaker = client.breaker(NAME).unwrap();
    allowed(&breaker).await.failure("");
    settle().await;
    for _ in 0..3 {
        allowed(&breaker).await.success();
    }
    let ending = tokio::spawn({
        let client = client.clone();
        async move { client.shutdown().await }
    });
    settle().await;
    for _ in 0..49 {
        time.pass(Duration::from_millis(100)).await;
    }
    assert!(!ending.is_finished());
    time.pass(Duration::from_millis(200)).await;
    eventually(|| ending.is_finished()).await;
    assert!(matches!(ending.await.unwrap(), Err(Error::Unflushed(4))));
    assert_eq!((client.outcomes_given_up(), client.waiting_runs()), (4, 0));
    client.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_last_clone_that_goes_leaves_nothing_unreported() {
    let mut server = TestServer::start(&ConfigPatch::default());
    server.create(NAME);
    let breaker = breaker_of(&server).await;
    let guard = breaker.acquire_owned().await.unwrap();
    drop(guard);
    assert_eq!(server.next_run().await.0.outcome(), v1::Outcome::Ignored);
}

#[tokio::test]
async fn no_task_is_left_after_the_end() {
    let server = TestServer::start(&trips_at_once());
    server.create(NAME);
    let before = alive_tasks();
    let client = client_of(&server);
    let breaker = ready(&client, NAME).await;
    let _listener = client.on_state(|_| {});
    allowed(&breaker).await.success();
    assert!(alive_tasks() > before);
    client.shutdown().await.unwrap();
    settle().await;
    drop((client, breaker));
    eventually(|| alive_tasks() == before).await;
}

#[tokio::test]
async fn no_task_is_left_when_it_is_only_dropped() {
    let server = TestServer::start(&trips_at_once());
    server.create(NAME);
    let before = alive_tasks();
    let breaker = breaker_of(&server).await;
    server.trip(NAME);
    server.pass(Duration::from_secs(30));
    eventually(|| !breaker.allows_all()).await;
    drop(breaker.acquire().await);
    drop(breaker);
    eventually(|| alive_tasks() == before).await;
}

#[tokio::test]
async fn a_client_of_a_dead_server_leaves_no_task_either() {
    let before = alive_tasks();
    let client = builder().address(nobody()).build().unwrap();
    let breaker = client.breaker(NAME).unwrap();
    allowed(&breaker).await.success();
    drop(client);
    assert!(alive_tasks() > before);
    let _time = StoppedTime::from_now_on();
    drop(breaker);
    settle().await;
    tokio::time::advance(Duration::from_secs(6)).await;
    // One that blocks is the test's own.
    eventually(|| alive_tasks() <= before + 1).await;
}
