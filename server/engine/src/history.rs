//! Reading the transitions of all breakers, from memory and from the database as if from one.

use std::collections::BTreeMap;
use std::sync::Arc;

use breaker_core::{Cause, Time};
use tokio::sync::watch;

use crate::damage::Damage;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::journal::After;
use crate::selectors::Selector;
use crate::store::{HistoryRange, HistoryScope, Moment, TransitionRecord};

/// Stored transitions that one page looks through for those that its filter lets through.
const MAX_LOOKED_THROUGH: usize = 5_000;
/// Stored transitions read at a time, after as many as the page may have.
const CHUNK: usize = 1_000;

/// Which transitions are asked for: those that pass everything that is set.
#[derive(Clone, Debug, Default)]
pub struct HistoryFilter {
    /// Of breakers with such a name.
    pub selector: Option<Selector>,
    /// Of any of these causes, each named once; empty for every cause.
    pub causes: Vec<Cause>,
    /// Those that exactly this actor is named for; never empty.
    pub actor: Option<String>,
    /// Those that took effect at this time or later.
    pub from: Option<Time>,
    /// Those that took effect before this time.
    pub until: Option<Time>,
}

/// A page of transitions, the latest first.
#[derive(Clone, Debug)]
pub struct HistoryPage {
    /// The transitions.
    pub transitions: Vec<Arc<TransitionRecord>>,
    /// The next page begins before this place; `None` if there is none.
    pub next_before: Option<Moment>,
}

impl HistoryFilter {
    /// Whether the transition passes.
    pub fn matches(&self, record: &TransitionRecord) -> bool {
        let transition = &record.transition;
        self.selector.as_ref().is_none_or(|selector| selector.matches(&record.breaker))
            && (self.causes.is_empty() || self.causes.contains(&transition.cause))
            && self.actor.as_ref().is_none_or(|actor| actor == transition.by.actor())
            && self.from.is_none_or(|from| transition.at >= from)
            && self.until.is_none_or(|until| transition.at < until)
    }

    /// What has to be looked through: mostly somebody did less than befell one breaker, and that
    /// is less than what had one cause.
    fn range(&self, before: Moment) -> HistoryRange {
        let scope = match (&self.actor, &self.selector) {
            (Some(actor), _) => HistoryScope::Actor(actor.clone()),
            (None, Some(Selector::Name(name))) => HistoryScope::Breaker(name.clone()),
            _ if !self.causes.is_empty() => HistoryScope::Causes(self.causes.clone()),
            _ => HistoryScope::All,
        };
        let end = self.until.map_or(Moment::END, Moment::start_of);
        let from = self.from.unwrap_or(Time::EPOCH);
        HistoryRange { scope, before: before.min(end), from }
    }
}

impl Engine {
    /// The id of the latest transition.
    pub fn latest_transition(&self) -> u64 {
        self.journal().latest()
    }

    /// Tells whenever there is a later transition.
    pub fn transition_signal(&self) -> watch::Receiver<u64> {
        self.journal().subscribe()
    }

    /// At most `limit` transitions after an id, the oldest first.
    ///
    /// # Errors
    /// If some of them are no longer kept, the id lies in the future, or they are in a database
    /// that is away.
    pub async fn transitions_after(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Arc<TransitionRecord>>, EngineError> {
        let latest = self.latest_transition();
        if after > latest {
            return Err(EngineError::HistoryAhead { after, latest });
        }
        // Damaged ones are passed by, however many there are.
        let mut position = after;
        loop {
            match self.journal().after(position, limit) {
                After::Gone(gone) => return Err(EngineError::HistoryGone { after, gone }),
                After::Memory(transitions) => return Ok(transitions),
                After::Store(up_to) => {
                    let mut page = self.store().transitions_after(position, limit).await?;
                    self.note_damaged(&page.damaged);
                    page.records.retain(|record| record.id <= up_to);
                    if !page.records.is_empty() {
                        return Ok(page.records.into_iter().map(Arc::new).collect());
                    }
                    // Ids jump: nothing lies between the last one and `up_to`.
                    position = page.last.map_or(up_to, |last| last.id.min(up_to));
                }
            }
        }
    }

    /// At most `limit` transitions before a place, the latest first. A page can hold fewer and
    /// still have a next one, because each looks through a part of the history only.
    ///
    /// # Errors
    /// If they are in a database that is away.
    pub async fn history(
        &self,
        filter: &HistoryFilter,
        before: Moment,
        limit: usize,
    ) -> Result<HistoryPage, EngineError> {
        let mut range = filter.range(before);
        let matches = |record: &TransitionRecord| range.contains(record) && filter.matches(record);
        let (memory, stored_until) = self.journal().latest_of(matches, limit + 1);
        let is_in_memory = |at: Time| stored_until.is_none_or(|until| at > until);
        let mut found: BTreeMap<_, _> =
            memory.into_iter().map(|record| (record.moment(), record)).collect();
        let enough = found.len() > limit
            && found.first_key_value().is_some_and(|(last, _)| is_in_memory(last.at));
        if enough || is_in_memory(range.from) {
            return Ok(HistoryPage::of(found, limit, Moment::START));
        }
        let (mut looked_through, mut chunk) = (0, limit);
        loop {
            let stored = self.store().history(&range, chunk).await?;
            self.note_damaged(&stored.damaged);
            let is_last = stored.len() < chunk;
            looked_through += stored.len();
            range.before = stored.last.unwrap_or(range.before);
            // Those that are in memory as well come to lie on themselves.
            let matching = stored.records.into_iter().filter(|record| filter.matches(record));
            found.extend(matching.map(|record| (record.moment(), Arc::new(record))));
            if is_last {
                return Ok(HistoryPage::of(found, limit, Moment::START));
            }
            // Before here others may still lie between those that are in memory.
            let is_full = found.range(range.before..).nth(limit.saturating_sub(1)).is_some();
            if is_full || looked_through >= MAX_LOOKED_THROUGH {
                return Ok(HistoryPage::of(found, limit, range.before));
            }
            chunk = CHUNK;
        }
    }

    /// Tells of transitions that a reading had to leave out.
    fn note_damaged(&self, damaged: &[(u64, Damage)]) {
        let Some((first, Damage { column, problem })) = damaged.first() else { return };
        let ids = damaged.iter().map(|(id, _)| *id);
        self.stats().count_damaged_transitions(ids);
        tracing::warn!(
            count = damaged.len(),
            first,
            column,
            problem,
            "transitions in storage are damaged; the history leaves them out"
        );
    }
}

impl HistoryPage {
    /// The latest `limit` of what was found; nothing is known of what lies before `known_from`.
    fn of(
        mut found: BTreeMap<Moment, Arc<TransitionRecord>>,
        limit: usize,
        known_from: Moment,
    ) -> Self {
        let known = found.split_off(&known_from);
        let is_cut = known.len() > limit;
        let transitions: Vec<_> = known.into_values().rev().take(limit).collect();
        let next_before = if is_cut {
            transitions.last().map(|last| last.moment())
        } else {
            (known_from > Moment::START).then_some(known_from)
        };
        Self { transitions, next_before }
    }
}
