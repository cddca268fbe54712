//! The copy: what is watched, and what the stream's messages make of it.

use std::time::Duration;

use breaker_core::{BreakerName, Config, ConfigPatch, StateKind, Time};
use breaker_proto::encoded::{EncodedState, EncodedWatchResponse};
use breaker_proto::v1;
use breaker_wire::{config_to_message, time_to_message};

use super::server::{TestServer, TestWatch};
use super::support::{NAME, allowed, builder, client_of, eventually, ready, settle};
use crate::{Breaker, ClientState};

/// A message with these breakers: name, state, revision, which is the generation too.
fn message(changed: &[(&str, v1::State, u64)]) -> EncodedWatchResponse {
    let mut response = EncodedWatchResponse::default();
    response.resume_token = b"token".to_vec();
    response.server_time = Some(time_to_message(Time::from_millis(5_000)));
    for &(name, state, revision) in changed {
        response.push_changed(EncodedState::new(&v1::BreakerState {
            name: name.into(),
            state: state.into(),
            mode: v1::Mode::Normal.into(),
            generation: revision,
            revision,
            retry_time: Some(time_to_message(Time::from_millis(65_000))),
            config: Some(config_to_message(&Config::default())),
            ..Default::default()
        }));
    }
    response
}

fn complete(changed: &[(&str, v1::State, u64)]) -> EncodedWatchResponse {
    let mut response = message(changed);
    response.snapshot_complete = true;
    response
}

/// The same message, before which a client has to forget its copy.
fn after_reset(mut message: EncodedWatchResponse) -> EncodedWatchResponse {
    message.reset = true;
    message
}

async fn send(watch: &TestWatch, message: EncodedWatchResponse) {
    watch.responses.send(Ok(message)).await.unwrap();
}

async fn comes_to(breaker: &Breaker, state: StateKind, revision: u64) {
    eventually(|| {
        breaker.status().is_some_and(|held| (held.state, held.revision) == (state, revision))
    })
    .await;
}

#[tokio::test]
async fn names_that_come_together_make_one_stream() {
    let mut server = TestServer::start(&ConfigPatch::default());
    let client = client_of(&server);
    let breakers: Vec<_> = ["a/1", "a/2", "a/3"].map(|name| client.breaker(name).unwrap()).into();
    eventually(|| breakers.iter().all(|breaker| breaker.status().is_some())).await;
    let watch = server.watches.recv().await.unwrap();
    assert_eq!(watch.request.selectors, ["a/1", "a/2", "a/3"]);
    settle().await;
    assert!(server.watches.try_recv().is_err());
}

#[tokio::test]
async fn a_new_name_does_not_disturb_the_others() {
    let mut server = TestServer::by_hand();
    let client = client_of(&server);
    let first = client.breaker("a/1").unwrap();
    let stream = server.watches.recv().await.unwrap();
    send(&stream, complete(&[("a/1", v1::State::Open, 5)])).await;
    comes_to(&first, StateKind::Open, 5).await;

    let second = client.breaker("a/2").unwrap();
    let stream = server.watches.recv().await.unwrap();
    assert_eq!(stream.request.selectors, ["a/1", "a/2"]);
    assert!(stream.request.resume_token.is_empty());
    settle().await;
    assert_eq!(client.state().state, ClientState::Ready);
    assert_eq!(first.status().unwrap().state, StateKind::Open);
    // Until its snapshot is there, nobody can say that it is absent.
    assert_eq!(second.status(), None);
    send(&stream, message(&[("a/1", v1::State::Open, 5)])).await;
    settle().await;
    assert_eq!(second.status(), None);
    send(&stream, complete(&[])).await;
    eventually(|| second.status().is_some()).await;
    assert_eq!(second.status().unwrap().generation, 0);
    assert_eq!(first.status().unwrap().state, StateKind::Open);
}

#[tokio::test]
async fn what_a_snapshot_does_not_tell_of_is_gone() {
    let mut server = TestServer::by_hand();
    let client = client_of(&server);
    let (kept, gone) = (client.breaker("a/1").unwrap(), client.breaker("a/2").unwrap());
    let stream = server.watches.recv().await.unwrap();
    let both = [("a/1", v1::State::Open, 5), ("a/2", v1::State::Open, 6)];
    send(&stream, complete(&both)).await;
    comes_to(&gone, StateKind::Open, 6).await;

    send(&stream, after_reset(message(&[]))).await;
    send(&stream, message(&[("a/1", v1::State::Open, 5)])).await;
    settle().await;
    // The copy is never emptied meanwhile.
    comes_to(&gone, StateKind::Open, 6).await;
    send(&stream, complete(&[])).await;
    comes_to(&gone, StateKind::Closed, 0).await;
    comes_to(&kept, StateKind::Open, 5).await;
}

