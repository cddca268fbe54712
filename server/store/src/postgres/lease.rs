use async_trait::async_trait;
use breaker_engine::{Lease, LeaseView, Member, Standby, StoreError};
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::connection::Line;
use super::errors::unavailable;

/// Says that this server is alive, and looks at the lease. Servers that were not seen for a day are
/// forgotten on the way; the database's clock is good enough for that.
const LOOK: &str = "WITH old AS (DELETE FROM standbys WHERE seen_at < now() - interval '1 day' \
                    AND id <> $1), me AS (INSERT INTO standbys (id, address, beat) VALUES ($1, $2, 0) \
                    ON CONFLICT (id) DO UPDATE SET address = excluded.address, \
                    beat = standbys.beat + 1, seen_at = now()) \
                    SELECT fence, beat, holder, address FROM lease";
/// Takes the lease if it is as it was seen. Waits for whatever the last holder has on its way.
const TAKE: &str = "WITH me AS (DELETE FROM standbys WHERE id = $1) \
                    UPDATE lease SET fence = fence + 1, beat = 0, holder = $1, address = $2 \
                    WHERE fence = $3 AND beat = $4 RETURNING fence";
const LEAVE: &str = "DELETE FROM standbys WHERE id = $1";
const RENEW: &str = "WITH mine AS (UPDATE lease SET beat = beat + 1 WHERE fence = $1 RETURNING 1) \
                     SELECT (SELECT count(*) FROM mine) AS leads, id, address, beat \
                     FROM (SELECT 1) AS one LEFT JOIN standbys ON TRUE";
const RELEASE: &str =
    "UPDATE lease SET beat = beat + 1, holder = NULL, address = NULL WHERE fence = $1";

pub(super) async fn look(line: &Line, me: &Member) -> Result<LeaseView, StoreError> {
    let rows = line.run(sqlx::query(LOOK).bind(&me.id).bind(&me.address)).await?;
    let row = rows.first().ok_or_else(|| unavailable(sqlx::Error::RowNotFound))?;
    read(row).map_err(unavailable)
}

fn read(row: &PgRow) -> Result<LeaseView, sqlx::Error> {
    let (id, address): (Option<_>, Option<_>) = (row.try_get("holder")?, row.try_get("address")?);
    Ok(LeaseView {
        fence: row.try_get::<i64, _>("fence")?.cast_unsigned(),
        beat: row.try_get::<i64, _>("beat")?.cast_unsigned(),
        holder: id.zip(address).map(|(id, address)| Member { id, address }),
    })
}

/// Returns the new fencing number, if the lease was as it was seen.
pub(super) async fn take(
    line: &Line,
    me: &Member,
    seen: &LeaseView,
) -> Result<Option<i64>, StoreError> {
    let take = sqlx::query(TAKE)
        .bind(&me.id)
        .bind(&me.address)
        .bind(seen.fence.cast_signed())
        .bind(seen.beat.cast_signed());
    let rows = line.run(take).await?;
    rows.first().map(|row| row.try_get("fence")).transpose().map_err(unavailable)
}

pub(super) async fn leave(line: &Line, me: &Member) -> Result<(), StoreError> {
    let left = line.run(sqlx::query(LEAVE).bind(&me.id)).await.map(|_| ());
    line.close().await;
    left
}

/// The lease under one fencing number.
pub(super) struct HeldLease {
    line: Line,
    fence: i64,
}

impl HeldLease {
    pub(super) const fn new(line: Line, fence: i64) -> Self {
        Self { line, fence }
    }
}

#[async_trait]
impl Lease for HeldLease {
    async fn renew(&self) -> Result<Vec<Standby>, StoreError> {
        let rows = self.line.run(sqlx::query(RENEW).bind(self.fence)).await?;
        let mut standbys = Vec::new();
        for row in &rows {
            if row.try_get::<i64, _>("leads").map_err(unavailable)? == 0 {
                return Err(StoreError::Superseded);
            }
            standbys.extend(standby(row).map_err(unavailable)?);
        }
        Ok(standbys)
    }

    async fn release(&self) -> Result<(), StoreError> {
        let released = self.line.run(sqlx::query(RELEASE).bind(self.fence)).await.map(|_| ());
        self.line.close().await;
        released
    }
}

/// The server in a row; `None` in the one row that stands for nobody.
fn standby(row: &PgRow) -> Result<Option<Standby>, sqlx::Error> {
    let Some(id) = row.try_get("id")? else { return Ok(None) };
    let beat: i64 = row.try_get("beat")?;
    let member = Member { id, address: row.try_get("address")? };
    Ok(Some(Standby { member, beat: beat.cast_unsigned() }))
}
