//! How a change gets onto the disk: behind the caller's back, while the caller waits, or before it
//! is made.

use std::sync::Arc;
use std::time::Duration;

use breaker_core::BreakerName;
use tokio::sync::oneshot;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::live::Live;
use crate::policy::PolicyName;
use crate::signals::Signals;
use crate::store::{Batch, Deletion, StoreError};
use crate::writer::DurableChange;

/// How long a change waits to become durable before it is answered without.
const DURABLE_WITHIN: Duration = Duration::from_secs(5);

/// A database that fails is tried again at least so often while something waits for it.
const ATTEMPTS_EVERY: Duration = Duration::from_secs(12);
/// How long a change that has to be durable waits for a database that fails to come back.
const BACK_WITHIN: Duration = Duration::from_secs(1);

/// What a change does if it cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// It is made nevertheless, and written later.
    Preferred,
    /// It is not made.
    Required,
}

/// A change that is durable once this much is on disk.
pub(crate) enum Written {
    Row(BreakerName, u64),
    Deletion(Deletion),
    Policy(PolicyName),
}

/// What a change is made to.
pub(crate) enum Target<'a> {
    /// Copies, whose rows are gathered to be written before the change is made.
    Draft(&'a mut Batch),
    /// The breakers themselves.
    Live,
}

impl Target<'_> {
    /// The same target for one of several changes.
    pub(crate) const fn reborrow(&mut self) -> Target<'_> {
        match self {
            Self::Draft(batch) => Target::Draft(batch),
            Self::Live => Target::Live,
        }
    }
}

/// Runs a change, which can go to every breaker and wait for another one that does, where it keeps
/// no call waiting.
pub(crate) async fn off_the_workers<R: Send + 'static>(
    run: impl FnOnce() -> R + Send + 'static,
) -> Result<R, EngineError> {
    tokio::task::spawn_blocking(run).await.map_err(|_| EngineError::ShuttingDown)
}

