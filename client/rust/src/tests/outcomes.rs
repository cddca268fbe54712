//! When outcomes are reported, and in which order.

use std::time::Duration;

use breaker_core::ConfigPatch;
use breaker_proto::v1;
use breaker_wire::duration_from_message;

use super::server::{NOT_FOUND, REFUSED, TestServer};
use super::support::{
    LONG, NAME, StoppedTime, allowed, breaker_of, builder, client_of, eventually, ready, settle,
};
use crate::{Breaker, MAX_WAITING_RUNS};

/// A server whose breaker is CLOSED and stays so.
fn calm() -> TestServer {
    let never = ConfigPatch { failure_threshold: Some(1_000_000), ..ConfigPatch::default() };
    let server = TestServer::start(&never);
    server.create(NAME);
    server
}

async fn ends(breaker: &Breaker, outcomes: &str) {
    for outcome in outcomes.chars() {
        let guard = allowed(breaker).await;
        match outcome {
            's' => guard.success(),
            'f' => guard.failure("http.503"),
            'g' => guard.failure("http.504"),
            't' => guard.timeout(),
            _ => guard.ignored(),
        }
    }
}

/// The runs of a request as text: `2s f`.
fn runs(request: &v1::ReportRequest) -> String {
    let words = request.reports.iter().flat_map(|report| &report.runs).map(|run| {
        let word = match (run.outcome(), run.error_kind.as_str()) {
            (v1::Outcome::Success, _) => "s",
            (v1::Outcome::Failure, "http.504") => "g",
            (v1::Outcome::Failure, _) => "f",
            (v1::Outcome::Timeout, _) => "t",
            _ => "i",
        };
        if run.count == 1 { word.to_owned() } else { format!("{}{word}", run.count) }
    });
    words.collect::<Vec<_>>().join(" ")
}

async fn next_runs(server: &mut TestServer) -> String {
    runs(&server.reports.recv().await.unwrap())
}

async fn hears_nothing(server: &mut TestServer) -> bool {
    settle().await;
    server.reports.try_recv().is_err()
}

#[tokio::test(start_paused = true)]
async fn outcomes_go_out_in_their_order_and_alike_ones_as_one_run() {
    let _time = StoppedTime::begin();
    let mut server = calm();
    let breaker = breaker_of(&server).await;
    ends(&breaker, "sssi").await;
    assert!(hears_nothing(&mut server).await);
    ends(&breaker, "ssffgtts").await;
    assert_eq!(next_runs(&mut server).await, "3s i 2s 2f g 2t s");
}

#[tokio::test(start_paused = true)]
async fn successes_wait_for_the_interval() {
    let time = StoppedTime::begin();
    let mut server = calm();
    let breaker = breaker_of(&server).await;
    ends(&breaker, "ss").await;
    settle().await;
    time.pass(Duration::from_millis(990)).await;
    ends(&breaker, "s").await;
    assert!(hears_nothing(&mut server).await);
    time.pass(Duration::from_millis(10)).await;
    let request = server.reports.recv().await.unwrap();
    assert_eq!(runs(&request), "3s");
    assert_eq!(request.reports[0].generation, 1);
}

#[tokio::test(start_paused = true)]
async fn prompt_reports_are_paced() {
    let time = StoppedTime::begin();
    let mut server = calm();
    let breaker = breaker_of(&server).await;
    for _ in 0..5 {
        ends(&breaker, "f").await;
        assert_eq!(next_runs(&mut server).await, "f");
        settle().await;
    }
    ends(&breaker, "fff").await;
    assert!(hears_nothing(&mut server).await);
    time.pass(Duration::from_millis(199)).await;
    assert!(hears_nothing(&mut server).await);
    time.pass(Duration::from_millis(1)).await;
    assert_eq!(next_runs(&mut server).await, "3f");
}

#[tokio::test]
async fn one_report_is_in_flight_and_the_rest_waits_for_it() {
    let mut server = calm();
    let client = builder().address(&server.address).request_timeout(LONG).build().unwrap();
    let breaker = ready(&client, NAME).await;
    server.hold_answers();
    ends(&breaker, "f").await;
    assert_eq!(next_runs(&mut server).await, "f");
    ends(&breaker, "sfs").await;
    assert!(hears_nothing(&mut server).await);
    server.release_answers();
    assert_eq!(next_runs(&mut server).await, "s f s");
}

#[tokio::test(start_paused = true)]
async fn a_run_tells_how_long_its_calls_took_and_how_long_ago() {
    let time = StoppedTime::begin();
    let mut server = calm();
    let breaker = breaker_of(&server).await;
    let (first, second) = (allowed(&breaker).await, allowed(&breaker).await);
    time.pass(Duration::from_millis(100)).await;
    first.failure("");
    let (run, _) = server.next_run().await;
    let total = duration_from_message("", &run.total_duration.unwrap()).unwrap();
    assert_eq!((total, run.max_duration), (Duration::from_millis(100), run.total_duration));
    assert_eq!(run.age.unwrap_or_default(), prost_types::Duration::default());
    settle().await;
    // Longer than the `call_timeout`.
    time.pass(Duration::from_secs(10)).await;
    second.success();
    assert_eq!(next_runs(&mut server).await, "t");
}

