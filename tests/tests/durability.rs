//! What a server remembers: the real process, ended in every way.

use std::fs;
use std::process::Command;

use breaker_proto::v1::{self, Mode, Outcome, State};
use breaker_tests::{Clients, Daemon, acquire, binary, create, report_of, run_of, selecting};

async fn look(clients: &mut Clients, name: &str) -> anyhow::Result<v1::Breaker> {
    let request = v1::GetBreakerRequest { name: name.into() };
    Ok(clients.admin.get_breaker(request).await?.into_inner().breaker.unwrap_or_default())
}

/// Waits until the transition that opened the breaker is in the file, as a restart would read it.
async fn until_written(clients: &mut Clients) -> anyhow::Result<()> {
    // A durable change of another breaker is written after what was waiting before it.
    let config = v1::BreakerConfig::default();
    let request = v1::CreateBreakerRequest { require_durable: true, ..create("z/marker", config) };
    anyhow::ensure!(clients.admin.create_breaker(request).await?.into_inner().durable);
    Ok(())
}

#[tokio::test]
async fn open_stays_open_for_the_rest_of_its_time_over_kill_9() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("breakers.db");
    let daemon = Daemon::start(&database)?;
    let mut clients = daemon.clients()?;
    let failures = report_of("a/b", 0, vec![run_of(Outcome::Failure, 5)]);
    clients.breakers.report(failures).await?;
    clients.admin.create_breaker(create("a/forced", v1::BreakerConfig::default())).await?;
    let request = v1::ForceOpenRequest { target: selecting("a/forced"), time_to_live: None };
    let result = clients.admin.force_open(request).await?.into_inner().result.unwrap();
    assert!(result.durable);
    until_written(&mut clients).await?;
    let before = look(&mut clients, "a/b").await?;
    daemon.kill()?;

    let daemon = Daemon::start(&database)?;
    let mut clients = daemon.clients()?;
    let after = look(&mut clients, "a/b").await?;
    let (was, is) = (before.state.unwrap(), after.state.unwrap());
    assert_eq!(is.state, State::Open as i32);
    assert_eq!((is.generation, is.retry_time), (was.generation, was.retry_time));
    assert!(is.revision > was.revision, "revisions never run backwards");
    assert!(after.retry_after.unwrap().seconds < 60);
    assert!(!clients.breakers.acquire(acquire("a/b")).await?.into_inner().allowed);
    let forced = look(&mut clients, "a/forced").await?;
    assert_eq!(forced.state.unwrap().mode, Mode::ForcedOpen as i32);
    assert_eq!(forced.r#override.unwrap().reason, "because");
    let request = v1::ListTransitionsRequest { selector: "a/b".into(), ..Default::default() };
    let history = clients.admin.list_transitions(request).await?.into_inner().transitions;
    assert_eq!(history.len(), 1);
    assert_eq!(history[0].cause, v1::Cause::FailureThreshold as i32);
    Ok(())
}

/// On threads, so that the connection can end while the test waits for the process.
#[tokio::test(flavor = "multi_thread")]
async fn everything_survives_sigterm() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("breakers.db");
    let daemon = Daemon::start(&database)?;
    let mut clients = daemon.clients()?;
    let config = v1::BreakerConfig { failure_threshold: Some(9), ..Default::default() };
    clients.admin.create_breaker(create("a/b", config)).await?;
    let runs = vec![run_of(Outcome::Success, 7), run_of(Outcome::Failure, 3)];
    clients.breakers.report(report_of("a/b", 0, runs)).await?;
    clients.admin.create_breaker(create("a/gone", v1::BreakerConfig::default())).await?;
    let delete = v1::DeleteBreakerRequest { name: "a/gone".into(), ..Default::default() };
    clients.admin.delete_breaker(delete).await?;
    let before = look(&mut clients, "a/b").await?;
    assert!(daemon.terminate()?.success());

    let daemon = Daemon::start(&database)?;
    let mut clients = daemon.clients()?;
    let after = look(&mut clients, "a/b").await?;
    assert_eq!(after.counts, before.counts);
    assert_eq!(after.metrics, before.metrics);
    assert_eq!(after.state, before.state, "revision included: nothing was lost");
    assert_eq!((after.own_config, after.etag), (before.own_config, before.etag));
    assert!(look(&mut clients, "a/gone").await.is_err());
    clients.breakers.acquire(acquire("a/gone")).await?;
    let anew = look(&mut clients, "a/gone").await?.state.unwrap();
    assert!(anew.revision > 1 && anew.generation > 1, "a name's revisions go on after deletion");
    Ok(())
}

#[tokio::test]
async fn a_second_server_on_the_same_file_refuses_to_start_and_says_why() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("breakers.db");
    let daemon = Daemon::start(&database)?;
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(&database, &link)?;
    for path in [&database, &link] {
        let error = Daemon::start(path).unwrap_err().to_string();
        assert!(error.contains("another breakerd"), "{error}");
    }
    daemon.kill()?;
    Daemon::start(&database)?;
    Ok(())
}

#[test]
fn a_database_that_cannot_be_used_is_named_at_start() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let text = folder.path().join("text.db");
    fs::write(&text, "this is not a database, but long enough to look like a file of one")?;
    let missing = folder.path().join("missing/breakers.db");
    for path in [text.as_path(), missing.as_path(), folder.path()] {
        let error = Daemon::start(path).unwrap_err().to_string();
        // A folder that is missing is named in place of the file in it.
        let named = path.ancestors().take(2).any(|part| error.contains(&*part.to_string_lossy()));
        assert!(named, "{error}");
    }
    let output = Command::new(binary("breakerd")?)
        .args(["--database=mysql://x", "--listen=127.0.0.1:0", "--http-listen=127.0.0.1:0"])
        .output()?;
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("sqlite://"));
    Ok(())
}
