//! How the fleet is doing: what the monitor tells over the wire, and that it is what everything else
//! tells.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use breaker_core::Time;
use breaker_engine::SAMPLE_INTERVAL;
use breaker_proto::v1::{self, BreakerView, Mode, Outcome, State};
use breaker_tests::{Clients, Daemon, Hosted, acquire, eventually, report_of, run_of, selecting};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic_types::StatusExt;

const PATIENCE: Duration = Duration::from_secs(60);
const START: Time = Time::from_millis(1_700_000_000_000);
const NAMESPACES: [&str; 3] = ["auth", "payments", "search"];
const BREAKERS: usize = 40;

fn named(number: usize) -> String {
    format!("{}/breaker-{number}", NAMESPACES[number % NAMESPACES.len()])
}

async fn health(clients: &mut Clients) -> anyhow::Result<v1::GetHealthSummaryResponse> {
    let request = v1::GetHealthSummaryRequest::default();
    Ok(clients.monitor.get_health_summary(request).await?.into_inner())
}

async fn dashboard(clients: &mut Clients) -> anyhow::Result<v1::GetDashboardResponse> {
    let request = v1::GetDashboardRequest::default();
    Ok(clients.monitor.get_dashboard(request).await?.into_inner())
}

async fn list(clients: &mut Clients, view: BreakerView) -> anyhow::Result<Vec<v1::Breaker>> {
    let request =
        v1::ListBreakersRequest { page_size: 1_000, view: view.into(), ..Default::default() };
    Ok(clients.admin.list_breakers(request).await?.into_inner().breakers)
}

async fn activity(
    clients: &mut Clients,
    name: &str,
) -> anyhow::Result<v1::GetBreakerActivityResponse> {
    let request = v1::GetBreakerActivityRequest { name: name.into() };
    Ok(clients.monitor.get_breaker_activity(request).await?.into_inner())
}

/// Reports calls of all breakers, most of them good, until told to stop.
async fn replica(
    number: usize,
    mut clients: Clients,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let mut sequence = 0;
    while !stop.is_cancelled() {
        sequence += 1;
        let which = (number + 7 * sequence) % BREAKERS;
        let outcome = if sequence % 5 == 0 { Outcome::Failure } else { Outcome::Success };
        let request = v1::ReportRequest {
            reporter_id: format!("replica-{number}"),
            sequence: sequence as u64,
            ..report_of(&named(which), 0, vec![run_of(outcome, 2)])
        };
        clients.breakers.report(request).await?;
        clients.breakers.acquire(acquire(&named(which))).await?;
    }
    Ok(())
}

