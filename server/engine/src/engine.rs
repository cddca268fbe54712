//! The engine: what the server's edges call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use breaker_core::{BreakerName, Time};
use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::alerts::{Alerts, StorageRule};
use crate::breakers::{Breakers, first_of_incarnation};
use crate::clock::Clock;
use crate::damage::{Damage, StoredAlerts};
use crate::defaults::Defaults;
use crate::error::EngineError;
use crate::forgetter::Forgetter;
use crate::idle::{self, Idleness};
use crate::journal::Journal;
use crate::monitor::{Monitor, Sampler};
use crate::policies::Policies;
use crate::reporters::Reporters;
use crate::selectors::Selectors;
use crate::signals::Signals;
use crate::stats::Stats;
use crate::store::{HistoryRange, Store, StoreError};
use crate::trimmer::Trimmer;
use crate::view::{BreakerOutline, BreakerStatus, BreakerView};
use crate::watch::{Encoded, Phase, Place, States, Subscription, WatchLog, WatchStats};
use crate::writer::{StorageStatus, Writer, WriterDesk};
use crate::{alerts, deadlines, loading, recorder};

/// Turns a status into the bytes that watchers get. Called once for each change.
pub type Encode = fn(&BreakerStatus) -> Bytes;

/// How an engine is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// The configuration of breakers that have neither a policy nor one of their own.
    pub defaults: Defaults,
    /// Most breakers at a time.
    pub max_breakers: usize,
    /// What happens at the first use of a breaker that does not exist.
    pub unknown_breakers: UnknownBreakers,
    /// How long a breaker that was made by its first use stays without any other; `None` for ever.
    /// Where unknown breakers are refused none goes: it would not come back by itself.
    pub idle_ttl: Option<Duration>,
    /// How long transitions are kept, at least.
    pub history_retention: Duration,
    /// For how long storage fails before there is an alert; `None` for never.
    pub storage_degraded: Option<Duration>,
    /// The samples of at most so many breakers are kept, those that are used most lately; 0 for none.
    pub monitor_series: usize,
    /// Chooses by chance what tells one life of the server, from its start or from when it took the
    /// lead, from all others.
    pub life: fn() -> u64,
    /// Encodes a status for watchers.
    pub encode: Encode,
}

/// What happens at the first use of a breaker that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownBreakers {
    /// It is created.
    Create,
    /// The call fails.
    Refuse,
}

/// The live breakers of one server.
pub struct Engine {
    breakers: Breakers,
    watch_log: Arc<WatchLog>,
    journal: Journal,
    reporters: Reporters,
    alerts: Alerts,
    monitor: Monitor,
    desk: WriterDesk,
    clock: Arc<dyn Clock>,
    store: Arc<dyn Store>,
    encode: Encode,
    unknown_breakers: UnknownBreakers,
    idleness: Idleness,
    /// Until then, in nanoseconds, a report may carry a generation that the server forgot with its
    /// last crash, or that the backup it was restored from does not know.
    lenient_until: AtomicU64,
    incarnation: AtomicU64,
}

/// The engine's tasks: they end together, and none before it is told to.
pub struct Tasks {
    deadlines: JoinHandle<()>,
    recorder: JoinHandle<()>,
    idle: JoinHandle<()>,
    alerts: JoinHandle<()>,
    sampler: JoinHandle<()>,
    writer: JoinHandle<Result<(), StoreError>>,
    engine: Arc<Engine>,
    stop_writer: CancellationToken,
}

/// A task that has ended before it was told to.
#[derive(Debug)]
pub struct TaskFailure {
    /// Its name.
    pub task: &'static str,
    /// Why, if it has said so: [`StoreError::Superseded`] if another server leads.
    pub error: Option<StoreError>,
}

/// After a crash, for so long an unknown generation or permit is taken for one that was given out
/// and not written any more. Calls in flight across a restart have been reported by then.
const LENIENCY: Duration = Duration::from_secs(10 * 60);

