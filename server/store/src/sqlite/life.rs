use breaker_engine::{MAX_NUMBER, Opened};
use sqlx::Row;

use super::connection::Writer;
use crate::rows::bound;

/// Notes that a life of the server has begun, and whether the one before it had ended.
pub(super) async fn begin(writer: &Writer) -> Result<Opened, sqlx::Error> {
    let mut writing = writer.begin().await?;
    let after_crash: bool =
        sqlx::query_scalar("SELECT NOT ended FROM server").fetch_one(&mut *writing).await?;
    let row = sqlx::query(
        "UPDATE server SET incarnation = incarnation + NOT ended, ended = 0 \
         RETURNING incarnation, revision_floor, generation_floor, policy_revision_floor, \
         trimmed_transition_id, restoring, \
         (SELECT max(id) FROM transitions WHERE id < ?) AS last_transition_id",
    )
    .bind(bound(MAX_NUMBER))
    .fetch_one(&mut *writing)
    .await?;
    let number = |column| row.try_get::<i64, _>(column).map(i64::cast_unsigned);
    let trimmed_transition_id = number("trimmed_transition_id")?;
    let last: Option<i64> = row.try_get("last_transition_id")?;
    let opened = Opened {
        incarnation: number("incarnation")?,
        after_crash,
        revision_floor: number("revision_floor")?,
        generation_floor: number("generation_floor")?,
        policy_revision_floor: number("policy_revision_floor")?,
        last_transition_id: last.map_or(0, i64::cast_unsigned).max(trimmed_transition_id),
        trimmed_transition_id,
        is_half_restored: row.try_get("restoring")?,
    };
    writing.commit().await?;
    Ok(opened)
}

/// Notes that the life of the server has ended.
pub(super) async fn end(writer: &Writer) -> Result<(), sqlx::Error> {
    let mut writing = writer.begin().await?;
    sqlx::query("UPDATE server SET ended = 1").execute(&mut *writing).await?;
    writing.commit().await
}
