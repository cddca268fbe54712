//! Several servers, of which one leads and the others stand by.

use std::time::Duration;

use breaker_proto::encoded::EncodedWatchResponse;
use breaker_proto::v1;

use super::server::{TestServer, TestWatch, stands_by};
use super::support::{LONG, NAME, allowed, builder, eventually, nobody};
use crate::{Client, Error, Watch, WatchEvent};

fn servers<const N: usize>() -> [TestServer; N] {
    std::array::from_fn(|_| TestServer::by_hand())
}

fn client_of(servers: &[&TestServer]) -> Client {
    builder().addresses(servers.iter().map(|server| &*server.address)).build().unwrap()
}

/// Asks for leave, as calls of a HALF_OPEN breaker do.
async fn acquire(client: &Client) -> Result<v1::AcquireResponse, Error> {
    let request = v1::AcquireRequest { breaker: NAME.into(), client_id: String::new() };
    let connection = &client.shared().connection;
    connection
        .request(|mut client| {
            let request = request.clone();
            async move { client.acquire(request).await }
        })
        .await
}

/// Reports a success.
async fn report(client: &Client, sequence: u64) -> Result<v1::ReportResponse, Error> {
    let run = v1::Run {
        outcome: v1::Outcome::Success.into(),
        count: 1,
        total_duration: Some(prost_types::Duration::default()),
        ..Default::default()
    };
    let report = v1::BreakerReport { breaker: NAME.into(), runs: vec![run], ..Default::default() };
    let request = v1::ReportRequest { reporter_id: "test".into(), sequence, reports: vec![report] };
    let connection = &client.shared().connection;
    connection
        .request(|mut client| {
            let request = request.clone();
            async move { client.report(request).await }
        })
        .await
}

fn acquires(server: &TestServer) -> u32 {
    server.world(|world| world.acquires)
}

fn successes(server: &TestServer) -> u64 {
    server.world(|world| world.totals(NAME)[0])
}

/// How often each server was asked since this was last called.
fn asked<const N: usize>(servers: [&TestServer; N]) -> [u32; N] {
    servers.map(TestServer::asked)
}

#[tokio::test]
async fn a_server_that_stands_by_is_asked_once_and_its_leader_from_then_on() {
    let [first, second, leader] = servers();
    first.stand_by(Some(&leader.address));
    second.stand_by(Some(&leader.address));
    let client = client_of(&[&first, &second, &leader]);
    for sequence in 1..=3 {
        acquire(&client).await.unwrap();
        report(&client, sequence).await.unwrap();
    }
    assert_eq!(asked([&first, &second, &leader]), [1, 0, 6]);
    assert_eq!((acquires(&leader), successes(&leader)), (3, 3));
}

#[tokio::test]
async fn without_a_named_leader_the_list_is_gone_through() {
    let [first, second, leader] = servers();
    first.stand_by(None);
    second.stand_by(None);
    let client = client_of(&[&first, &second, &leader]);
    acquire(&client).await.unwrap();
    acquire(&client).await.unwrap();
    assert_eq!(asked([&first, &second, &leader]), [1, 1, 2]);
}

#[tokio::test]
async fn while_nobody_leads_a_request_asks_each_server_once() {
    let [first, second] = servers();
    first.stand_by(Some(&second.address));
    second.stand_by(Some(&first.address));
    let client = client_of(&[&first, &second]);
    for _ in 0..2 {
        let error = acquire(&client).await.unwrap_err();
        assert!(error.is_unavailable(), "{error}");
        assert_eq!(asked([&first, &second]), [1, 1]);
    }
    second.lead();
    acquire(&client).await.unwrap();
}

#[tokio::test]
async fn all_servers_together_take_no_longer_than_the_request_timeout() {
    let [slow, stuck] = servers();
    slow.stand_by(Some(&stuck.address));
    slow.hold_answers();
    stuck.hold_permits();
    let addresses = [&*slow.address, &*stuck.address];
    let timeout = Duration::from_secs(10);
    let client = builder().request_timeout(timeout).addresses(addresses).build().unwrap();
    let began = crate::clock::now();
    let call = tokio::spawn(async move { acquire(&client).await });
    eventually(|| slow.world(|world| world.asked) == 1).await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(7)).await;
    tokio::time::resume();
    slow.release_answers();
    let error = call.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("timed out"), "{error}");
    // Each on its own would take 17 s.
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert_eq!(asked([&slow, &stuck]), [1, 1]);
}

#[tokio::test]
async fn a_leader_outside_the_list_is_asked_until_it_is_away() {
    let [known, leader] = servers();
    known.stand_by(Some(&leader.address));
    let client = client_of(&[&known]);
    acquire(&client).await.unwrap();
    acquire(&client).await.unwrap();
    assert_eq!(asked([&known, &leader]), [1, 2]);

    // The one that stands by goes on to name the dead leader for a while.
    drop(leader);
    acquire(&client).await.unwrap_err();
    known.lead();
    acquire(&client).await.unwrap();
}

#[tokio::test]
async fn a_dead_leader_that_is_still_named_leaves_the_others_to_be_asked() {
    let [first, leader] = servers();
    first.stand_by(Some(&nobody()));
    let client = client_of(&[&first, &leader]);
    acquire(&client).await.unwrap();
    assert_eq!(acquires(&leader), 1);
}

