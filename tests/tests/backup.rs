//! `breakerctl backup` and `restore` on real servers: from SQLite to Postgres and back, with the
//! files that must not get through.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use breaker_proto::leader::NotLeader;
use breaker_proto::v1::{self, Outcome, State};
use breaker_tests::{Clients, Daemon, acquire, binary, report_of, run_of, selecting, states_in};
use serde_json::Value;
use tempfile::TempDir;
use throwaway_postgres::Database;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// Levels that stay open for longer than a test takes.
const LEVELS: &str = "levels=[\
    { name = \"warning\", failure_threshold = 3, open_duration = \"10m\", success_threshold = 2 }, \
    { name = \"critical\", failure_threshold = 7, open_duration = \"20m\", success_threshold = 3 }]";

/// Breakers of every kind, each with the values of its own.
const BREAKERS: [(&str, &[&str]); 10] = [
    ("p/closed", &[]),
    ("p/open", &["open_duration=10m"]),
    ("p/half", &["call_timeout=5m"]),
    ("p/forced", &[]),
    ("p/disabled", &[]),
    ("p/shadow", &[]),
    ("l/levels", &[LEVELS]),
    ("a/adaptive", &["adaptive=true", "open_duration=5m", "window={ duration = \"60m\" }"]),
    ("q/quorum", &["min_reporters=2", "failure_threshold=4", "failure_errors=[\"http.5*\"]"]),
    ("d/gone", &[]),
];

fn breakerctl(daemon: &Daemon, arguments: &[&str]) -> anyhow::Result<Output> {
    let mut command = Command::new(binary("breakerctl")?);
    Ok(command.env("BREAKERD_ADDRESS", &daemon.grpc).args(arguments).output()?)
}

/// Runs a command that has to succeed; returns what it says on the standard error.
fn run(daemon: &Daemon, arguments: &[&str]) -> anyhow::Result<String> {
    let output = breakerctl(daemon, arguments)?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(output.status.success(), "{arguments:?}: {}: {said}", output.status);
    Ok(said)
}

/// Runs a command that has to fail; returns its exit code and what it says.
fn refusal(daemon: &Daemon, arguments: &[&str]) -> anyhow::Result<(Option<i32>, String)> {
    let output = breakerctl(daemon, arguments)?;
    ensure!(!output.status.success(), "{arguments:?}");
    Ok((output.status.code(), String::from_utf8(output.stderr)?))
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a path is text")
}

async fn report(
    clients: &mut Clients,
    name: &str,
    by: &str,
    runs: Vec<v1::Run>,
) -> anyhow::Result<()> {
    let report = v1::ReportRequest { reporter_id: by.into(), ..report_of(name, 0, runs) };
    clients.breakers.report(report).await?;
    Ok(())
}

/// A server of which every breaker is in another state.
async fn fill(daemon: &Daemon) -> anyhow::Result<()> {
    run(
        daemon,
        &["policy", "create", "payments", "--match", "p/*", "--set", "failure_threshold=3"],
    )?;
    run(daemon, &["policy", "create", "rest", "--match", "**", "--priority", "-1"])?;
    run(daemon, &["policy", "update", "payments", "--set", "max_probes=2"])?;
    for (name, values) in BREAKERS {
        let mut line = vec!["create", name];
        values.iter().for_each(|value| line.extend(["--set", value]));
        run(daemon, &line)?;
    }
    let mut clients = daemon.clients()?;
    for (name, _) in BREAKERS {
        let mut failure = run_of(Outcome::Failure, 1);
        failure.error_kind = "http.503".into();
        let runs = vec![run_of(Outcome::Success, 7), failure, run_of(Outcome::Ignored, 2)];
        report(&mut clients, name, "one", runs).await?;
    }
    for name in ["p/open", "l/levels", "a/adaptive"] {
        report(&mut clients, name, "two", vec![run_of(Outcome::Timeout, 9)]).await?;
        clients.breakers.acquire(acquire(name)).await?;
    }
    run(daemon, &["force-open", "p/half", "--reason", "a drill ✓"])?;
    run(daemon, &["release", "p/half"])?;
    let probe = clients.breakers.acquire(acquire("p/half")).await?.into_inner();
    ensure!(probe.permit.is_some());
    run(daemon, &["force-open", "p/forced", "--ttl", "1h", "--reason", "maintenance"])?;
    run(daemon, &["disable", "p/disabled"])?;
    run(daemon, &["shadow", "p/shadow", "--ttl", "2h"])?;
    run(daemon, &["trip", "d/gone"])?;
    run(daemon, &["delete", "d/gone"])?;
    Ok(())
}

