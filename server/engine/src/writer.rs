//! The one task that writes to storage: one group commit after another, each with all that has
//! gathered while the one before it was on its way. Nobody waits for it but an admin who asked to.

mod remembering;

use std::collections::HashMap;
use std::future::ready;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use breaker_core::{BreakerName, Time};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::durably::off_the_workers;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::forgetter::Forgetter;
use crate::live::MAX_UNRECORDED;
use crate::recorder;
use crate::store::{Batch, Deletion, StoreError};
use crate::trimmer::Trimmer;

/// Most breakers in one commit.
const MAX_ROWS: usize = 1_000;
/// Most transitions in one commit; a breaker is written only after all its transitions.
const MAX_TRANSITIONS: usize = 5_000;
/// Breakers of which only counters have changed are written in portions: each of those that wait at
/// the beginning of a round has been written at its end. One that begins to wait after that comes
/// with the next round, so that counters on disk are two rounds old at most; the contract allows 5 s.
const PORTIONS: usize = 20;
/// A portion comes so often.
const PORTION_EVERY: Duration = Duration::from_millis(100);
/// Most such breakers in one commit, so that a change of state never waits long for one.
const MAX_COUNTER_ROWS: usize = 250;
/// A commit that takes longer has failed.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);
/// A commit that takes longer is shown as failing until it is through.
const SLOW_COMMIT: Duration = Duration::from_secs(1);
/// How long the writer leaves a database alone that has failed: at first, and at most.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// How often the last write is tried again at shutdown.
const FINAL_ATTEMPTS: u32 = 3;
/// Changes that wait for a commit of their own.
const MAX_DURABLE_CHANGES: usize = 64;

/// How storage is doing.
#[derive(Clone, Debug, Default)]
pub struct StorageStatus {
    /// Since when every attempt has failed, and with which error; `None` while all is well.
    pub failing: Option<Failing>,
    /// Attempts to write so far.
    pub attempts: u64,
}

/// Since when, and how, storage has been failing.
#[derive(Clone, Debug)]
pub struct Failing {
    /// Since when.
    pub since: Time,
    /// When the last attempt failed.
    pub last_attempt: Time,
    /// The last error.
    pub error: String,
}

/// A change that is made only after it has been written.
pub(crate) struct DurableChange {
    /// What has to be on disk first.
    pub(crate) prepare: Box<dyn FnOnce() -> Result<Batch, EngineError> + Send>,
    /// Makes the change if the write succeeded, and gets what was written.
    pub(crate) finish: Box<dyn FnOnce(Result<Batch, EngineError>) + Send>,
}

/// What became of what waited.
#[derive(PartialEq, Eq)]
enum Written {
    /// Nothing is left.
    All,
    /// A batch was written, and others may wait.
    ABatch,
}

/// What the writer shares with those who wait for it.
pub(crate) struct WriterDesk {
    status: watch::Sender<StorageStatus>,
    /// Deletions that are not on disk yet: the latest of each name.
    deletions: Mutex<HashMap<BreakerName, Deletion>>,
    durable_changes: mpsc::Sender<DurableChange>,
    /// Somebody waits: do not sit out the pause after a failure.
    hurry: Notify,
}

pub(crate) struct Writer {
    engine: Arc<Engine>,
    durable_changes: mpsc::Receiver<DurableChange>,
    trimmer: Trimmer,
    forgetter: Forgetter,
    /// Breakers of a commit that failed: first in the next one.
    retry: Vec<BreakerName>,
    portions: Portions,
    started: Time,
    backoff: Duration,
}

/// How many of the breakers of which only counters have changed are to be written by now.
#[derive(Default)]
struct Portions {
    size: usize,
    left_of_round: usize,
    due: usize,
}