#[tokio::test]
async fn outcomes_that_met_no_leader_count_once_on_the_next_one() {
    let [old, mut new] = servers();
    old.stand_by(None);
    new.stand_by(Some(&old.address));
    let client = client_of(&[&old, &new]);
    let breaker = client.breaker(NAME).unwrap();
    allowed(&breaker).await.failure("");
    allowed(&breaker).await.success();
    eventually(|| old.world(|world| world.asked) >= 3).await;
    new.lead();
    assert!(client.flush(LONG).await);
    assert_eq!(new.world(|world| world.totals(NAME)), [1, 1, 0, 0]);
    assert_eq!(successes(&old), 0);
    assert_eq!(new.reports.recv().await.unwrap().sequence, 1);
}

#[tokio::test]
async fn a_report_whose_answer_the_old_leader_lost_keeps_its_number_on_the_new_one() {
    let [mut old, mut new] = servers();
    new.stand_by(None);
    let client = client_of(&[&old, &new]);
    let breaker = client.breaker(NAME).unwrap();
    old.world(|world| world.lost_answers = u32::MAX);
    allowed(&breaker).await.failure("");
    let first = old.reports.recv().await.unwrap();
    old.stand_by(Some(&new.address));
    new.lead();
    let last = new.reports.recv().await.unwrap();
    assert_eq!((first.sequence, &first.reporter_id), (last.sequence, &last.reporter_id));
}

/// A client whose backoff is longer than any test: only what happens at once happens.
fn without_backoff(servers: &[&TestServer]) -> Client {
    let never = Duration::from_secs(3_600);
    let addresses = servers.iter().map(|server| &*server.address);
    builder().backoff(never, never).addresses(addresses).build().unwrap()
}

async fn began(server: &mut TestServer) -> TestWatch {
    server.watches.recv().await.unwrap()
}

async fn is_connected(watch: &mut Watch) -> bool {
    matches!(watch.next().await, Some(WatchEvent::Connected))
}

async fn is_disconnected(watch: &mut Watch) -> bool {
    matches!(watch.next().await, Some(WatchEvent::Disconnected { .. }))
}

fn token(token: &[u8]) -> EncodedWatchResponse {
    let mut response = EncodedWatchResponse::default();
    response.resume_token = token.to_vec();
    response.snapshot_complete = true;
    response
}

#[tokio::test]
async fn a_watch_begins_at_the_leader_that_is_named() {
    let [standby, mut leader] = servers();
    standby.stand_by(Some(&leader.address));
    let mut watch = without_backoff(&[&standby, &leader]).watch(["**"]);
    // There is no loss to tell of.
    assert!(is_connected(&mut watch).await);
    began(&mut leader).await;
}

#[tokio::test]
async fn a_watch_follows_the_leader_at_once_with_its_token() {
    let [mut old, mut new] = servers();
    let mut watch = without_backoff(&[&old, &new]).watch(["**"]);
    for turn in 0..3 {
        assert!(is_connected(&mut watch).await);
        let stream = began(&mut old).await;
        if turn > 0 {
            assert_eq!(stream.request.resume_token, [turn - 1]);
        }
        stream.responses.send(Ok(token(&[turn]))).await.unwrap();
        assert!(matches!(watch.next().await, Some(WatchEvent::SnapshotComplete)));
        old.stand_by(Some(&new.address));
        new.lead();
        stream.responses.send(Err(stands_by(Some(&new.address)))).await.unwrap();
        assert!(is_disconnected(&mut watch).await);
        // What led is what stands by the next time.
        std::mem::swap(&mut old, &mut new);
    }
}

#[tokio::test]
async fn a_watch_between_servers_that_name_each_other_waits() {
    let [first, second] = servers();
    first.stand_by(Some(&second.address));
    second.stand_by(Some(&first.address));
    let mut watch = without_backoff(&[&first, &second]).watch(["**"]);
    assert!(is_disconnected(&mut watch).await);
    assert_eq!(asked([&first, &second]), [1, 1]);
    let waiting = tokio::time::timeout(Duration::from_millis(100), watch.next()).await;
    assert!(waiting.is_err(), "{waiting:?}");
    assert_eq!(asked([&first, &second]), [0, 0]);
}

#[tokio::test]
async fn streams_that_only_name_each_others_server_make_a_watch_wait_too() {
    let [mut first, mut second] = servers();
    let mut watch = without_backoff(&[&first, &second]).watch(["**"]);
    assert!(is_connected(&mut watch).await);
    let stream = began(&mut first).await;
    stream.responses.send(Err(stands_by(Some(&second.address)))).await.unwrap();
    assert!(is_disconnected(&mut watch).await);
    assert!(is_connected(&mut watch).await);
    let stream = began(&mut second).await;
    stream.responses.send(Err(stands_by(Some(&first.address)))).await.unwrap();
    assert!(is_disconnected(&mut watch).await);
    let waiting = tokio::time::timeout(Duration::from_millis(100), watch.next()).await;
    assert!(waiting.is_err(), "{waiting:?}");
}
