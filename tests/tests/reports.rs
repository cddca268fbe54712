//! Reports over the wire: what counts, what counts once, what does not matter.

use breaker_core::Time;
use breaker_proto::v1::{self, Outcome};
use breaker_tests::{Clients, Hosted, acquire, create, report_of, run_of};
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};

async fn look(clients: &mut Clients, name: &str) -> anyhow::Result<v1::Breaker> {
    let request = v1::GetBreakerRequest { name: name.into() };
    Ok(clients.admin.get_breaker(request).await?.into_inner().breaker.unwrap_or_default())
}

#[tokio::test]
async fn a_report_sent_twice_counts_once_across_a_reconnect_too() -> anyhow::Result<()> {
    let mut hosted = Hosted::start(Time::from_millis(1)).await?;
    let report = |sequence| v1::ReportRequest {
        reporter_id: "replica-1".into(),
        sequence,
        ..report_of("a/b", 0, vec![run_of(Outcome::Failure, 2)])
    };
    assert!(!hosted.clients.breakers.report(report(1)).await?.into_inner().duplicate);
    assert!(hosted.clients.breakers.report(report(1)).await?.into_inner().duplicate);
    let mut reconnected = Clients::of(&hosted.address())?;
    assert!(reconnected.breakers.report(report(1)).await?.into_inner().duplicate);
    assert_eq!(look(&mut reconnected, "a/b").await?.counts.unwrap().failure_count, 2);
    assert!(!reconnected.breakers.report(report(2)).await?.into_inner().duplicate);
    assert_eq!(look(&mut reconnected, "a/b").await?.counts.unwrap().failure_count, 4);
    drop(reconnected);
    hosted.stop().await
}

/// The same calls, gathered into runs in two ways.
fn gatherings() -> impl Strategy<Value = Vec<(Outcome, u32, u32)>> {
    let outcome =
        prop_oneof![Just(Outcome::Success), Just(Outcome::Failure), Just(Outcome::Ignored)];
    proptest::collection::vec((outcome, 1..6_u32, 1..6_u32), 1..12)
}

async fn compare(parts: &[(Outcome, u32, u32)]) -> anyhow::Result<(v1::Breaker, v1::Breaker)> {
    let mut hosted = Hosted::start(Time::from_millis(1)).await?;
    let config = v1::BreakerConfig { failure_threshold: Some(9), ..v1::BreakerConfig::default() };
    for name in ["a/merged", "a/split"] {
        hosted.clients.admin.create_breaker(create(name, config.clone())).await?;
    }
    let merged = parts.iter().map(|&(outcome, a, b)| run_of(outcome, a + b)).collect();
    let split =
        |(outcome, a, b): &(Outcome, u32, u32)| [run_of(*outcome, *a), run_of(*outcome, *b)];
    let split = parts.iter().flat_map(split).collect();
    hosted.clients.breakers.report(report_of("a/merged", 0, merged)).await?;
    hosted.clients.breakers.report(report_of("a/split", 0, split)).await?;
    let merged = look(&mut hosted.clients, "a/merged").await?;
    let split = look(&mut hosted.clients, "a/split").await?;
    hosted.stop().await?;
    Ok((merged, split))
}

#[test]
fn how_calls_are_gathered_into_runs_changes_nothing() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = TestRunner::new(Cases { cases: 24, ..Cases::default() });
    let outcome = runner.run(&gatherings(), |parts| {
        let (merged, split) = runtime.block_on(compare(&parts)).unwrap();
        prop_assert_eq!(merged.counts, split.counts);
        prop_assert_eq!(&merged.metrics, &split.metrics);
        let state = |breaker: &v1::Breaker| {
            breaker.state.as_ref().map(|s| (s.state, s.generation, s.revision))
        };
        prop_assert_eq!(state(&merged), state(&split));
        Ok(())
    });
    outcome.unwrap();
}

#[tokio::test]
async fn a_report_with_one_bad_field_counts_for_nothing() -> anyhow::Result<()> {
    let mut hosted = Hosted::start(Time::from_millis(1)).await?;
    let mut request = report_of("a/b", 0, vec![run_of(Outcome::Failure, 1)]);
    request.reports.push(v1::BreakerReport { breaker: "no name".into(), ..Default::default() });
    assert!(hosted.clients.breakers.report(request).await.is_err());
    assert!(look(&mut hosted.clients, "a/b").await.is_err(), "nothing was created");
    hosted.stop().await
}

