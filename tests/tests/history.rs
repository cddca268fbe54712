//! The history from the outside: pages and streams of it, by every filter, and `breakerctl history`.

use std::process::{Command, Output};

use breaker_core::Time;
use breaker_proto::v1::{self, Cause, Outcome};
use breaker_tests::{Clients, Daemon, Following, Hosted, acquire, binary, report_of, run_of};
use tonic::{Code, Status};
use tonic_types::StatusExt;

fn target(selector: &str, actor: &str) -> Option<v1::ChangeTarget> {
    let (selector, actor) = (selector.into(), actor.into());
    Some(v1::ChangeTarget { selector, actor, ..v1::ChangeTarget::default() })
}

async fn force_open(clients: &mut Clients, selector: &str, actor: &str) -> anyhow::Result<()> {
    let request = v1::ForceOpenRequest { target: target(selector, actor), time_to_live: None };
    clients.admin.force_open(request).await?;
    Ok(())
}

async fn release(clients: &mut Clients, selector: &str, actor: &str) -> anyhow::Result<()> {
    clients.admin.release(v1::ReleaseRequest { target: target(selector, actor) }).await?;
    Ok(())
}

async fn fail(clients: &mut Clients, breaker: &str) -> anyhow::Result<()> {
    let failures = report_of(breaker, 0, vec![run_of(Outcome::Failure, 5)]);
    clients.breakers.report(failures).await?;
    Ok(())
}

/// A server on which something happened at 1, 10, 20 and 30 seconds.
async fn eventful() -> anyhow::Result<Hosted> {
    let at = |seconds: u64| Time::from_millis(seconds * 1_000);
    let mut hosted = Hosted::start(at(1)).await?;
    fail(&mut hosted.clients, "a/b").await?;
    hosted.clients.breakers.acquire(acquire("a/c")).await?;
    hosted.clock.advance_to(at(10));
    force_open(&mut hosted.clients, "a/*", "anna").await?;
    hosted.clock.advance_to(at(20));
    release(&mut hosted.clients, "a/c", "bert").await?;
    hosted.clock.advance_to(at(30));
    release(&mut hosted.clients, "a/b", "anna").await?;
    Ok(hosted)
}

fn told(transitions: &[v1::Transition]) -> Vec<String> {
    let told = transitions.iter().map(|transition| {
        let v1::Transition { breaker, actor, time, .. } = transition;
        let cause = transition.cause().as_str_name().trim_start_matches("CAUSE_").to_lowercase();
        format!("{} {breaker} {cause} {actor}", time.unwrap_or_default().seconds)
    });
    told.collect()
}

/// All pages of a request.
async fn pages(
    clients: &mut Clients,
    mut request: v1::ListTransitionsRequest,
) -> anyhow::Result<Vec<v1::Transition>> {
    let mut transitions = Vec::new();
    loop {
        let page = clients.admin.list_transitions(request.clone()).await?.into_inner();
        transitions.extend(page.transitions);
        if page.next_page_token.is_empty() {
            return Ok(transitions);
        }
        request.page_token = page.next_page_token;
    }
}

