use std::time::Duration;

use breaker_core::{Config, ConfigPatch, StateKind, Time};
use breaker_proto::encoded::{EncodedState, EncodedWatchResponse};
use breaker_proto::v1;
use breaker_wire::{config_to_message, time_to_message};
use tonic::Status;

use super::server::{TestServer, TestWatch};
use super::support::{builder, client_of, nobody};
use crate::{Error, Watch, WatchEvent};

fn changed(name: &str, state: v1::State, revision: u64) -> EncodedWatchResponse {
    let mut response = EncodedWatchResponse::default();
    response.resume_token = revision.to_be_bytes().to_vec();
    response.server_time = Some(time_to_message(Time::from_millis(5_000)));
    response.push_changed(EncodedState::new(&v1::BreakerState {
        name: name.into(),
        state: state.into(),
        mode: v1::Mode::Normal.into(),
        generation: revision,
        revision,
        config: Some(config_to_message(&Config::default())),
        ..Default::default()
    }));
    response
}

/// Events as words, which tests compare.
async fn told(watch: &mut Watch) -> String {
    match watch.next().await.unwrap() {
        WatchEvent::Connected => "connected".into(),
        WatchEvent::Disconnected { .. } => "disconnected".into(),
        WatchEvent::Changed(status) => format!("{} {:?}", status.name, status.state),
        WatchEvent::Deleted(name) => format!("{name} deleted"),
        WatchEvent::SnapshotComplete => "complete".into(),
        WatchEvent::Reset => "reset".into(),
    }
}

async fn began(server: &mut TestServer, watch: &mut Watch) -> TestWatch {
    assert_eq!(told(watch).await, "connected");
    server.watches.recv().await.unwrap()
}

#[tokio::test]
async fn a_snapshot_and_its_changes_are_told_in_order() {
    let mut server = TestServer::by_hand();
    let mut watch = client_of(&server).watch(["a/*"]);
    let stream = began(&mut server, &mut watch).await;
    assert_eq!(stream.request.selectors, ["a/*"]);
    assert!(stream.request.resume_token.is_empty());

    let mut snapshot = changed("a/b", v1::State::Closed, 1);
    snapshot.snapshot_complete = true;
    snapshot.deleted = vec!["a/c".into()];
    stream.responses.send(Ok(snapshot)).await.unwrap();
    stream.responses.send(Ok(changed("a/b", v1::State::Open, 2))).await.unwrap();
    for expected in ["a/c deleted", "a/b Closed", "complete", "a/b Open"] {
        assert_eq!(told(&mut watch).await, expected);
    }
}

#[tokio::test]
async fn a_cut_stream_goes_on_where_it_was() {
    let mut server = TestServer::by_hand();
    let mut watch = client_of(&server).watch(["**"]);
    let stream = began(&mut server, &mut watch).await;
    stream.responses.send(Ok(changed("a/b", v1::State::Closed, 7))).await.unwrap();
    assert_eq!(told(&mut watch).await, "a/b Closed");
    drop(stream);
    assert_eq!(told(&mut watch).await, "disconnected");

    let stream = began(&mut server, &mut watch).await;
    assert_eq!(stream.request.resume_token, 7_u64.to_be_bytes());
    assert_eq!(stream.request.selectors, ["**"]);
    stream.responses.send(Ok(changed("a/b", v1::State::Open, 8))).await.unwrap();
    assert_eq!(told(&mut watch).await, "a/b Open");
    stream.responses.send(Err(Status::unavailable("draining"))).await.unwrap();
    assert_eq!(told(&mut watch).await, "disconnected");
    let stream = began(&mut server, &mut watch).await;
    assert_eq!(stream.request.resume_token, 8_u64.to_be_bytes());
}

#[tokio::test]
async fn a_reset_is_passed_on_before_the_new_snapshot() {
    let mut server = TestServer::by_hand();
    let mut watch = client_of(&server).watch(["**"]);
    let stream = began(&mut server, &mut watch).await;
    let mut snapshot = changed("a/b", v1::State::HalfOpen, 3);
    snapshot.reset = true;
    stream.responses.send(Ok(snapshot)).await.unwrap();
    assert_eq!(told(&mut watch).await, "reset");
    let WatchEvent::Changed(status) = watch.next().await.unwrap() else { panic!("a change") };
    assert_eq!((status.state, status.generation), (StateKind::HalfOpen, 3));
}

#[tokio::test]
async fn a_snapshot_that_was_cut_before_its_first_token_begins_afresh() {
    let mut server = TestServer::by_hand();
    let mut watch = client_of(&server).watch(["**"]);
    let stream = began(&mut server, &mut watch).await;
    let mut part = changed("a/b", v1::State::Closed, 1);
    part.resume_token.clear();
    stream.responses.send(Ok(part)).await.unwrap();
    assert_eq!(told(&mut watch).await, "a/b Closed");
    drop(stream);
    assert_eq!(told(&mut watch).await, "disconnected");

    let stream = began(&mut server, &mut watch).await;
    for name in ["a/c", "a/d"] {
        stream.responses.send(Ok(changed(name, v1::State::Closed, 2))).await.unwrap();
    }
    for expected in ["reset", "a/c Closed", "a/d Closed"] {
        assert_eq!(told(&mut watch).await, expected);
    }
}

#[tokio::test]
async fn a_watch_survives_its_server_and_tells_of_the_loss_once() {
    let mut server = TestServer::by_hand();
    let client = builder().addresses([nobody(), server.address.clone()]).build().unwrap();
    let mut watch = client.watch(["**"]);
    assert_eq!(told(&mut watch).await, "disconnected");
    let stream = began(&mut server, &mut watch).await;
    stream.responses.send(Ok(changed("a/b", v1::State::Open, 1))).await.unwrap();
    assert_eq!(told(&mut watch).await, "a/b Open");

    let address = server.address.clone();
    drop((stream, server));
    assert_eq!(told(&mut watch).await, "disconnected");
    let mut server = TestServer::start_at(&address, &ConfigPatch::default());
    server.world(|world| world.serves_watches = false);
    let stream = began(&mut server, &mut watch).await;
    assert_eq!(stream.request.resume_token, 1_u64.to_be_bytes());
}

#[tokio::test]
async fn a_silent_stream_is_taken_for_cut() {
    let mut server = TestServer::by_hand();
    let mut watch = client_of(&server).watch(["**"]);
    let _stream = began(&mut server, &mut watch).await;
    let next = tokio::spawn(async move { watch.next().await });
    tokio::task::yield_now().await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(15)).await;
    tokio::time::resume();
    let Some(WatchEvent::Disconnected { error }) = next.await.unwrap() else { panic!("it is cut") };
    assert!(error.to_string().contains("no sign of life"), "{error}");
}

#[tokio::test]
async fn wrong_selectors_end_the_watch() {
    let server = TestServer::by_hand();
    let mut watch = client_of(&server).watch([""]);
    let Some(WatchEvent::Disconnected { error: Error::Invalid { violations, .. } }) =
        watch.next().await
    else {
        panic!("the selector is refused")
    };
    assert_eq!(violations[0].field, "selectors[0]");
    assert!(watch.next().await.is_none());
}
