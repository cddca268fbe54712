//! The alerts that are kept: those that fire, and the last that did.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use breaker_core::{BreakerName, Time};

use super::row::{Acknowledgement, AlertRow, AlertRule, Severity};
use crate::store::Batch;

/// Alerts that are kept. One that fires is kept for as long as it does, and others make room.
pub const MAX_ALERTS: usize = 1_000;
/// So many that are over are kept however many fire: whoever follows has to see them end.
const MIN_OVER: usize = 500;
/// Most alerts that fire at a time; what is raised beyond that is counted and told nobody.
pub const MAX_FIRING: usize = 10_000;
/// Most rows that are written, or deleted, at once.
const MAX_WRITTEN_AT_ONCE: usize = 1_000;

/// What an alert is about.
pub(super) type Key = (AlertRule, Option<BreakerName>);

/// An alert to raise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Raised {
    pub(super) key: Key,
    pub(super) severity: Severity,
    pub(super) summary: String,
}

#[derive(Debug, Default)]
pub(super) struct Kept {
    alerts: HashMap<u64, Arc<AlertRow>>,
    /// Ids by the revisions of their last changes.
    by_revision: BTreeMap<u64, u64>,
    /// Those among them that are over.
    over: BTreeMap<u64, u64>,
    firing: HashMap<Key, u64>,
    /// Ids and revisions lie above this.
    last_number: u64,
    /// Those that storage does not know as they are.
    unwritten: BTreeSet<u64>,
    /// Those that storage has a row of.
    stored: HashSet<u64>,
    /// Those whose rows are to go.
    to_delete: BTreeSet<u64>,
    /// What was raised while too many fired.
    suppressed: u64,
}

impl Kept {
    /// Goes on with what was stored.
    pub(super) fn new(rows: Vec<AlertRow>, first_number: u64) -> Self {
        let mut kept = Self { last_number: first_number, ..Self::default() };
        for row in rows {
            kept.last_number = kept.last_number.max(row.revision).max(row.id);
            kept.stored.insert(row.id);
            kept.by_revision.insert(row.revision, row.id);
            if row.is_firing() {
                kept.firing.insert((row.rule, row.breaker.clone()), row.id);
            } else {
                kept.over.insert(row.revision, row.id);
            }
            kept.alerts.insert(row.id, Arc::new(row));
        }
        kept.trim();
        kept
    }

    /// Raises an alert, unless one like it fires already. One that is over at once is told and never
    /// fires.
    pub(super) fn raise(&mut self, raised: Raised, at: Time, ended_at: Option<Time>) {
        if self.firing.contains_key(&raised.key) {
            return;
        }
        if self.firing.len() >= MAX_FIRING {
            self.suppressed += 1;
            return;
        }
        let id = self.next_number();
        let Raised { key, severity, summary } = raised;
        let (rule, breaker) = key.clone();
        if ended_at.is_none() {
            self.firing.insert(key, id);
        }
        self.put(AlertRow {
            id,
            revision: 0,
            rule,
            severity,
            breaker,
            summary,
            started_at: at,
            ended_at,
            notified_at: at,
            repeat_count: 0,
            acknowledgement: None,
        });
    }

    /// The alert that fires about this.
    pub(super) fn firing(&self, key: &Key) -> Option<&Arc<AlertRow>> {
        self.alerts.get(self.firing.get(key)?)
    }

    /// What it tells of is over.
    pub(super) fn resolve(&mut self, key: &Key, at: Time) {
        let Some(id) = self.firing.remove(key) else { return };
        self.change(id, |row| {
            (row.ended_at, row.notified_at) = (Some(at.max(row.started_at)), at);
        });
    }

    /// Tells of an alert that fires once more.
    pub(super) fn repeat(&mut self, key: &Key, at: Time) {
        let Some(&id) = self.firing.get(key) else { return };
        self.change(id, |row| {
            (row.notified_at, row.repeat_count) = (at, row.repeat_count.saturating_add(1));
        });
    }

    /// Notes that somebody has seen an alert; `None` if it is not kept.
    pub(super) fn acknowledge(&mut self, id: u64, seen: Acknowledgement) -> Option<Arc<AlertRow>> {
        self.change(id, |row| row.acknowledgement = Some(seen))
    }

    /// The keys of those that fire.
    pub(super) fn firing_keys(&self) -> impl Iterator<Item = &Key> {
        self.firing.keys()
    }

    /// Those that changed after a revision, in order of their revisions.
    pub(super) fn after(&self, revision: u64) -> impl Iterator<Item = &Arc<AlertRow>> {
        let ids = self.by_revision.range(revision.saturating_add(1)..);
        ids.filter_map(|(_, id)| self.alerts.get(id))
    }

    /// Those that changed before a revision, the last first.
    pub(super) fn before(&self, revision: u64) -> impl Iterator<Item = &Arc<AlertRow>> {
        self.by_revision.range(..revision).rev().filter_map(|(_, id)| self.alerts.get(id))
    }

    /// The revision of the last change.
    pub(super) fn latest(&self) -> u64 {
        self.by_revision.last_key_value().map_or(0, |(&revision, _)| revision)
    }

    pub(super) const fn suppressed(&self) -> u64 {
        self.suppressed
    }

    /// Whether storage has something to learn.
    pub(super) fn is_unwritten(&self) -> bool {
        !self.unwritten.is_empty() || !self.to_delete.is_empty()
    }

    /// Adds what storage does not know to a batch.
    pub(super) fn gather(&self, batch: &mut Batch) {
        let rows = self.unwritten.iter().filter_map(|id| self.alerts.get(id)).map(Arc::as_ref);
        batch.alerts = rows.take(MAX_WRITTEN_AT_ONCE).cloned().collect();
        batch.alert_deletions = self.to_delete.iter().take(MAX_WRITTEN_AT_ONCE).copied().collect();
    }

    /// Notes that a batch is on disk.
    pub(super) fn settle(&mut self, batch: &Batch) {
        for row in &batch.alerts {
            match self.alerts.get(&row.id) {
                Some(now) => {
                    self.stored.insert(row.id);
                    if now.revision == row.revision {
                        self.unwritten.remove(&row.id);
                    }
                }
                // It went while it was written.
                None => {
                    self.to_delete.insert(row.id);
                }
            }
        }
        for id in &batch.alert_deletions {
            self.to_delete.remove(id);
        }
    }

    fn change(&mut self, id: u64, change: impl FnOnce(&mut AlertRow)) -> Option<Arc<AlertRow>> {
        let mut row = AlertRow::clone(self.alerts.get(&id)?);
        self.by_revision.remove(&row.revision);
        self.over.remove(&row.revision);
        change(&mut row);
        Some(self.put(row))
    }

    fn put(&mut self, mut row: AlertRow) -> Arc<AlertRow> {
        row.revision = self.next_number();
        let row = Arc::new(row);
        self.by_revision.insert(row.revision, row.id);
        if !row.is_firing() {
            self.over.insert(row.revision, row.id);
        }
        self.unwritten.insert(row.id);
        self.alerts.insert(row.id, Arc::clone(&row));
        self.trim();
        row
    }

    /// Lets those go that are over, those that changed longest ago first.
    fn trim(&mut self) {
        let room = MAX_ALERTS.saturating_sub(self.firing.len()).max(MIN_OVER);
        while self.over.len() > room
            && let Some((revision, id)) = self.over.pop_first()
        {
            self.by_revision.remove(&revision);
            self.alerts.remove(&id);
            self.unwritten.remove(&id);
            if self.stored.remove(&id) {
                self.to_delete.insert(id);
            }
        }
    }

    const fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
}
