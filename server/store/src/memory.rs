use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use breaker_core::{BreakerName, Time};
use breaker_engine::{
    AlertRow, Batch, BreakerRow, Floors, Forgotten, HistoryRange, Loaded, LoadedReporter, Opened,
    PolicyName, PolicyRow, ReceiverRow, ReporterRow, RestoreStep, Silence, Store, StoreError,
    StoredAlerts, StoredPolicies, TransitionPage, TransitionRecord, Trimmed,
};
use parking_lot::Mutex;

/// A store that lasts as long as the process. Clones are the same store, as two connections to one
/// database are.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    tables: Arc<Mutex<Tables>>,
}

#[derive(Debug, Default)]
struct Tables {
    policies: HashMap<PolicyName, PolicyRow>,
    breakers: HashMap<BreakerName, BreakerRow>,
    transitions: BTreeMap<u64, Arc<TransitionRecord>>,
    /// By the bytes of their ids.
    reporters: BTreeMap<Vec<u8>, ReporterRow>,
    alerts: HashMap<u64, AlertRow>,
    receivers: HashMap<Box<str>, ReceiverRow>,
    life: Life,
    incarnation: u64,
    revision_floor: u64,
    generation_floor: u64,
    policy_revision_floor: u64,
    trimmed_transition_id: u64,
    is_half_restored: bool,
}

/// Whether a server uses the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Life {
    #[default]
    Ended,
    Lasts,
}

impl Tables {
    fn last_transition_id(&self) -> u64 {
        let last = self.transitions.last_key_value().map_or(0, |(&id, _)| id);
        last.max(self.trimmed_transition_id)
    }

    fn write(&mut self, batch: &Batch) {
        for row in &batch.policies {
            self.policies.insert(row.name.clone(), row.clone());
        }
        for deletion in &batch.policy_deletions {
            self.policies
                .retain(|name, row| *name != deletion.name || row.revision > deletion.revision);
            self.policy_revision_floor = self.policy_revision_floor.max(deletion.revision);
        }
        for row in &batch.rows {
            self.breakers.insert(row.name.clone(), row.clone());
        }
        for deletion in &batch.deletions {
            if self
                .breakers
                .get(&deletion.name)
                .is_some_and(|row| row.revision <= deletion.revision)
            {
                self.breakers.remove(&deletion.name);
            }
            self.revision_floor = self.revision_floor.max(deletion.revision);
            self.generation_floor = self.generation_floor.max(deletion.generation);
        }
        for record in &batch.transitions {
            self.transitions.entry(record.id).or_insert_with(|| Arc::clone(record));
        }
        for row in &batch.reporters {
            self.reporters.insert(row.id.as_bytes().to_vec(), row.clone());
        }
        self.alerts.extend(batch.alerts.iter().map(|row| (row.id, row.clone())));
        self.alerts.retain(|id, _| !batch.alert_deletions.contains(id));
        let receivers = batch.receivers.iter();
        self.receivers.extend(receivers.map(|row| (row.name.clone(), row.clone())));
        match batch.restore {
            Some(RestoreStep::Begins(floors)) => self.begin_restore(floors),
            Some(RestoreStep::Ends) => self.is_half_restored = false,
            None => {}
        }
    }

    fn begin_restore(&mut self, floors: Floors) {
        self.is_half_restored = true;
        for (own, floor) in [
            (&mut self.incarnation, floors.incarnation),
            (&mut self.revision_floor, floors.revision_floor),
            (&mut self.generation_floor, floors.generation_floor),
            (&mut self.policy_revision_floor, floors.policy_revision_floor),
            (&mut self.trimmed_transition_id, floors.trimmed_transition_id),
        ] {
            *own = floor.max(*own);
        }
    }

    fn trim(&mut self, older_than: Time, limit: usize) -> Trimmed {
        let mut count = 0;
        while count < limit
            && let Some(oldest) = self.transitions.first_entry()
            && oldest.get().transition.at < older_than
        {
            self.trimmed_transition_id = oldest.remove().id;
            count += 1;
        }
        Trimmed { count, trimmed_transition_id: self.trimmed_transition_id }
    }
}