#[tokio::test]
async fn calls_that_are_history_reach_the_metrics_and_move_nothing() -> anyhow::Result<()> {
    let mut hosted = Hosted::start(Time::from_millis(1)).await?;
    let history = |generation, run| {
        let mut request = report_of("a/b", generation, vec![run]);
        request.reports[0].late = true;
        request
    };
    let failures = || run_of(Outcome::Failure, 9);
    hosted.clients.breakers.report(history(1, failures())).await?;
    assert!(look(&mut hosted.clients, "a/b").await.is_err(), "it was deleted, for all they know");
    hosted.clients.breakers.report(history(0, failures())).await?;
    hosted.clients.breakers.report(history(1, failures())).await?;
    let breaker = look(&mut hosted.clients, "a/b").await?;
    assert_eq!(breaker.state.unwrap().state, v1::State::Closed as i32);
    let (metrics, counts) = (breaker.metrics.unwrap(), breaker.counts.unwrap());
    assert_eq!((metrics.failures, metrics.late, counts.failure_count), (18, 18, 0));
    let refused = hosted.clients.breakers.report(history(2, failures())).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument, "a generation that was not reached");

    let tripping = report_of("a/b", 0, vec![failures()]);
    hosted.clients.breakers.report(tripping).await?;
    hosted.clock.advance_to(Time::from_millis(60_001));
    let answer = hosted.clients.breakers.acquire(acquire("a/b")).await?.into_inner();
    let permit_id = answer.permit.unwrap().id;
    let probe = v1::Run { permit_id, ..run_of(Outcome::Failure, 1) };
    hosted.clients.breakers.report(history(answer.generation, probe)).await?;
    let breaker = look(&mut hosted.clients, "a/b").await?;
    let state = breaker.state.unwrap().state;
    assert_eq!((state, breaker.permits_out), (v1::State::HalfOpen as i32, 0));
    hosted.stop().await
}

#[tokio::test]
async fn sixty_four_clients_never_hold_more_permits_than_max_probes() -> anyhow::Result<()> {
    let mut hosted = Hosted::start(Time::from_millis(1)).await?;
    let config = v1::BreakerConfig {
        success_threshold: Some(1_000),
        max_probes: Some(3),
        ..v1::BreakerConfig::default()
    };
    hosted.clients.admin.create_breaker(create("a/b", config)).await?;
    let failures = report_of("a/b", 0, vec![run_of(Outcome::Failure, 5)]);
    hosted.clients.breakers.report(failures).await?;
    hosted.clock.advance_to(Time::from_millis(60_001));
    let held = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (mut clients, held) = (hosted.clients.clone(), held.clone());
        tasks.spawn(async move { hammer(&mut clients, &held).await });
    }
    let mut probes = 0;
    while let Some(task) = tasks.join_next().await {
        probes += task??;
    }
    assert!(probes > 0, "somebody must have got a permit");
    // Whoever holds a permit and never comes back loses it at its deadline.
    hosted.clients.breakers.acquire(acquire("a/b")).await?;
    assert_eq!(look(&mut hosted.clients, "a/b").await?.permits_out, 1);
    hosted.clock.advance_to(Time::from_millis(70_002));
    let breaker = look(&mut hosted.clients, "a/b").await?;
    assert_eq!(breaker.permits_out, 0);
    assert_eq!(breaker.state.unwrap().state, v1::State::Open as i32);
    hosted.stop().await
}

/// Asks and reports; counts the permits that all clients hold from the answer of Acquire until
/// just before Report is sent, which is less than they are out.
async fn hammer(clients: &mut Clients, held: &std::sync::atomic::AtomicI64) -> anyhow::Result<u32> {
    use std::sync::atomic::Ordering::SeqCst;
    let mut probes = 0;
    for _ in 0..40 {
        let answer = clients.breakers.acquire(acquire("a/b")).await?.into_inner();
        let Some(permit) = answer.permit else { continue };
        probes += 1;
        let now = held.fetch_add(1, SeqCst) + 1;
        anyhow::ensure!(now <= 3, "{now} permits are out at once");
        tokio::task::yield_now().await;
        held.fetch_sub(1, SeqCst);
        let run = v1::Run { permit_id: permit.id, ..run_of(Outcome::Success, 1) };
        let report = report_of("a/b", answer.generation, vec![run]);
        clients.breakers.report(report).await?;
    }
    Ok(probes)
}