impl Engine {
    /// Makes a change, after it was written as a draft if it has to be durable. The writer does
    /// both then, so that no older write can come in between.
    pub(crate) async fn make<F, R>(
        self: &Arc<Self>,
        durability: Durability,
        change: F,
    ) -> Result<R, EngineError>
    where
        F: Fn(Target<'_>) -> Result<R, EngineError> + Send + Sync + 'static,
        R: Send + 'static,
    {
        if durability == Durability::Preferred {
            return off_the_workers(move || change(Target::Live)).await?;
        }
        self.refuse_while_failing().await?;
        let (sender, receiver) = oneshot::channel();
        let change = Arc::new(change);
        let draft = Arc::clone(&change);
        let prepare = Box::new(move || {
            let mut batch = Batch::default();
            draft(Target::Draft(&mut batch)).map(|_| batch)
        });
        let engine = Arc::clone(self);
        let finish = Box::new(move |written: Result<Batch, EngineError>| {
            let made = written.and_then(|batch| {
                // Somebody else can have changed since what the draft was checked against.
                let made = change(Target::Live).inspect_err(|_| engine.write_again(&batch))?;
                engine.note_written(&batch);
                let attempts = engine.desk().status().borrow().attempts;
                Ok((made, (!batch.rows.is_empty()).then_some(attempts)))
            });
            // Whoever asked may have gone meanwhile; the change stands.
            let _ = sender.send(made);
        });
        let handed_in = self.desk().change_durably(DurableChange { prepare, finish }).await;
        handed_in.map_err(|()| EngineError::ShuttingDown)?;
        self.desk().hurry();
        let (made, attempts) = receiver.await.map_err(|_| EngineError::ShuttingDown)??;
        if let Some(attempts) = attempts {
            // It is on disk as a draft; what the history tells of it comes with the next commit.
            self.desk().hurry();
            let mut status = self.desk().status();
            let next = status.wait_for(|status| status.attempts > attempts);
            let _ = tokio::time::timeout(DURABLE_WITHIN, next).await;
        }
        Ok(made)
    }

    /// Refuses soon what would have to wait for a database that is known to be away. What waits
    /// already tries it again and again; without an attempt for a while, this may be the next one.
    async fn refuse_while_failing(&self) -> Result<(), EngineError> {
        let mut status = self.storage_status();
        let failing = status.borrow_and_update().failing.clone();
        let Some(failing) = failing else { return Ok(()) };
        if self.now().since(failing.last_attempt) >= ATTEMPTS_EVERY {
            return Ok(());
        }
        self.desk().hurry();
        let well = status.wait_for(|status| status.failing.is_none());
        match tokio::time::timeout(BACK_WITHIN, well).await {
            Ok(_) => Ok(()),
            Err(_) => Err(EngineError::Store(StoreError::Unavailable(failing.error.into()))),
        }
    }

    /// Notes that what a batch has written is durable, as far as it is what is live now.
    fn note_written(&self, batch: &Batch) {
        for row in &batch.rows {
            let _ = self.breakers().with(row.name.as_str(), |name, live| {
                if live.revision == row.revision {
                    live.marks.durable = live.marks.durable.max(row.revision);
                }
                // The draft is some milliseconds older.
                live.mark_for_writing(name, self.signals());
            });
        }
        self.desk().forget_deletions(&batch.deletions);
        self.policies().settle(batch);
    }

    /// Writes what is not live, between two commits of what is.
    pub(crate) async fn write(&self, batch: Batch) -> Result<(), EngineError> {
        let (sender, receiver) = oneshot::channel();
        let prepare = Box::new(move || Ok(batch));
        let finish = Box::new(move |written: Result<Batch, EngineError>| {
            // Whoever asked may have gone meanwhile.
            let _ = sender.send(written.map(drop));
        });
        let handed_in = self.desk().change_durably(DurableChange { prepare, finish }).await;
        handed_in.map_err(|()| EngineError::ShuttingDown)?;
        receiver.await.map_err(|_| EngineError::ShuttingDown)?
    }

    /// Lets what a batch has written, or may have, be written as it is, because the batch was not to
    /// be.
    pub(crate) fn write_again(&self, batch: &Batch) {
        let mark = |name: &BreakerName, revision: u64| {
            let mark = |name: &BreakerName, live: &mut Live| {
                live.outlive(name, self.signals(), revision);
                live.mark_for_writing(name, self.signals());
            };
            self.breakers().with(name.as_str(), mark)
        };
        for row in &batch.rows {
            let (name, generation) = (row.name.clone(), row.snapshot.generation);
            let deletion = Deletion { name, revision: row.revision, generation };
            // First of all, so that a breaker of this name that is made from now on lies above the
            // deletion. The row of one that is there already takes the place of the draft's.
            self.breakers().raise_floors(&deletion);
            if mark(&row.name, row.revision).is_none() {
                self.desk().delete(deletion);
            }
        }
        for deletion in &batch.deletions {
            mark(&deletion.name, deletion.revision);
        }
        self.policies().write_again(batch);
        self.desk().hurry();
    }

    /// Changes one breaker for real, or a copy of it whose row becomes part of the draft.
    pub(crate) fn change_one(
        &self,
        name: &BreakerName,
        target: Target<'_>,
        change: impl FnOnce(&BreakerName, &mut Live, &Signals) -> Result<(), EngineError>,
    ) -> Result<Written, EngineError> {
        let now = self.now();
        let changed = self.breakers().with(name.as_str(), |name, live| {
            // A draft is a use as well: the breaker should be there still when the change is made.
            live.note_use(name, self.signals(), now);
            match target {
                Target::Draft(batch) => {
                    let mut copy = live.clone();
                    change(name, &mut copy, &Signals::default())?;
                    batch.rows.push(copy.row(name));
                    Ok(Written::Row(name.clone(), copy.revision))
                }
                Target::Live => {
                    change(name, live, self.signals())?;
                    Ok(Written::Row(name.clone(), live.revision))
                }
            }
        });
        changed.unwrap_or_else(|| Err(EngineError::UnknownBreaker(name.clone())))
    }

    /// Waits until all of it is on disk; `false` if storage fails or does not answer in time.
    pub(crate) async fn wait_until_durable(&self, written: &[Written]) -> bool {
        let mut status = self.desk().status();
        let attempts = status.borrow_and_update().attempts;
        self.desk().hurry();
        let wait = async {
            loop {
                if written.iter().all(|part| self.is_durable(part)) {
                    return true;
                }
                if status.changed().await.is_err() {
                    return false;
                }
                let now = status.borrow_and_update();
                if now.failing.is_some() && now.attempts > attempts {
                    return false;
                }
            }
        };
        tokio::time::timeout(DURABLE_WITHIN, wait).await.unwrap_or(false)
    }

    fn is_durable(&self, part: &Written) -> bool {
        match part {
            Written::Row(name, revision) => self
                .breakers()
                .with(name.as_str(), |_, live| live.marks.durable >= *revision)
                .unwrap_or(true),
            Written::Deletion(deletion) => self.desk().is_deletion_durable(deletion),
            Written::Policy(name) => self.policies().is_durable(name),
        }
    }
}