/// All that a server shows, without what differs between servers and from one moment to the next.
#[derive(Debug, PartialEq)]
struct World {
    breakers: Vec<v1::Breaker>,
    explained: Vec<v1::ExplainConfigResponse>,
    policies: Vec<v1::Policy>,
    transitions: Vec<v1::Transition>,
}

async fn look(clients: &mut Clients) -> anyhow::Result<World> {
    let request = v1::ListBreakersRequest { page_size: 1_000, ..Default::default() };
    let mut breakers = clients.admin.list_breakers(request).await?.into_inner().breakers;
    let mut explained = Vec::new();
    for breaker in &mut breakers {
        (breaker.time_in_state, breaker.retry_after) = (None, None);
        breaker.state.get_or_insert_default().revision = 0;
        let request = v1::ExplainConfigRequest { name: breaker.name.clone() };
        explained.push(clients.admin.explain_config(request).await?.into_inner());
    }
    let request = v1::ListPoliciesRequest { page_size: 1_000, ..Default::default() };
    let policies = clients.admin.list_policies(request).await?.into_inner().policies;
    let transitions = transitions(clients).await?;
    Ok(World { breakers, explained, policies, transitions })
}

/// Counters can be seconds old after a crash.
fn without_denied(mut world: World) -> World {
    for breaker in &mut world.breakers {
        breaker.metrics.get_or_insert_default().denied = 0;
    }
    world
}

fn check_same(found: &World, expected: &World) {
    for (found, expected) in found.breakers.iter().zip(&expected.breakers) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.transitions, expected.transitions);
    assert_eq!(found, expected);
}

async fn transitions(clients: &mut Clients) -> anyhow::Result<Vec<v1::Transition>> {
    let request = v1::ListTransitionsRequest { page_size: 1_000, ..Default::default() };
    Ok(clients.admin.list_transitions(request).await?.into_inner().transitions)
}

/// How long a breaker stays OPEN.
async fn retry_after(clients: &mut Clients, name: &str) -> anyhow::Result<Duration> {
    let request = v1::GetBreakerRequest { name: name.into() };
    let breaker = clients.admin.get_breaker(request).await?.into_inner().breaker;
    let breaker = breaker.context("there is one")?;
    ensure!(breaker.state.context("it has a state")?.state() == State::Open);
    Ok(breaker.retry_after.context("it is OPEN")?.try_into()?)
}

async fn highest_revision(clients: &mut Clients) -> anyhow::Result<u64> {
    let states = states_in(&mut clients.admin).await?;
    Ok(states.values().map(|shown| shown.revision).max().unwrap_or(0))
}

/// Takes a backup at one server, fills the other with it, and finds everything there.
async fn move_over(from: &Daemon, to: &Daemon, file: &Path) -> anyhow::Result<()> {
    let (mut old, mut new) = (from.clients()?, to.clients()?);
    let mut watch = new.breakers.watch(v1::WatchRequest::default()).await?.into_inner();
    let remaining = retry_after(&mut old, "p/open").await?;
    let said = run(from, &["backup", text(file)?])?;
    ensure!(said.contains("wrote policies: 2, breakers: 9, transitions: "), "{said}");
    let said = run(to, &["restore", text(file)?])?;
    ensure!(said.contains("restored policies: 2, breakers: 9, transitions: "), "{said}");

    check_same(&look(&mut new).await?, &look(&mut old).await?);
    let restored = retry_after(&mut new, "p/open").await?;
    assert!(
        restored <= remaining && restored + Duration::from_secs(60) > remaining,
        "{restored:?}"
    );
    assert!(!new.breakers.acquire(acquire("p/open")).await?.into_inner().allowed);
    // Whoever has followed the old server takes what the new one says for news.
    let shown = highest_revision(&mut old).await?;
    let states = states_in(&mut new.admin).await?;
    assert!(states.values().all(|now| now.revision > shown), "{states:?}");
    let mut seen = BTreeMap::new();
    while seen.len() < states.len() {
        let message = watch.message().await?.context("the watch goes on")?;
        seen.extend(message.changed.into_iter().map(|state| (state.name.clone(), state)));
    }
    assert!(seen.values().all(|state| states[&state.name].revision == state.revision));
    Ok(())
}

