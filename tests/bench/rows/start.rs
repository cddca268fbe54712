//! How long a server takes to be ready on a full database, and how much memory it then has.
//!
//! For SQLite and Postgres: a database with a million breakers, one in a hundred of them OPEN, is
//! filled by SQL; then the real `breakerd` is started on it, without and with a long history.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use breaker_tests::Daemon;
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use throwaway_postgres::{Cluster, Database};
use tokio::runtime::Builder;

use crate::clock;
use crate::figure::{Figure, Goal};

const BREAKERS: u32 = 1_000_000;
const HISTORY: u32 = 2_000_000;
const MAX_READY_S: f64 = 10.0;
const MAX_MEMORY_MIB: f64 = 512.0;

/// The columns of a breaker that cannot be NULL, and what an idle one has there.
fn breakers(numbers: &str) -> String {
    format!(
        "INSERT INTO breakers (name, revision, config_revision, created_at, state, since, \
         generation, retry_at, failure_count, consecutive_failures, mode, own_config, successes, \
         failures, timeouts, ignored, late, denied, recent_calls) \
         SELECT 'team-' || (n % 100) || '/service-' || n, n % 50 + 2, 1, 1700000000000000000, \
         CASE WHEN n % 100 = 0 THEN 'open' ELSE 'closed' END, 1700000000000000000, 3, \
         CASE WHEN n % 100 = 0 THEN 1700000060000000000 END, 0, 0, 'normal', '{{}}', 0, 0, 0, 0, \
         0, 0, 0 FROM {numbers}"
    )
}

fn history(numbers: &str) -> String {
    format!(
        "INSERT INTO transitions (id, breaker, revision, generation, from_state, to_state, \
         from_mode, to_mode, cause, actor, reason, at, failure_count, consecutive_failures, \
         success_count, window_calls, window_failures) \
         SELECT n + 1000000000, 'team-' || (n % 100) || '/service-' || n, 2, 2, 'closed', 'open', 'normal', \
         'normal', 'failure_threshold', '', '', 1750000000000000000 + n, 5, 5, 0, 100, 5 \
         FROM {numbers}"
    )
}

pub(crate) fn measure() -> anyhow::Result<Vec<Figure>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut figures = runtime.block_on(sqlite())?;
    figures.extend(postgres()?);
    Ok(figures)
}

async fn sqlite() -> anyhow::Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}", folder.path().join("breakerd.db").display());
    // Makes the tables.
    Daemon::start_on(&url, [] as [&str; 0])?.terminate()?;
    let numbers = |count: u32| {
        format!(
            "(WITH RECURSIVE numbers (n) AS \
             (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}) \
             SELECT n FROM numbers)"
        )
    };
    let fill = async |sql: String| -> anyhow::Result<()> {
        let mut connection = SqliteConnection::connect(&url).await?;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
        Ok(connection.close().await?)
    };
    fill(breakers(&numbers(BREAKERS))).await?;
    let mut figures = start("SQLite", 0, &url)?;
    fill(history(&numbers(HISTORY))).await?;
    figures.extend(start("SQLite", HISTORY, &url)?);
    Ok(figures)
}

fn postgres() -> anyhow::Result<Vec<Figure>> {
    let cluster = Cluster::start()?;
    let database: Database = cluster.database()?;
    Daemon::start_on(&database.url, [] as [&str; 0])?.terminate()?;
    let numbers = |count: u32| format!("generate_series(1, {count}) AS numbers (n)");
    database.query(&breakers(&numbers(BREAKERS)))?;
    let mut figures = start("Postgres", 0, &database.url)?;
    database.query(&history(&numbers(HISTORY)))?;
    figures.extend(start("Postgres", HISTORY, &database.url)?);
    Ok(figures)
}

/// Starts a server, sees how long it takes to be ready, and ends it.
fn start(database: &str, history: u32, url: &str) -> anyhow::Result<Vec<Figure>> {
    let began = clock::now();
    let daemon = Daemon::start_on(url, [] as [&str; 0])?;
    // It listens once everything is loaded, or before that if it has to wait for the lead.
    while !daemon.page("/readyz")?.contains("\"ready\"") {
        std::thread::sleep(Duration::from_millis(10));
    }
    let ready = began.elapsed();
    // What is recorded after the start is counted, too.
    std::thread::sleep(Duration::from_secs(2));
    let memory = resident_mib(daemon.process_id())?;
    eprintln!("{database}, {history} transitions: ready in {ready:.2?}, {memory} MiB");
    let status = daemon.terminate()?;
    anyhow::ensure!(status.success(), "breakerd ended with {status}");
    let on = format!("{BREAKERS} breakers in {database}, {history} transitions:");
    Ok(vec![
        Figure::new(&format!("{on} ready"), ready.as_secs_f64(), "s")
            .with(Goal::AtMost(MAX_READY_S)),
        Figure::new(&format!("{on} memory"), memory as f64, "MiB")
            .with(Goal::AtMost(MAX_MEMORY_MIB)),
    ])
}

/// The most memory that the process has had resident.
fn resident_mib(process: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).context("VmHWM is told")?;
    Ok(kib.parse::<u64>()? / 1024)
}