impl Portions {
    /// Another portion is due; `waiting` is how many wait.
    fn next(&mut self, waiting: usize) {
        if self.left_of_round == 0 {
            self.size = waiting.div_ceil(PORTIONS);
            self.left_of_round = PORTIONS;
        }
        self.left_of_round -= 1;
        // What could not be written in time does not make the next commits any larger.
        self.due = (self.due + self.size).min(waiting);
    }
}

impl WriterDesk {
    pub(crate) fn new() -> (Self, mpsc::Receiver<DurableChange>) {
        let (sender, receiver) = mpsc::channel(MAX_DURABLE_CHANGES);
        let desk = Self {
            status: watch::Sender::default(),
            deletions: Mutex::default(),
            durable_changes: sender,
            hurry: Notify::new(),
        };
        (desk, receiver)
    }

    pub(crate) fn status(&self) -> watch::Receiver<StorageStatus> {
        self.status.subscribe()
    }

    pub(crate) fn hurry(&self) {
        self.hurry.notify_one();
    }

    pub(crate) fn delete(&self, deletion: Deletion) {
        self.deletions.lock().insert(deletion.name.clone(), deletion);
        self.hurry();
    }

    pub(crate) fn is_deletion_durable(&self, deletion: &Deletion) -> bool {
        let deletions = self.deletions.lock();
        deletions.get(&deletion.name).is_none_or(|waiting| waiting.revision != deletion.revision)
    }

    /// Hands in a change; gives it back if the writer has ended.
    pub(crate) async fn change_durably(&self, change: DurableChange) -> Result<(), ()> {
        self.durable_changes.send(change).await.map_err(drop)
    }

    pub(crate) fn has_deletions(&self) -> bool {
        !self.deletions.lock().is_empty()
    }

    fn waiting_deletions(&self) -> Vec<Deletion> {
        self.deletions.lock().values().take(MAX_ROWS).cloned().collect()
    }

    pub(crate) fn forget_deletions(&self, written: &[Deletion]) {
        let mut deletions = self.deletions.lock();
        for deletion in written {
            if deletions.get(&deletion.name) == Some(deletion) {
                deletions.remove(&deletion.name);
            }
        }
    }
}

impl Writer {
    pub(crate) fn new(
        engine: Arc<Engine>,
        durable_changes: mpsc::Receiver<DurableChange>,
        trimmer: Trimmer,
        forgetter: Forgetter,
    ) -> Self {
        let (portions, backoff) = (Portions::default(), BACKOFF.0);
        let (retry, started) = (Vec::new(), engine.now());
        Self { engine, durable_changes, trimmer, forgetter, retry, portions, started, backoff }
    }

