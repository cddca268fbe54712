use std::future::ready;
use std::time::Duration;

use breaker_core::ConfigPatch;
use breaker_proto::v1;

use super::support::{REFUSED, TestServer, World};
use crate::{Admission, Breaker, Error, Guard};

const NAME: &str = "payments/stripe-api";

async fn admitted(breaker: &Breaker) -> Guard {
    match breaker.acquire().await.unwrap() {
        Admission::Allowed(guard) => guard,
        Admission::Denied(denial) => panic!("{denial}"),
    }
}

fn failure_count(world: &mut World) -> u32 {
    let now = world.now;
    world.breaker(NAME).counts(now).failure_count
}

#[tokio::test]
async fn a_report_whose_answer_is_lost_counts_once() {
    let mut server = TestServer::start(&ConfigPatch::default());
    let breaker = server.client().breaker(NAME).unwrap();
    server.world(|world| world.lost_answers = 2);
    admitted(&breaker).await.failure("http.503").await.unwrap();

    let mut sequences = Vec::new();
    for _ in 0..3 {
        sequences.push(server.reports.recv().await.unwrap().sequence);
    }
    assert_eq!(sequences, [1, 1, 1]);
    assert_eq!(server.world(failure_count), 1);

    admitted(&breaker).await.failure("").await.unwrap();
    assert_eq!(server.reports.recv().await.unwrap().sequence, 2);
    assert_eq!(server.world(failure_count), 2);
}

#[tokio::test]
async fn a_report_is_repeated_after_a_cut_connection_under_its_number() {
    let mut server = TestServer::start(&ConfigPatch::default());
    let breaker = server.client().breaker(NAME).unwrap();
    server.hold_answers();
    let receipt = admitted(&breaker).await.success();
    assert_eq!(server.reports.recv().await.unwrap().sequence, 1);
    let address = server.address.clone();
    drop(server);
    let mut server = TestServer::start_at(&address, &ConfigPatch::default());
    receipt.await.unwrap();
    let repeated = server.reports.recv().await.unwrap();
    assert_eq!((repeated.sequence, repeated.reports[0].runs.len()), (1, 1));
}

#[tokio::test]
async fn outcomes_that_pile_up_go_out_together_in_their_order() {
    let mut server = TestServer::start(&ConfigPatch::default());
    let breaker = server.client().breaker(NAME).unwrap();
    server.hold_answers();
    let first = admitted(&breaker).await.success();
    assert_eq!(server.next_run().await.0.outcome(), v1::Outcome::Success);

    let guards = [admitted(&breaker).await, admitted(&breaker).await, admitted(&breaker).await];
    let [failing, late, unwanted] = guards;
    let receipts = [failing.failure("a"), late.timeout(), unwanted.ignored()];
    server.release_answers();
    first.await.unwrap();
    for receipt in receipts {
        receipt.await.unwrap();
    }
    let request = server.reports.recv().await.unwrap();
    assert_eq!((request.sequence, request.reports.len()), (2, 1));
    let outcomes: Vec<_> = request.reports[0].runs.iter().map(v1::Run::outcome).collect();
    assert_eq!(outcomes, [v1::Outcome::Failure, v1::Outcome::Timeout, v1::Outcome::Ignored]);
}

#[tokio::test]
async fn a_refused_outcome_takes_no_others_with_it() {
    let server = TestServer::start(&ConfigPatch::default());
    let client = server.client();
    let (good, refused) = (client.breaker(NAME).unwrap(), client.breaker(REFUSED).unwrap());
    server.hold_answers();
    let first = admitted(&good).await.success();
    let before = admitted(&good).await.failure("a");
    let wrong = admitted(&refused).await.failure("b");
    let after = admitted(&good).await.failure("c");
    server.release_answers();
    first.await.unwrap();
    before.await.unwrap();
    after.await.unwrap();
    let Err(Error::Invalid { violations, .. }) = wrong.await else { panic!("it is refused") };
    assert_eq!(violations[0].field, "reports[0].breaker");
    assert_eq!(server.world(failure_count), 2);
    assert_eq!(client.outcomes_given_up(), 1);
}

#[tokio::test]
async fn a_report_delays_no_call() {
    let mut server = TestServer::start(&ConfigPatch::default());
    let breaker = server.client().breaker(NAME).unwrap();
    server.hold_answers();
    for _ in 0..20 {
        assert_eq!(breaker.call(ready(Ok::<_, ()>(1))).await, Ok(1));
    }
    server.release_answers();
    let mut count = 0;
    while count < 20 {
        count += server.reports.recv().await.unwrap().reports[0].runs.len();
    }
    assert_eq!(count, 20);
}

#[tokio::test]
async fn a_shutdown_reports_what_is_there_and_takes_nothing_more() {
    let server = TestServer::start(&ConfigPatch::default());
    let client = server.client();
    let breaker = client.breaker(NAME).unwrap();
    let late = admitted(&breaker).await;
    for _ in 0..5 {
        assert!(breaker.call(ready(Err::<(), _>(()))).await.is_err());
    }
    client.shutdown().await.unwrap();
    let totals = server.world(|world| *world.breaker(NAME).metrics().unwrap().totals());
    assert_eq!(totals.failures, 5);
    assert!(matches!(late.success().await, Err(Error::Unreported)));
    client.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_last_clone_that_goes_leaves_nothing_unreported() {
    let mut server = TestServer::start(&ConfigPatch::default());
    let client = server.client();
    let guard = admitted(&client.breaker(NAME).unwrap()).await;
    drop(client);
    drop(guard);
    assert_eq!(server.next_run().await.0.outcome(), v1::Outcome::Ignored);
}

#[tokio::test]
async fn outcomes_are_given_up_when_the_server_stays_away() {
    let server = TestServer::start(&ConfigPatch::default());
    let client = server.client();
    let breaker = client.breaker(NAME).unwrap();
    let (first, second) = (admitted(&breaker).await, admitted(&breaker).await);
    drop(server);
    tokio::time::pause();
    let receipt = first.success();
    tokio::time::advance(Duration::from_secs(61)).await;
    assert!(matches!(receipt.await, Err(Error::Unavailable { .. })));
    assert_eq!(client.outcomes_given_up(), 1);
    drop(second);
    assert!(matches!(client.shutdown().await, Err(Error::Unflushed(1))));
}
