//! Reports that are not answered, and those that are answered with news.

use breaker_core::{ConfigPatch, StateKind};
use tonic::Status;

use super::server::TestServer;
use super::support::{
    LONG, NAME, allowed, breaker_of, builder, client_of, eventually, ready, trips_at_once,
};

#[tokio::test]
async fn a_report_whose_answer_is_lost_counts_once() {
    let mut server = TestServer::start(&ConfigPatch::default());
    server.create(NAME);
    server.world(|world| world.lost_answers = 2);
    let breaker = breaker_of(&server).await;
    allowed(&breaker).await.failure("http.503");
    let mut sent = Vec::new();
    for _ in 0..3 {
        let request = server.reports.recv().await.unwrap();
        sent.push((request.sequence, request.reporter_id, request.reports[0].runs.len()));
    }
    assert_eq!(sent[0].0, 1);
    assert!(sent.iter().all(|report| *report == sent[0]), "{sent:?}");
    assert!(breaker.client().flush(LONG).await);
    assert_eq!(server.world(|world| world.totals(NAME)), [0, 1, 0, 0]);
    allowed(&breaker).await.failure("");
    assert_eq!(server.reports.recv().await.unwrap().sequence, 2);
}

#[tokio::test]
async fn a_report_is_repeated_after_a_cut_connection_under_its_number() {
    let mut server = TestServer::start(&ConfigPatch::default());
    server.create(NAME);
    let client = client_of(&server);
    let breaker = ready(&client, NAME).await;
    server.hold_answers();
    allowed(&breaker).await.failure("");
    let first = server.reports.recv().await.unwrap();
    let address = server.stop();
    let mut server = TestServer::start_at(&address, &ConfigPatch::default());
    let second = server.reports.recv().await.unwrap();
    assert_eq!((first.sequence, &first.reporter_id), (second.sequence, &second.reporter_id));
}

#[tokio::test]
async fn what_refuses_everything_is_taken_for_being_away() {
    let refusals = [
        Status::resource_exhausted("too many"),
        Status::unauthenticated("who are you"),
        Status::internal("a bug"),
        Status::unavailable("draining"),
    ];
    let server = TestServer::start(&ConfigPatch::default());
    server.create(NAME);
    let client = client_of(&server);
    let breaker = ready(&client, NAME).await;
    for (count, refusal) in (1..).zip(refusals) {
        server.asked();
        server.world(|world| world.report_fails_with = Some(refusal));
        allowed(&breaker).await.failure("");
        eventually(|| server.world(|world| world.asked) >= 2).await;
        server.world(|world| world.report_fails_with = None);
        assert!(client.flush(LONG).await);
        assert_eq!(server.world(|world| world.totals(NAME)), [0, count, 0, 0]);
    }
    assert_eq!(client.outcomes_given_up(), 0);
}

#[tokio::test]
async fn the_answer_to_a_report_is_news_for_the_copy() {
    let mut server = TestServer::start(&trips_at_once());
    server.create(NAME);
    let client = client_of(&server);
    let breaker = ready(&client, NAME).await;
    // The stream is silent from now on.
    server.world(|world| world.serves_watches = false);
    server.cut_streams();
    let stream = server.watches.recv().await.unwrap();
    let _silent = (stream, server.watches.recv().await.unwrap());
    allowed(&breaker).await.failure("");
    eventually(|| breaker.status().unwrap().state == StateKind::Open).await;
}

#[tokio::test]
async fn each_client_reports_under_an_id_of_its_own() {
    let mut server = TestServer::start(&ConfigPatch::default());
    server.create(NAME);
    let mut ids = Vec::new();
    for _ in 0..2 {
        let client = builder().address(&server.address).client_id("checkout-7").build().unwrap();
        assert_eq!(client.client_id(), "checkout-7");
        let breaker = ready(&client, NAME).await;
        allowed(&breaker).await.failure("");
        ids.push(server.reports.recv().await.unwrap().reporter_id);
    }
    assert!(ids.iter().all(|id| id.len() == "checkout-7-".len() + 16), "{ids:?}");
    assert!(ids[0] != ids[1] && ids[0].starts_with("checkout-7-"), "{ids:?}");
}