#[tokio::test]
async fn an_older_revision_is_dropped_except_by_a_new_snapshot() {
    let mut server = TestServer::by_hand();
    let client = client_of(&server);
    let breaker = client.breaker(NAME).unwrap();
    let stream = server.watches.recv().await.unwrap();
    send(&stream, complete(&[(NAME, v1::State::Open, 7)])).await;
    comes_to(&breaker, StateKind::Open, 7).await;
    send(&stream, message(&[(NAME, v1::State::Closed, 6), ("a/mark", v1::State::Closed, 1)])).await;
    let mark = BreakerName::new("a/mark").unwrap();
    eventually(|| client.shared().registry.find(&mark).is_some()).await;
    comes_to(&breaker, StateKind::Open, 7).await;
    client.breaker("a/mark").unwrap();

    let stream = server.watches.recv().await.unwrap();
    // The server has lost what it knew.
    send(&stream, complete(&[(NAME, v1::State::Closed, 2)])).await;
    comes_to(&breaker, StateKind::Closed, 2).await;
    // After that, revisions count again.
    send(&stream, message(&[(NAME, v1::State::Open, 1)])).await;
    send(&stream, message(&[(NAME, v1::State::Open, 3)])).await;
    comes_to(&breaker, StateKind::Open, 3).await;
    send(&stream, after_reset(complete(&[(NAME, v1::State::Closed, 1)]))).await;
    comes_to(&breaker, StateKind::Closed, 1).await;
}

#[tokio::test]
async fn a_breaker_that_one_message_deletes_and_tells_of_was_made_anew() {
    let mut server = TestServer::by_hand();
    let client = client_of(&server);
    let breaker = client.breaker(NAME).unwrap();
    let stream = server.watches.recv().await.unwrap();
    send(&stream, complete(&[(NAME, v1::State::Open, 7)])).await;
    comes_to(&breaker, StateKind::Open, 7).await;
    let mut anew = message(&[(NAME, v1::State::Closed, 9)]);
    anew.deleted = vec![NAME.into()];
    send(&stream, anew).await;
    comes_to(&breaker, StateKind::Closed, 9).await;
    settle().await;
    assert_eq!(allowed(&breaker).await.generation(), 9);
}

#[tokio::test]
async fn a_cut_stream_is_resumed_and_brings_what_was_missed() {
    let mut server = TestServer::start(&ConfigPatch::default());
    server.create(NAME);
    let client = client_of(&server);
    let breaker = ready(&client, NAME).await;
    assert!(server.watches.recv().await.unwrap().request.resume_token.is_empty());
    server.cut_streams();
    server.trip(NAME);
    let resumed = server.watches.recv().await.unwrap();
    assert!(!resumed.request.resume_token.is_empty());
    eventually(|| breaker.status().unwrap().state == StateKind::Open).await;
    eventually(|| client.state().state == ClientState::Ready).await;
}

#[tokio::test]
async fn a_server_that_cannot_resume_makes_the_client_begin_anew() {
    let mut server = TestServer::start(&ConfigPatch::default());
    server.create("a/1");
    server.create("a/2");
    server.world(|world| world.resumes = false);
    let client = client_of(&server);
    let (kept, gone) = (ready(&client, "a/1").await, ready(&client, "a/2").await);
    while server.watches.try_recv().is_ok() {}
    server.cut_streams();
    server.delete("a/2");
    server.watches.recv().await.unwrap();
    eventually(|| gone.status().unwrap().generation == 0).await;
    assert_eq!(kept.status().unwrap().generation, 1);
}

#[tokio::test]
async fn a_state_that_makes_no_sense_cuts_the_stream_and_harms_nothing() {
    let mut server = TestServer::by_hand();
    let client = client_of(&server);
    let breaker = client.breaker(NAME).unwrap();
    let stream = server.watches.recv().await.unwrap();
    send(&stream, complete(&[(NAME, v1::State::Open, 7)])).await;
    comes_to(&breaker, StateKind::Open, 7).await;
    send(&stream, message(&[(NAME, v1::State::Unspecified, 8)])).await;
    let stream = server.watches.recv().await.unwrap();
    comes_to(&breaker, StateKind::Open, 7).await;
    send(&stream, complete(&[(NAME, v1::State::Closed, 9)])).await;
    comes_to(&breaker, StateKind::Closed, 9).await;
}

#[tokio::test]
async fn a_client_without_breakers_is_ready_and_watches_nobody() {
    let mut server = TestServer::start(&ConfigPatch::default());
    let client = client_of(&server);
    assert!(client.ready(Duration::from_secs(10)).await);
    let watch = server.watches.recv().await.unwrap();
    assert_eq!(watch.request.selectors.len(), 1, "no selector at all would be every breaker");
}

#[tokio::test]
async fn selectors_that_the_server_refuses_leave_calls_alone() {
    let server = TestServer::start(&ConfigPatch::default());
    let client = builder().address(&server.address).selectors(["a/**"]).build().unwrap();
    server.world(|world| world.stands_by = Some(tonic::Status::permission_denied("no")));
    let breaker = client.breaker(NAME).unwrap();
    settle().await;
    assert_eq!(client.state().state, ClientState::Fallback);
    allowed(&breaker).await.success();
}
