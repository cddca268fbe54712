//! How a server gets its tables, and what it says about a database that it cannot use.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::ensure;
use breaker_tests::{Daemon, acquire, binary};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use throwaway_postgres::{Cluster, Database};

const SECRET: &str = "h4mster-wheel";
const NEWER: &str = "INSERT INTO _sqlx_migrations \
                     (version, description, success, checksum, execution_time) \
                     VALUES (99990101000000, 'of tomorrow', TRUE, 'x', 0)";

/// Runs the program to its end.
fn breakerd(arguments: &[&str]) -> anyhow::Result<Output> {
    let listen = ["--listen=127.0.0.1:0", "--http-listen=127.0.0.1:0"];
    Ok(Command::new(binary("breakerd")?).args(listen).args(arguments).output()?)
}

fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

/// An error unless the program ended in failure and said all of this.
fn refuses(arguments: &[&str], words: &[&str]) -> anyhow::Result<()> {
    let output = breakerd(arguments)?;
    let said = said(&output);
    ensure!(!output.status.success(), "{arguments:?} succeeded: {said}");
    for word in words {
        ensure!(said.contains(word), "{arguments:?} did not say `{word}`: {said}");
    }
    ensure!(!said.contains("panicked"), "{said}");
    Ok(())
}

/// Checked for and not there, made, there, and nothing left to make.
async fn migrates_when_told_to(url: &str) -> anyhow::Result<()> {
    let check = ["--database", url, "--migrations=check"];
    refuses(&check, &["lacks", "breakerd migrate"])?;
    refuses(&check, &["lacks", "breakerd migrate"])?;

    let migrated = breakerd(&["migrate", "--database", url])?;
    ensure!(migrated.status.success(), "{}", said(&migrated));
    ensure!(said(&migrated).contains("applied 0001"), "{}", said(&migrated));
    ensure!(said(&migrated).contains("is up to date"), "{}", said(&migrated));
    let again = breakerd(&["migrate", "--database", url])?;
    ensure!(again.status.success() && !said(&again).contains("applied"), "{}", said(&again));

    let daemon = Daemon::start_on(url, ["--migrations=check"])?;
    daemon.clients()?.breakers.acquire(acquire("a/b")).await?;
    ensure!(daemon.terminate()?.success());
    Ok(())
}

fn refuses_a_newer_schema(url: &str) -> anyhow::Result<()> {
    let words = ["newer breakerd", "99990101000000"];
    refuses(&["--database", url], &words)?;
    refuses(&["--database", url, "--migrations=check"], &words)?;
    refuses(&["migrate", "--database", url], &words)
}

async fn edit(database: &Path, sql: &str) -> anyhow::Result<()> {
    let options = SqliteConnectOptions::new().filename(database);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
    Ok(connection.close().await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_is_migrated_when_told_to_and_never_backwards() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("breakers.db");
    let url = format!("sqlite://{}", database.display());
    migrates_when_told_to(&url).await?;
    edit(&database, NEWER).await?;
    refuses_a_newer_schema(&url)?;
    edit(&database, "DELETE FROM _sqlx_migrations WHERE description = 'of tomorrow'").await?;
    Daemon::start_on(&url, ["--migrations=check"])?.kill()
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_is_migrated_when_told_to_and_never_backwards() -> anyhow::Result<()> {
    let database = Database::in_shared_cluster()?;
    migrates_when_told_to(&database.url).await?;
    database.query(NEWER)?;
    refuses_a_newer_schema(&database.url)?;
    database.query("DELETE FROM _sqlx_migrations WHERE description = 'of tomorrow'")?;
    Daemon::start_on(&database.url, ["--migrations=check"])?.kill()
}

/// A cluster in which one user has to say a password.
#[test]
fn what_is_wrong_with_a_postgres_is_named_and_no_password_is() -> anyhow::Result<()> {
    let cluster = Cluster::start()?;
    let database = cluster.database()?;
    let right = format!("right-{SECRET}");
    database.query(&format!("CREATE ROLE guarded LOGIN PASSWORD '{right}'"))?;
    let rules = cluster.folder().join("data/pg_hba.conf");
    let others = std::fs::read_to_string(&rules)?;
    std::fs::write(&rules, format!("local all guarded scram-sha-256\n{others}"))?;
    database.query("SELECT pg_reload_conf()")?;
    let (place, socket) = database.url.split_once('?').unwrap_or_default();
    let (_, name) = place.rsplit_once('/').unwrap_or_default();

    let cases = [
        (format!("postgres://guarded:{SECRET}@localhost/{name}?{socket}"), vec![name, "password"]),
        (
            format!("postgres://postgres:{SECRET}@localhost/nowhere?{socket}"),
            vec!["nowhere", "does not exist", "createdb"],
        ),
        // A user who is let in and may not create tables.
        (
            format!("postgres://guarded:{right}@localhost/{name}?{socket}"),
            vec![name, "permission denied", "breakerd migrate"],
        ),
        (
            format!("postgres://breakerd:{SECRET}@no-such-host.invalid/prod"),
            vec!["prod", "no-such-host.invalid:5432", "can be reached"],
        ),
        (
            format!("postgres://breakerd:{SECRET}@127.0.0.1:1/prod"),
            vec!["prod", "127.0.0.1:1", "refused", "can be reached"],
        ),
        (
            format!("postgres://breakerd@127.0.0.1:1/prod?password={SECRET}"),
            vec!["prod", "127.0.0.1:1"],
        ),
        (
            format!("postgres://breakerd:{SECRET}@127.0.0.1:port/prod"),
            vec!["postgres://USER:PASSWORD@HOST:PORT/DATABASE"],
        ),
        (format!("mysql://breakerd:{SECRET}@127.0.0.1/prod"), vec!["postgres://"]),
    ];
    for (url, words) in cases {
        for arguments in [vec!["--database", &url], vec!["migrate", "--database", &url]] {
            refuses(&arguments, &words)?;
            let said = said(&breakerd(&arguments)?);
            ensure!(!said.contains(SECRET), "a password is told: {said}");
        }
    }
    Ok(())
}
