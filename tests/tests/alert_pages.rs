//! Alerts over the wire: pages and streams of them, what is noted about one, and `breakerctl alerts`.

use std::collections::BTreeSet;
use std::time::Duration;

use breaker_core::Time;
use breaker_proto::v1::{self, AlertRule, AlertSeverity, AlertState, Outcome};
use breaker_tests::{Clients, Daemon, Following, Hosted, eventually, report_of, run_of, selecting};
use tokio::time::timeout;
use tonic::{Code, Status};
use tonic_types::StatusExt;

const PATIENCE: Duration = Duration::from_secs(30);
/// The protocol promises 5 s; the rest is for a machine that is busy.
const HEARTBEAT: Duration = Duration::from_secs(15);
const BREAKERS: usize = 25;

async fn open(clients: &mut Clients, breaker: &str) -> anyhow::Result<()> {
    clients.breakers.report(report_of(breaker, 0, vec![run_of(Outcome::Failure, 5)])).await?;
    Ok(())
}

async fn reset(clients: &mut Clients, breaker: &str) -> anyhow::Result<()> {
    clients.admin.reset(v1::ResetRequest { target: selecting(breaker) }).await?;
    Ok(())
}

async fn list(
    clients: &mut Clients,
    request: v1::ListAlertsRequest,
) -> Result<v1::ListAlertsResponse, Status> {
    Ok(clients.monitor.list_alerts(request).await?.into_inner())
}

/// Opens breakers, and waits until all of that is told.
async fn opened(hosted: &mut Hosted) -> anyhow::Result<()> {
    for number in 0..BREAKERS {
        open(&mut hosted.clients, &format!("a/{number}")).await?;
    }
    eventually("all of it is told", PATIENCE, async || {
        let request = v1::ListAlertsRequest { page_size: 1_000, ..Default::default() };
        Ok(list(&mut hosted.clients, request).await?.alerts.len() == BREAKERS)
    })
    .await?;
    Ok(())
}

fn fields(status: &Status) -> Vec<String> {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let details = status.get_details_bad_request();
    let violations = details.into_iter().flat_map(|details| details.field_violations);
    violations.map(|violation| violation.field).collect()
}

