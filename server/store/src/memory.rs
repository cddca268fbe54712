use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use breaker_core::{BreakerName, Time};
use breaker_engine::{Batch, BreakerRow, Opened, Store, StoreError, TransitionRecord, Trimmed};
use parking_lot::Mutex;

/// Keeps everything for as long as the process lives. Clones share what they keep.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    opened: Opened,
    is_open: bool,
    breakers: HashMap<BreakerName, BreakerRow>,
    transitions: BTreeMap<u64, TransitionRecord>,
}

#[async_trait]
impl Store for MemoryStore {
    async fn open(&self) -> Result<Opened, StoreError> {
        let mut kept = self.0.lock();
        kept.opened.after_crash = kept.is_open;
        kept.opened.incarnation += u64::from(kept.is_open);
        kept.is_open = true;
        Ok(kept.opened.clone())
    }

    async fn load(&self, sink: &mut (dyn FnMut(BreakerRow) + Send)) -> Result<(), StoreError> {
        self.0.lock().breakers.values().cloned().for_each(sink);
        Ok(())
    }

    async fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut kept = self.0.lock();
        for row in &batch.rows {
            kept.breakers.insert(row.name.clone(), row.clone());
        }
        for deletion in &batch.deletions {
            let opened = &mut kept.opened;
            opened.revision_floor = opened.revision_floor.max(deletion.revision);
            opened.generation_floor = opened.generation_floor.max(deletion.generation);
            if kept.breakers.get(&deletion.name).is_some_and(|r| r.revision <= deletion.revision) {
                kept.breakers.remove(&deletion.name);
            }
        }
        for record in &batch.transitions {
            kept.transitions.entry(record.id).or_insert_with(|| TransitionRecord::clone(record));
            kept.opened.last_transition_id = kept.opened.last_transition_id.max(record.id);
        }
        Ok(())
    }

    async fn transitions_before(
        &self,
        before: u64,
        breaker: Option<&BreakerName>,
        limit: usize,
    ) -> Result<Vec<TransitionRecord>, StoreError> {
        let kept = self.0.lock();
        let records = kept.transitions.range(..before).rev().map(|(_, record)| record);
        let wanted = records.filter(|record| breaker.is_none_or(|name| *name == record.breaker));
        Ok(wanted.take(limit).cloned().collect())
    }

    async fn transitions_after(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<TransitionRecord>, StoreError> {
        let kept = self.0.lock();
        let records = kept.transitions.range(after.saturating_add(1)..);
        Ok(records.take(limit).map(|(_, record)| record.clone()).collect())
    }

    async fn trim(&self, older_than: Time, limit: usize) -> Result<Trimmed, StoreError> {
        let mut kept = self.0.lock();
        let mut count = 0;
        while count < limit
            && let Some(oldest) = kept.transitions.first_entry()
            && oldest.get().transition.at < older_than
        {
            let (id, _) = oldest.remove_entry();
            kept.opened.trimmed_transition_id = id;
            count += 1;
        }
        Ok(Trimmed { count, trimmed_transition_id: kept.opened.trimmed_transition_id })
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.0.lock().is_open = false;
        Ok(())
    }
}
