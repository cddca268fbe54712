//! The port to a database that several servers share: who leads, and how the lead changes hands.
//!
//! A lease has no end by the clock. It counts beats: whoever stands by and sees none for long
//! enough, by a clock of its own, may take the lead, and whoever leads knows that it has lost it
//! after a shorter time without a beat. No two clocks are ever compared.

use std::sync::Arc;

use async_trait::async_trait;

use crate::store::{Store, StoreError};

/// A server among those that share a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Tells it from every other server, and is the same after its restart.
    pub id: String,
    /// Where clients and the other servers reach it, `host:port`.
    pub address: String,
}

/// The lease as a server saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseView {
    /// The fencing number: grows by one whenever the lead changes hands.
    pub fence: u64,
    /// Grows as long as the server that leads is alive and reaches the database.
    pub beat: u64,
    /// Who leads; `None` if the lead was given up.
    pub holder: Option<Member>,
}

/// A server that stands by, as the one that leads saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standby {
    /// Which.
    pub member: Member,
    /// Grows as long as it is alive and reaches the database.
    pub beat: u64,
}

/// A database that several servers share.
#[async_trait]
pub trait SharedDatabase: Send + Sync + 'static {
    /// Looks who leads, and lets the others know that this server stands by.
    async fn look(&self) -> Result<LeaseView, StoreError>;

    /// Takes the lead if the lease is still as it was seen; `None` if it is not.
    async fn take(&self, seen: &LeaseView) -> Result<Option<Term>, StoreError>;

    /// Lets the others know that this server stands by no more.
    async fn leave(&self) -> Result<(), StoreError>;
}

/// The time for which one server leads.
#[derive(Clone)]
pub struct Term {
    /// The store, which writes nothing any more once somebody else leads.
    pub store: Arc<dyn Store>,
    /// What keeps the lead.
    pub lease: Arc<dyn Lease>,
    /// The fencing number.
    pub fence: u64,
}

/// The lease of the server that leads.
#[async_trait]
pub trait Lease: Send + Sync + 'static {
    /// Gives a beat; returns who stands by.
    ///
    /// # Errors
    /// [`StoreError::Superseded`] if somebody else leads.
    async fn renew(&self) -> Result<Vec<Standby>, StoreError>;

    /// Gives up the lead, so that nobody has to wait for the beats to fail.
    async fn release(&self) -> Result<(), StoreError>;
}