    /// Writes until told to stop, then once more all there is, and closes the store. Ends by itself
    /// only when another server leads.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<(), StoreError> {
        let mut portions = interval(PORTION_EVERY);
        portions.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let trim = sleep(Duration::ZERO);
        let forget = sleep(Duration::ZERO);
        tokio::pin!(trim, forget);
        let engine = Arc::clone(&self.engine);
        let mut may_wait = false;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(change) = self.durable_changes.recv() => self.write_first(change).await,
                _ = portions.tick() => self.portions.next(engine.signals().touched.len()),
                () = &mut trim => trim.set(sleep(self.trimmer.step().await)),
                () = &mut forget => forget.set(sleep(self.forgetter.step().await)),
                () = engine.signals().to_write.filled() => {}
                () = engine.desk().hurry.notified() => {}
                // All the others have their turn before what has gathered meanwhile.
                () = ready(()), if may_wait => {}
            }
            may_wait = match self.write().await {
                Ok(written) => written == Written::ABatch,
                Err(error @ StoreError::Superseded) => return Err(error),
                Err(_) => {
                    self.pause(&stop).await;
                    false
                }
            };
        }
        self.close().await
    }

    async fn close(mut self) -> Result<(), StoreError> {
        self.durable_changes.close();
        while let Some(change) = self.durable_changes.recv().await {
            self.write_first(change).await;
        }
        // The recorder has ended before.
        while recorder::record(&self.engine) > 0 {}
        self.portions.due = self.engine.signals().touched.len();
        let mut attempt = 1;
        loop {
            let written = match self.write().await {
                Ok(Written::All) => self.write_reporters().await,
                written => written,
            };
            match written {
                Ok(Written::All) => break,
                Ok(Written::ABatch) => {}
                Err(error) if attempt == FINAL_ATTEMPTS => return Err(error),
                Err(_) => {
                    attempt += 1;
                    sleep(self.backoff).await;
                }
            }
        }
        self.engine.store().close().await
    }

    /// Commits a part of what waits: all of it, unless it is a lot.
    async fn write(&mut self) -> Result<Written, StoreError> {
        let (mut batch, durable) = self.gather();
        if batch.is_empty() {
            return Ok(Written::All);
        }
        if let Err(error) = self.commit_counted(&mut batch).await {
            self.keep_for_later(durable);
            return Err(error);
        }
        self.settle(&batch, durable);
        Ok(Written::ABatch)
    }

    /// What waits to be written, and up to which revision each breaker is durable once it is.
    ///
    /// Rows come before the transitions are looked at, and whatever led to a row is put into the
    /// journal with it, so that the transitions of every row are among them; while more transitions
    /// wait than fit, they go first and alone.
    fn gather(&mut self) -> (Batch, Vec<(BreakerName, u64)>) {
        let engine = Arc::clone(&self.engine);
        let mut batch = Batch::default();
        let mut durable = Vec::new();
        let has_room = || engine.journal().waiting_count() <= MAX_TRANSITIONS - MAX_UNRECORDED;
        if has_room() {
            while batch.rows.len() < MAX_ROWS
                && has_room()
                && let Some(name) = self.retry.pop().or_else(|| engine.signals().to_write.pop())
            {
                let _ = engine.breakers().with(name.as_str(), |name, live| {
                    live.marks.to_write = false;
                    live.marks.touched = false;
                    recorder::journal(&engine, name, live);
                    batch.rows.push(live.row(name));
                    durable.push((name.clone(), live.marks.recorded));
                });
            }
            self.gather_counters(&mut batch, &mut durable);
        }
        engine.policies().gather(&mut batch);
        engine.alerts().gather(&mut batch);
        batch.deletions = engine.desk().waiting_deletions();
        batch.transitions = engine.journal().waiting(MAX_TRANSITIONS);
        (batch, durable)
    }

    /// Adds breakers of which only counters have changed, as many as are due and as there is room
    /// for. One that has changed otherwise since, or was written since, comes or came by itself.
    fn gather_counters(&mut self, batch: &mut Batch, durable: &mut Vec<(BreakerName, u64)>) {
        let most = (batch.rows.len() + MAX_COUNTER_ROWS).min(MAX_ROWS);
        while self.portions.due > 0 && batch.rows.len() < most {
            self.portions.due -= 1;
            let Some(name) = self.engine.signals().touched.pop() else { break };
            let engine = Arc::clone(&self.engine);
            let _ = engine.breakers().with(name.as_str(), |name, live| {
                if live.marks.touched && !live.marks.to_write {
                    live.marks.touched = false;
                    recorder::journal(&engine, name, live);
                    batch.rows.push(live.row(name));
                    durable.push((name.clone(), live.marks.recorded));
                }
            });
        }
    }

    /// Keeps what could not be written; it stands before what an earlier failure has left. A breaker
    /// that has changed meanwhile waits in the queue already.
    fn keep_for_later(&mut self, gathered: Vec<(BreakerName, u64)>) {
        for (name, _) in gathered {
            let is_waiting = self
                .engine
                .breakers()
                .with(name.as_str(), |_, live| std::mem::replace(&mut live.marks.to_write, true));
            if is_waiting == Some(false) {
                self.retry.push(name);
            }
        }
    }

    async fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let engine = Arc::clone(&self.engine);
        let mut commit = pin!(timeout(COMMIT_TIMEOUT, engine.store().commit(batch)));
        let began = engine.clock().now();
        let committed = match timeout(SLOW_COMMIT, &mut commit).await {
            Ok(committed) => committed,
            Err(_) => {
                self.tell_of_slow_commit(began);
                commit.await
            }
        };
        let result = committed.unwrap_or_else(|_| {
            let error = format!("no answer within {COMMIT_TIMEOUT:?}");
            Err(StoreError::Unavailable(error.into()))
        });
        let now = self.engine.clock().now();
        let stats = self.engine.stats().storage();
        stats.commit_duration.count_duration(now.since(began));
        match &result {
            Ok(()) => stats.batch_size.count(batch.size() as u64),
            Err(_) => stats.count_failure(),
        }
        self.engine.desk().status.send_modify(|status| {
            status.attempts += 1;
            match (&result, &mut status.failing) {
                (Ok(()), failing) => {
                    if let Some(failing) = failing.take() {
                        tracing::info!(failed_for = ?now.since(failing.since), "storage works again");
                    }
                }
                (Err(StoreError::Superseded), _) => {}
                (Err(error), Some(failing)) => {
                    (failing.error, failing.last_attempt) = (error.to_string(), now);
                }
                (Err(error), failing @ None) => {
                    tracing::error!(%error, "storage fails; the service goes on from memory and writes when it is back");
                    *failing = Some(Failing { since: now, last_attempt: now, error: error.to_string() });
                }
            }
        });
        if result.is_ok() {
            self.backoff = BACKOFF.0;
        }
        result
    }

    fn tell_of_slow_commit(&self, began: Time) {
        self.engine.desk().status.send_modify(|status| {
            if status.failing.is_none() {
                let error = format!("no answer within {SLOW_COMMIT:?} so far");
                tracing::warn!(%error, "storage is slow; the service goes on from memory");
                status.failing = Some(Failing { since: began, last_attempt: began, error });
            }
        });
    }

    fn settle(&self, batch: &Batch, durable: Vec<(BreakerName, u64)>) {
        for (name, revision) in durable {
            let _ = self.engine.breakers().with(name.as_str(), |_, live| {
                live.marks.durable = live.marks.durable.max(revision);
            });
        }
        if let Some(last) = batch.transitions.last() {
            self.engine.journal().mark_stored(last.id);
        }
        let now = self.engine.clock().now();
        for record in &batch.transitions {
            // What was due before the start could not be written before it.
            let took_effect = record.transition.at.max(self.started);
            self.engine.stats().storage().lag.count_duration(now.since(took_effect));
        }
        self.engine.desk().forget_deletions(&batch.deletions);
        self.engine.policies().settle(batch);
        self.engine.alerts().settle(batch);
        // Those who wait look again at what is durable.
        self.engine.desk().status.send_modify(|_| {});
    }

    async fn write_first(&mut self, change: DurableChange) {
        let written = match off_the_workers(change.prepare).await.flatten() {
            Ok(batch) if batch.is_empty() => Ok(batch),
            Ok(mut batch) => match self.commit_counted(&mut batch).await {
                Ok(()) => Ok(batch),
                Err(error) => {
                    // It can have got through all the same: what is on disk is made to be as it is.
                    self.engine.write_again(&batch);
                    Err(EngineError::Store(error))
                }
            },
            Err(refused) => Err(refused),
        };
        let finish = change.finish;
        // Whoever asked learns of a runtime that has ended by hearing nothing.
        let _ = off_the_workers(move || finish(written)).await;
    }

    /// Leaves a failing database alone for a while, or until somebody waits for it.
    async fn pause(&mut self, stop: &CancellationToken) {
        let pause = self.backoff;
        self.backoff = (pause * 2).min(BACKOFF.1);
        tokio::select! {
            () = sleep(pause) => {}
            () = self.engine.desk().hurry.notified() => {}
            () = stop.cancelled() => {}
        }
        self.engine.desk().hurry();
    }
}
