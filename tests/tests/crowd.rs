//! Many smart clients on one server: what it is asked, and that their counts add up.

use std::time::Duration;

use anyhow::{Context, ensure};
use breaker_proto::v1;
use breaker_tests::{Crowd, Daemon, Doing, create, free_port};
use tokio::task::block_in_place;
use tokio::time::sleep;

const BREAKER: &str = "tests/crowd";
const REPORTS: &str = "breakerd_reports_total";
const PROCESSES: u64 = 6;
const SECONDS: u32 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_counts_of_many_clients_add_up_over_a_restart() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("breakerd.db");
    let listen = [format!("--listen=127.0.0.1:{}", free_port()?)];
    let server = Daemon::start_with(&database, &listen)?;
    let config = v1::BreakerConfig { failure_threshold: Some(1_000_000), ..Default::default() };
    server.clients()?.admin.create_breaker(create(BREAKER, config)).await?;

    let breaker = BREAKER.to_owned();
    let doing = Doing { breaker, rate: 1_000, failure_every: 50, seconds: SECONDS };
    let mut crowd = Crowd::start(&server.grpc, usize::try_from(PROCESSES)?, &doing)?;
    sleep(Duration::from_secs(u64::from(SECONDS) / 2)).await;
    let before = server.metric(REPORTS)?;
    block_in_place(|| server.terminate())?;
    let server = Daemon::start_with(&database, &listen)?;
    let account = block_in_place(|| crowd.account())?;

    ensure!(account.flushed && account.denied == 0 && account.given_up == 0, "{account:?}");
    ensure!(account.successes + account.failures == PROCESSES * 1_000 * u64::from(SECONDS));
    let request = v1::GetBreakerRequest { name: BREAKER.to_owned() };
    let shown = server.clients()?.admin.get_breaker(request).await?.into_inner();
    let metrics = shown.breaker.and_then(|breaker| breaker.metrics).context("it was used")?;
    ensure!(
        (metrics.successes, metrics.failures) == (account.successes, account.failures),
        "the server has counted {metrics:?}, the clients {account:?}"
    );
    // One prompt report more than the bucket allows in that time comes from the end of it.
    let reports = before + server.metric(REPORTS)?;
    ensure!(reports <= PROCESSES * (10 * u64::from(SECONDS) + 5), "{reports} reports");
    crowd.end()
}
