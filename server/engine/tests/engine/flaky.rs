use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use breaker_core::{BreakerName, ConfigPatch, Time};
use breaker_engine::{
    AlertRow, Batch, BreakerRow, Clock, Damage, DamagedRow, Defaults, Engine, Forgotten,
    HistoryRange, Loaded, LoadedReporter, ManualClock, Opened, Options, PolicyName, PolicyRow,
    ReceiverRow, ReporterRow, Silence, Store, StoreError, StoredAlerts, StoredPolicies, Tasks,
    TransitionPage, TransitionRecord, Trimmed, UnknownBreakers,
};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// How long the engines of these tests keep transitions.
pub(crate) const RETENTION: Duration = Duration::from_mins(1);

/// How long a breaker stays there that was made by its first use and that nobody uses.
pub(crate) const IDLE_TTL: Duration = Duration::from_hours(24);

/// For how long storage fails before there is an alert.
pub(crate) const STORAGE_DEGRADED: Duration = Duration::from_secs(30);

/// Of how many breakers samples are kept.
pub(crate) const MONITOR_SERIES: usize = 4;

/// A store that can be away.
#[derive(Default)]
pub(crate) struct Flaky {
    is_away: AtomicBool,
    /// What the next opening finds.
    pub(crate) opened: Mutex<Opened>,
    pub(crate) policies: Mutex<BTreeMap<PolicyName, PolicyRow>>,
    pub(crate) alerts: Mutex<BTreeMap<u64, AlertRow>>,
    pub(crate) receivers: Mutex<BTreeMap<Box<str>, ReceiverRow>>,
    pub(crate) rows: Mutex<BTreeMap<BreakerName, BreakerRow>>,
    pub(crate) transitions: Mutex<BTreeMap<u64, TransitionRecord>>,
    pub(crate) reporters: Mutex<BTreeMap<Box<str>, ReporterRow>>,
    /// Breakers that the next opening finds damaged.
    pub(crate) damaged: Mutex<Vec<DamagedRow>>,
    /// The ids of transitions that are damaged.
    pub(crate) damaged_transitions: Mutex<BTreeSet<u64>>,
    /// Lets the next commit wait: it says that it has come, and goes on when it is told to.
    pub(crate) gate: Mutex<Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>>,
    /// What happens while a commit is on its way.
    pub(crate) meanwhile: Mutex<Option<Box<dyn FnMut() + Send>>>,
    /// How many commits there were.
    pub(crate) commits: AtomicUsize,
    /// After how many of them it goes away.
    pub(crate) last_commit: Mutex<Option<usize>>,
}

impl Flaky {
    fn answer(&self) -> Result<(), StoreError> {
        if self.is_away.load(Ordering::SeqCst) {
            Err(StoreError::Unavailable("it is away".into()))
        } else {
            Ok(())
        }
    }

    pub(crate) fn go_away(&self) {
        self.is_away.store(true, Ordering::SeqCst);
    }

    pub(crate) fn come_back(&self) {
        self.is_away.store(false, Ordering::SeqCst);
    }

    fn page(
        &self,
        transitions: &BTreeMap<u64, TransitionRecord>,
        ids: impl Iterator<Item = u64>,
    ) -> TransitionPage {
        let damaged = self.damaged_transitions.lock();
        TransitionPage::of(ids.map(|id| match damaged.contains(&id) {
            true => (transitions[&id].moment(), Err(Damage::new("cause", "`whim` is not a cause"))),
            false => (transitions[&id].moment(), Ok(transitions[&id].clone())),
        }))
    }
}

#[async_trait]
impl Store for Flaky {
    async fn open(&self) -> Result<Opened, StoreError> {
        Ok(self.opened.lock().clone())
    }

    async fn policies(&self) -> Result<StoredPolicies, StoreError> {
        let rows = self.policies.lock().values().cloned().collect();
        Ok(StoredPolicies { rows, ..StoredPolicies::default() })
    }

    async fn alerts(&self) -> Result<StoredAlerts, StoreError> {
        let rows = self.alerts.lock().values().cloned().collect();
        let receivers = self.receivers.lock().values().cloned().collect();
        Ok(StoredAlerts { rows, receivers, ..StoredAlerts::default() })
    }

    async fn load(&self, sink: &mut (dyn FnMut(Loaded) + Send)) -> Result<(), StoreError> {
        let damaged = self.damaged.lock().drain(..).map(Loaded::Damaged).collect::<Vec<_>>();
        let rows = self.rows.lock().values().cloned().map(Loaded::Breaker).collect::<Vec<_>>();
        damaged.into_iter().chain(rows).for_each(sink);
        Ok(())
    }

    async fn reporters(
        &self,
        limit: usize,
        sink: &mut (dyn FnMut(LoadedReporter) + Send),
    ) -> Result<(), StoreError> {
        let mut rows: Vec<_> = self.reporters.lock().values().cloned().collect();
        rows.sort_by_key(|row| row.heard_at);
        rows.split_off(rows.len().saturating_sub(limit)).into_iter().map(Ok).for_each(sink);
        Ok(())
    }