impl Tables {
    fn forget(&mut self, silence: &Silence) -> Forgotten {
        let behind = (Bound::Excluded(silence.after.clone()), Bound::Unbounded);
        let ids: Vec<_> =
            self.reporters.range(behind).map(|(id, _)| id.clone()).take(silence.limit).collect();
        let is_end = ids.len() < silence.limit;
        let mut count = 0;
        for id in &ids {
            if self.reporters[id].heard_at < silence.since {
                self.reporters.remove(id);
                count += 1;
            }
        }
        Forgotten { count, last: ids.into_iter().next_back().filter(|_| !is_end) }
    }
}

/// Nothing is damaged here.
fn page<'r>(records: impl Iterator<Item = &'r Arc<TransitionRecord>>) -> TransitionPage {
    TransitionPage::of(records.map(|record| (record.moment(), Ok(TransitionRecord::clone(record)))))
}

#[async_trait]
impl Store for MemoryStore {
    async fn open(&self) -> Result<Opened, StoreError> {
        let mut tables = self.tables.lock();
        let after_crash = tables.life == Life::Lasts;
        tables.incarnation += u64::from(after_crash);
        tables.life = Life::Lasts;
        Ok(Opened {
            incarnation: tables.incarnation,
            after_crash,
            revision_floor: tables.revision_floor,
            generation_floor: tables.generation_floor,
            policy_revision_floor: tables.policy_revision_floor,
            last_transition_id: tables.last_transition_id(),
            trimmed_transition_id: tables.trimmed_transition_id,
            is_half_restored: tables.is_half_restored,
        })
    }

    async fn policies(&self) -> Result<StoredPolicies, StoreError> {
        let rows = self.tables.lock().policies.values().cloned().collect();
        Ok(StoredPolicies { rows, ..StoredPolicies::default() })
    }

    async fn alerts(&self) -> Result<StoredAlerts, StoreError> {
        let tables = self.tables.lock();
        Ok(StoredAlerts {
            rows: tables.alerts.values().cloned().collect(),
            receivers: tables.receivers.values().cloned().collect(),
            ..StoredAlerts::default()
        })
    }

    async fn load(&self, sink: &mut (dyn FnMut(Loaded) + Send)) -> Result<(), StoreError> {
        self.tables.lock().breakers.values().cloned().map(Loaded::Breaker).for_each(sink);
        Ok(())
    }

    async fn reporters(
        &self,
        limit: usize,
        sink: &mut (dyn FnMut(LoadedReporter) + Send),
    ) -> Result<(), StoreError> {
        let mut rows: Vec<_> = self.tables.lock().reporters.values().cloned().collect();
        rows.sort_by_key(|row| row.heard_at);
        let latest = rows.split_off(rows.len().saturating_sub(limit));
        latest.into_iter().map(Ok).for_each(sink);
        Ok(())
    }

    async fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        self.tables.lock().write(batch);
        Ok(())
    }

    async fn history(
        &self,
        range: &HistoryRange,
        limit: usize,
    ) -> Result<TransitionPage, StoreError> {
        let tables = self.tables.lock();
        let mut found: Vec<_> =
            tables.transitions.values().filter(|record| range.contains(record)).collect();
        found.sort_unstable_by_key(|record| Reverse(record.moment()));
        Ok(page(found.into_iter().take(limit)))
    }

    async fn transitions_after(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<TransitionPage, StoreError> {
        let tables = self.tables.lock();
        let oldest_first = tables.transitions.range((Bound::Excluded(after), Bound::Unbounded));
        Ok(page(oldest_first.take(limit).map(|(_, record)| record)))
    }

    async fn trim(&self, older_than: Time, limit: usize) -> Result<Trimmed, StoreError> {
        Ok(self.tables.lock().trim(older_than, limit))
    }

    async fn forget_reporters(&self, silence: &Silence) -> Result<Forgotten, StoreError> {
        Ok(self.tables.lock().forget(silence))
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.tables.lock().life = Life::Ended;
        Ok(())
    }
}