#[tokio::test]
async fn a_server_moves_from_sqlite_to_postgres_and_back() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let sqlite = Daemon::start(&folder.path().join("old.db"))?;
    fill(&sqlite).await?;
    let database = Database::in_shared_cluster()?;
    let postgres = Daemon::start_on(&database.url, [] as [&str; 0])?;
    leads(&postgres).await?;
    move_over(&sqlite, &postgres, &folder.path().join("up")).await?;

    let before = without_denied(look(&mut postgres.clients()?).await?);
    let remaining = retry_after(&mut postgres.clients()?, "p/open").await?;
    let shown = highest_revision(&mut postgres.clients()?).await?;
    postgres.kill()?;
    let postgres = Daemon::start_on(&database.url, [] as [&str; 0])?;
    leads(&postgres).await?;
    let mut clients = postgres.clients()?;
    check_same(&without_denied(look(&mut clients).await?), &before);
    assert!(retry_after(&mut clients, "p/open").await? <= remaining);
    assert!(highest_revision(&mut clients).await? > shown);

    let back = Daemon::start(&folder.path().join("new.db"))?;
    move_over(&postgres, &back, &folder.path().join("down")).await?;
    // What happens from now on comes after all that is restored.
    let known = transitions(&mut back.clients()?).await?;
    run(&back, &["trip", "p/closed"])?;
    let all = transitions(&mut back.clients()?).await?;
    assert_eq!(&all[1..], known);
    assert!(all[0].id > known.iter().map(|transition| transition.id).max().unwrap_or(0));
    assert!(back.terminate()?.success());
    Ok(())
}

/// Waits until a server leads.
async fn leads(daemon: &Daemon) -> anyhow::Result<()> {
    run(daemon, &["--timeout", "30s", "list"])?;
    Ok(())
}

/// A backup of a server, as text.
async fn sample(folder: &TempDir) -> anyhow::Result<String> {
    let daemon = Daemon::start(&folder.path().join("sample.db"))?;
    fill(&daemon).await?;
    let output = breakerctl(&daemon, &["backup", "-"])?;
    ensure!(output.status.success());
    assert!(daemon.terminate()?.success());
    Ok(String::from_utf8(output.stdout)?)
}

/// Sends a text as it is, without a look at it.
async fn restore(clients: &mut Clients, text: &str) -> Result<v1::RestoreResponse, Status> {
    let pieces: Vec<_> = text
        .as_bytes()
        .chunks(1_500)
        .map(|data| v1::RestoreRequest { data: data.to_vec() })
        .collect();
    let answer = clients.admin.restore(futures::stream::iter(pieces)).await;
    answer.map(tonic::Response::into_inner)
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

#[tokio::test]
async fn a_line_that_cannot_be_understood_is_named_and_changes_nothing() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let sample = sample(&folder).await?;
    let daemon = Daemon::start(&folder.path().join("target.db"))?;
    let mut clients = daemon.clients()?;
    let lines: Vec<_> = sample.lines().collect();
    let with = |from: &str, to: &str| sample.replacen(from, to, 1);
    let without_history = |end: &str| [&lines[..12].join("\n"), "\n", end].concat();
    let first = lines[3].trim_end_matches('}');
    for (altered, told) in [
        (
            with("\"breakerd_backup\":1", "\"breakerd_backup\":2"),
            "line 1: the backup has the format 2",
        ),
        (with("{\"breakerd_backup\"", "{\"x\""), "line 1: this is no backup of breakerd"),
        (with("\"incarnation\":", "\"incarnation\":99999999"), "line 1: incarnation is too high"),
        (with("\"incarnation\":", "\"whim\":1,\"incarnation\":"), "line 1: unknown field `whim`"),
        (
            with("{\"breaker\":{", "{\"breaker\":{\"whim\":1,"),
            "line 4: column whim: it is not known",
        ),
        (with("{\"breaker\":", "{\"brake\":"), "line 4: `brake` is not known"),
        (sample.replacen(lines[3], first, 1), "line 4: it is not JSON: "),
        (with(lines[3], &format!("{}\n{}", lines[3], lines[3])), "line 5: breaker `"),
        (
            with(lines[1], &format!("{}\n{}", lines[1], lines[1])),
            "line 3: policy `payments` comes twice",
        ),
        (with("\"state\":\"open\"", "\"state\":\"ajar\""), "column state: `ajar` is not a state"),
        (with("\"state\":\"open\",", ""), "column state: it is NULL"),
        (with("\"generation\":", "\"generation\":-"), "column generation: "),
        (
            with("\"successes\":7", "\"successes\":\"7\""),
            "column successes: a text is not a whole number",
        ),
        (
            with("\"successes\":7", "\"successes\":7.5"),
            "column successes: 7.5 is not a whole number",
        ),
        (
            with("\"successes\":7", "\"successes\":7,\"successes\":7"),
            "column successes: it comes twice",
        ),
        (
            with("\"window_calls\":\"", "\"window_calls\":\"?"),
            "column window_calls: the text is not bytes",
        ),
        (with("\"mode\":\"shadow\"", "\"mode\":\"odd\""), "column mode: `odd` is not a mode"),
        (without_history(""), "line 13: the backup was cut off"),
        (
            without_history("{\"end\":{\"policies\":2,\"breakers\":10,\"transitions\":0}}\n"),
            "line 13: the backup has 2 policies, 9 breakers and 0 transitions, and should have 2",
        ),
    ] {
        ensure!(altered != sample, "{told}");
        let status = restore(&mut clients, &altered).await.err().context(told)?;
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert!(status.message().contains(told), "{told}: {}", status.message());
    }
    assert_eq!(look(&mut clients).await?.breakers, []);
    let restored = restore(&mut clients, &sample).await?;
    assert_eq!((restored.policies, restored.breakers), (2, 9));
    assert!(daemon.terminate()?.success());
    Ok(())
}

