//! Breakers that nobody uses any more, on the real server.

use std::time::Duration;

use breaker_proto::v1;
use breaker_tests::{Daemon, acquire, create, eventually};

const PATIENCE: Duration = Duration::from_secs(60);
const DROPPED: &str = "breakerd_idle_breakers_dropped_total";

#[tokio::test]
async fn a_breaker_that_nobody_uses_goes_from_watchers_and_from_the_database() -> anyhow::Result<()>
{
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("breakerd.db");
    let server = Daemon::start_with(&database, ["--idle-ttl", "1s"])?;
    let mut clients = server.clients()?;
    clients.admin.create_breaker(create("a/created", v1::BreakerConfig::default())).await?;
    let mut states = clients.breakers.watch(v1::WatchRequest::default()).await?.into_inner();
    clients.breakers.acquire(acquire("z/idle")).await?;

    let mut deleted = Vec::new();
    while deleted.is_empty() {
        let message = states.message().await?;
        deleted = message.ok_or_else(|| anyhow::anyhow!("the stream has ended"))?.deleted;
    }
    assert_eq!(deleted, ["z/idle"]);
    eventually("it is counted", PATIENCE, async || Ok(server.metric(DROPPED)? == 1)).await?;
    drop(states);
    assert!(server.terminate()?.success());

    let server = Daemon::start_with(&database, ["--idle-ttl", "off"])?;
    let mut clients = server.clients()?;
    let listed = clients.admin.list_breakers(v1::ListBreakersRequest::default()).await?;
    let names: Vec<_> = listed.into_inner().breakers.into_iter().map(|b| b.name).collect();
    assert_eq!(names, ["a/created"]);
    assert!(server.terminate()?.success());
    Ok(())
}

#[tokio::test]
async fn a_full_server_has_room_again_when_idle_breakers_have_gone() -> anyhow::Result<()> {
    let server = Daemon::start_on("memory:", ["--idle-ttl", "1s", "--max-breakers", "1"])?;
    let mut clients = server.clients()?;
    clients.breakers.acquire(acquire("a/first")).await?;
    eventually("the first breaker has made room", PATIENCE, async || {
        Ok(clients.breakers.acquire(acquire("a/second")).await.is_ok())
    })
    .await?;
    eventually("it is counted", PATIENCE, async || Ok(server.metric(DROPPED)? >= 1)).await?;
    assert!(server.terminate()?.success());
    Ok(())
}