#[tokio::test(start_paused = true)]
async fn slow_calls_are_runs_of_their_own() {
    let time = StoppedTime::begin();
    let mut server = calm();
    let slow = breaker_core::SlowCallRate {
        percent: 100,
        minimum_calls: 100,
        duration: Duration::from_millis(50),
    };
    let patch = ConfigPatch { slow_call_rate: Some(Some(slow)), ..ConfigPatch::default() };
    server.configure(NAME, &patch);
    let breaker = breaker_of(&server).await;
    let guard = allowed(&breaker).await;
    time.pass(Duration::from_millis(60)).await;
    guard.success();
    ends(&breaker, "sf").await;
    let request = server.reports.recv().await.unwrap();
    let slow: Vec<_> = request.reports[0].runs.iter().map(|run| run.slow_count).collect();
    assert_eq!((runs(&request).as_str(), slow), ("s s f", vec![1, 0, 0]));
}

#[tokio::test(start_paused = true)]
async fn an_outcome_older_than_fifteen_seconds_is_history() {
    let time = StoppedTime::begin();
    let mut server = calm();
    let client = builder().address(&server.address).request_timeout(4 * LONG).build().unwrap();
    let breaker = ready(&client, NAME).await;
    server.hold_answers();
    ends(&breaker, "f").await;
    let first = server.reports.recv().await.unwrap();
    ends(&breaker, "g").await;
    time.pass(Duration::from_secs(16)).await;
    ends(&breaker, "f").await;
    server.release_answers();
    let second = server.reports.recv().await.unwrap();
    assert!(!first.reports[0].late);
    let told: Vec<_> =
        second.reports.iter().map(|report| (report.late, report.runs.len())).collect();
    assert_eq!(told, [(true, 1), (false, 1)]);
    let age = second.reports[0].runs[0].age.unwrap();
    assert!(age.seconds >= 16, "{age:?}");
}

#[tokio::test]
async fn outcomes_that_are_wrong_take_no_others_with_them() {
    let mut server = calm();
    let client = client_of(&server);
    let good = ready(&client, NAME).await;
    let wrong = [ready(&client, REFUSED).await, ready(&client, NOT_FOUND).await];
    ends(&good, "s").await;
    for breaker in &wrong {
        ends(breaker, "ss").await;
    }
    ends(&good, "f").await;
    assert!(client.flush(LONG).await);
    assert_eq!(server.world(|world| world.totals(NAME)), [1, 1, 0, 0]);
    assert_eq!((client.outcomes_given_up(), client.waiting_runs()), (4, 0));
    let mut sequences = Vec::new();
    while let Ok(request) = server.reports.try_recv() {
        sequences.push(request.sequence);
    }
    assert!(
        sequences.is_sorted_by(|a, b| a < b),
        "each half has a number of its own: {sequences:?}"
    );
}

#[tokio::test]
async fn waiting_runs_are_bounded_and_merging_loses_none() {
    let server = calm();
    let client = builder().address(&server.address).request_timeout(LONG).build().unwrap();
    let breaker = ready(&client, NAME).await;
    server.hold_answers();
    ends(&breaker, "f").await;
    eventually(|| server.world(|world| world.totals(NAME)) == [0, 1, 0, 0]).await;
    for _ in 0..MAX_WAITING_RUNS {
        ends(&breaker, "si").await;
        assert!(client.waiting_runs() <= MAX_WAITING_RUNS);
    }
    assert_eq!(client.outcomes_given_up(), 0);
    server.release_answers();
    assert!(client.flush(LONG).await);
    let waited = MAX_WAITING_RUNS as u64;
    assert_eq!(server.world(|world| world.totals(NAME)), [waited, 1, 0, waited]);
}

#[tokio::test]
async fn what_cannot_be_merged_is_given_up_from_the_oldest_on() {
    let server = calm();
    let client = builder().address(&server.address).request_timeout(LONG).build().unwrap();
    let breaker = ready(&client, NAME).await;
    server.hold_answers();
    ends(&breaker, "f").await;
    eventually(|| server.world(|world| world.totals(NAME)) == [0, 1, 0, 0]).await;
    let ended = MAX_WAITING_RUNS as u64 + 100;
    for number in 0..ended {
        allowed(&breaker).await.failure(&format!("kind.{number}"));
    }
    assert!(client.waiting_runs() <= MAX_WAITING_RUNS);
    let given_up = client.outcomes_given_up();
    assert!(given_up >= 100, "{given_up}");
    server.release_answers();
    assert!(client.flush(LONG).await);
    assert_eq!(server.world(|world| world.totals(NAME)), [0, 1 + ended - given_up, 0, 0]);
}

#[tokio::test]
async fn a_flush_waits_for_what_is_there_and_no_longer_than_it_may() {
    let server = calm();
    let client = client_of(&server);
    assert!(client.flush(LONG).await, "there is nothing to wait for");
    let breaker = ready(&client, NAME).await;
    ends(&breaker, "ss").await;
    assert!(client.flush(LONG).await);
    assert_eq!(server.world(|world| world.totals(NAME)), [2, 0, 0, 0]);
    drop(server);
    ends(&breaker, "s").await;
    assert!(!client.flush(Duration::from_millis(20)).await);
}

#[tokio::test]
async fn calls_of_several_threads_all_arrive() {
    const CALLS: u64 = 5_000;
    let server = calm();
    let breaker = breaker_of(&server).await;
    let call = |breaker: Breaker| {
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                for number in 0..CALLS {
                    ends(&breaker, if number % 100 == 0 { "f" } else { "s" }).await;
                }
            });
        }
    };
    let threads = [(); 4].map(|()| std::thread::spawn(call(breaker.clone())));
    eventually(|| threads.iter().all(std::thread::JoinHandle::is_finished)).await;
    assert!(breaker.client().flush(LONG).await);
    let failed = 4 * CALLS / 100;
    assert_eq!(server.world(|world| world.totals(NAME)), [4 * CALLS - failed, failed, 0, 0]);
}
