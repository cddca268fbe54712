use breaker_core::ConfigPatch;
use breaker_engine::{
    Damage, PolicyDeletion, PolicyName, PolicyRow, PolicySpec, Selector, StoreError, StoredPolicies,
};
use breaker_wire::{patch_from_value, patch_to_value};
use sqlx::sqlite::SqliteArguments;
use sqlx::{Sqlite, SqliteConnection, SqlitePool};

use super::columns::{Columns, bound, time_to_column};
use super::errors::unavailable;

/// The columns of `policies` in the order in which [`bind`] gives their values.
pub(super) const COLUMNS: &[&str] =
    &["name", "revision", "selector", "priority", "config", "created_at", "updated_at"];

type Query<'q> = sqlx::query::Query<'q, Sqlite, SqliteArguments>;

/// Every policy.
pub(super) async fn load(readers: &SqlitePool) -> Result<StoredPolicies, StoreError> {
    let rows = sqlx::query("SELECT * FROM policies").fetch_all(readers).await;
    Ok(StoredPolicies::of(rows.map_err(unavailable)?.iter().map(|row| {
        let columns = Columns::new(row);
        (columns.get("name").unwrap_or_default(), read(&columns))
    })))
}

/// Binds the values of a row, in the order of [`COLUMNS`].
pub(super) fn bind<'q>(query: Query<'q>, row: &'q PolicyRow) -> Query<'q> {
    let PolicyRow { name, spec, revision, created_at, updated_at } = row;
    query
        .bind(name.as_str())
        .bind(revision.cast_signed())
        .bind(spec.selector.as_str())
        .bind(spec.priority)
        .bind(patch_to_value(&spec.config).to_string())
        .bind(time_to_column(*created_at))
        .bind(updated_at.map(time_to_column))
}

/// Deletes policies, each only up to the revision of its deletion.
pub(super) async fn delete(
    connection: &mut SqliteConnection,
    deletions: &[PolicyDeletion],
) -> Result<(), sqlx::Error> {
    for deletion in deletions {
        sqlx::query("DELETE FROM policies WHERE name = ? AND revision <= ?")
            .bind(deletion.name.as_str())
            .bind(bound(deletion.revision))
            .execute(&mut *connection)
            .await?;
    }
    let Some(floor) = deletions.iter().map(|deletion| deletion.revision).max() else {
        return Ok(());
    };
    sqlx::query("UPDATE server SET policy_revision_floor = max(policy_revision_floor, ?)")
        .bind(bound(floor))
        .execute(connection)
        .await?;
    Ok(())
}

fn read(columns: &Columns<'_>) -> Result<PolicyRow, Damage> {
    let name = PolicyName::new(columns.get("name")?).map_err(|e| Damage::new("name", e))?;
    let selector = Selector::parse(columns.get("selector")?);
    let spec = PolicySpec {
        selector: selector.map_err(|error| Damage::new("selector", error))?,
        priority: columns.get("priority")?,
        config: read_config(columns)?,
    };
    Ok(PolicyRow {
        name,
        spec,
        revision: columns.number("revision")?,
        created_at: columns.time("created_at")?,
        updated_at: columns.time_if_any("updated_at")?,
    })
}

fn read_config(columns: &Columns<'_>) -> Result<ConfigPatch, Damage> {
    let text: &str = columns.get("config")?;
    let value = serde_json::from_str(text).map_err(|error| Damage::new("config", error))?;
    patch_from_value(&value).map_err(|violations| {
        let told: Vec<_> = violations.iter().map(ToString::to_string).collect();
        Damage::new("config", told.join("; "))
    })
}