fn time(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

#[tokio::test]
async fn every_filter_gives_its_part_of_the_history_page_by_page() -> anyhow::Result<()> {
    let mut hosted = eventful().await?;
    let everything = v1::ListTransitionsRequest::default();
    let all = pages(&mut hosted.clients, everything.clone()).await?;
    assert_eq!(all.len(), 5);
    let by = |selector: &str, causes: &[Cause], actor: &str| v1::ListTransitionsRequest {
        selector: selector.into(),
        causes: causes.iter().map(|&cause| cause.into()).collect(),
        actor: actor.into(),
        ..v1::ListTransitionsRequest::default()
    };
    let between = |start_time, end_time| v1::ListTransitionsRequest {
        start_time,
        end_time,
        ..v1::ListTransitionsRequest::default()
    };
    let trip = "1 a/b failure_threshold ";
    let (b_forced, c_forced) = ("10 a/b forced_open anna", "10 a/c forced_open anna");
    let (c_released, b_released) = ("20 a/c released bert", "30 a/b released anna");
    let cases: [(v1::ListTransitionsRequest, &[&str]); 11] = [
        (by("a/b", &[], ""), &[b_released, b_forced, trip]),
        (by("*/c", &[], ""), &[c_released, c_forced]),
        (by("", &[Cause::Released], ""), &[b_released, c_released]),
        (by("", &[Cause::Released, Cause::FailureThreshold], ""), &[b_released, c_released, trip]),
        (by("", &[], "bert"), &[c_released]),
        (by("a/b", &[Cause::ForcedOpen, Cause::ForcedOpen], "anna"), &[b_forced]),
        (by("b/*", &[], ""), &[]),
        (between(time(20), None), &[b_released, c_released]),
        (between(time(20), time(30)), &[c_released]),
        (between(None, time(10)), &[trip]),
        (between(time(-5), time(1)), &[]),
    ];
    for (request, expected) in cases {
        for page_size in [0, 1, 2, 1_000] {
            let request = v1::ListTransitionsRequest { page_size, ..request.clone() };
            let found = pages(&mut hosted.clients, request.clone()).await?;
            assert_eq!(told(&found), expected, "{request:?}");
        }
    }
    for page_size in [1, 2, 3] {
        let request = v1::ListTransitionsRequest { page_size, ..everything.clone() };
        assert_eq!(pages(&mut hosted.clients, request).await?, all);
    }
    hosted.stop().await
}

/// The fields that an error names.
fn fields(status: &Status) -> Vec<String> {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let details = status.get_error_details();
    let violations = details.bad_request().map(|bad| bad.field_violations.clone());
    violations.unwrap_or_default().into_iter().map(|violation| violation.field).collect()
}

#[tokio::test]
async fn every_bad_field_is_named() -> anyhow::Result<()> {
    let mut hosted = eventful().await?;
    let bad = v1::ListTransitionsRequest {
        selector: "A".into(),
        page_size: 1_001,
        page_token: "x".into(),
        causes: vec![0, Cause::Reset.into(), 999],
        actor: "x".repeat(201),
        start_time: time(20),
        end_time: time(20),
    };
    let status = hosted.clients.admin.list_transitions(bad).await.unwrap_err();
    let expected = ["selector", "causes[0]", "causes[2]", "actor", "end_time", "page_size"];
    assert_eq!(fields(&status), [&expected[..], &["page_token"]].concat());
    let nanos = Some(prost_types::Timestamp { seconds: 1, nanos: 1_000_000_000 });
    let bad = v1::ListTransitionsRequest {
        start_time: nanos,
        causes: vec![Cause::Reset.into(); 101],
        ..v1::ListTransitionsRequest::default()
    };
    let status = hosted.clients.admin.list_transitions(bad).await.unwrap_err();
    assert_eq!(fields(&status), ["causes", "start_time"]);
    let bad = v1::WatchTransitionsRequest { causes: vec![-1], ..Default::default() };
    let status = hosted.clients.admin.watch_transitions(bad).await.unwrap_err();
    assert_eq!(fields(&status), ["causes[0]"]);

    let one = v1::ListTransitionsRequest { page_size: 1, ..Default::default() };
    let page = hosted.clients.admin.list_transitions(one.clone()).await?.into_inner();
    let other = v1::ListTransitionsRequest {
        actor: "anna".into(),
        page_token: page.next_page_token,
        ..one
    };
    let status = hosted.clients.admin.list_transitions(other).await.unwrap_err();
    assert_eq!(fields(&status), ["page_token"], "it is from a page of another query");
    hosted.stop().await
}

#[tokio::test]
async fn a_stream_gives_what_its_filters_let_through() -> anyhow::Result<()> {
    let mut hosted = eventful().await?;
    let request = v1::WatchTransitionsRequest {
        selector: "a/*".into(),
        after: Some(0),
        causes: vec![Cause::Released.into()],
        actor: "anna".into(),
    };
    let mut stream = hosted.clients.admin.watch_transitions(request).await?.into_inner();
    let message = stream.message().await?.unwrap_or_default();
    assert_eq!(told(&message.transitions), ["30 a/b released anna"]);
    force_open(&mut hosted.clients, "a/*", "anna").await?;
    release(&mut hosted.clients, "a/c", "bert").await?;
    release(&mut hosted.clients, "a/b", "anna").await?;
    let message = loop {
        let message = stream.message().await?.unwrap_or_default();
        if !message.transitions.is_empty() {
            break message;
        }
    };
    assert_eq!(told(&message.transitions), ["30 a/b released anna"]);
    drop(stream);
    hosted.stop().await
}

fn breakerctl(daemon: &Daemon, arguments: &[&str]) -> anyhow::Result<Output> {
    let mut command = Command::new(binary("breakerctl")?);
    Ok(command.args(["--address", &daemon.grpc]).args(arguments).output()?)
}

/// The causes that `breakerctl history` shows, the latest first.
fn causes(daemon: &Daemon, arguments: &[&str]) -> anyhow::Result<Vec<String>> {
    let output = breakerctl(daemon, &[&["history", "-o", "json"], arguments].concat())?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout)?;
    let cause = |line: &str| {
        let transition: serde_json::Value = serde_json::from_str(line)?;
        Ok(transition["cause"].as_str().unwrap_or_default().to_owned())
    };
    lines.lines().map(cause).collect()
}

