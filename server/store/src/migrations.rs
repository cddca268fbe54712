//! Bringing tables up to date, for every database alike: forwards only, and never those of a newer
//! server.

use std::collections::HashSet;
use std::fmt::Display;

use breaker_engine::StoreError;
use sqlx::migrate::{Migrate, MigrateError, Migration, Migrator};

/// What a server does about tables that are not up to date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MigrationMode {
    /// It brings them up to date.
    #[default]
    Apply,
    /// It refuses to start: somebody else migrates.
    Check,
}

/// Why tables are not up to date.
pub(crate) enum NotMigrated {
    /// So many migrations are missing, and were not to be applied.
    Missing(usize),
    /// A migration could not be applied, or the database has one that this build does not know.
    Failed(MigrateError),
}

impl NotMigrated {
    /// The error of the database at `place`. What the database itself has against a migration is
    /// told by `unusable`.
    pub(crate) fn told(
        self,
        place: impl Display,
        unusable: impl FnOnce(&sqlx::Error) -> StoreError,
    ) -> StoreError {
        StoreError::Unusable(match self {
            Self::Missing(count) => format!(
                "{place} lacks {count} of this breakerd's migrations; run `breakerd migrate` first, \
                 or start without --migrations=check"
            ),
            Self::Failed(MigrateError::VersionMissing(version)) => format!(
                "{place} was used by a newer breakerd: it has migration {version}, which this one \
                 does not know; start the newer one, or choose another --database"
            ),
            Self::Failed(MigrateError::VersionMismatch(version)) => format!(
                "{place} was made by another build of breakerd: its migration {version} is not the \
                 one of this build; start the other one, or choose another --database"
            ),
            Self::Failed(
                MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _),
            ) => return unusable(&error),
            Self::Failed(error) => {
                format!("{place} cannot be brought up to date: {error}; choose another --database")
            }
        })
    }
}

/// Where sqlx keeps what was applied.
const TABLE: &str = "_sqlx_migrations";

/// Sees to the tables; returns which migrations were applied.
pub(crate) async fn run<C: Migrate>(
    migrator: &Migrator,
    connection: &mut C,
    mode: MigrationMode,
) -> Result<Vec<String>, NotMigrated> {
    // A database without the table has had none.
    let applied = connection.list_applied_migrations(TABLE).await.unwrap_or_default();
    let applied: HashSet<_> = applied.into_iter().map(|migration| migration.version).collect();
    let missing = migrator.iter().filter(|migration| !applied.contains(&migration.version));
    let missing: Vec<_> = missing.map(told).collect();
    if mode == MigrationMode::Check && !missing.is_empty() {
        return Err(NotMigrated::Missing(missing.len()));
    }
    // Also if none is missing: it tells if the database has one that this build does not know.
    migrator.run_direct(None, connection, false).await.map_err(NotMigrated::Failed)?;
    Ok(missing)
}

fn told(migration: &Migration) -> String {
    format!("{:04} {}", migration.version, migration.description)
}
