//! Several servers, of which one leads and the others stand by.

use std::time::Duration;

use breaker_core::{ConfigPatch, OnUnavailable};
use breaker_proto::encoded::EncodedWatchResponse;

use super::support::{TestServer, TestWatch, builder, nobody, stands_by};
use crate::{Admission, Breaker, Client, Watch, WatchEvent};

const NAME: &str = "payments/stripe-api";

fn servers<const N: usize>() -> [TestServer; N] {
    std::array::from_fn(|_| TestServer::start(&ConfigPatch::default()))
}

fn client_of(servers: &[&TestServer]) -> Client {
    builder().addresses(servers.iter().map(|server| &*server.address)).build().unwrap()
}

fn breaker_of(servers: &[&TestServer]) -> Breaker {
    client_of(servers).breaker(NAME).unwrap()
}

async fn is_admitted(breaker: &Breaker) -> bool {
    match breaker.acquire().await {
        Ok(Admission::Allowed(guard)) => guard.success().await.is_ok(),
        _ => false,
    }
}

fn successes(server: &TestServer) -> u64 {
    server.world(|world| world.breaker(NAME).metrics().map_or(0, |m| m.totals().successes))
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
    let breaker = breaker_of(&[&first, &second, &leader]);
    for _ in 0..3 {
        assert!(is_admitted(&breaker).await);
    }
    assert_eq!(asked([&first, &second, &leader]), [1, 0, 6]);
    assert_eq!(successes(&leader), 3);
}

#[tokio::test]
async fn without_a_named_leader_the_list_is_gone_through() {
    let [first, second, leader] = servers();
    first.stand_by(None);
    second.stand_by(None);
    let breaker = breaker_of(&[&first, &second, &leader]);
    assert!(is_admitted(&breaker).await);
    assert!(is_admitted(&breaker).await);
    assert_eq!(asked([&first, &second, &leader]), [1, 1, 4]);
}

#[tokio::test]
async fn while_nobody_leads_a_call_asks_each_server_once_and_is_decided_alone() {
    let [first, second] = servers();
    first.stand_by(Some(&second.address));
    second.stand_by(Some(&first.address));
    let client = builder()
        .addresses([&first.address, &second.address])
        .on_unavailable(OnUnavailable::Deny)
        .build()
        .unwrap();
    let breaker = client.breaker(NAME).unwrap();
    let error = breaker.acquire().await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    assert_eq!(asked([&first, &second]), [1, 1]);
    assert!(matches!(breaker.admit().await, Admission::Denied(_)));
    assert_eq!(asked([&first, &second]), [1, 1]);

    second.lead();
    assert!(is_admitted(&breaker).await);
}

#[tokio::test]
async fn all_servers_together_take_no_longer_than_the_request_timeout() {
    let [slow, stuck] = servers();
    slow.stand_by(Some(&stuck.address));
    slow.hold_answers();
    stuck.world(|world| world.is_stuck = true);
    let breaker = breaker_of(&[&slow, &stuck]);
    let began = crate::clock::now();
    let call = tokio::spawn(async move { breaker.acquire().await.map(drop) });
    while slow.world(|world| world.asked) == 0 {
        tokio::task::yield_now().await;
    }
    tokio::time::pause();
    tokio::time::advance(Duration::from_millis(700)).await;
    tokio::time::resume();
    slow.release_answers();
    let error = call.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("timed out"), "{error}");
    assert!(began.elapsed() < Duration::from_millis(1_500), "{:?}", began.elapsed());
    assert_eq!(asked([&slow, &stuck]), [1, 1]);
}

#[tokio::test]
async fn a_leader_outside_the_list_is_asked_until_it_is_away() {
    let [known, leader] = servers();
    known.stand_by(Some(&leader.address));
    let breaker = breaker_of(&[&known]);
    assert!(is_admitted(&breaker).await);
    assert!(is_admitted(&breaker).await);
    assert_eq!(asked([&known, &leader]), [1, 4]);

    // The one that stands by goes on to name the dead leader for a while.
    drop(leader);
    assert!(!is_admitted(&breaker).await);
    known.lead();
    assert!(is_admitted(&breaker).await);
}

#[tokio::test]
async fn a_dead_leader_that_is_still_named_leaves_the_others_to_be_asked() {
    let [first, leader] = servers();
    first.stand_by(Some(&nobody()));
    let breaker = breaker_of(&[&first, &leader]);
    assert!(is_admitted(&breaker).await);
    assert_eq!(successes(&leader), 1);
}

#[tokio::test]
async fn a_batch_that_met_no_leader_counts_once_on_the_next_one() {
    let [old, mut new] = servers();
    new.stand_by(Some(&old.address));
    let breaker = breaker_of(&[&old, &new]);
    let Ok(Admission::Allowed(guard)) = breaker.acquire().await else { panic!("it leads") };
    let Ok(Admission::Allowed(other)) = breaker.acquire().await else { panic!("it leads") };

    // Both stand by: reports wait, and go on under their numbers when there is a leader again.
    old.stand_by(None);
    new.stand_by(None);
    asked([&old, &new]);
    let receipts = [guard.success(), other.success()];
    while old.world(|world| world.asked) < 3 {
        tokio::task::yield_now().await;
    }
    new.lead();
    for receipt in receipts {
        receipt.await.unwrap();
    }
    assert_eq!((successes(&new), successes(&old)), (2, 0));
    let mut next_sequence = 1;
    while let Ok(request) = new.reports.try_recv() {
        assert_eq!(request.sequence, next_sequence);
        next_sequence += 1;
    }
    assert!(next_sequence > 1);
}

#[tokio::test]
async fn a_report_whose_answer_the_old_leader_lost_keeps_its_number_on_the_new_one() {
    let [mut old, mut new] = servers();
    new.stand_by(None);
    let breaker = breaker_of(&[&old, &new]);
    let Ok(Admission::Allowed(guard)) = breaker.acquire().await else { panic!("it leads") };
    old.world(|world| world.lost_answers = 1);
    let receipt = guard.success();
    let first = old.reports.recv().await.unwrap();
    old.stand_by(Some(&new.address));
    new.lead();
    receipt.await.unwrap();
    let last = match new.reports.try_recv() {
        Ok(report) => report,
        // The retry came to the old leader just before it stood by, which knew the number.
        Err(_) => old.reports.recv().await.unwrap(),
    };
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
