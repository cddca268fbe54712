//! Everything in a Postgres database, which several servers share.
//!
//! One of them leads. It writes over one connection, a batch in one statement: there is no
//! transaction that a server which is paused could leave open, and a batch costs one round trip.
//! Every statement that writes checks the fencing number of the lease, which is locked until the
//! statement is through; whoever takes the lead waits for that lock.

mod batch;
mod cells;
mod connection;
mod errors;
mod history;
mod lease;
mod life;
mod load;
mod migrations;
mod reporters;

use std::sync::Arc;

use async_trait::async_trait;
use breaker_core::Time;
use breaker_engine::{
    Batch, Forgotten, HistoryRange, LeaseView, Loaded, LoadedReporter, Member, Opened,
    SharedDatabase, Silence, Store, StoreError, StoredAlerts, StoredPolicies, Term, TransitionPage,
    Trimmed,
};
use sqlx::PgPool;

use crate::migrations::MigrationMode;

use connection::{Line, Location};
use lease::HeldLease;

/// A Postgres database.
pub struct PostgresDatabase {
    location: Location,
    /// For the lease alone, so that it never waits for a batch to travel.
    line: Line,
    readers: PgPool,
    me: Member,
}

/// The database as the server that leads uses it.
struct PostgresStore {
    location: Location,
    writer: Line,
    readers: PgPool,
    fence: i64,
}

impl PostgresDatabase {
    /// Connects to the database of a URL, and sees to its tables.
    ///
    /// # Errors
    /// If the URL is not one of Postgres, or the database cannot be used: what is wrong, and what
    /// to do.
    pub async fn connect(
        url: &str,
        me: Member,
        migrations: MigrationMode,
    ) -> Result<Self, StoreError> {
        let location = Location::parse(url)?;
        migrations::run(&location, migrations).await?;
        let (line, readers) = (Line::to(&location), connection::readers(&location));
        Ok(Self { location, line, readers, me })
    }

    /// Brings the tables of a database up to date; returns the versions that were applied.
    ///
    /// # Errors
    /// As for [`connect`](Self::connect).
    pub async fn migrate(url: &str) -> Result<Vec<String>, StoreError> {
        migrations::run(&Location::parse(url)?, MigrationMode::Apply).await
    }
}

#[async_trait]
impl SharedDatabase for PostgresDatabase {
    async fn look(&self) -> Result<LeaseView, StoreError> {
        lease::look(&self.line, &self.me).await
    }

    async fn take(&self, seen: &LeaseView) -> Result<Option<Term>, StoreError> {
        let Some(fence) = lease::take(&self.line, &self.me, seen).await? else { return Ok(None) };
        let store = PostgresStore {
            location: self.location.clone(),
            writer: Line::to(&self.location),
            readers: self.readers.clone(),
            fence,
        };
        let lease = HeldLease::new(Line::to(&self.location), fence);
        let fence = fence.cast_unsigned();
        Ok(Some(Term { store: Arc::new(store), lease: Arc::new(lease), fence }))
    }

    async fn leave(&self) -> Result<(), StoreError> {
        lease::leave(&self.line, &self.me).await
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn open(&self) -> Result<Opened, StoreError> {
        life::begin(&self.writer, self.fence).await
    }

    async fn policies(&self) -> Result<StoredPolicies, StoreError> {
        load::policies(&self.location).await
    }

    async fn alerts(&self) -> Result<StoredAlerts, StoreError> {
        load::alerts(&self.location).await
    }

    async fn load(&self, sink: &mut (dyn FnMut(Loaded) + Send)) -> Result<(), StoreError> {
        load::breakers(&self.location, sink).await
    }

    async fn reporters(
        &self,
        limit: usize,
        sink: &mut (dyn FnMut(LoadedReporter) + Send),
    ) -> Result<(), StoreError> {
        reporters::heard_last(&self.location, limit, sink).await
    }

    async fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        batch::commit(&self.writer, self.fence, batch).await
    }

    async fn history(
        &self,
        range: &HistoryRange,
        limit: usize,
    ) -> Result<TransitionPage, StoreError> {
        history::latest_of(&self.readers, range, limit).await
    }

    async fn transitions_after(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<TransitionPage, StoreError> {
        history::after(&self.readers, after, limit).await
    }

    async fn trim(&self, older_than: Time, limit: usize) -> Result<Trimmed, StoreError> {
        history::trim(&self.readers, &self.writer, self.fence, (older_than, limit)).await
    }

    async fn forget_reporters(&self, silence: &Silence) -> Result<Forgotten, StoreError> {
        reporters::forget(&self.readers, &self.writer, self.fence, silence).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        life::end(&self.writer, self.fence).await?;
        self.writer.close().await;
        Ok(())
    }
}
