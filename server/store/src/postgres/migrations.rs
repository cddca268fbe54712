use breaker_engine::StoreError;
use sqlx::migrate::Migrator;
use sqlx::{Connection, Executor};

use super::connection::Location;
use super::errors::unusable;
use crate::migrations::{self, MigrationMode};

static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/postgres");

/// Sees to the tables; returns which migrations were applied.
pub(super) async fn run(
    location: &Location,
    mode: MigrationMode,
) -> Result<Vec<String>, StoreError> {
    let mut connection = location.connect().await.map_err(|error| unusable(location, &error))?;
    // What is there already is nothing to tell anybody.
    let quietly = connection.execute("SET client_min_messages = warning").await;
    quietly.map_err(|error| unusable(location, &error))?;
    let applied = migrations::run(&MIGRATOR, &mut connection, mode).await;
    // Whatever becomes of the connection, what was applied is there.
    let _ = connection.close().await;
    applied.map_err(|error| error.told(location, |error| unusable(location, error)))
}
