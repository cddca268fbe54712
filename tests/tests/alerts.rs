//! Alerts from the outside: raised by what happens to breakers and by the real clock, told to real
//! receivers, kept over restarts, and shown and acknowledged by breakerctl.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use breaker_tests::web::Web;
use breaker_tests::{Daemon, binary, eventually};
use parking_lot::Mutex;
use reqwest::Method;
use serde_json::{Value, json};
use throwaway_postgres::Database;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;

const PATIENCE: Duration = Duration::from_secs(30);

/// A receiver, and how often each event has come to it, by its idempotency key.
#[derive(Default)]
struct Seen {
    keys: Mutex<BTreeMap<String, usize>>,
    last: Mutex<Option<(HeaderMap, Value)>>,
    /// Answers with 500.
    fails: AtomicBool,
}

impl Seen {
    async fn serve(self: &Arc<Self>, tasks: &mut JoinSet<()>) -> anyhow::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/hook", listener.local_addr()?);
        let router = Router::new().route("/hook", post(take)).with_state(Arc::clone(self));
        tasks.spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(url)
    }

    /// Fails no more, once what was under way has failed.
    async fn recover(&self) {
        sleep(Duration::from_millis(300)).await;
        self.fails.store(false, Ordering::Relaxed);
    }

    fn count(&self, key: &str) -> usize {
        self.keys.lock().get(key).copied().unwrap_or(0)
    }
}

