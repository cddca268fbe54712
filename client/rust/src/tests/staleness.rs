//! READY, STALE and FALLBACK.

use std::time::Duration;

use breaker_core::{ConfigPatch, OnUnavailable, StateKind};
use breaker_proto::encoded::EncodedWatchResponse;

use super::server::{TestServer, TestWatch};
use super::support::{
    NAME, StoppedTime, allowed, breaker_of, builder, client_of, denied, eventually, ready, settle,
    trips_at_once,
};
use crate::{Client, ClientState, DenyReason};

async fn becomes(client: &Client, state: ClientState) {
    eventually(|| client.state().state == state).await;
}

fn sign_of_life() -> EncodedWatchResponse {
    let mut response = EncodedWatchResponse::default();
    response.snapshot_complete = true;
    response
}

async fn begun_by_hand() -> (TestServer, Client, TestWatch) {
    let mut server = TestServer::by_hand();
    let client = client_of(&server);
    let _ = client.breaker(NAME).unwrap();
    let stream = server.watches.recv().await.unwrap();
    (server, client, stream)
}

#[tokio::test(start_paused = true)]
async fn a_client_begins_in_fallback_and_is_ready_with_the_first_snapshot() {
    let time = StoppedTime::begin();
    let (_server, client, stream) = begun_by_hand().await;
    time.pass(Duration::from_secs(3)).await;
    let status = client.state();
    assert_eq!(status.state, ClientState::Fallback);
    assert!(status.lasted >= Duration::from_secs(3));
    stream.responses.send(Ok(sign_of_life())).await.unwrap();
    becomes(&client, ClientState::Ready).await;
    assert!(client.ready(Duration::from_secs(1)).await);
    assert_eq!(client.state().lasted, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_makes_the_copy_stale_and_is_made_anew() {
    let time = StoppedTime::begin();
    let (mut server, client, stream) = begun_by_hand().await;
    stream.responses.send(Ok(sign_of_life())).await.unwrap();
    becomes(&client, ClientState::Ready).await;
    time.pass(Duration::from_secs(14)).await;
    stream.responses.send(Ok(EncodedWatchResponse::default())).await.unwrap();
    // Nobody can see that an empty message has arrived: it gets plenty of time.
    for _ in 0..10 {
        settle().await;
    }
    time.pass(Duration::from_secs(14)).await;
    settle().await;
    assert_eq!(client.state().state, ClientState::Ready);
    time.pass(Duration::from_secs(1)).await;
    becomes(&client, ClientState::Stale).await;
    time.pass(Duration::from_millis(1)).await;
    let stream = server.watches.recv().await.unwrap();
    stream.responses.send(Ok(sign_of_life())).await.unwrap();
    becomes(&client, ClientState::Ready).await;
}

#[tokio::test(start_paused = true)]
async fn a_stale_copy_is_gone_by_for_a_minute() {
    let time = StoppedTime::begin();
    let deny = ConfigPatch { on_unavailable: Some(OnUnavailable::Deny), ..trips_at_once() };
    let server = TestServer::start(&deny);
    server.create(NAME);
    let client = client_of(&server);
    let breaker = ready(&client, NAME).await;
    let address = server.stop();
    becomes(&client, ClientState::Stale).await;
    time.pass(Duration::from_secs(59)).await;
    settle().await;
    assert_eq!(client.state().state, ClientState::Stale);
    drop(allowed(&breaker).await);
    time.pass(Duration::from_secs(1)).await;
    becomes(&client, ClientState::Fallback).await;
    let denial = denied(&breaker).await;
    assert_eq!((denial.reason, denial.state), (DenyReason::Unavailable, Some(StateKind::Closed)));

    let server = TestServer::start_at(&address, &deny);
    server.create(NAME);
    eventually(|| {
        // One backoff after another passes.
        client.state().state == ClientState::Ready || !tick(&time)
    })
    .await;
    drop(allowed(&breaker).await);
}

/// Lets a moment pass on the clock that stands still; always true.
fn tick(_time: &StoppedTime) -> bool {
    use futures::FutureExt;
    tokio::time::advance(Duration::from_millis(1)).now_or_never();
    true
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_of_a_stale_copy_is_denied_no_longer_than_its_time() {
    let time = StoppedTime::begin();
    let server = TestServer::start(&trips_at_once());
    server.trip(NAME);
    let client = client_of(&server);
    let breaker = ready(&client, NAME).await;
    drop(server);
    becomes(&client, ClientState::Stale).await;
    time.pass(Duration::from_secs(29)).await;
    assert_eq!(denied(&breaker).await.reason, DenyReason::Open);
    time.pass(Duration::from_secs(1)).await;
    // `local` decides: a breaker that was OPEN is probed.
    allowed(&breaker).await.success();
}

#[tokio::test]
async fn a_breaker_made_after_the_loss_is_decided_by_the_builder() {
    let server = TestServer::start(&ConfigPatch::default());
    let client =
        builder().address(&server.address).on_unavailable(OnUnavailable::Deny).build().unwrap();
    ready(&client, NAME).await;
    drop(server);
    becomes(&client, ClientState::Stale).await;
    let unknown = client.breaker("payments/other").unwrap();
    assert_eq!(denied(&unknown).await.reason, DenyReason::Unavailable);
}

#[tokio::test]
async fn losing_the_server_fails_no_call() {
    let server = TestServer::start(&ConfigPatch::default());
    server.create(NAME);
    let breaker = breaker_of(&server).await;
    drop(server);
    for _ in 0..100 {
        allowed(&breaker).await.success();
    }
}