impl Engine {
    /// Opens the store, loads every policy and breaker, and starts the tasks. Of damaged rows each
    /// is logged: a breaker starts afresh, and a policy is left out.
    ///
    /// # Errors
    /// If the store cannot be used, or holds a part of a backup.
    pub async fn start(
        options: Options,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Arc<Self>, Tasks), EngineError> {
        let opened = store.open().await?;
        if opened.is_half_restored {
            return Err(EngineError::HalfRestored);
        }
        let stored = store.policies().await?;
        let policies = Policies::new(options.defaults, stored.rows, &opened);
        let breakers = Breakers::new(policies, options.max_breakers, &opened);
        let latest = store.history(&HistoryRange::everything(), 1).await?;
        leave_damaged(&stored.damaged, &breakers.signals.stats);
        loading::load(&*store, &breakers, &opened, clock.now()).await?;
        let reporters = loading::reporters(&*store, &breakers.signals.stats, clock.now()).await?;
        let stored = store.alerts().await?;
        leave_damaged_alerts(&stored, &breakers.signals.stats);
        let (desk, durable_changes) = WriterDesk::new();
        let idle_ttl = match options.unknown_breakers {
            UnknownBreakers::Create => options.idle_ttl,
            UnknownBreakers::Refuse => None,
        };
        let lost = if opened.after_crash { LENIENCY } else { Duration::ZERO };
        let first_number = first_of_incarnation(opened.incarnation);
        let journal = Journal::new(&opened, latest.last.map(|last| last.at), first_number);
        let storage_rule = StorageRule {
            degraded: options.storage_degraded,
            repeat_after: breakers.policies().defaults().alert_rules().repeat_after,
        };
        let alerts = Alerts::new(stored, first_number, storage_rule, journal.latest());
        let engine = Arc::new(Self {
            breakers,
            watch_log: Arc::new(WatchLog::new((options.life)())),
            journal,
            reporters,
            alerts,
            monitor: Monitor::new(options.monitor_series, clock.now()),
            desk,
            lenient_until: AtomicU64::new((clock.now() + lost).as_nanos()),
            incarnation: AtomicU64::new(opened.incarnation),
            idleness: Idleness::new(idle_ttl, clock.now()),
            clock,
            store,
            encode: options.encode,
            unknown_breakers: options.unknown_breakers,
        });
        // Watchers that come at once find every breaker.
        engine.watch_log.fill(|place| engine.breakers.place_unchanged(place));
        while recorder::record(&engine) > 0 {}
        alerts::find_all(&engine);
        let stop_writer = CancellationToken::new();
        let trimmer = Trimmer::new(Arc::clone(&engine), options.history_retention);
        let forgetter = Forgetter::new(Arc::clone(&engine));
        let writer = Writer::new(Arc::clone(&engine), durable_changes, trimmer, forgetter);
        let tasks = Tasks {
            deadlines: tokio::spawn(deadlines::run(Arc::clone(&engine))),
            recorder: tokio::spawn(recorder::run(Arc::clone(&engine))),
            idle: tokio::spawn(idle::run(Arc::clone(&engine))),
            alerts: tokio::spawn(alerts::run(Arc::clone(&engine))),
            sampler: tokio::spawn(Sampler::new(Arc::clone(&engine)).run()),
            writer: tokio::spawn(writer.run(stop_writer.clone())),
            engine: Arc::clone(&engine),
            stop_writer,
        };
        Ok((engine, tasks))
    }

    /// One breaker with all that is known about it.
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn get(&self, name: &BreakerName) -> Result<BreakerView, EngineError> {
        let now = self.clock.now();
        self.breakers
            .with(name.as_str(), |name, live| {
                live.advance(name, self.signals(), now);
                BreakerView::of(name, live, self.policies().defaults(), now)
            })
            .ok_or_else(|| EngineError::UnknownBreaker(name.clone()))
    }

    /// One breaker as a list shows it.
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn outline(&self, name: &BreakerName) -> Result<BreakerOutline, EngineError> {
        let now = self.clock.now();
        self.breakers
            .with(name.as_str(), |name, live| {
                live.advance(name, self.signals(), now);
                BreakerOutline::of(name, live, now)
            })
            .ok_or_else(|| EngineError::UnknownBreaker(name.clone()))
    }

