//! A server that holds as many breakers as it may, on the real binary.

use std::process::Command;

use anyhow::ensure;
use breaker_proto::v1;
use breaker_tests::{Daemon, acquire, binary, create, report_of, run_of};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// It says which limit there is, what to do, and when to try again.
fn check(status: &Status) {
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    let details = status.get_error_details();
    let quota = details.quota_failure().map(|quota| quota.violations.clone()).unwrap_or_default();
    let subjects: Vec<_> = quota.iter().map(|violation| violation.subject.as_str()).collect();
    assert_eq!(subjects, ["max_breakers"]);
    let retry = details.retry_info().and_then(|retry| retry.retry_delay);
    assert!(retry.is_some_and(|delay| !delay.is_zero()), "{retry:?}");
    check_text(status.message());
}

fn check_text(said: &str) {
    for word in ["at most 1 breakers (`max_breakers`)", "delete some", "`idle_ttl`"] {
        assert!(said.contains(word), "{said}");
    }
}

#[tokio::test]
async fn whoever_finds_no_room_for_a_breaker_learns_which_limit_it_is_and_what_to_do()
-> anyhow::Result<()> {
    let server = Daemon::start_on("memory:", ["--max-breakers", "1", "--idle-ttl", "off"])?;
    let mut clients = server.clients()?;
    clients.breakers.acquire(acquire("a/first")).await?;

    check(&clients.breakers.acquire(acquire("a/second")).await.unwrap_err());
    let success = || vec![run_of(v1::Outcome::Success, 1)];
    let report = report_of("a/second", 0, success());
    check(&clients.breakers.report(report).await.unwrap_err());
    let creation = create("a/second", v1::BreakerConfig::default());
    check(&clients.admin.create_breaker(creation).await.unwrap_err());
    let second = v1::BreakerSpec { name: "a/second".into(), config: None };
    let file = v1::ApplyRequest { breakers: vec![second], ..v1::ApplyRequest::default() };
    check(&clients.admin.apply(file).await.unwrap_err());

    // Nothing else is refused.
    clients.breakers.acquire(acquire("a/first")).await?;
    clients.breakers.report(report_of("a/first", 0, success())).await?;
    let listed = clients.admin.list_breakers(v1::ListBreakersRequest::default()).await?;
    assert_eq!(listed.into_inner().breakers.len(), 1);
    assert!(server.terminate()?.success());
    Ok(())
}

#[tokio::test]
async fn a_backup_with_more_breakers_than_there_may_be_is_refused_as_a_whole() -> anyhow::Result<()>
{
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("two.backup");
    let from = Daemon::start_on("memory:", [] as [&str; 0])?;
    let mut clients = from.clients()?;
    for name in ["a/first", "a/second"] {
        clients.breakers.acquire(acquire(name)).await?;
    }
    let breakerctl = |server: &Daemon, what: &str| {
        let mut command = Command::new(binary("breakerctl")?);
        command.env("BREAKERD_ADDRESS", &server.grpc).arg(what).arg(&file);
        anyhow::Ok(command.output()?)
    };
    ensure!(breakerctl(&from, "backup")?.status.success());
    assert!(from.terminate()?.success());

    let small = Daemon::start_on("memory:", ["--max-breakers", "1"])?;
    let refused = breakerctl(&small, "restore")?;
    assert!(!refused.status.success());
    check_text(&String::from_utf8(refused.stderr)?);
    let listed = small.clients()?.admin.list_breakers(v1::ListBreakersRequest::default()).await?;
    assert_eq!(listed.into_inner().breakers, []);
    assert!(small.terminate()?.success());
    Ok(())
}