#[tokio::test]
async fn a_server_that_holds_anything_is_not_filled() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let sample = sample(&folder).await?;
    let file = folder.path().join("sample");
    std::fs::write(&file, &sample)?;
    let refused = |daemon: &Daemon, told: &str| {
        let (code, said) = refusal(daemon, &["restore", text(&file)?])?;
        ensure!(code == Some(1) && said.contains(told), "{told}: {code:?} {said}");
        ensure!(said.contains("start a server on an empty database"), "{said}");
        anyhow::Ok(())
    };
    let daemon = Daemon::start(&folder.path().join("a.db"))?;
    run(&daemon, &["create", "a/b"])?;
    refused(&daemon, "the server holds 1 breaker, and")?;
    run(&daemon, &["trip", "a/b"])?;
    run(&daemon, &["delete", "a/b"])?;
    refused(&daemon, "the server holds a history, and")?;
    let daemon = Daemon::start(&folder.path().join("b.db"))?;
    run(&daemon, &["policy", "create", "p", "--match", "**"])?;
    refused(&daemon, "the server holds 1 policy, and")?;
    run(&daemon, &["policy", "delete", "p"])?;
    run(&daemon, &["restore", text(&file)?])?;
    refused(&daemon, "the server holds 2 policies, 9 breakers, a history, and")?;
    Ok(())
}

