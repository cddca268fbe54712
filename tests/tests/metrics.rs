//! The numbers that the server shows: as Prometheus understands them, and as those who look at them
//! by the files under `deploy/` need them.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use breaker_proto::v1::{self, Outcome};
use breaker_tests::web::Web;
use breaker_tests::{Clients, Daemon, acquire, eventually, metric_of, report_of, run_of};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(20);

fn tree() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn promtool(arguments: &[&str], input: &str) -> anyhow::Result<()> {
    let found = Command::new(tree().join("tests/promtool")).output()?;
    let said = String::from_utf8_lossy(&found.stderr).into_owned();
    ensure!(found.status.success(), "promtool cannot be had: {said}");
    let path = String::from_utf8(found.stdout)?;
    let mut child = Command::new(path.trim())
        .args(arguments)
        .current_dir(tree())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("stdin is piped")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    let said =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    ensure!(output.status.success(), "promtool {arguments:?}: {}", said.concat());
    Ok(())
}

/// A server that has done something of everything.
async fn busy() -> anyhow::Result<(tempfile::TempDir, Daemon, Clients)> {
    let folder = tempfile::tempdir()?;
    let selectors = ["--metrics-breakers=pay/*", "--metrics-max-breakers=2"];
    let server = Daemon::start_with(&folder.path().join("b.db"), selectors)?;
    let mut clients = server.clients()?;
    for name in ["pay/a", "pay/b", "pay/c", "other/d"] {
        clients.breakers.acquire(acquire(name)).await?;
    }
    let runs = vec![run_of(Outcome::Success, 3), run_of(Outcome::Failure, 5)];
    clients.breakers.report(report_of("pay/a", 0, runs)).await?;
    // It is answered before watchers hear of it.
    eventually("the trip is in the history", PATIENCE, async || {
        let page = clients.admin.list_transitions(v1::ListTransitionsRequest::default()).await?;
        Ok(!page.into_inner().transitions.is_empty())
    })
    .await?;
    clients.breakers.acquire(acquire("pay/a")).await?;
    let refused = clients.breakers.acquire(acquire("no name")).await;
    ensure!(refused.is_err(), "that is no name");
    Ok((folder, server, clients))
}

/// The names of the numbers on a page, without the endings of histograms.
fn names_on(page: &str) -> BTreeSet<String> {
    let described = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    described.filter_map(|line| Some(line.split(' ').next()?.to_owned())).collect()
}

/// The names of our numbers in a text, without the endings of histograms.
fn names_in(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c: char| !is_part(c));
    let ours = words.filter(|word| word.starts_with("breakerd_") || word.starts_with("process_"));
    let endings = ["_bucket", "_count", "_sum"];
    ours.map(|name| {
        let base = endings.iter().find_map(|ending| name.strip_suffix(ending));
        base.unwrap_or(name).to_owned()
    })
    .collect()
}

#[tokio::test]
async fn the_page_is_one_that_prometheus_finds_nothing_wrong_with() -> anyhow::Result<()> {
    let (_folder, server, _clients) = busy().await?;
    let page = server.page("/metrics")?;
    promtool(&["check", "metrics"], &page)?;
    let series = page.lines().filter(|line| !line.starts_with('#')).count();
    assert!(series > 150, "{series} series were checked");
    let web = Web::of(&server.http);
    let open = web.page("/metrics").header("accept", "application/openmetrics-text").send().await?;
    let kind = open.headers()["content-type"].to_str()?.to_owned();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    let open = open.text().await?;
    assert!(open.contains("# TYPE breakerd_acquires counter\n") && open.ends_with("# EOF\n"));
    Ok(())
}

#[tokio::test]
async fn what_deploy_asks_for_is_there() -> anyhow::Result<()> {
    let (_folder, server, _clients) = busy().await?;
    let known = names_on(&server.page("/metrics")?);
    for file in ["deploy/grafana/breakerd.json", "deploy/prometheus/alerts.yml"] {
        let asked = names_in(&fs::read_to_string(tree().join(file))?);
        let missing: Vec<_> = asked.difference(&known).collect();
        assert!(missing.is_empty(), "{file} asks for {missing:?}, which no server has");
        assert!(asked.len() >= 10, "{file} was read: {asked:?}");
    }
    let dashboard = fs::read_to_string(tree().join("deploy/grafana/breakerd.json"))?;
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard)?;
    assert!(dashboard["panels"].as_array().is_some_and(|panels| panels.len() > 20));
    promtool(&["check", "rules", "deploy/prometheus/alerts.yml"], "")
}