    /// Follows the states of breakers: from a snapshot, or from where `token` was given. Gets signs
    /// of life together with the others of its phase.
    pub fn watch(
        self: &Arc<Self>,
        selectors: Selectors,
        token: &[u8],
        phase: Phase,
    ) -> Subscription {
        let states: Arc<Self> = Arc::clone(self);
        self.watch_log.subscribe(states, selectors, token, phase)
    }

    /// The first breakers by name that are selected, `limit` at most, and how many more there are,
    /// counted up to `count_up_to` of them. Without selectors all are.
    pub fn select(
        &self,
        selectors: &Selectors,
        limit: usize,
        count_up_to: usize,
    ) -> (Vec<BreakerView>, usize) {
        let wanted = limit.saturating_add(count_up_to);
        let names = States::names(self, selectors, None, wanted);
        let mut there = names.iter().filter(|name| self.breakers.contains(name));
        let first = there.by_ref().take(limit).filter_map(|name| self.get(name).ok()).collect();
        (first, there.count())
    }

    /// Follows the changes of all breakers from now on, without a snapshot.
    pub fn follow_changes(self: &Arc<Self>) -> Subscription {
        let states: Arc<Self> = Arc::clone(self);
        self.watch_log.follow(states)
    }

    /// How well watchers keep up.
    pub fn watch_stats(&self) -> &WatchStats {
        self.watch_log.stats()
    }

    /// The time that breakers live by.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// How many breakers there are.
    pub fn breaker_count(&self) -> usize {
        self.breakers.len()
    }

    /// Counts over all breakers.
    pub const fn stats(&self) -> &Stats {
        &self.breakers.signals.stats
    }

    /// How storage is doing.
    pub fn storage_status(&self) -> watch::Receiver<StorageStatus> {
        self.desk.status()
    }

    /// Transitions that wait for storage.
    pub fn waiting_transitions(&self) -> usize {
        self.journal.waiting_count()
    }

    /// Breakers that wait for storage.
    pub fn waiting_breakers(&self) -> usize {
        self.signals().to_write.len()
    }

    pub(crate) const fn breakers(&self) -> &Breakers {
        &self.breakers
    }

    pub(crate) const fn policies(&self) -> &Policies {
        self.breakers.policies()
    }

    pub(crate) const fn signals(&self) -> &Signals {
        &self.breakers.signals
    }

    pub(crate) const fn journal(&self) -> &Journal {
        &self.journal
    }

    pub(crate) fn watch_log(&self) -> &WatchLog {
        &self.watch_log
    }

    pub(crate) const fn desk(&self) -> &WriterDesk {
        &self.desk
    }

    pub(crate) const fn reporters(&self) -> &Reporters {
        &self.reporters
    }

    pub(crate) const fn alerts(&self) -> &Alerts {
        &self.alerts
    }

    pub(crate) const fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    pub(crate) const fn unknown_breakers(&self) -> UnknownBreakers {
        self.unknown_breakers
    }

    pub(crate) const fn idleness(&self) -> &Idleness {
        &self.idleness
    }

    pub(crate) fn lenient_until(&self) -> Time {
        Time::from_nanos(self.lenient_until.load(Ordering::Relaxed))
    }

    /// Takes unknown generations and permits for some that were given out, for a while.
    pub(crate) fn be_lenient(&self) {
        let until = self.now() + LENIENCY;
        self.lenient_until.fetch_max(until.as_nanos(), Ordering::Relaxed);
    }

    /// Part of every revision and id that is given out.
    pub(crate) fn incarnation(&self) -> u64 {
        self.incarnation.load(Ordering::Relaxed)
    }

