//! Reports that are repeated because their answer was lost: real processes, ended in every way.

use std::time::Duration;

use anyhow::ensure;
use breaker_proto::v1::{self, Outcome};
use breaker_tests::{Chance, Clients, Daemon, Teller, create, eventually, report_of, run_of};
use throwaway_postgres::Database;
use tokio::task::{JoinSet, block_in_place};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// A server that stands by serves by then.
const TAKEOVER: Duration = Duration::from_secs(10);
/// Clients at a time.
const TELLERS: u64 = 3;

/// Sends a report under a sequence number; whether it was a repetition.
async fn report(clients: &mut Clients, sequence: u64, run: v1::Run) -> anyhow::Result<bool> {
    let request = v1::ReportRequest {
        reporter_id: "replica-1".into(),
        sequence,
        ..report_of("a/b", 0, vec![run])
    };
    Ok(clients.breakers.report(request).await?.into_inner().duplicate)
}

/// The successes and failures of the breaker.
async fn counts(clients: &mut Clients) -> anyhow::Result<(u64, u64)> {
    let request = v1::GetBreakerRequest { name: "a/b".into() };
    let breaker = clients.admin.get_breaker(request).await?.into_inner().breaker;
    let metrics = breaker.and_then(|breaker| breaker.metrics).unwrap_or_default();
    Ok((metrics.successes, metrics.failures))
}

/// Waits until all that has moved a state so far is on disk.
async fn until_written(clients: &mut Clients) -> anyhow::Result<()> {
    let config = v1::BreakerConfig::default();
    let marker = v1::CreateBreakerRequest { require_durable: true, ..create("z/marker", config) };
    ensure!(clients.admin.create_breaker(marker).await?.into_inner().durable);
    Ok(())
}

/// Reports that are on disk then, together with the state that they have led to.
async fn trip(clients: &mut Clients) -> anyhow::Result<()> {
    ensure!(!report(clients, 1, run_of(Outcome::Success, 3)).await?);
    ensure!(!report(clients, 2, run_of(Outcome::Failure, 5)).await?);
    // It is answered before the transition is in the journal.
    eventually("the trip is in the history", TAKEOVER, async || {
        let request = v1::ListTransitionsRequest { selector: "a/b".into(), ..Default::default() };
        let page = clients.admin.list_transitions(request).await?.into_inner();
        Ok(!page.transitions.is_empty())
    })
    .await?;
    until_written(clients).await
}

/// Sends again what was written.
async fn repeat(clients: &mut Clients) -> anyhow::Result<()> {
    ensure!(report(clients, 2, run_of(Outcome::Failure, 5)).await?, "the trip counts again");
    ensure!(report(clients, 1, run_of(Outcome::Success, 3)).await?, "successes count again");
    ensure!(counts(clients).await? == (3, 5));
    Ok(())
}

async fn a_report_counts_once_over_kill_9_and_sigterm(url: &str) -> anyhow::Result<()> {
    let start = || block_in_place(|| Daemon::start_on(url, ["--log=warn"]));
    let daemon = start()?;
    until_serving(&mut daemon.clients()?).await?;
    trip(&mut daemon.clients()?).await?;
    daemon.kill()?;

    let daemon = start()?;
    let mut clients = daemon.clients()?;
    until_serving(&mut clients).await?;
    repeat(&mut clients).await?;
    ensure!(!report(&mut clients, 3, run_of(Outcome::Success, 7)).await?);
    drop(clients);
    ensure!(block_in_place(|| daemon.terminate())?.success());

    let daemon = start()?;
    let mut clients = daemon.clients()?;
    until_serving(&mut clients).await?;
    ensure!(report(&mut clients, 3, run_of(Outcome::Success, 7)).await?);
    ensure!(counts(&mut clients).await? == (10, 5));
    Ok(())
}

/// Waits until it leads.
async fn until_serving(clients: &mut Clients) -> anyhow::Result<()> {
    eventually("it serves", TAKEOVER, async || {
        Ok(clients.admin.list_breakers(v1::ListBreakersRequest::default()).await.is_ok())
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_counts_once_over_kill_9_and_sigterm_on_sqlite() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}", folder.path().join("breakers.db").display());
    a_report_counts_once_over_kill_9_and_sigterm(&url).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_counts_once_over_kill_9_and_sigterm_on_postgres() -> anyhow::Result<()> {
    let database = Database::in_shared_cluster()?;
    a_report_counts_once_over_kill_9_and_sigterm(&database.url).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_counts_once_although_another_server_has_taken_over() -> anyhow::Result<()> {
    let database = Database::in_shared_cluster()?;
    let start = || block_in_place(|| Daemon::start_on(&database.url, ["--log=warn"]));
    let (first, second) = (start()?, start()?);
    until_serving(&mut first.clients()?).await?;
    trip(&mut first.clients()?).await?;
    first.kill()?;

    let mut clients = second.clients()?;
    until_serving(&mut clients).await?;
    repeat(&mut clients).await?;
    let third = start()?;
    ensure!(!report(&mut clients, 3, run_of(Outcome::Success, 7)).await?);
    drop(clients);
    ensure!(block_in_place(|| second.terminate())?.success());

    let mut clients = third.clients()?;
    until_serving(&mut clients).await?;
    ensure!(report(&mut clients, 3, run_of(Outcome::Success, 7)).await?);
    ensure!(counts(&mut clients).await? == (10, 5));
    Ok(())
}

async fn everything_adds_up_over_sigterm_under_load(url: &str) -> anyhow::Result<()> {
    let mut chance = Chance::of_test()?;
    let mut tellers: Vec<_> = (0..TELLERS).map(|n| Teller::new(n, chance.fork())).collect();
    let mut all = 0;
    for round in 1..=4 {
        let daemon = block_in_place(|| Daemon::start_on(url, ["--log=warn"]))?;
        let mut clients = daemon.clients()?;
        until_serving(&mut clients).await?;
        all = 0;
        for teller in &mut tellers {
            teller.repeat(&mut clients).await?;
            let counted = teller.check(&mut clients).await?;
            ensure!(counted.lost == 0, "round {round}: {counted:?} of {teller:?}");
            all += counted.once;
        }
        let mut working = JoinSet::new();
        for teller in tellers.drain(..) {
            working.spawn(teller.work(daemon.grpc.clone(), CancellationToken::new()));
        }
        sleep(chance.between(Duration::from_millis(100), Duration::from_millis(700))).await;
        drop(clients);
        ensure!(block_in_place(|| daemon.terminate())?.success());
        while let Some(teller) = working.join_next().await {
            tellers.push(teller??);
        }
    }
    ensure!(all > 50, "only {all} reports");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everything_adds_up_over_sigterm_under_load_on_sqlite() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}", folder.path().join("breakers.db").display());
    everything_adds_up_over_sigterm_under_load(&url).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everything_adds_up_over_sigterm_under_load_on_postgres() -> anyhow::Result<()> {
    let database = Database::in_shared_cluster()?;
    everything_adds_up_over_sigterm_under_load(&database.url).await
}
