//! What many smart clients ask of a server, and how soon it hears of a failure.
//!
//! Client processes make calls at an even rate while the real `breakerd` is restarted; then their
//! accounts are compared with the server's counts. After that one client's first failure opens a
//! breaker again and again, and the time until a watcher sees it is taken. Last, guarded calls are
//! timed while a server hangs and after it was killed.
//!
//! `cargo build --release --workspace && cargo run --release -p breaker-tests --bin bench-clients
//! [-- --processes 50 --rate 1000 --seconds 20]`

mod away;
#[path = "../clock.rs"]
mod clock;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use breaker_client::{Client, Watch, WatchEvent};
use breaker_core::StateKind;
use breaker_proto::v1;
use breaker_tests::{Clients, Crowd, Daemon, Doing, create, eventually, free_port, selecting};
use clap::Parser;
use tokio::time::sleep;

/// Measures many smart clients on one server.
#[derive(Debug, Parser)]
struct Arguments {
    /// Client processes.
    #[arg(long, default_value_t = 50)]
    processes: usize,
    /// Calls a second of each.
    #[arg(long, default_value_t = 1_000)]
    rate: u32,
    /// One call in so many fails.
    #[arg(long, default_value_t = 100)]
    failure_every: u64,
    /// For how long, in seconds. The server is restarted in the middle.
    #[arg(long, default_value_t = 20)]
    seconds: u32,
    /// First failures of which the way is timed.
    #[arg(long, default_value_t = 500)]
    first_failures: usize,
}

const BREAKER: &str = "bench/crowd";
const REPORTS: &str = "breakerd_reports_total";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir()?;
    let port = free_port()?;
    let database = folder.path().join("breakerd.db");
    let server = restarted(&database, port)?;
    let config = v1::BreakerConfig { failure_threshold: Some(1_000_000), ..Default::default() };
    server.clients()?.admin.create_breaker(create(BREAKER, config)).await?;
    let server = crowd(&arguments, server, &database, port).await?;
    first_failures(&arguments, &server).await?;
    away::measure(folder.path()).await
}

fn restarted(database: &Path, port: u16) -> anyhow::Result<Daemon> {
    Daemon::start_with(database, [format!("--listen=127.0.0.1:{port}")])
}

async fn crowd(
    arguments: &Arguments,
    server: Daemon,
    database: &Path,
    port: u16,
) -> anyhow::Result<Daemon> {
    let doing = Doing {
        breaker: BREAKER.to_owned(),
        rate: arguments.rate,
        failure_every: arguments.failure_every,
        seconds: arguments.seconds,
    };
    let mut crowd = Crowd::start(&server.grpc, arguments.processes, &doing)?;
    sleep(Duration::from_secs(u64::from(arguments.seconds) / 2)).await;
    let before = server.metric(REPORTS)?;
    server.terminate()?;
    let server = restarted(database, port)?;
    let account = tokio::task::block_in_place(|| crowd.account())?;
    let reports = before + server.metric(REPORTS)?;
    let per_second = reports as f64 / arguments.processes as f64 / f64::from(arguments.seconds);
    let metrics = counts(&server.clients()?).await?;
    println!(
        "{} processes, {} calls/s each, {} s, the server restarted in the middle",
        arguments.processes, arguments.rate, arguments.seconds
    );
    println!("reports a second and process  {per_second:.2}");
    println!(
        "the clients told              {} successes, {} failures, {} given up",
        account.successes, account.failures, account.given_up
    );
    println!(
        "the server has counted        {} successes, {} failures",
        metrics.successes, metrics.failures
    );
    ensure!(account.flushed, "a client could not report all");
    ensure!(
        (account.successes, account.failures) == (metrics.successes, metrics.failures),
        "the counts differ"
    );
    crowd.end()?;
    Ok(server)
}

async fn counts(clients: &Clients) -> anyhow::Result<v1::Metrics> {
    let request = v1::GetBreakerRequest { name: BREAKER.to_owned() };
    let answer = clients.clone().admin.get_breaker(request).await?.into_inner();
    answer.breaker.and_then(|breaker| breaker.metrics).context("it has no metrics")
}

async fn first_failures(arguments: &Arguments, server: &Daemon) -> anyhow::Result<()> {
    let clients = server.clients()?;
    let config = v1::BreakerConfig { failure_threshold: Some(1), ..Default::default() };
    let name = "bench/first";
    clients.clone().admin.create_breaker(create(name, config)).await?;
    let client = Client::new(&server.grpc)?;
    let breaker = client.breaker(name)?;
    let watcher = Client::new(&server.grpc)?;
    let mut watch = watcher.watch([name]);
    client.ready(Duration::from_secs(5)).await;
    let mut times = Vec::with_capacity(arguments.first_failures);
    for _ in 0..arguments.first_failures {
        let is_closed = async || {
            let status = breaker.status().filter(|status| status.revision > 0);
            Ok(status.is_some_and(|status| status.state == StateKind::Closed))
        };
        eventually("the client's copy says CLOSED", Duration::from_secs(5), is_closed).await?;
        // The bucket of prompt reports has filled up again.
        sleep(Duration::from_millis(600)).await;
        let began_at = clock::now();
        breaker.acquire().await?.failure("bench");
        seen(&mut watch, StateKind::Open).await?;
        times.push(clock::now() - began_at);
        let change = v1::ResetRequest { target: selecting(name) };
        clients.clone().admin.reset(change).await?;
        seen(&mut watch, StateKind::Closed).await?;
    }
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "a first failure until a watcher sees OPEN  p50 {:.2?}, p99 {:.2?}, most {:.2?}",
        at(0.5),
        at(0.99),
        at(1.0)
    );
    client.shutdown().await?;
    Ok(())
}

/// Waits until the stream says so.
async fn seen(watch: &mut Watch, state: StateKind) -> anyhow::Result<()> {
    while let Some(event) = watch.next().await {
        if matches!(event, WatchEvent::Changed(status) if status.state == state) {
            return Ok(());
        }
    }
    anyhow::bail!("the watch has ended")
}
