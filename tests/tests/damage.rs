//! What a server makes of a database that somebody has edited, and of a clock that was set back:
//! the real process, ended in every way.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use breaker_proto::v1::{self, Mode, Outcome, State};
use breaker_tests::{Clients, Daemon, acquire, create, report_of, run_of, selecting};
use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

/// How a breaker is damaged, and the column that is named.
const DAMAGE: [(&str, &str); 22] = [
    ("state = 'ajar'", "state"),
    ("state = CAST(x'ff' AS TEXT)", "state"),
    ("mode = 'forced'", "mode"),
    ("mode = 'disabled'", "override_set_at"),
    ("window_calls = x'010203'", "window_calls"),
    ("window_calls = zeroblob(16)", "window_calls"),
    ("window_buckets = '{\"buckets\": {\"wid'", "window_buckets"),
    ("memory = '{\"level\": 1, \"lev'", "memory"),
    ("own_config = '{\"failure_thre'", "own_config"),
    ("own_config = '{\"failure_treshold\": 1}'", "own_config"),
    ("state = 'half_open'", "permits"),
    ("state = 'half_open', permits = '[{\"id\": 1, \"dead'", "permits"),
    ("state = 'half_open', permits = '[]'", "probe_successes"),
    ("retry_at = NULL", "retry_at"),
    ("failure_count = -1", "failure_count"),
    ("consecutive_failures = 99999999999", "consecutive_failures"),
    ("recent_calls = 99999999999", "recent_calls"),
    ("generation = 0", "generation"),
    ("generation = -1", "generation"),
    ("revision = 9223372036854775807", "revision"),
    ("revision = -1", "revision"),
    ("config_revision = -1", "config_revision"),
];

const HOUR_NS: u64 = 3_600_000_000_000;

/// How a life of the server ends.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Sigterm,
    Kill9,
}

fn end(daemon: Daemon, how: End) -> anyhow::Result<()> {
    match how {
        End::Sigterm => anyhow::ensure!(daemon.terminate()?.success()),
        End::Kill9 => daemon.kill()?,
    }
    Ok(())
}

