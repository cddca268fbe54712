//! Garbage in, a clear error out, and the server goes on.

use breaker_core::Time;
use breaker_proto::v1::{self, Outcome};
use breaker_tests::{Hosted, acquire, create, report_of, run_of, selecting};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// The fields that an error names.
fn fields(status: &Status) -> Vec<String> {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let details = status.get_error_details();
    let violations = details.bad_request().map(|bad| bad.field_violations.clone());
    violations.unwrap_or_default().into_iter().map(|violation| violation.field).collect()
}

const fn duration(seconds: i64, nanos: i32) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos })
}

#[tokio::test]
async fn every_bad_field_of_a_configuration_is_named() -> anyhow::Result<()> {
    let mut hosted = Hosted::start(Time::from_millis(1)).await?;
    let config = v1::BreakerConfig {
        failure_threshold: Some(0),
        success_threshold: Some(0),
        max_probes: Some(0),
        window: Some(v1::Window::default()),
        open_duration: duration(0, 0),
        call_timeout: duration(1_000_000_000, 0),
        ..v1::BreakerConfig::default()
    };
    let status = hosted.clients.admin.create_breaker(create("no name", config)).await.unwrap_err();
    assert_eq!(
        fields(&status),
        [
            "name",
            "config.failure_threshold",
            "config.window.calls",
            "config.open_duration",
            "config.success_threshold",
            "config.max_probes",
            "config.call_timeout"
        ]
    );
    let negative = v1::BreakerConfig { open_duration: duration(-5, 0), ..Default::default() };
    let status = hosted.clients.admin.create_breaker(create("a/b", negative)).await.unwrap_err();
    assert_eq!(fields(&status), ["config.open_duration"]);
    let update = v1::UpdateBreakerRequest {
        name: "a/b".into(),
        update_mask: Some(prost_types::FieldMask { paths: vec!["failure_treshold".into()] }),
        ..Default::default()
    };
    let status = hosted.clients.admin.update_breaker(update).await.unwrap_err();
    assert_eq!(fields(&status), ["update_mask.paths[0]"]);
    hosted.stop().await
}

#[tokio::test]
async fn every_bad_field_of_a_report_is_named() -> anyhow::Result<()> {
    let mut hosted = Hosted::start(Time::from_millis(1)).await?;
    let bad = v1::Run {
        outcome: 99,
        count: 0,
        total_duration: duration(-1, 0),
        max_duration: duration(0, 2_000_000_000),
        slow_count: 3,
        error_kind: "x".repeat(200),
        age: duration(1_000_000, 0),
        permit_id: 0,
    };
    let mut request = report_of("Upper/Case", 0, vec![bad]);
    request.sequence = 7;
    let status = hosted.clients.breakers.report(request).await.unwrap_err();
    let run = |field: &str| format!("reports[0].runs[0].{field}");
    assert_eq!(
        fields(&status),
        [
            "reporter_id".to_owned(),
            "reports[0].breaker".to_owned(),
            run("outcome"),
            run("count"),
            run("slow_count"),
            run("total_duration"),
            run("max_duration"),
            run("age"),
            run("error_kind"),
        ]
    );
    hosted.clients.breakers.acquire(acquire("a/b")).await?;
    let future = report_of("a/b", 2, vec![v1::Run { permit_id: 5, ..run_of(Outcome::Success, 1) }]);
    let status = hosted.clients.breakers.report(future).await.unwrap_err();
    assert_eq!(fields(&status), ["reports[0].generation", "reports[0].runs[0].permit_id"]);
    hosted.stop().await
}

#[tokio::test]
async fn names_and_selectors_that_are_none_are_refused() -> anyhow::Result<()> {
    let mut hosted = Hosted::start(Time::from_millis(1)).await?;
    let long = format!("a/{}", "b".repeat(199));
    for name in ["", "one-part", "A/b", "a//b", "a/b c", "a/\u{e9}", "a/../*", long.as_str()] {
        let status = hosted.clients.breakers.acquire(acquire(name)).await.unwrap_err();
        assert_eq!(fields(&status), ["breaker"], "{name:?}");
    }
    let request = v1::TripRequest { target: selecting("a/b?") };
    let status = hosted.clients.admin.trip(request).await.unwrap_err();
    assert_eq!(fields(&status), ["target.selector"]);
    let request =
        v1::WatchRequest { selectors: vec!["fine/*".into(), "".into()], ..Default::default() };
    let status = hosted.clients.breakers.watch(request).await.unwrap_err();
    assert_eq!(fields(&status), ["selectors[1]"]);
    let request = v1::ListBreakersRequest {
        page_size: 5_000,
        page_token: "garbage".into(),
        states: vec![9],
        ..Default::default()
    };
    let status = hosted.clients.admin.list_breakers(request).await.unwrap_err();
    assert_eq!(fields(&status), ["states[0]", "page_size", "page_token"]);
    hosted.stop().await
}

#[tokio::test]
async fn a_message_of_ten_mebibytes_and_garbage_bytes_do_no_harm() -> anyhow::Result<()> {
    let mut hosted = Hosted::start(Time::from_millis(1)).await?;
    let failures = report_of("a/b", 0, vec![run_of(Outcome::Failure, 5)]);
    hosted.clients.breakers.report(failures).await?;
    let request = v1::AcquireRequest { breaker: "a/b".into(), client_id: "x".repeat(10 << 20) };
    let status = hosted.clients.breakers.acquire(request).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    for garbage in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), &[0xff; 5_000], &[0; 100]] {
        let mut socket = tokio::net::TcpStream::connect(hosted.address()).await?;
        socket.write_all(garbage).await?;
        socket.shutdown().await?;
        // Whether it says something or hangs up is its own affair.
        let _ = socket.read_to_end(&mut Vec::new()).await;
    }
    let answer = hosted.clients.breakers.acquire(acquire("a/b")).await?.into_inner();
    assert_eq!(answer.state, v1::State::Open as i32, "nothing was lost");
    hosted.stop().await
}

#[tokio::test]
async fn a_message_of_many_empty_parts_is_refused_before_they_are_unpacked() -> anyhow::Result<()> {
    let mut hosted = Hosted::start(Time::from_millis(1)).await?;
    let nothing = || vec![v1::Run::default(); 100_001];
    let request = report_of("a/b", 0, nothing());
    let status = hosted.clients.breakers.report(request).await.unwrap_err();
    assert_eq!(fields(&status), ["reports"]);
    assert!(status.message().contains("100001 runs in all"), "{status:?}");
    let reports = vec![v1::BreakerReport::default(); 10_001];
    let request = v1::ReportRequest { reports, ..Default::default() };
    let status = hosted.clients.breakers.report(request).await.unwrap_err();
    assert_eq!(fields(&status), ["reports"]);

    let selectors = vec![String::new(); 1_000_000];
    let request = v1::WatchRequest { selectors: selectors.clone(), ..Default::default() };
    let status = hosted.clients.breakers.watch(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert!(status.message().contains("1000000 fields"), "{status:?}");
    let request = v1::BatchGetBreakersRequest { names: selectors, ..Default::default() };
    let status = hosted.clients.admin.batch_get_breakers(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    hosted.stop().await
}
