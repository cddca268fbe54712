//! Reading the transitions of all breakers, from memory and from the database as if from one.

use std::sync::Arc;

use breaker_core::BreakerName;
use tokio::sync::watch;

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
        match self.journal().after(after, limit) {
            After::Gone(gone) => Err(EngineError::HistoryGone { after, gone }),
            After::Memory(transitions) => Ok(transitions),
            After::Store(up_to) => {
                let mut stored = self.store().transitions_after(after, limit).await?;
                stored.retain(|record| record.id <= up_to);
                if stored.is_empty() {
                    // Ids jump: nothing lies between, and memory goes on after `up_to`.
                    return match self.journal().after(up_to, limit) {
                        After::Memory(transitions) => Ok(transitions),
                        After::Gone(gone) => Err(EngineError::HistoryGone { after, gone }),
                        // Memory has moved on meanwhile: ask again.
                        After::Store(_) => Box::pin(self.transitions_after(after, limit)).await,
                    };
                }
                Ok(stored.into_iter().map(Arc::new).collect())
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
        let mut looked_through = 0;
        while transitions.len() < limit && looked_through < MAX_LOOKED_THROUGH {
            let stored = self.store().transitions_before(below, exact, CHUNK).await?;
            let Some(last) = stored.last() else {
                return Ok(HistoryPage { transitions, next_before: None });
            };
            below = last.id;
            looked_through += stored.len();
            let missing = limit - transitions.len();
            let matching = stored.into_iter().filter(|record| wanted(&record.breaker));
            transitions.extend(matching.take(missing).map(Arc::new));
        }
        let next_before = match transitions.last() {
            Some(last) if transitions.len() == limit => last.id,
            _ => below,
        };
        Ok(HistoryPage { transitions, next_before: Some(next_before) })
    }
}