/// Changes states and modes now and then until told to stop.
async fn operator(mut clients: Clients, stop: CancellationToken) -> anyhow::Result<()> {
    let mut turn = 0;
    while !stop.is_cancelled() {
        let target = selecting(&named(turn % BREAKERS));
        match turn % 4 {
            0 => drop(clients.admin.trip(v1::TripRequest { target }).await),
            1 => {
                let request = v1::ForceOpenRequest { target, time_to_live: None };
                clients.admin.force_open(request).await?;
            }
            2 => {
                let request = v1::ShadowRequest { target, time_to_live: None };
                clients.admin.shadow(request).await?;
            }
            _ => drop(clients.admin.release(v1::ReleaseRequest { target }).await?),
        }
        turn += 3;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    Ok(())
}

/// What a summary says that counts these breakers.
fn counted(breakers: &[v1::Breaker], namespace: &str) -> v1::HealthSummary {
    let states: Vec<_> = breakers
        .iter()
        .filter(|breaker| breaker.name.starts_with(namespace))
        .filter_map(|breaker| breaker.state.as_ref())
        .collect();
    let in_state = |state| states.iter().filter(|of| of.state() == state).count() as u64;
    let in_mode = |mode| states.iter().filter(|of| of.mode() == mode).count() as u64;
    let (all, closed) = (states.len() as u64, in_state(State::Closed));
    v1::HealthSummary {
        namespace: namespace.into(),
        breakers: all,
        closed,
        open: in_state(State::Open),
        half_open: in_state(State::HalfOpen),
        normal: in_mode(Mode::Normal),
        forced_open: in_mode(Mode::ForcedOpen),
        forced_closed: in_mode(Mode::ForcedClosed),
        disabled: in_mode(Mode::Disabled),
        shadow: in_mode(Mode::Shadow),
        health_percent: if all == 0 { 100.0 } else { 100.0 * closed as f64 / all as f64 },
        unhealthy: all - closed,
    }
}

/// Compares what four pages tell of the same moment; `None` if something has changed meanwhile.
async fn compare(daemon: &Daemon, clients: &mut Clients) -> anyhow::Result<Option<u64>> {
    let before = health(clients).await?;
    let page = daemon.page("/metrics")?;
    let dashboard = dashboard(clients).await?;
    let breakers = list(clients, BreakerView::Basic).await?;
    let after = health(clients).await?;
    let since = |summary: &v1::GetHealthSummaryResponse| -> BTreeMap<_, _> {
        let names = summary.unhealthy.iter().map(|of| (of.breaker.clone(), of.mode));
        names.collect()
    };
    if before.summary != after.summary || since(&before) != since(&after) {
        return Ok(None);
    }
    let summary = before.summary.context("there is a summary")?;
    ensure!(dashboard.summary.as_ref() == Some(&summary), "{dashboard:?} {summary:?}");
    ensure!(counted(&breakers, "") == summary, "{:?} {summary:?}", counted(&breakers, ""));
    for namespace in &before.namespaces {
        let expected = counted(&breakers, &namespace.namespace);
        ensure!(*namespace == expected, "{namespace:?} {expected:?}");
    }
    let gauges = [
        ("breakers{state=\"closed\"}", summary.closed),
        ("breakers{state=\"open\"}", summary.open),
        ("breakers{state=\"half_open\"}", summary.half_open),
        ("breakers_by_mode{mode=\"forced_open\"}", summary.forced_open),
        ("breakers_by_mode{mode=\"shadow\"}", summary.shadow),
    ];
    for (name, expected) in gauges {
        let shown = breaker_tests::metric_of(&page, &format!("breakerd_{name}"))?;
        ensure!(shown.parse::<f64>()? == expected as f64, "{name} {shown} {expected}");
    }
    let mut unhealthy: Vec<_> = before.unhealthy.iter().map(|of| of.breaker.as_str()).collect();
    unhealthy.sort_unstable();
    let is_unhealthy = |breaker: &&v1::Breaker| {
        breaker.state.as_ref().is_some_and(|state| state.state() != State::Closed)
    };
    let expected: Vec<_> =
        breakers.iter().filter(is_unhealthy).map(|breaker| breaker.name.as_str()).collect();
    ensure!(unhealthy == expected, "{unhealthy:?} {expected:?}");
    Ok(Some(summary.unhealthy))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_the_monitor_tells_what_metrics_and_lists_tell() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let daemon = Daemon::start(&folder.path().join("breakers.db"))?;
    let mut clients = daemon.clients()?;
    for number in 0..BREAKERS {
        clients.breakers.acquire(acquire(&named(number))).await?;
    }
    let stop = CancellationToken::new();
    let mut load = JoinSet::new();
    for number in 0..4 {
        load.spawn(replica(number, daemon.clients()?, stop.clone()));
    }
    load.spawn(operator(daemon.clients()?, stop.clone()));

    let (mut agreed, mut most_unhealthy) = (0, 0);
    eventually("twenty comparisons at rest", PATIENCE, async || {
        if let Some(unhealthy) = compare(&daemon, &mut clients).await.unwrap() {
            agreed += 1;
            most_unhealthy = unhealthy.max(most_unhealthy);
        }
        Ok(agreed >= 20 && most_unhealthy > 0)
    })
    .await?;
    eventually("a sample shows the load", PATIENCE, async || {
        let dashboard = dashboard(&mut clients).await?;
        let rates = dashboard.rates.context("there are rates")?;
        let lists = [&dashboard.busiest, &dashboard.most_denied];
        Ok(rates.calls > 0.0
            && rates.failures > 0.0
            && rates.denied > 0.0
            && lists.iter().all(|list| list.len() == 10))
    })
    .await?;
    stop.cancel();
    while let Some(ended) = load.join_next().await {
        ended??;
    }

    // All calls that were counted are in samples once the last one was taken.
    let breakers = list(&mut clients, BreakerView::Full).await?;
    eventually("the samples add up", PATIENCE, async || {
        for breaker in &breakers {
            let metrics = breaker.metrics.as_ref().context("there are metrics")?;
            let activity = activity(&mut clients, &breaker.name).await?;
            let sum =
                |part: fn(&v1::ActivitySample) -> u64| activity.samples.iter().map(part).sum();
            let sums: [u64; 2] = [sum(|s| s.successes + s.failures), sum(|s| s.denied)];
            if sums != [metrics.successes + metrics.failures, metrics.denied] {
                return Ok(false);
            }
            ensure!(!activity.reporters.is_empty(), "{activity:?}");
        }
        Ok(true)
    })
    .await?;
    let quiet = dashboard(&mut clients).await?;
    let storage = quiet.storage.context("there is storage")?;
    assert!(!storage.degraded && storage.failing_for.is_none(), "{storage:?}");
    assert_eq!(quiet.server_version, env!("CARGO_PKG_VERSION"));
    assert!(quiet.uptime.is_some_and(|uptime| uptime.seconds > 0));
    assert!(daemon.terminate()?.success());
    Ok(())
}

#[tokio::test]
async fn a_sample_and_a_summary_over_the_wire() -> anyhow::Result<()> {
    let mut hosted = Hosted::start(START).await?;
    let report = v1::ReportRequest {
        reporter_id: "replica-1".into(),
        sequence: 1,
        ..report_of("a/busy", 0, vec![run_of(Outcome::Success, 9), run_of(Outcome::Failure, 1)])
    };
    let clients = &mut hosted.clients;
    clients.breakers.report(report).await?;
    clients.breakers.acquire(acquire("b/open")).await?;
    clients.admin.trip(v1::TripRequest { target: selecting("b/open") }).await?;
    clients.breakers.acquire(acquire("b/open")).await?;
    hosted.clock.advance_to(START + SAMPLE_INTERVAL);
    eventually("the sample is taken", PATIENCE, async || {
        Ok(!dashboard(clients).await?.busiest.is_empty())
    })
    .await?;

    let shown = dashboard(clients).await?;
    assert_eq!(shown.rates, Some(v1::Rates { calls: 2.0, failures: 0.2, denied: 0.2 }));
    assert_eq!(shown.most_denied[0].breaker, "b/open");
    assert_eq!(shown.most_denied[0].state(), State::Open);
    assert_eq!((shown.busiest[0].breaker.as_str(), shown.busiest[0].failure_rate), ("a/busy", 0.1));
    let known = activity(clients, "a/busy").await?;
    assert_eq!((known.samples[0].successes, known.samples[0].failures), (9, 1));
    assert_eq!(
        (known.reporters[0].reporter_id.as_str(), known.reporters[0].calls),
        ("replica-1", 10)
    );
    assert_eq!(known.sample_interval.map(|interval| interval.seconds), Some(5));
    assert_eq!(known.kept_for.map(|kept_for| kept_for.seconds), Some(1_800));

    eventually("the alert is raised", PATIENCE, async || {
        Ok(!dashboard(clients).await?.alerts.is_empty())
    })
    .await?;
    for (namespace, expected) in [("a", 0), ("b", 1)] {
        let request = v1::GetDashboardRequest { namespace: namespace.into(), limit: 0 };
        let of_one = clients.monitor.get_dashboard(request).await?.into_inner();
        let counts = of_one.alert_counts.context("there are counts")?;
        assert_eq!(
            (of_one.alerts.len(), counts.firing),
            (expected, expected as u32),
            "{namespace}"
        );
    }

    let all = health(clients).await?;
    let order: Vec<_> = all.namespaces.iter().map(|of| of.namespace.as_str()).collect();
    assert_eq!((order, all.namespace_count), (vec!["b", "a"], 2));
    let open = &all.unhealthy[0];
    assert_eq!((open.breaker.as_str(), open.state()), ("b/open", State::Open));
    assert_eq!(open.time_in_state.map(|time| time.seconds), Some(5));
    assert_eq!(open.retry_after.map(|time| time.seconds), Some(55));
    let of_a = v1::GetHealthSummaryRequest { namespace: "a".into() };
    let of_a = clients.monitor.get_health_summary(of_a).await?.into_inner();
    assert!(of_a.unhealthy.is_empty() && of_a.namespaces.is_empty());
    assert_eq!(
        of_a.summary.map(|summary| (summary.closed, summary.health_percent)),
        Some((1, 100.0))
    );
    let of_none = v1::GetHealthSummaryRequest { namespace: "none".into() };
    let of_none = clients.monitor.get_health_summary(of_none).await?.into_inner();
    assert_eq!(of_none.summary.map(|of| (of.breakers, of.health_percent)), Some((0, 100.0)));
    hosted.stop().await
}

#[tokio::test]
async fn bad_requests_name_the_field() -> anyhow::Result<()> {
    let mut hosted = Hosted::start(START).await?;
    let clients = &mut hosted.clients;
    let of = |namespace: &str| v1::GetHealthSummaryRequest { namespace: namespace.into() };
    let mut refused = Vec::new();
    for namespace in ["a/b", "A", &"x".repeat(199)] {
        let status = clients.monitor.get_health_summary(of(namespace)).await.unwrap_err();
        refused.push((status, "namespace"));
    }
    let request = v1::GetDashboardRequest { limit: 101, ..Default::default() };
    refused.push((clients.monitor.get_dashboard(request).await.unwrap_err(), "limit"));
    let request = v1::GetBreakerActivityRequest { name: "a".into() };
    refused.push((clients.monitor.get_breaker_activity(request).await.unwrap_err(), "name"));
    let request = v1::ListBreakersRequest { view: 7, ..Default::default() };
    refused.push((clients.admin.list_breakers(request).await.unwrap_err(), "view"));
    let request = v1::BatchGetBreakersRequest { names: vec!["a/b".into(), "c".into()], view: 0 };
    refused.push((clients.admin.batch_get_breakers(request).await.unwrap_err(), "names[1]"));
    let request = v1::BatchGetBreakersRequest { names: vec!["a/b".into(); 1_001], view: 0 };
    refused.push((clients.admin.batch_get_breakers(request).await.unwrap_err(), "names"));
    for (status, field) in refused {
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        let details = status.get_error_details();
        let violations = &details.bad_request().context("fields are named")?.field_violations;
        assert_eq!(violations[0].field, field, "{status:?}");
    }
    let request = v1::GetBreakerActivityRequest { name: "a/unknown".into() };
    let status = clients.monitor.get_breaker_activity(request).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    hosted.stop().await
}

#[tokio::test]
async fn the_basic_view_is_the_full_one_without_what_a_list_does_not_show() -> anyhow::Result<()> {
    let mut hosted = Hosted::start(START).await?;
    let clients = &mut hosted.clients;
    let runs = vec![run_of(Outcome::Success, 3), run_of(Outcome::Failure, 5)];
    clients.breakers.report(report_of("a/open", 0, runs)).await?;
    clients.breakers.acquire(acquire("a/plain")).await?;
    clients.breakers.acquire(acquire("a/held")).await?;
    let target = selecting("a/held");
    clients.admin.force_open(v1::ForceOpenRequest { target, time_to_live: None }).await?;

    let full = list(clients, BreakerView::Full).await?;
    assert_eq!(list(clients, BreakerView::Unspecified).await?, full);
    let expected: Vec<_> = full.iter().cloned().map(without_details).collect();
    assert_ne!(expected, full);
    assert_eq!(list(clients, BreakerView::Basic).await?, expected);
    assert_eq!(full[0].name, "a/held");
    assert_eq!(expected[1].metrics.as_ref().map(|metrics| metrics.failures), Some(5));

    let names = vec!["a/plain".into(), "a/gone".into(), "a/open".into()];
    for (view, all) in [(BreakerView::Full, &full), (BreakerView::Basic, &expected)] {
        let request = v1::BatchGetBreakersRequest { names: names.clone(), view: view.into() };
        let some = clients.admin.batch_get_breakers(request).await?.into_inner().breakers;
        assert_eq!(some, [all[2].clone(), all[1].clone()]);
    }
    hosted.stop().await
}

fn without_details(mut breaker: v1::Breaker) -> v1::Breaker {
    if let Some(state) = &mut breaker.state {
        state.config = None;
    }
    if let Some(metrics) = &mut breaker.metrics {
        metrics.last_outcomes.clear();
    }
    breaker.own_config = None;
    breaker.config_sources.clear();
    breaker.counts = None;
    breaker
}
