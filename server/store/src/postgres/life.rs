use breaker_engine::{MAX_NUMBER, Opened, StoreError};
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::batch::Statement;
use super::connection::Line;
use super::errors::unavailable;
use crate::rows::bound;

/// Counts up the incarnation unless the last life ended, and notes that this one has not. The
/// state before is read from the row that is locked.
const BEGIN: &str = "WITH leads AS MATERIALIZED (SELECT 1 FROM lease WHERE fence = $1 FOR SHARE), \
     before AS (SELECT ended FROM server FOR UPDATE) \
     UPDATE server SET incarnation = incarnation + CASE WHEN before.ended THEN 0 ELSE 1 END, \
     ended = FALSE FROM before WHERE EXISTS (SELECT FROM leads) \
     RETURNING NOT before.ended AS after_crash, incarnation, revision_floor, generation_floor, \
     policy_revision_floor, trimmed_transition_id, restoring, \
     (SELECT max(id) FROM transitions WHERE id < $2) AS last_transition_id";

/// Notes that a life of the server has begun, and whether the one before it had ended.
pub(super) async fn begin(line: &Line, fence: i64) -> Result<Opened, StoreError> {
    let rows = line.run(sqlx::query(BEGIN).bind(fence).bind(bound(MAX_NUMBER))).await?;
    match rows.first() {
        Some(row) => read(row).map_err(unavailable),
        None => Err(StoreError::Superseded),
    }
}

fn read(row: &PgRow) -> Result<Opened, sqlx::Error> {
    let number = |column| row.try_get::<i64, _>(column).map(i64::cast_unsigned);
    let trimmed_transition_id = number("trimmed_transition_id")?;
    let last: Option<i64> = row.try_get("last_transition_id")?;
    Ok(Opened {
        incarnation: number("incarnation")?,
        after_crash: row.try_get("after_crash")?,
        revision_floor: number("revision_floor")?,
        generation_floor: number("generation_floor")?,
        policy_revision_floor: number("policy_revision_floor")?,
        last_transition_id: last.map_or(0, i64::cast_unsigned).max(trimmed_transition_id),
        trimmed_transition_id,
        is_half_restored: row.try_get("restoring")?,
    })
}

/// Notes that the life of the server has ended.
pub(super) async fn end(line: &Line, fence: i64) -> Result<(), StoreError> {
    let mut statement =
        Statement::leading(fence).map_err(|error| unavailable(sqlx::Error::Encode(error)))?;
    statement.part("UPDATE server SET ended = TRUE WHERE EXISTS (SELECT FROM leads)");
    statement.run(line).await
}
