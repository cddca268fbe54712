//! More than the server can serve, or than it is allowed to.

use std::time::Duration;

use breaker_proto::v1::{self, State};
use breaker_tests::{Daemon, Flood, acquire, eventually, selecting};
use tonic::{Code, Status};
use tonic_types::StatusExt;

const PATIENCE: Duration = Duration::from_secs(60);

fn in_memory(arguments: &[&str]) -> anyhow::Result<Daemon> {
    Daemon::start_on("memory:", arguments)
}

/// The status of a refusal, with the hint that each has to have.
fn refusal(status: &Status) -> tonic_types::ErrorDetails {
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    let details = status.get_error_details();
    assert!(details.retry_info().and_then(|info| info.retry_delay).is_some(), "{status:?}");
    assert!(status.metadata().contains_key("grpc-retry-pushback-ms"), "{status:?}");
    details
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_beyond_what_can_be_served_are_refused_while_admins_and_watchers_go_on()
-> anyhow::Result<()> {
    let server = in_memory(&["--max-queue-delay=10ms"])?;
    let (mut caller, mut others) = (server.clients()?, server.clients()?);
    caller.breakers.acquire(acquire("flood/breaker")).await?;
    let watch = v1::WatchRequest { selectors: vec!["calm/*".into()], ..Default::default() };
    let mut states = others.breakers.watch(watch).await?.into_inner();

    let mut flood = Flood::start(&server.grpc, "flood/breaker", 40, 100).await?;
    let mut refused = None;
    eventually("a call is refused", PATIENCE, async || {
        refused = caller.breakers.acquire(acquire("flood/breaker")).await.err();
        Ok(refused.is_some())
    })
    .await?;
    let details = refusal(&refused.unwrap());
    assert_eq!(details.error_info().map(|info| info.reason.as_str()), Some("OVERLOADED"));

    // All that is not one of many goes on meanwhile.
    let create = breaker_tests::create("calm/breaker", v1::BreakerConfig::default());
    others.admin.create_breaker(create).await?;
    let force = v1::ForceOpenRequest { target: selecting("calm/breaker"), ..Default::default() };
    others.admin.force_open(force).await?;
    loop {
        let message = states.message().await?.expect("the stream goes on");
        if message.changed.iter().any(|state| state.state() == State::Open) {
            break;
        }
    }
    let page = v1::ListBreakersRequest::default();
    assert_eq!(others.admin.list_breakers(page).await?.into_inner().breakers.len(), 2);
    flood.check()?;
    let refused = server.gauge("breakerd_refused_calls_total{reason=\"overload_acquire\"}")?;
    assert!(refused > 0.0 && flood.answered() > 0);

    drop(flood);
    eventually("nothing is refused any more", PATIENCE, async || {
        caller.breakers.acquire(acquire("flood/breaker")).await?;
        Ok(server.gauge("breakerd_overload_refused_share")? == 0.0)
    })
    .await?;
    assert!(server.terminate()?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_calls_too_often_is_refused_and_others_are_not() -> anyhow::Result<()> {
    let server = in_memory(&["--client-rate=20"])?;
    let (mut hasty, mut calm) = (server.clients()?, server.clients()?);
    let mut refused = None;
    for _ in 0..1_000 {
        refused = hasty.breakers.acquire(acquire("a/b")).await.err();
        if refused.is_some() {
            break;
        }
    }
    let details = refusal(&refused.expect("a thousand calls in a row are too many"));
    let quota = details.quota_failure().expect("it says which limit");
    assert_eq!(quota.violations[0].subject, "client_rate");
    calm.breakers.acquire(acquire("a/b")).await?;
    // Admins are not counted.
    for _ in 0..30 {
        hasty.admin.list_breakers(v1::ListBreakersRequest::default()).await?;
    }
    eventually("it may call again", PATIENCE, async || {
        Ok(hasty.breakers.acquire(acquire("a/b")).await.is_ok())
    })
    .await?;
    assert!(server.terminate()?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_and_a_connection_too_many_are_refused_until_there_is_room() -> anyhow::Result<()>
{
    let server = in_memory(&["--max-connections=2", "--max-watch-streams=1"])?;
    let (mut first, mut second) = (server.clients()?, server.clients()?);
    let stream = first.breakers.watch(v1::WatchRequest::default()).await?;
    let status = second.breakers.watch(v1::WatchRequest::default()).await.err();
    let details = refusal(&status.expect("one stream is allowed"));
    let quota = details.quota_failure().expect("it says which limit");
    assert_eq!(quota.violations[0].subject, "max_watch_streams");

    let mut third = server.clients()?;
    let refused = third.breakers.acquire(acquire("a/b")).await.unwrap_err();
    let details = refusal(&refused);
    let quota = details.quota_failure().expect("it says which limit");
    assert_eq!(quota.violations[0].subject, "max_connections");
    assert!(server.gauge("breakerd_refused_connections_total")? > 0.0);
    drop((stream, first));
    eventually("there is room", PATIENCE, async || {
        Ok(third.breakers.acquire(acquire("a/b")).await.is_ok())
    })
    .await?;
    let mut again = second.breakers.watch(v1::WatchRequest::default()).await?.into_inner();
    assert!(again.message().await?.is_some());
    assert!(server.terminate()?.success());
    Ok(())
}