#[tokio::test]
async fn calls_are_counted_by_method_and_code_over_grpc_and_http() -> anyhow::Result<()> {
    let (_folder, server, mut clients) = busy().await?;
    let count = |page: &str, method: &str, code: &str| -> anyhow::Result<u64> {
        let service = "breaker.v1.BreakerService";
        let labels = format!("service=\"{service}\",method=\"{method}\",code=\"{code}\"");
        let name = format!("breakerd_rpc_duration_seconds_count{{{labels}}}");
        Ok(metric_of(page, &name)?.parse()?)
    };
    let page = server.page("/metrics")?;
    assert_eq!(count(&page, "Acquire", "OK")?, 5);
    assert_eq!(count(&page, "Acquire", "INVALID_ARGUMENT")?, 1);
    assert_eq!(count(&page, "Report", "OK")?, 1);
    Web::of(&server.http).post("acquire", &json!({ "breaker": "pay/b" })).await?;
    let mut second = server.clients()?;
    second.breakers.acquire(acquire("pay/b")).await?;
    clients.breakers.acquire(acquire("pay/b")).await?;
    assert_eq!(count(&server.page("/metrics")?, "Acquire", "OK")?, 8);
    Ok(())
}

#[tokio::test]
async fn numbers_that_tell_of_the_same_agree() -> anyhow::Result<()> {
    let (_folder, server, mut clients) = busy().await?;
    let watch = v1::WatchRequest::default();
    let mut watch = clients.breakers.watch(watch).await?.into_inner();
    while !watch.message().await?.context("a snapshot comes")?.snapshot_complete {}
    let runs = vec![run_of(Outcome::Failure, 5)];
    clients.breakers.report(report_of("other/d", 0, runs)).await?;
    watch.message().await?.context("a change comes")?;
    let page = server.page("/metrics")?;
    let sum = |name: &str| -> f64 {
        let of_name = page.lines().filter(|line| line.starts_with(&format!("{name}{{")));
        of_name.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    };
    assert_eq!(sum("breakerd_transitions_total"), 2.0);
    assert_eq!(sum("breakerd_transitions_by_cause_total"), 2.0);
    let cause = "breakerd_transitions_by_cause_total{cause=\"failure_threshold\"}";
    assert_eq!(metric_of(&page, cause)?, "2");
    assert_eq!(sum("breakerd_breakers"), 4.0);
    assert_eq!(metric_of(&page, "breakerd_watch_lag_seconds_count")?, "1");
    assert_eq!(metric_of(&page, "breakerd_watch_resyncs_total")?, "0");
    let version = format!("breakerd_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(metric_of(&page, &version)?, "1.0");
    let started: f64 = metric_of(&page, "process_start_time_seconds")?.parse()?;
    assert!(started > 1.7e9, "{started}");
    eventually("all is on disk", PATIENCE, async || {
        Ok(server.metric("breakerd_storage_lag_seconds_count")? == 2)
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn chosen_breakers_have_numbers_of_their_own_and_others_have_none() -> anyhow::Result<()> {
    let (_folder, server, _clients) = busy().await?;
    let page = server.page("/metrics")?;
    let value = |name: &str| metric_of(&page, name);
    assert_eq!(value("breakerd_breaker_state{breaker=\"pay/a\",state=\"open\"}")?, "1.0");
    assert_eq!(value("breakerd_breaker_state{breaker=\"pay/b\",state=\"open\"}")?, "0.0");
    let calls = |outcome| {
        format!("breakerd_breaker_calls_total{{breaker=\"pay/a\",outcome=\"{outcome}\"}}")
    };
    assert_eq!((value(&calls("success"))?, value(&calls("failure"))?), ("3", "5"));
    assert_eq!(value("breakerd_breaker_denied_calls_total{breaker=\"pay/a\"}")?, "1");
    assert_eq!(value("breakerd_breaker_failure_ratio{breaker=\"pay/a\"}")?, "0.625");
    assert_eq!(value("breakerd_breaker_series_left_out")?, "1.0");
    assert!(
        !page.contains("pay/c") && !page.contains("other/d"),
        "they are not among the first two"
    );
    let quiet = Daemon::start_on("memory:", [] as [&str; 0])?;
    assert!(!quiet.page("/metrics")?.contains("breakerd_breaker_"), "nobody chose any");
    Ok(())
}