#[tokio::test]
async fn pages_hold_every_alert_once_and_only_what_was_asked_for() -> anyhow::Result<()> {
    let mut hosted = Hosted::start(Time::from_millis(1)).await?;
    opened(&mut hosted).await?;
    reset(&mut hosted.clients, "a/3").await?;
    let firing = v1::ListAlertsRequest {
        page_size: 10,
        state: AlertState::Firing.into(),
        min_severity: AlertSeverity::High.into(),
        rules: vec![AlertRule::StateChange.into()],
        ..Default::default()
    };
    eventually("one is over", PATIENCE, async || {
        let request = v1::ListAlertsRequest { page_size: 1_000, ..firing.clone() };
        Ok(list(&mut hosted.clients, request).await?.alerts.len() == BREAKERS - 1)
    })
    .await?;
    let (mut request, mut revisions, mut sizes) = (firing.clone(), Vec::new(), Vec::new());
    loop {
        let page = list(&mut hosted.clients, request.clone()).await?;
        sizes.push(page.alerts.len());
        revisions.extend(page.alerts.iter().map(|alert| alert.revision));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(sizes, [10, 10, 4]);
    assert!(revisions.is_sorted_by(|a, b| a > b), "{revisions:?}");

    let one = v1::ListAlertsRequest { selector: "a/3".into(), ..Default::default() };
    let told = list(&mut hosted.clients, one).await?.alerts;
    let told: BTreeSet<_> = told.iter().map(|alert| (alert.severity(), alert.state())).collect();
    let over = AlertState::Resolved;
    assert_eq!(told, [(AlertSeverity::Medium, over), (AlertSeverity::High, over)].into());

    let page = list(&mut hosted.clients, firing.clone()).await?;
    let other = v1::ListAlertsRequest { page_token: page.next_page_token, ..Default::default() };
    let status = list(&mut hosted.clients, other).await.unwrap_err();
    assert_eq!(fields(&status), ["page_token"], "it is from a page of other filters");
    let bad = v1::ListAlertsRequest {
        page_size: 1_001,
        selector: "A".into(),
        state: 9,
        min_severity: -1,
        rules: vec![1, 77],
        page_token: "x".into(),
    };
    let status = list(&mut hosted.clients, bad).await.unwrap_err();
    let refused: BTreeSet<_> = fields(&status).into_iter().collect();
    let expected = ["page_size", "selector", "state", "min_severity", "rules[1]", "page_token"];
    assert_eq!(refused, expected.map(String::from).into());
    hosted.stop().await
}

#[tokio::test]
async fn a_follower_sees_what_is_kept_then_what_changes_and_then_why_it_ends() -> anyhow::Result<()>
{
    let mut hosted = Hosted::start(Time::from_millis(1)).await?;
    opened(&mut hosted).await?;
    let request = v1::WatchAlertsRequest { after: Some(0), ..Default::default() };
    let mut stream = hosted.clients.monitor.watch_alerts(request).await?.into_inner();
    let first = stream.message().await?.unwrap_or_default();
    assert_eq!(first.alerts.len(), BREAKERS);
    assert_eq!(first.alerts.last().map(|alert| alert.revision), Some(first.position));

    let id = first.alerts[7].id;
    let seen = v1::AcknowledgeAlertRequest { id, actor: "ann".into(), comment: "mine".into() };
    let answer = hosted.clients.monitor.acknowledge_alert(seen).await?.into_inner();
    let change = stream.message().await?.unwrap_or_default();
    assert_eq!(change.alerts, Vec::from_iter(answer.alert));
    assert_eq!(change.alerts[0].acknowledgement.clone().unwrap_or_default().comment, "mine");
    assert_eq!(change.alerts[0].state(), AlertState::Firing);
    assert!(change.position > first.position);

    let unknown = first.position << 10;
    let nobody =
        v1::AcknowledgeAlertRequest { id: unknown, actor: "ann".into(), ..Default::default() };
    let status = hosted.clients.monitor.acknowledge_alert(nobody).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    let bad = v1::AcknowledgeAlertRequest { id, actor: String::new(), comment: "x".repeat(1_001) };
    let status = hosted.clients.monitor.acknowledge_alert(bad).await.unwrap_err();
    assert_eq!(fields(&status), ["actor", "comment"]);
    let bad = v1::WatchAlertsRequest { min_severity: 9, selector: "!".into(), after: None };
    let status = hosted.clients.monitor.watch_alerts(bad).await.unwrap_err();
    assert_eq!(fields(&status), ["selector", "min_severity"]);

    let stopping = tokio::spawn(hosted.stop());
    let end = stream.message().await.unwrap_err();
    assert_eq!(end.code(), Code::Unavailable);
    let details = end.get_details_error_info();
    assert_eq!(details.map(|info| info.reason).as_deref(), Some("DRAINING"));
    drop(stream);
    stopping.await?
}

#[tokio::test]
async fn followers_hear_a_sign_of_life_however_much_goes_by_that_is_not_for_them()
-> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let daemon = Daemon::start(&folder.path().join("breakers.db"))?;
    let mut clients = daemon.clients()?;
    let flood = tokio::spawn({
        let mut clients = daemon.clients()?;
        async move {
            loop {
                open(&mut clients, "a/b").await?;
                reset(&mut clients, "a/b").await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            #[expect(unreachable_code, reason = "it says what the task ends with")]
            anyhow::Ok(())
        }
    });
    let request = v1::WatchAlertsRequest { selector: "b/*".into(), ..Default::default() };
    let mut alerts = clients.monitor.watch_alerts(request).await?.into_inner();
    let request = v1::WatchTransitionsRequest { selector: "b/*".into(), ..Default::default() };
    let mut transitions = clients.admin.watch_transitions(request).await?.into_inner();
    let (alerts, transitions) = tokio::join!(
        timeout(HEARTBEAT, alerts.message()),
        timeout(HEARTBEAT, transitions.message())
    );
    let (alerts, transitions) = (alerts??.unwrap_or_default(), transitions??.unwrap_or_default());
    assert!(alerts.alerts.is_empty() && alerts.position > 0, "{alerts:?}");
    assert!(transitions.transitions.is_empty() && transitions.position > 0, "{transitions:?}");
    assert!(!flood.is_finished(), "something went by all the time");
    flood.abort();
    Ok(())
}

#[tokio::test]
async fn breakerctl_follows_with_the_filters_that_it_lists_with() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let daemon = Daemon::start(&folder.path().join("breakers.db"))?;
    let mut clients = daemon.clients()?;
    open(&mut clients, "a/b").await?;
    eventually("it is told", PATIENCE, async || {
        Ok(!list(&mut clients, v1::ListAlertsRequest::default()).await?.alerts.is_empty())
    })
    .await?;
    let arguments = ["alerts", "a/*", "--firing", "--rule", "state_change", "--severity", "high"];
    let mut following = Following::start(&daemon, &arguments)?;
    assert_eq!(following.told()?["breaker"], "a/b");
    // What is over, and what is about others, is not shown.
    reset(&mut clients, "a/b").await?;
    open(&mut clients, "b/c").await?;
    open(&mut clients, "a/d").await?;
    let alert = following.told()?;
    assert_eq!((&alert["breaker"], &alert["state"]), (&"a/d".into(), &"firing".into()));
    Ok(())
}