#[tokio::test]
async fn a_database_with_a_part_of_a_backup_is_of_no_use() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let sample = sample(&folder).await?;
    // More than fits into one commit, and a bad one after them.
    let (head, _) = sample.split_once("{\"transition\"").context("there is a history")?;
    let last = sample.lines().find(|line| line.starts_with("{\"transition\"")).context("so")?;
    let (_, rest) = last.split_once(",\"breaker\"").context("the id comes first")?;
    let transition = |id: usize| format!("{{\"transition\":{{\"id\":{id},\"breaker\"{rest}\n");
    let history: String = (1..=6_000).map(transition).collect();
    let broken = format!("{head}{history}{}", transition(6_000));

    let path = folder.path().join("target.db");
    let daemon = Daemon::start(&path)?;
    let mut clients = daemon.clients()?;
    let status = restore(&mut clients, &broken).await.err().context("it is refused")?;
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::InvalidArgument, "RESTORE_FAILED")
    );
    for told in [
        "column id: 6000 does not lie above 6000",
        "2 policies, 0 breakers and 5",
        "throw the database away",
    ] {
        assert!(status.message().contains(told), "{told}: {}", status.message());
    }
    let status = restore(&mut clients, &sample).await.err().context("it is refused")?;
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::FailedPrecondition, "RESTORE_FAILED")
    );
    let status = clients.breakers.acquire(acquire("a/b")).await.err().context("nothing is made")?;
    assert_eq!(status.code(), Code::FailedPrecondition);
    daemon.terminate()?;
    let error = Daemon::start(&path).err().context("no server starts on it")?.to_string();
    assert!(error.contains("a restore into this database did not end"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_file_bears_its_name_once_it_is_complete() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let daemon = Daemon::start(&folder.path().join("old.db"))?;
    fill(&daemon).await?;
    let files = TempDir::new()?;
    let file = files.path().join("backup");
    std::fs::write(&file, "mine")?;
    let (code, said) = refusal(&daemon, &["backup", text(&file)?])?;
    assert!(code == Some(2) && said.contains("--force takes its place"), "{code:?} {said}");
    assert_eq!(std::fs::read_to_string(&file)?, "mine");
    run(&daemon, &["backup", text(&file)?, "--force", "--without-history"])?;
    let backup = std::fs::read_to_string(&file)?;
    assert!(
        backup.ends_with("{\"end\":{\"policies\":2,\"breakers\":9,\"transitions\":0}}\n"),
        "{backup}"
    );

    std::fs::write(&file, &backup[..backup.len() - 9])?;
    let target = Daemon::start(&folder.path().join("new.db"))?;
    let (code, said) = refusal(&target, &["restore", text(&file)?])?;
    assert!(code == Some(1) && said.contains("it was cut off after 12 lines"), "{code:?} {said}");
    assert!(!target.log().contains("restored"), "it was not even sent");

    let mut piped = Command::new(binary("breakerctl")?)
        .args(["--address", &target.grpc, "restore", "-"])
        .stdin(Stdio::piped())
        .spawn()?;
    std::io::Write::write_all(&mut piped.stdin.take().context("it is piped")?, backup.as_bytes())?;
    assert!(piped.wait()?.success());
    assert_eq!(look(&mut target.clients()?).await?.transitions, []);
    // What is not there is said to be gone, not to have never been.
    let request = v1::WatchTransitionsRequest { after: Some(0), ..Default::default() };
    let mut stream = target.clients()?.admin.watch_transitions(request).await?.into_inner();
    assert_eq!(stream.message().await.err().context("it is gone")?.code(), Code::OutOfRange);

    daemon.kill()?;
    let other = files.path().join("other");
    let gone = Command::new(binary("breakerctl")?)
        .args(["--address", "127.0.0.1:1", "backup", text(&other)?])
        .output()?;
    assert_eq!(gone.status.code(), Some(69));
    let left: Vec<_> = std::fs::read_dir(files.path())?.collect::<Result<_, _>>()?;
    assert_eq!(left.len(), 1, "{left:?}");
    Ok(())
}

#[tokio::test]
async fn a_server_that_stands_by_names_the_leader() -> anyhow::Result<()> {
    let database = Database::in_shared_cluster()?;
    let leader = Daemon::start_on(&database.url, [] as [&str; 0])?;
    leads(&leader).await?;
    run(&leader, &["create", "a/b"])?;
    let standby = Daemon::start_on(&database.url, [] as [&str; 0])?;
    let mut clients = standby.clients()?;
    let backup = clients.admin.backup(v1::BackupRequest::default()).await;
    let restore = restore(&mut clients, "").await;
    for status in [backup.err(), restore.err()] {
        let not_leader = NotLeader::of(&status.context("it stands by")?);
        assert_eq!(not_leader.context("it says so")?.leader, Some(leader.grpc.clone()));
    }
    let output = breakerctl(&standby, &["backup", "-"])?;
    assert!(output.status.success(), "breakerctl goes to the leader");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_breaker_of_a_busy_server_is_ahead_of_its_history() -> anyhow::Result<()> {
    let folder = TempDir::new()?;
    let daemon = Daemon::start(&folder.path().join("busy.db"))?;
    let names: Vec<_> = (0..300).map(|number| format!("busy/{number}")).collect();
    let mut clients = daemon.clients()?;
    for name in &names {
        clients.breakers.acquire(acquire(name)).await?;
    }
    let change = {
        let mut clients = daemon.clients()?;
        tokio::spawn(async move {
            for name in names.iter().cycle() {
                let trip = v1::TripRequest { target: selecting(name) };
                let reset = v1::ResetRequest { target: selecting(name) };
                let mut other = clients.clone();
                let changed = tokio::join!(clients.admin.trip(trip), other.admin.reset(reset));
                if changed.0.is_err() || changed.1.is_err() {
                    return;
                }
            }
        })
    };
    let mut states = BTreeMap::new();
    let mut last = BTreeMap::new();
    for _ in 0..20 {
        states.clear();
        last.clear();
        let output = breakerctl(&daemon, &["backup", "-"])?;
        for line in String::from_utf8(output.stdout)?.lines() {
            let line: Value = serde_json::from_str(line)?;
            let revision = |row: &Value| row["revision"].as_u64().unwrap_or(0);
            if let Some(row) = line.get("breaker") {
                states.insert(row["name"].to_string(), (revision(row), row["state"].clone()));
            } else if let Some(row) = line.get("transition") {
                let name = row["breaker"].to_string();
                if states.get(&name).is_some_and(|(until, _)| revision(row) <= *until) {
                    last.insert(name, row["to_state"].clone());
                }
            }
        }
        assert_eq!(states.len(), 300);
        for (name, (_, state)) in &states {
            assert_eq!(last.get(name).unwrap_or(&Value::from("closed")), state, "{name}");
        }
    }
    assert!(last.len() > 10, "something happened: {}", last.len());
    change.abort();
    Ok(())
}