    pub(crate) fn set_incarnation(&self, incarnation: u64) {
        self.incarnation.store(incarnation, Ordering::Relaxed);
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    pub(crate) fn encode(&self, status: &BreakerStatus) -> Bytes {
        (self.encode)(status)
    }
}

/// Logs the policies that nothing can be made of. They stay in storage until an admin replaces them.
fn leave_damaged(damaged: &[(String, Damage)], stats: &Stats) {
    stats.count_damaged_rows(damaged.len());
    for (policy, Damage { column, problem }) in damaged {
        tracing::error!(
            policy,
            column,
            problem,
            "the row of the policy in storage is damaged; it is left as it is, and breakers run \
             without the policy until it is created anew"
        );
    }
}

/// Logs the alerts that nothing can be made of, and the receivers.
fn leave_damaged_alerts(stored: &StoredAlerts, stats: &Stats) {
    stats.count_damaged_rows(stored.damaged.len() + stored.damaged_receivers.len());
    for (alert, Damage { column, problem }) in &stored.damaged {
        tracing::error!(alert, column, problem, "the row of an alert in storage is damaged");
    }
    for (receiver, Damage { column, problem }) in &stored.damaged_receivers {
        tracing::error!(
            receiver,
            column,
            problem,
            "the row of a receiver of alerts in storage is damaged; it is told of what changes from now on"
        );
    }
}

impl States for Engine {
    fn names(
        &self,
        selectors: &Selectors,
        after: Option<&BreakerName>,
        limit: usize,
    ) -> Vec<BreakerName> {
        // Those that are selected by name need not be there: each is looked for all the same.
        let mut names: Vec<_> = selectors.names_after(after).iter().take(limit).cloned().collect();
        let prefixes = selectors.literal_prefixes().into_iter();
        let matched = prefixes
            .flat_map(|prefix| self.breakers.names_beginning_with(prefix, after))
            .filter(|name| selectors.matches(name));
        // Both are in order, so that the first of all are among the first of each.
        names.extend(matched.take(limit));
        names.sort_unstable();
        names.dedup();
        names.truncate(limit);
        names
    }

    fn place(&self, name: &BreakerName) -> Place {
        let place = self.breakers.with(name.as_str(), |_, live| match live.marks.to_record {
            true => Place::Later,
            false => Place::At(live.marks.position),
        });
        place.unwrap_or(Place::Gone)
    }

    fn encoded(&self, name: &BreakerName, position: u64) -> Encoded {
        let status = self.breakers.with(name.as_str(), |name, live| {
            let is_there = !live.marks.to_record && live.marks.position == position;
            is_there.then(|| BreakerStatus::of(name, live))
        });
        match status {
            Some(Some(status)) => Encoded::State(self.encode(&status)),
            Some(None) => Encoded::Later,
            None => Encoded::Gone,
        }
    }

    fn now(&self) -> Time {
        self.clock.now()
    }
}

impl Tasks {
    /// Waits for a task to end, which none does by itself unless another server leads: this one
    /// cannot go on without it.
    pub async fn failed(&mut self) -> TaskFailure {
        tokio::select! {
            _ = &mut self.deadlines => TaskFailure { task: "deadline task", error: None },
            _ = &mut self.recorder => TaskFailure { task: "recorder", error: None },
            _ = &mut self.idle => TaskFailure { task: "idle task", error: None },
            _ = &mut self.alerts => TaskFailure { task: "alert task", error: None },
            _ = &mut self.sampler => TaskFailure { task: "sampler", error: None },
            ended = &mut self.writer => {
                TaskFailure { task: "writer", error: ended.ok().and_then(Result::err) }
            }
        }
    }

    /// Ends the tasks as they are: another server leads, and nothing can be written any more.
    pub fn abandon(self) {
        self.deadlines.abort();
        self.recorder.abort();
        self.idle.abort();
        self.alerts.abort();
        self.sampler.abort();
        self.writer.abort();
    }

    /// Ends the tasks once everything is recorded and written. To be called when nobody changes
    /// breakers any more.
    ///
    /// # Errors
    /// If something could not be written.
    pub async fn shut_down(self) -> Result<(), StoreError> {
        self.deadlines.abort();
        self.recorder.abort();
        self.idle.abort();
        self.alerts.abort();
        let _ = self.alerts.await;
        self.sampler.abort();
        let _ = self.deadlines.await;
        let _ = self.recorder.await;
        let _ = self.idle.await;
        let _ = self.sampler.await;
        while recorder::record(&self.engine) > 0 {}
        self.stop_writer.cancel();
        match self.writer.await {
            Ok(written) => written,
            Err(panic) => Err(StoreError::Unavailable(panic.into())),
        }
    }
}
