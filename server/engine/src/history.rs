//! Reading the transitions of all breakers, from memory and from the database as if from one.

use std::sync::Arc;

use breaker_core::BreakerName;
use tokio::sync::watch;

use crate::damage::Damage;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::journal::After;
use crate::selectors::Selector;
use crate::store::TransitionRecord;

/// Stored transitions that one page looks through for those that a glob matches.
const MAX_LOOKED_THROUGH: usize = 5_000;
/// Stored transitions read at a time.
const CHUNK: usize = 1_000;

/// A page of transitions, the latest first.
#[derive(Clone, Debug)]
pub struct HistoryPage {
    /// The transitions.
    pub transitions: Vec<Arc<TransitionRecord>>,
    /// The next page begins below this id; `None` if there is none.
    pub next_before: Option<u64>,
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
                    position = page.last_id.map_or(up_to, |last| last.min(up_to));
                }
            }
        }
    }

    /// At most `limit` transitions below an id, the latest first.
    ///
    /// # Errors
    /// If they are in a database that is away.
    pub async fn transitions_before(
        &self,
        before: u64,
        selector: Option<&Selector>,
        limit: usize,
    ) -> Result<HistoryPage, EngineError> {
        let wanted = |name: &BreakerName| selector.is_none_or(|selector| selector.matches(name));
        let (mut transitions, mut below) =
            self.journal().before(before, |record| wanted(&record.breaker), limit);
        let exact = match selector {
            Some(Selector::Name(name)) => Some(name),
            _ => None,
        };
        let (mut looked_through, mut damaged) = (0, Vec::new());
        let mut is_last = false;
        while transitions.len() < limit && looked_through < MAX_LOOKED_THROUGH && !is_last {
            let page = self.store().transitions_before(below, exact, CHUNK).await?;
            is_last = page.last_id.is_none();
            below = page.last_id.unwrap_or(below);
            looked_through += page.records.len() + page.damaged.len();
            let missing = limit - transitions.len();
            let matching = page.records.into_iter().filter(|record| wanted(&record.breaker));
            transitions.extend(matching.take(missing).map(Arc::new));
            damaged.extend(page.damaged);
        }
        self.note_damaged(&damaged);
        if is_last {
            return Ok(HistoryPage { transitions, next_before: None });
        }
        let next_before = match transitions.last() {
            Some(last) if transitions.len() == limit => last.id,
            _ => below,
        };
        Ok(HistoryPage { transitions, next_before: Some(next_before) })
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