    async fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        self.answer()?;
        let gate = self.gate.lock().take();
        if let Some((reached, go_on)) = gate {
            reached.send(()).unwrap();
            go_on.await.unwrap();
        }
        let is_slow = self.meanwhile.lock().as_mut().map(|meanwhile| meanwhile()).is_some();
        if is_slow {
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        let commits = self.commits.fetch_add(1, Ordering::SeqCst) + 1;
        if self.last_commit.lock().take_if(|last| *last <= commits).is_some() {
            self.go_away();
        }
        let mut alerts = self.alerts.lock();
        alerts.extend(batch.alerts.iter().map(|row| (row.id, row.clone())));
        alerts.retain(|id, _| !batch.alert_deletions.contains(id));
        let receivers = batch.receivers.iter().map(|row| (row.name.clone(), row.clone()));
        self.receivers.lock().extend(receivers);
        let mut policies = self.policies.lock();
        for row in &batch.policies {
            policies.insert(row.name.clone(), row.clone());
        }
        for deletion in &batch.policy_deletions {
            policies.retain(|name, row| *name != deletion.name || row.revision > deletion.revision);
        }
        let mut rows = self.rows.lock();
        for row in &batch.rows {
            rows.insert(row.name.clone(), row.clone());
        }
        for deletion in &batch.deletions {
            rows.retain(|name, row| *name != deletion.name || row.revision > deletion.revision);
        }
        let mut transitions = self.transitions.lock();
        for record in &batch.transitions {
            transitions.insert(record.id, TransitionRecord::clone(record));
        }
        let mut reporters = self.reporters.lock();
        for row in &batch.reporters {
            reporters.insert(row.id.clone(), row.clone());
        }
        Ok(())
    }

    async fn history(
        &self,
        range: &HistoryRange,
        limit: usize,
    ) -> Result<TransitionPage, StoreError> {
        self.answer()?;
        let transitions = self.transitions.lock();
        let mut found: Vec<_> =
            transitions.values().filter(|record| range.contains(record)).collect();
        found.sort_unstable_by_key(|record| Reverse(record.moment()));
        Ok(self.page(&transitions, found.into_iter().map(|record| record.id).take(limit)))
    }

    async fn transitions_after(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<TransitionPage, StoreError> {
        self.answer()?;
        let transitions = self.transitions.lock();
        let oldest_first = transitions.range(after + 1..).map(|(&id, _)| id);
        Ok(self.page(&transitions, oldest_first.take(limit)))
    }

    async fn trim(&self, older_than: Time, limit: usize) -> Result<Trimmed, StoreError> {
        self.answer()?;
        let mut transitions = self.transitions.lock();
        let mut trimmed = Trimmed { count: 0, trimmed_transition_id: 0 };
        while trimmed.count < limit
            && let Some(oldest) = transitions.first_entry()
            && oldest.get().transition.at < older_than
        {
            trimmed.trimmed_transition_id = oldest.remove().id;
            trimmed.count += 1;
        }
        Ok(trimmed)
    }

    /// Looks at all of them at once.
    async fn forget_reporters(&self, silence: &Silence) -> Result<Forgotten, StoreError> {
        self.answer()?;
        let mut reporters = self.reporters.lock();
        let before = reporters.len();
        reporters.retain(|_, row| row.heard_at >= silence.since);
        Ok(Forgotten { count: before - reporters.len(), last: None })
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.answer()
    }
}

pub(crate) async fn start(store: &Arc<Flaky>) -> (Arc<Engine>, Tasks) {
    start_at(store, &Arc::new(ManualClock::at(Time::from_millis(1)))).await
}

/// Starts an engine that lives by this clock.
pub(crate) async fn start_at(store: &Arc<Flaky>, clock: &Arc<ManualClock>) -> (Arc<Engine>, Tasks) {
    let options = Options {
        defaults: Defaults::new(ConfigPatch::default()).unwrap(),
        max_breakers: 10,
        unknown_breakers: UnknownBreakers::Create,
        idle_ttl: Some(IDLE_TTL),
        history_retention: RETENTION,
        storage_degraded: Some(STORAGE_DEGRADED),
        monitor_series: MONITOR_SERIES,
        life: || 1,
        encode: |status| Bytes::from(status.name.to_string()),
    };
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    let store: Arc<dyn Store> = Arc::<Flaky>::clone(store);
    Engine::start(options, store, clock).await.unwrap()
}

pub(crate) fn name(text: &str) -> BreakerName {
    BreakerName::new(text).unwrap()
}

/// Runs something where the time of tokio stands still for as long as anybody has work to do.
pub(crate) fn with_paused_time<T>(run: impl Future<Output = T>) -> T {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(run)
}
