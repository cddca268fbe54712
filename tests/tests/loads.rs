//! `breakerctl bench` on real servers: what each scenario counts, and that it leaves nothing behind.

use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use breaker_proto::v1;
use breaker_tests::{Clients, Daemon, binary, eventually};
use serde_json::Value;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);
/// So short that a machine with other work does it, too.
const SMALL: [&str; 10] = [
    "--connections",
    "2",
    "--in-flight",
    "4",
    "--breakers",
    "5",
    "--warmup",
    "50ms",
    "--duration",
    "500ms",
];
/// How many calls of this rate are due while it is measured: 500 ms.
const RATE: &str = "200";
const DUE: u64 = 100;

struct Place {
    _folder: TempDir,
    daemon: Daemon,
    clients: Clients,
}

impl Place {
    fn start(arguments: &[&str]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let daemon = Daemon::start_with(&folder.path().join("breakers.db"), arguments)?;
        let clients = daemon.clients()?;
        Ok(Self { _folder: folder, daemon, clients })
    }

    fn command(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(binary("breakerctl")?);
        command.args(["--address", &self.daemon.grpc, "--output", "json", "bench"]);
        command.args(arguments);
        Ok(command)
    }

    fn run(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        Ok(self.command(arguments)?.output()?)
    }

    fn spawn(&self, arguments: &[&str]) -> anyhow::Result<Child> {
        Ok(self.command(arguments)?.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
    }

    /// What a load shows that has to succeed, and to leave no breakers.
    async fn shown(&mut self, arguments: &[&str]) -> anyhow::Result<Value> {
        let output = self.run(arguments)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{arguments:?}: {}: {said}", output.status);
        // Nobody looks on, and nothing went wrong.
        ensure!(said.is_empty(), "{arguments:?}: {said}");
        let shown: Value = serde_json::from_slice(&output.stdout)?;
        ensure!(shown["left"] == 0 && shown["interrupted"] == false, "{shown}");
        assert_eq!(self.breakers().await?, [] as [String; 0], "{arguments:?}");
        Ok(shown)
    }

    async fn breakers(&mut self) -> anyhow::Result<Vec<String>> {
        let request = v1::ListBreakersRequest { page_size: 1_000, ..Default::default() };
        let answer = self.clients.admin.list_breakers(request).await?.into_inner();
        Ok(answer.breakers.into_iter().map(|breaker| breaker.name).collect())
    }
}

fn count(value: &Value) -> anyhow::Result<u64> {
    value.as_u64().with_context(|| format!("{value} is no count"))
}

/// How many measured calls of a method ended, in whatever way.
fn ended(method: &Value) -> anyhow::Result<u64> {
    let errors = method["errors"].as_object().context("errors are an object")?;
    let failed: u64 = errors.values().filter_map(Value::as_u64).sum();
    Ok(count(&method["answered"])? + count(&method["shed"])? + failed)
}

fn is_a_distribution(latencies: &Value) -> bool {
    let at = ["p50", "p90", "p99", "p99_9", "max"].map(|key| latencies[key].as_f64());
    at.iter().all(Option::is_some) && at.is_sorted()
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_answered_and_counted_in_a_closed_loop() -> anyhow::Result<()> {
    let mut place = Place::start(&[])?;
    let shown = place.shown(&[&["acquire"][..], &SMALL].concat()).await?;
    assert_eq!((&shown["scenario"], &shown["loop"]), (&"acquire".into(), &"closed".into()));
    assert_eq!(shown["server"], place.daemon.grpc.as_str());
    assert!(count(&shown["acquire"]["answered"])? > 0, "{shown}");
    assert!(is_a_distribution(&shown["acquire"]["latency_ms"]), "{shown}");
    assert_eq!(ended(&shown["report"])?, 0);
    assert_eq!((&shown["unsent"], &shown["watch"]), (&Value::Null, &Value::Null));

    let shape = ["report", "--runs", "3", "--outcomes-per-run", "40"];
    let shown = place.shown(&[&shape[..], &SMALL].concat()).await?;
    let answered = count(&shown["report"]["answered"])?;
    assert!(answered > 0, "{shown}");
    assert_eq!(count(&shown["report"]["outcomes"])?, answered * 120);
    assert_eq!(ended(&shown["acquire"])?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_that_was_due_is_accounted_for_in_an_open_loop() -> anyhow::Result<()> {
    let mut place = Place::start(&[])?;
    for (scenario, methods) in [("acquire", [1, 0]), ("report", [0, 1]), ("mixed", [1, 1])] {
        let shown = place.shown(&[&[scenario, "--rate", RATE][..], &SMALL].concat()).await?;
        let ended = [ended(&shown["acquire"])?, ended(&shown["report"])?];
        assert_eq!(ended.map(|ended| ended.min(1)), methods, "{shown}");
        let unsent = count(&shown["unsent"])?;
        assert_eq!(ended.iter().sum::<u64>() + unsent, DUE, "{shown}");
        assert_eq!((&shown["loop"], &shown["rate"]), (&"open".into(), &200.into()));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_watch_what_failures_do_to_the_breakers_of_a_mixed_load() -> anyhow::Result<()> {
    let mut place = Place::start(&[])?;
    let shares = ["mixed", "--report-percent", "75", "--failure-percent", "100", "--streams", "3"];
    let shown = place.shown(&[&shares[..], &SMALL].concat()).await?;
    assert_eq!((&shown["watch"]["streams"], &shown["watch"]["cut"]), (&3.into(), &0.into()));
    // Five breakers trip once, before the eyes of three streams.
    assert!((1..=15).contains(&count(&shown["watch"]["states"])?), "{shown}");
    assert!(count(&shown["acquire"]["denied"])? > 0, "{shown}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stream_gets_every_change_of_its_breaker() -> anyhow::Result<()> {
    let mut place = Place::start(&[])?;
    let watch = ["watch", "--streams", "6", "--connections", "2", "--changes", "8"];
    for (more, received, spread) in [
        (&[][..], 48, false),
        (&["--rate", "50"], 48, false),
        (&["--spread"], 8, true),
        (&["--spread", "--rate", "50"], 8, true),
    ] {
        let shown = place.shown(&[&watch[..], more].concat()).await?;
        assert_eq!((&shown["changes"], &shown["spread"]), (&8.into(), &spread.into()), "{shown}");
        assert_eq!((&shown["received"], &shown["missed"]), (&received.into(), &0.into()));
        assert!(is_a_distribution(&shown["latency_ms"]), "{shown}");
        assert!(is_a_distribution(&shown["last_latency_ms"]), "{shown}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_is_interrupted_tells_what_it_has_and_cleans_up() -> anyhow::Result<()> {
    let mut place = Place::start(&[])?;
    for scenario in [
        &["acquire", "--duration", "1h", "--warmup", "0s"][..],
        &["mixed", "--duration", "1h", "--warmup", "0s", "--rate", "100"],
        &["watch", "--changes", "10000", "--rate", "1"],
    ] {
        let child = place.spawn(scenario)?;
        eventually("the load has begun", PATIENCE, async || {
            Ok(!place.breakers().await?.is_empty())
        })
        .await?;
        let id = child.id().to_string();
        ensure!(Command::new("kill").args(["-INT", &id]).status()?.success());
        let output = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{scenario:?}: {said}");
        assert_eq!(place.breakers().await?, [] as [String; 0], "{scenario:?}: {said}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_cannot_begin_cleans_up_as_well() -> anyhow::Result<()> {
    let mut place = Place::start(&["--max-breakers", "2"])?;
    let output = place.run(&[&["acquire"][..], &SMALL].concat())?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(place.breakers().await?, [] as [String; 0], "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_beyond_loopback_gets_a_load_only_if_it_is_named_again() -> anyhow::Result<()> {
    let mut place = Place::start(&["--listen", "0.0.0.0:0", "--insecure"])?;
    let address = place.daemon.grpc.clone();
    let load = [&["acquire"][..], &SMALL].concat();
    let output = place.run(&load)?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(&format!("--against {address}")), "{said}");
    assert_eq!(place.breakers().await?, [] as [String; 0]);

    let output = place.run(&[&load[..], &["--against", &address]].concat())?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("not a loopback address"), "{said}");
    Ok(())
}
