use std::collections::HashSet;

use breaker_engine::StoreError;
use sqlx::migrate::{Migration, Migrator};
use sqlx::{Connection, PgConnection};

use super::connection::Location;
use super::errors::{not_migrated, unusable};

static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/postgres");

/// What a server does about tables that are not up to date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MigrationMode {
    /// It brings them up to date.
    #[default]
    Apply,
    /// It refuses to start: somebody else migrates.
    Check,
}

/// Sees to the tables; returns which migrations were applied.
pub(super) async fn run(
    location: &Location,
    mode: MigrationMode,
) -> Result<Vec<String>, StoreError> {
    let mut connection = location.connect().await.map_err(|error| unusable(location, &error))?;
    let before = applied(&mut connection).await.map_err(|error| unusable(location, &error))?;
    let is_new = |version: &i64| !before.contains(version);
    let missing: Vec<_> = MIGRATOR.iter().filter(|migration| is_new(&migration.version)).collect();
    match mode {
        MigrationMode::Check if !missing.is_empty() => {
            return Err(StoreError::Unusable(format!(
                "{location} lacks {} of this breakerd's migrations; run `breakerd migrate` first, \
                 or start without --migrations=check",
                missing.len()
            )));
        }
        // Also where none is missing: it tells if the database knows one that this build does not.
        MigrationMode::Apply | MigrationMode::Check => {
            let migrated = MIGRATOR.run(&mut connection).await;
            migrated.map_err(|error| not_migrated(location, &error))?;
        }
    }
    // The tables are there whatever becomes of the connection.
    let _ = connection.close().await;
    let told =
        |migration: &Migration| format!("{:04} {}", migration.version, migration.description);
    Ok(missing.into_iter().map(told).collect())
}

/// The versions that a database has.
async fn applied(connection: &mut PgConnection) -> Result<HashSet<i64>, sqlx::Error> {
    let there: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await?;
    if !there {
        return Ok(HashSet::new());
    }
    let versions: Vec<i64> =
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success")
            .fetch_all(connection)
            .await?;
    Ok(versions.into_iter().collect())
}