/// What somebody else does to the database.
async fn edit(database: &Path, sql: &str) -> anyhow::Result<()> {
    let options = SqliteConnectOptions::new().filename(database);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

async fn look(clients: &mut Clients, name: &str) -> anyhow::Result<v1::Breaker> {
    let request = v1::GetBreakerRequest { name: name.into() };
    Ok(clients.admin.get_breaker(request).await?.into_inner().breaker.unwrap_or_default())
}

/// A breaker without what changes from one look to the next, and over a crash.
async fn gist(clients: &mut Clients, name: &str) -> anyhow::Result<v1::Breaker> {
    let mut breaker = look(clients, name).await?;
    (breaker.time_in_state, breaker.retry_after) = (None, None);
    breaker.state.get_or_insert_default().revision = 0;
    Ok(breaker)
}

async fn trip(clients: &mut Clients, selector: &str) -> anyhow::Result<()> {
    let request = v1::TripRequest { target: selecting(selector) };
    let result = clients.admin.trip(request).await?.into_inner().result.unwrap_or_default();
    anyhow::ensure!(result.durable);
    Ok(())
}

fn threshold(failure_threshold: u32) -> v1::BreakerConfig {
    v1::BreakerConfig { failure_threshold: Some(failure_threshold), ..Default::default() }
}

fn policy(name: &str, selector: &str, config: v1::BreakerConfig) -> v1::CreatePolicyRequest {
    let (name, selector) = (name.into(), selector.into());
    v1::CreatePolicyRequest { name, selector, config: Some(config), ..Default::default() }
}

fn damaged(number: usize) -> String {
    format!("p/damaged-{number:02}")
}

/// Those that nobody damages: each in another state or mode.
const OTHERS: [&str; 5] = ["p/open", "p/closed", "p/forced", "q/own", "q/open"];

/// Breakers of every kind, the damaged ones OPEN, all of it on disk.
async fn set_up(clients: &mut Clients) -> anyhow::Result<()> {
    let nine = v1::BreakerConfig {
        window: Some(v1::Window { calls: 20, ..Default::default() }),
        ..threshold(9)
    };
    clients.admin.create_policy(policy("nine", "p/*", nine)).await?;
    let names = (0..DAMAGE.len()).map(damaged);
    for name in names.chain(OTHERS.map(str::to_owned)) {
        let own = if name == "q/own" { threshold(4) } else { Default::default() };
        clients.admin.create_breaker(create(&name, own)).await?;
        let runs = vec![run_of(Outcome::Success, 2), run_of(Outcome::Failure, 3)];
        clients.breakers.report(report_of(&name, 0, runs)).await?;
    }
    // Each change writes the counters with it.
    trip(clients, "**").await?;
    for name in ["p/closed", "q/own"] {
        clients.admin.reset(v1::ResetRequest { target: selecting(name) }).await?;
    }
    let request = v1::ForceOpenRequest { target: selecting("p/forced"), time_to_live: None };
    clients.admin.force_open(request).await?;
    Ok(())
}

fn lines(log: &str) -> Vec<Value> {
    log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

async fn damaged_breakers_start_closed_and_others_as_they_were(how: End) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("breakers.db");
    let daemon = Daemon::start(&database)?;
    let mut clients = daemon.clients()?;
    set_up(&mut clients).await?;
    let mut before = Vec::new();
    for name in OTHERS {
        before.push(gist(&mut clients, name).await?);
    }
    let was = look(&mut clients, &damaged(0)).await?.state.unwrap_or_default();
    end(daemon, how)?;
    for (number, (damage, _)) in DAMAGE.iter().enumerate() {
        let name = damaged(number);
        edit(&database, &format!("UPDATE breakers SET {damage} WHERE name = '{name}'")).await?;
    }

    let daemon = Daemon::start(&database)?;
    let mut clients = daemon.clients()?;
    for (name, before) in OTHERS.into_iter().zip(before) {
        assert_eq!(gist(&mut clients, name).await?, before, "{name}");
    }
    let mut healed = Vec::new();
    for (number, (damage, column)) in DAMAGE.into_iter().enumerate() {
        let breaker = look(&mut clients, &damaged(number)).await?;
        let state = breaker.state.clone().unwrap_or_default();
        assert_eq!(state.state, State::Closed as i32, "{damage}");
        assert_eq!(state.mode, Mode::Normal as i32, "{damage}");
        assert_eq!(breaker.policy, "nine", "{damage}");
        assert_eq!(
            state.config.as_ref().and_then(|config| config.failure_threshold),
            Some(9),
            "{damage}"
        );
        assert!(state.generation > was.generation, "{damage}: {}", state.generation);
        assert!(state.revision > was.revision, "{damage}: {}", state.revision);
        let leave = clients.breakers.acquire(acquire(&damaged(number))).await?.into_inner();
        assert!(leave.allowed, "{damage}, {column}");
        healed.push(state);
    }
    assert_rows_told(&daemon, DAMAGE.len())?;
    let log = lines(&daemon.terminate_and_tell()?);
    for (number, (damage, column)) in DAMAGE.into_iter().enumerate() {
        let told = |line: &&Value| line["breaker"] == damaged(number).as_str();
        let told: Vec<_> = log.iter().filter(told).collect();
        assert_eq!(told.len(), 1, "one line for {damage}: {told:?}");
        assert_eq!((&told[0]["level"], &told[0]["column"]), (&"ERROR".into(), &column.into()));
        assert!(told[0]["problem"].as_str().is_some_and(|problem| !problem.is_empty()));
    }

    let daemon = Daemon::start(&database)?;
    let mut clients = daemon.clients()?;
    assert_rows_told(&daemon, 0)?;
    for state in healed {
        let again = look(&mut clients, &state.name).await?.state.unwrap_or_default();
        assert_eq!(again, state, "it is written, and stays");
    }
    Ok(())
}

/// An error unless the metrics and the page for readiness tell of so many damaged rows.
fn assert_rows_told(daemon: &Daemon, count: usize) -> anyhow::Result<()> {
    let metrics = daemon.page("/metrics")?;
    let line = metrics.lines().find(|line| line.starts_with("breakerd_storage_damaged_rows "));
    let told = line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    anyhow::ensure!(told == Some(count as f64), "{line:?}");
    let ready: Value = serde_json::from_str(&daemon.page("/readyz")?)?;
    let told = (count > 0).then_some(count);
    anyhow::ensure!(ready["storage"].get("damaged_rows") == told.map(Value::from).as_ref());
    anyhow::ensure!(ready["status"] == "ready", "{ready}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_breakers_start_closed_and_others_as_they_were_after_sigterm() -> anyhow::Result<()>
{
    damaged_breakers_start_closed_and_others_as_they_were(End::Sigterm).await
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_breakers_start_closed_and_others_as_they_were_after_kill_9() -> anyhow::Result<()>
{
    damaged_breakers_start_closed_and_others_as_they_were(End::Kill9).await
}

/// Numbers that are those of a breaker all the same, and must not be believed.
#[tokio::test(flavor = "multi_thread")]
async fn absurd_numbers_keep_no_breaker_open_and_stop_no_counting() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("breakers.db");
    let daemon = Daemon::start(&database)?;
    let mut clients = daemon.clients()?;
    for name in ["a/centuries", "a/counts", "a/past"] {
        clients.admin.create_breaker(create(name, Default::default())).await?;
        clients.breakers.report(report_of(name, 0, vec![run_of(Outcome::Failure, 1)])).await?;
    }
    trip(&mut clients, "a/*").await?;
    end(daemon, End::Sigterm)?;
    let year_2500 = 16_725_225_600_000_000_000_u64.cast_signed();
    edit(
        &database,
        &format!("UPDATE breakers SET retry_at = {year_2500} WHERE name = 'a/centuries'"),
    )
    .await?;
    edit(&database, "UPDATE breakers SET retry_at = 0, since = 0 WHERE name = 'a/past'").await?;
    edit(
        &database,
        "UPDATE breakers SET successes = -1, failures = -1, timeouts = -1, ignored = -1, late = -1,
         denied = -1 WHERE name = 'a/counts'",
    )
    .await?;

    let daemon = Daemon::start(&database)?;
    let mut clients = daemon.clients()?;
    let centuries = look(&mut clients, "a/centuries").await?;
    assert_eq!(centuries.state.unwrap_or_default().state, State::Open as i32);
    assert!(centuries.retry_after.context("OPEN ends")?.seconds < 60);
    assert_eq!(
        look(&mut clients, "a/past").await?.state.unwrap_or_default().state,
        State::HalfOpen as i32
    );
    clients.breakers.report(report_of("a/counts", 1, vec![run_of(Outcome::Success, 3)])).await?;
    assert!(!clients.breakers.acquire(acquire("a/counts")).await?.into_inner().allowed);
    look(&mut clients, "a/counts").await?;
    let log = lines(&daemon.terminate_and_tell()?);
    let told = |line: &&Value| line["breaker"] == "a/centuries" && line["breakers"] == 1;
    assert_eq!(log.iter().filter(told).count(), 1, "{log:?}");
    Ok(())
}

/// Every time in the database an hour later: the clock was set back by an hour since.
fn an_hour_later() -> String {
    let columns = [
        "created_at",
        "since",
        "retry_at",
        "override_set_at",
        "override_expires_at",
        "last_failure_at",
    ];
    let columns = columns.map(|column| format!("{column} = {column} + {HOUR_NS}")).join(", ");
    format!(
        "UPDATE breakers SET {columns};
         UPDATE breakers SET memory = json_set(memory, '$.level_since',
             json_extract(memory, '$.level_since') + {HOUR_NS});
         UPDATE breakers SET permits = (SELECT json_group_array(json_object(
             'id', json_extract(value, '$.id'),
             'deadline', json_extract(value, '$.deadline') + {HOUR_NS})) FROM json_each(permits))
             WHERE permits IS NOT NULL;
         UPDATE transitions SET at = at + {HOUR_NS};"
    )
}

async fn nothing_lasts_longer_under_a_clock_that_was_set_back(how: End) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("breakers.db");
    let daemon = Daemon::start(&database)?;
    let mut clients = daemon.clients()?;
    let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
    let short = v1::BreakerConfig { open_duration: seconds(3), ..Default::default() };
    let probing = v1::BreakerConfig {
        max_probes: Some(1),
        success_threshold: Some(1),
        call_timeout: seconds(4),
        open_duration: Some(prost_types::Duration { seconds: 0, nanos: 1_000_000 }),
        ..Default::default()
    };
    clients.admin.create_breaker(create("a/minute", Default::default())).await?;
    clients.admin.create_breaker(create("a/probing", probing.clone())).await?;
    trip(&mut clients, "a/*").await?;
    let request = v1::ForceOpenRequest { target: selecting("a/forced"), time_to_live: seconds(90) };
    clients.admin.create_breaker(create("a/forced", Default::default())).await?;
    clients.admin.force_open(request).await?;
    probe(&mut clients).await?;
    // The change writes the permit with it.
    let request = v1::UpdateBreakerRequest {
        name: "a/probing".into(),
        config: Some(probing),
        update_mask: Some(prost_types::FieldMask { paths: vec!["call_timeout".into()] }),
        require_durable: true,
        ..Default::default()
    };
    clients.admin.update_breaker(request).await?;
    clients.admin.create_breaker(create("a/seconds", short)).await?;
    let minute = look(&mut clients, "a/minute").await?;
    trip(&mut clients, "a/seconds").await?;
    let latest = latest_transition(&mut clients).await?;
    end(daemon, how)?;
    edit(&database, &an_hour_later()).await?;

    let daemon = Daemon::start(&database)?;
    let mut clients = daemon.clients()?;
    let is = look(&mut clients, "a/minute").await?;
    let (was, now) = (minute.state.unwrap_or_default(), is.state.unwrap_or_default());
    assert_eq!((now.state, now.generation), (State::Open as i32, was.generation));
    assert!(is.retry_after.context("OPEN ends")?.seconds < 60, "no longer than its open duration");
    let forced = look(&mut clients, "a/forced").await?.state.unwrap_or_default();
    assert_eq!(forced.mode, Mode::ForcedOpen as i32);
    let until = forced.override_expire_time.context("it has an end")?.seconds
        - forced.since.unwrap_or_default().seconds;
    assert!((89..=91).contains(&until), "{until} s");
    // What was to end within seconds does, and not after an hour.
    let request = v1::WatchTransitionsRequest { after: Some(latest), ..Default::default() };
    let mut stream = clients.admin.watch_transitions(request).await?.into_inner();
    let mut waits = vec!["a/seconds", "a/probing"];
    let seen = tokio::time::timeout(Duration::from_secs(60), async {
        while !waits.is_empty() {
            let message = stream.message().await?.unwrap_or_default();
            for transition in message.transitions {
                waits.retain(|name| *name != transition.breaker);
            }
        }
        anyhow::Ok(())
    });
    seen.await??;
    drop(stream);
    let log = lines(&daemon.terminate_and_tell()?);
    let told = |line: &&Value| line["level"] == "WARN" && line["breakers"] == 4;
    assert_eq!(log.iter().filter(told).count(), 1, "one line for all: {log:?}");
    Ok(())
}

/// Takes a permit and never comes back.
async fn probe(clients: &mut Clients) -> anyhow::Result<()> {
    loop {
        let leave = clients.breakers.acquire(acquire("a/probing")).await?.into_inner();
        if leave.permit.is_some() {
            return Ok(());
        }
        anyhow::ensure!(!leave.allowed, "it is not HALF_OPEN");
    }
}

async fn latest_transition(clients: &mut Clients) -> anyhow::Result<u64> {
    let request = v1::ListTransitionsRequest { page_size: 1, ..Default::default() };
    let page = clients.admin.list_transitions(request).await?.into_inner();
    Ok(page.transitions.first().map_or(0, |transition| transition.id))
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_lasts_longer_under_a_clock_that_was_set_back_after_sigterm() -> anyhow::Result<()>
{
    nothing_lasts_longer_under_a_clock_that_was_set_back(End::Sigterm).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_lasts_longer_under_a_clock_that_was_set_back_after_kill_9() -> anyhow::Result<()> {
    nothing_lasts_longer_under_a_clock_that_was_set_back(End::Kill9).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_starts_without_damaged_policies_and_shows_the_rest_of_the_history()
-> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("breakers.db");
    let daemon = Daemon::start(&database)?;
    let mut clients = daemon.clients()?;
    for (name, selector, failures) in [("kept", "a/*", 7), ("lost", "a/b", 9)] {
        clients.admin.create_policy(policy(name, selector, threshold(failures))).await?;
    }
    clients.admin.create_breaker(create("a/b", Default::default())).await?;
    for _ in 0..3 {
        trip(&mut clients, "a/b").await?;
        clients.admin.reset(v1::ResetRequest { target: selecting("a/b") }).await?;
    }
    end(daemon, End::Sigterm)?;
    edit(&database, "UPDATE policies SET config = '{\"failure_thr' WHERE name = 'lost'").await?;
    edit(
        &database,
        "UPDATE transitions SET cause = 'whim' WHERE to_state = 'closed';
         UPDATE breakers SET name = 'A B' WHERE name = 'a/b'",
    )
    .await?;

    let daemon = Daemon::start(&database)?;
    let mut clients = daemon.clients()?;
    assert_rows_told(&daemon, 2)?;
    assert!(look(&mut clients, "a/b").await.is_err(), "its row does not tell whose it is");
    assert!(clients.breakers.acquire(acquire("a/b")).await?.into_inner().allowed);
    assert_eq!(look(&mut clients, "a/b").await?.policy, "kept");
    let mut request = v1::ListTransitionsRequest { page_size: 1, ..Default::default() };
    let mut listed = Vec::new();
    loop {
        let page = clients.admin.list_transitions(request.clone()).await?.into_inner();
        listed.extend(page.transitions.into_iter().map(|transition| transition.to_state));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, [State::Open as i32; 3], "the others are damaged");
    assert_rows_told(&daemon, 5)?;
    let created = clients.admin.create_policy(policy("lost", "a/b", threshold(9))).await?;
    assert!(created.into_inner().durable, "it takes the place of the damaged one");
    let log = lines(&daemon.terminate_and_tell()?);
    let told = |key: &str, value: &str| log.iter().filter(|line| line[key] == value).count();
    assert_eq!((told("policy", "lost"), told("column", "config")), (1, 1));
    assert_eq!(told("column", "name"), 1, "the breaker of nobody");
    assert!(told("column", "cause") > 0);

    let daemon = Daemon::start(&database)?;
    let mut clients = daemon.clients()?;
    assert_eq!(look(&mut clients, "a/b").await?.policy, "lost");
    assert_rows_told(&daemon, 1)?;
    Ok(())
}