#[tokio::test]
async fn breakerctl_filters_and_goes_through_all_pages() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let daemon = Daemon::start(&folder.path().join("breakers.db"))?;
    let mut clients = daemon.clients()?;
    fail(&mut clients, "a/b").await?;
    force_open(&mut clients, "a/b", "anna").await?;
    release(&mut clients, "a/b", "bert").await?;
    let all = ["released", "forced_open", "failure_threshold"];
    for (arguments, expected) in [
        (&[][..], &all[..]),
        (&["a/b", "--since", "1h"], &all),
        (&["--since", "2020-01-01", "--until", "2120-01-01T00:00:00+02:00"], &all),
        (&["--cause", "released", "--cause", "failure_threshold"], &[all[0], all[2]]),
        (&["a/*", "--actor", "anna"], &[all[1]]),
        (&["--limit", "1"], &[all[0]]),
        (&["--until", "1h"], &[]),
        (&["b/b"], &[]),
    ] {
        assert_eq!(causes(&daemon, arguments)?, expected, "{arguments:?}");
    }
    for (arguments, expected) in [
        (&["--since", "2020-01-02", "--until", "2020-01-01"][..], "end_time"),
        (&["--since", "yesterday"], "`yesterday` is not a time"),
        (&["--cause", "bad_luck"], "failure_threshold"),
        (&["--follow", "--until", "1h"], "cannot be used with"),
    ] {
        let output = breakerctl(&daemon, &[&["history"], arguments].concat())?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(expected), "{arguments:?}: {said}");
    }

    for index in 0..60 {
        clients.breakers.acquire(acquire(&format!("many/{index}"))).await?;
    }
    for _ in 0..5 {
        force_open(&mut clients, "many/*", "carl").await?;
        release(&mut clients, "many/*", "carl").await?;
    }
    assert_eq!(causes(&daemon, &["--actor", "carl", "--limit", "1000"])?.len(), 600);
    let released = ["many/*", "--cause", "released", "--limit", "1000"];
    assert_eq!(causes(&daemon, &released)?, ["released"; 300]);
    Ok(())
}

#[tokio::test]
async fn breakerctl_follows_with_the_same_filters() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let daemon = Daemon::start(&folder.path().join("breakers.db"))?;
    let mut clients = daemon.clients()?;
    fail(&mut clients, "a/b").await?;
    force_open(&mut clients, "a/b", "anna").await?;
    release(&mut clients, "a/b", "anna").await?;
    let arguments = ["history", "a/*", "--cause", "released", "--actor", "anna", "--since", "1h"];
    let mut following = Following::start(&daemon, &arguments)?;
    assert_eq!(following.told()?["cause"], "released");
    force_open(&mut clients, "a/b", "anna").await?;
    release(&mut clients, "a/b", "bert").await?;
    force_open(&mut clients, "a/b", "bert").await?;
    release(&mut clients, "a/b", "anna").await?;
    let transition = following.told()?;
    assert_eq!((&transition["cause"], &transition["actor"]), (&"released".into(), &"anna".into()));
    Ok(())
}

#[test]
fn how_long_the_history_is_kept_is_checked_and_shown() -> anyhow::Result<()> {
    for (given, shown) in [("45d", "45d"), ("90m", "1h 30m"), ("1m", "1m")] {
        let output = Command::new(binary("breakerd")?)
            .args(["check-config", "--history-retention", given])
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains(&format!("history_retention = \"{shown}\"")), "{said}");
    }
    let output = Command::new(binary("breakerd")?)
        .env("BREAKERD_HISTORY_RETENTION", "59s")
        .arg("check-config")
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("`59s` is too short"), "{said}");
    Ok(())
}