async fn take(State(seen): State<Arc<Seen>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if seen.fails.load(Ordering::Relaxed) {
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or("none");
    *seen.keys.lock().entry(key.to_owned()).or_default() += 1;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    *seen.last.lock() = Some((headers, body));
    StatusCode::NO_CONTENT
}

fn configuration(folder: &Path, rules: &str, url: &str) -> anyhow::Result<PathBuf> {
    let path = folder.join("breakerd.toml");
    let text = format!(
        "[alerts]\n{rules}\n\n[[receivers]]\nname = \"ops\"\nkind = \"webhook\"\nurl = \"{url}\"\n\
         secret = \"hush\"\n"
    );
    std::fs::write(&path, text)?;
    Ok(path)
}

fn start(folder: &Path, config: &Path) -> anyhow::Result<(Daemon, Web)> {
    let arguments = ["--config".as_ref(), config.as_os_str()];
    let server = Daemon::start_with(&folder.join("breakerd.db"), arguments)?;
    let web = Web::of(&server.http);
    Ok((server, web))
}

async fn trip(web: &Web, breaker: &str) -> anyhow::Result<()> {
    let calls = json!([{ "outcome": "OUTCOME_FAILURE", "count": 5 }]);
    web.post("report", &json!({ "reports": [{ "breaker": breaker, "runs": calls }] })).await?;
    Ok(())
}

async fn reset(web: &Web, breaker: &str) -> anyhow::Result<()> {
    let target = json!({ "target": { "selector": breaker, "actor": "ann", "reason": "mended" } });
    web.post("breakers:reset", &target).await?;
    Ok(())
}

/// The alerts of a rule, the last change first.
async fn alerts(web: &Web, rule: &str) -> anyhow::Result<Vec<Value>> {
    let (code, answer) = web.get(&format!("alerts?rules=ALERT_RULE_{rule}")).await?;
    ensure!(code == 200, "{answer}");
    Ok(answer["alerts"].as_array().cloned().unwrap_or_default())
}

/// Waits until the last alert of a rule is so.
async fn until(web: &Web, rule: &str, state: &str) -> anyhow::Result<Value> {
    eventually(&format!("{rule} is {state}"), PATIENCE, async || {
        let alerts = alerts(web, rule).await?;
        Ok(alerts.first().is_some_and(|alert| alert["state"] == format!("ALERT_STATE_{state}")))
    })
    .await?;
    alerts(web, rule).await?.into_iter().next().context("there was one a moment ago")
}

/// Waits until it is told that a breaker has opened.
async fn fired(web: &Web, breaker: &str) -> anyhow::Result<Value> {
    let mut found = None;
    eventually(&format!("the alert of {breaker}"), PATIENCE, async || {
        let alerts = alerts(web, "STATE_CHANGE").await?;
        found = alerts.into_iter().find(|alert| alert["breaker"] == breaker);
        Ok(found.is_some())
    })
    .await?;
    found.context("it was there a moment ago")
}

/// The idempotency key of an event.
fn key(alert: &Value, event: &str) -> String {
    format!("{}-{event}", alert["id"].as_str().unwrap_or_default())
}

/// Waits until what was written behind is on disk: it goes there with a deletion, if not before, and
/// that is answered when it is.
async fn until_on_disk(web: &Web) -> anyhow::Result<()> {
    web.post("breakers", &json!({ "name": "disk/marker" })).await?;
    let (code, answer) = web.send(Method::DELETE, "breakers/disk%2Fmarker", &json!({})).await?;
    ensure!(code == 200, "{answer}");
    Ok(())
}

fn breakerctl(server: &Daemon, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(binary("breakerctl")?)
        .args(["--address", &server.grpc])
        .args(arguments)
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

#[tokio::test]
async fn an_outage_is_told_by_the_real_clock_and_its_end_too() -> anyhow::Result<()> {
    let (folder, seen, mut tasks) = (tempfile::tempdir()?, Arc::<Seen>::default(), JoinSet::new());
    let url = seen.serve(&mut tasks).await?;
    let config = configuration(folder.path(), "prolonged_outage = \"1s\"", &url)?;
    let (server, web) = start(folder.path(), &config)?;
    trip(&web, "pay/visa").await?;
    let opened = until(&web, "STATE_CHANGE", "FIRING").await?;
    assert_eq!(opened["severity"], "ALERT_SEVERITY_HIGH");
    let outage = until(&web, "PROLONGED_OUTAGE", "FIRING").await?;
    assert_eq!(outage["severity"], "ALERT_SEVERITY_CRITICAL");
    let (_, dashboard) = web.get("dashboard").await?;
    assert_eq!(dashboard["alert_counts"]["critical"], 1);
    assert_eq!(dashboard["alerts"][0]["id"], outage["id"]);
    reset(&web, "pay/visa").await?;
    until(&web, "PROLONGED_OUTAGE", "RESOLVED").await?;

    let keys = [
        key(&opened, "fired"),
        key(&opened, "resolved"),
        key(&outage, "fired"),
        key(&outage, "resolved"),
    ];
    eventually("all of it was told", PATIENCE, async || {
        Ok(keys.iter().all(|key| seen.count(key) > 0))
    })
    .await?;
    assert!(keys.iter().all(|key| seen.count(key) == 1), "{:?}", seen.keys.lock());
    let (headers, told) = seen.last.lock().clone().context("something was told")?;
    let signature = headers.get("breakerd-signature").context("it is signed")?.to_str()?;
    assert!(signature.starts_with("t=") && signature.contains(",v1="), "{signature}");
    assert_eq!(told["alert"]["breaker"], "pay/visa");
    server.terminate()?;
    Ok(())
}

#[tokio::test]
async fn a_receiver_that_is_dead_and_fails_and_recovers_gets_everything_once() -> anyhow::Result<()>
{
    let (folder, seen, mut tasks) = (tempfile::tempdir()?, Arc::<Seen>::default(), JoinSet::new());
    seen.fails.store(true, Ordering::Relaxed);
    let url = seen.serve(&mut tasks).await?;
    let config = configuration(folder.path(), "", &url)?;
    let (server, web) = start(folder.path(), &config)?;
    const BREAKERS: usize = 20;
    for number in 0..BREAKERS {
        trip(&web, &format!("pay/{number}")).await?;
    }
    let failures = "breakerd_alert_notification_failures_total{receiver=\"ops\"}";
    eventually("attempts fail", PATIENCE, async || Ok(server.metric(failures)? > 0)).await?;
    // Nobody else is kept waiting meanwhile.
    trip(&web, "pay/another").await?;
    fired(&web, "pay/another").await?;
    assert_eq!(alerts(&web, "STATE_CHANGE").await?.len(), BREAKERS + 1);
    seen.fails.store(false, Ordering::Relaxed);
    let delivered = "breakerd_alert_notifications_total{receiver=\"ops\"}";
    eventually("all of it was told", PATIENCE, async || {
        Ok(server.metric(delivered)? == BREAKERS as u64 + 1)
    })
    .await?;
    let keys = seen.keys.lock().clone();
    assert_eq!(keys.len(), BREAKERS + 1);
    assert!(keys.values().all(|count| *count == 1), "{keys:?}");
    server.terminate()?;
    Ok(())
}

#[tokio::test]
async fn what_was_not_told_when_the_server_was_killed_is_told_after_its_start_and_once()
-> anyhow::Result<()> {
    let (folder, seen, mut tasks) = (tempfile::tempdir()?, Arc::<Seen>::default(), JoinSet::new());
    let url = seen.serve(&mut tasks).await?;
    let config = configuration(folder.path(), "", &url)?;
    let (server, web) = start(folder.path(), &config)?;
    trip(&web, "pay/visa").await?;
    let delivered = "breakerd_alert_notifications_total{receiver=\"ops\"}";
    eventually("one was told", PATIENCE, async || Ok(server.metric(delivered)? == 1)).await?;
    seen.fails.store(true, Ordering::Relaxed);
    trip(&web, "pay/card").await?;
    let failures = "breakerd_alert_notification_failures_total{receiver=\"ops\"}";
    eventually("attempts fail", PATIENCE, async || Ok(server.metric(failures)? > 0)).await?;
    trip(&web, "pay/bank").await?;
    let (visa, card, bank) = (
        key(&fired(&web, "pay/visa").await?, "fired"),
        key(&fired(&web, "pay/card").await?, "fired"),
        key(&fired(&web, "pay/bank").await?, "fired"),
    );
    until_on_disk(&web).await?;
    server.kill()?;
    assert_eq!(*seen.keys.lock(), BTreeMap::from([(visa.clone(), 1)]));

    seen.recover().await;
    let (server, web) = start(folder.path(), &config)?;
    trip(&web, "pay/cash").await?;
    eventually("three were told", PATIENCE, async || Ok(server.metric(delivered)? == 3)).await?;
    let cash = key(&fired(&web, "pay/cash").await?, "fired");
    until_on_disk(&web).await?;
    server.kill()?;

    // Nor is anything told twice that was told while the server went down.
    let (server, web) = start(folder.path(), &config)?;
    trip(&web, "pay/gold").await?;
    let gold = key(&fired(&web, "pay/gold").await?, "fired");
    assert!(server.terminate()?.success());
    let (server, web) = start(folder.path(), &config)?;
    trip(&web, "pay/coin").await?;
    let coin = key(&fired(&web, "pay/coin").await?, "fired");
    eventually("the last was told", PATIENCE, async || Ok(seen.count(&coin) == 1)).await?;
    assert!(server.terminate()?.success());
    let once = [visa, card, bank, cash, gold, coin].map(|key| (key, 1));
    assert_eq!(*seen.keys.lock(), BTreeMap::from(once));
    Ok(())
}

#[tokio::test]
async fn what_a_leader_did_not_get_to_the_one_after_it_tells() -> anyhow::Result<()> {
    let database = Database::in_shared_cluster()?;
    let (folder, seen, mut tasks) = (tempfile::tempdir()?, Arc::<Seen>::default(), JoinSet::new());
    seen.fails.store(true, Ordering::Relaxed);
    let url = seen.serve(&mut tasks).await?;
    let config = configuration(folder.path(), "", &url)?;
    let arguments = ["--config".as_ref(), config.as_os_str()];
    let leader = Daemon::start_on(&database.url, arguments)?;
    let web = Web::of(&leader.http);
    eventually("it leads", PATIENCE, async || Ok(web.get("alerts").await?.0 == 200)).await?;
    let standby = Daemon::start_on(&database.url, arguments)?;
    trip(&web, "pay/visa").await?;
    let told = key(&fired(&web, "pay/visa").await?, "fired");
    let failures = "breakerd_alert_notification_failures_total{receiver=\"ops\"}";
    eventually("attempts fail", PATIENCE, async || Ok(leader.metric(failures)? > 0)).await?;
    until_on_disk(&web).await?;
    leader.kill()?;

    seen.recover().await;
    eventually("the other one tells", PATIENCE, async || Ok(seen.count(&told) > 0)).await?;
    assert!(standby.terminate()?.success());
    assert_eq!(*seen.keys.lock(), BTreeMap::from([(told, 1)]));
    Ok(())
}

#[tokio::test]
async fn alerts_and_who_has_seen_them_survive_a_kill() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let config = configuration(folder.path(), "", "http://127.0.0.1:9/nobody")?;
    let (server, web) = start(folder.path(), &config)?;
    trip(&web, "pay/visa").await?;
    trip(&web, "pay/card").await?;
    fired(&web, "pay/card").await?;
    let fired = fired(&web, "pay/visa").await?;
    let id = fired["id"].as_str().context("an alert has an id")?;
    let seen = breakerctl(&server, &["alerts", "ack", id, "--actor", "ann", "--comment", "mine"])?;
    assert!(seen.contains("ann: mine"), "{seen}");
    until_on_disk(&web).await?;
    server.kill()?;

    let (server, web) = start(folder.path(), &config)?;
    let all = alerts(&web, "STATE_CHANGE").await?;
    assert_eq!(all.len(), 2);
    let kept = all.iter().find(|alert| alert["id"] == id).context("it is kept")?;
    assert_eq!(kept["state"], "ALERT_STATE_FIRING");
    assert_eq!(kept["acknowledgement"]["comment"], "mine");
    let before = fired["revision"].as_str().context("a revision")?.parse::<u64>()?;
    reset(&web, "pay/*").await?;
    let over = until(&web, "STATE_CHANGE", "RESOLVED").await?;
    let after = over["revision"].as_str().context("a revision")?.parse::<u64>()?;
    assert!(after > before, "{after} comes after {before}");
    let shown = breakerctl(&server, &["alerts", "--severity", "high", "pay/*"])?;
    assert!(shown.contains("resolved") && shown.contains("pay/visa"), "{shown}");
    server.terminate()?;
    Ok(())
}

#[tokio::test]
async fn a_policy_says_which_rules_apply_and_at_once() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let config = configuration(folder.path(), "", "http://127.0.0.1:9/nobody")?;
    let (server, web) = start(folder.path(), &config)?;
    trip(&web, "pay/visa").await?;
    until(&web, "STATE_CHANGE", "FIRING").await?;
    breakerctl(
        &server,
        &["policy", "create", "quiet", "--match", "pay/*", "--alert", "state_change=false"],
    )?;
    until(&web, "STATE_CHANGE", "RESOLVED").await?;
    let explained = breakerctl(&server, &["policy", "explain", "pay/visa"])?;
    assert!(explained.contains("alerts.state_change"), "{explained}");

    let exported = breakerctl(&server, &["export"])?;
    assert!(exported.contains("state_change = false"), "{exported}");
    let file = folder.path().join("fleet.toml");
    std::fs::write(&file, exported.replace("state_change = false", "flapping = false"))?;
    let path = file.to_str().context("a path of a test is text")?;
    let applied = breakerctl(&server, &["apply", "-f", path, "--prune"])?;
    assert!(applied.contains("alerts.flapping"), "{applied}");
    reset(&web, "pay/visa").await?;
    trip(&web, "pay/visa").await?;
    until(&web, "STATE_CHANGE", "FIRING").await?;

    let bad = json!({ "name": "bad", "selector": "a/*", "alerts": { "flapping": { "count": 1 } } });
    let (code, error) = web.send(Method::POST, "policies", &bad).await?;
    assert_eq!(code, 400);
    assert!(error.to_string().contains("alerts.flapping.count"), "{error}");
    server.terminate()?;
    Ok(())
}

#[tokio::test]
async fn an_outage_that_was_restored_is_told_too() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let config =
        configuration(folder.path(), "prolonged_outage = \"1s\"", "http://127.0.0.1:9/nobody")?;
    let backup = folder.path().join("fleet.backup");
    let backup = backup.to_str().context("a path of a test is text")?;
    let (server, web) = start(folder.path(), &config)?;
    trip(&web, "pay/visa").await?;
    breakerctl(&server, &["backup", backup])?;
    server.terminate()?;

    let other = tempfile::tempdir()?;
    let (server, web) = start(other.path(), &config)?;
    breakerctl(&server, &["restore", backup])?;
    let outage = until(&web, "PROLONGED_OUTAGE", "FIRING").await?;
    assert_eq!(outage["breaker"], "pay/visa");
    server.terminate()?;
    Ok(())
}
