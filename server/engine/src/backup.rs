//! All that a server knows, part by part, for whoever wants to take it elsewhere.
//!
//! A part is gathered when it is asked for: a reader that is slow keeps nothing waiting and costs
//! no memory. Breakers come in the order of their names, each as it was at the moment at which its
//! part was gathered. The history comes last and goes as far as the last transition of any of them,
//! so that no breaker is in a state that the history does not lead to.
//!
//! Which reports were counted is not part of it. A retry follows within seconds, and a backup is
//! restored later, or where clients move over to: there only a report counts again that the old
//! server has counted before the backup and not answered.

use std::sync::Arc;

use breaker_core::{BreakerName, Time};

use crate::durably::off_the_workers;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::policy::PolicyRow;
use crate::recorder;
use crate::store::{BreakerRow, Floors, TransitionRecord};

/// Breakers of one part. A breaker whose window holds thousands of calls has a row of 100 kB.
const BREAKERS: usize = 64;
/// Transitions of one part.
const TRANSITIONS: usize = 1_000;

/// How much a backup holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupScope {
    /// Policies, breakers and their history.
    Everything,
    /// Policies and breakers. Of the transitions it says that they are not kept any more.
    WithoutHistory,
}

/// Where a backup comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackupOrigin {
    /// What the server had reached.
    pub floors: Floors,
    /// The id of its last transition when the backup began; those of the backup can lie above, in
    /// the same incarnation.
    pub last_transition_id: u64,
}

/// A part of a backup.
#[derive(Clone, Debug, PartialEq)]
pub enum BackupPart {
    /// The first part: when it began, and from what.
    Begins(Time, BackupOrigin),
    /// All policies, by name.
    Policies(Vec<PolicyRow>),
    /// Breakers, in no order.
    Breakers(Vec<BreakerRow>),
    /// Transitions, the oldest first.
    Transitions(Vec<Arc<TransitionRecord>>),
}

/// A backup that is being taken.
pub struct Backup {
    engine: Arc<Engine>,
    scope: BackupScope,
    stage: Stage,
}

enum Stage {
    Beginning,
    Policies,
    /// After this name.
    Breakers(Option<BreakerName>),
    /// After one id, up to and with another.
    Transitions(u64, u64),
    Over,
}

impl Engine {
    /// Begins a backup. Nothing is gathered before the first part is asked for.
    pub const fn backup(self: Arc<Self>, scope: BackupScope) -> Backup {
        Backup { engine: self, scope, stage: Stage::Beginning }
    }

    fn origin(&self, scope: BackupScope) -> BackupOrigin {
        let (revision_floor, generation_floor) = self.breakers().floors();
        let last_transition_id = self.latest_transition();
        let trimmed_transition_id = match scope {
            BackupScope::Everything => self.journal().gone(),
            BackupScope::WithoutHistory => last_transition_id,
        };
        let floors = Floors {
            incarnation: self.incarnation(),
            revision_floor,
            generation_floor,
            policy_revision_floor: self.policies().revision(),
            trimmed_transition_id,
        };
        BackupOrigin { floors, last_transition_id }
    }

    /// The rows of breakers, without those that are gone.
    fn rows(&self, names: &[BreakerName]) -> Vec<BreakerRow> {
        let row = |name: &BreakerName| {
            self.breakers().with(name.as_str(), |name, live| {
                recorder::journal(self, name, live);
                live.row(name)
            })
        };
        names.iter().filter_map(row).collect()
    }
}

impl Backup {
    /// The next part; `None` after the last.
    ///
    /// # Errors
    /// If the history is in a database that is away. The backup is of no use then.
    pub async fn next(&mut self) -> Result<Option<BackupPart>, EngineError> {
        loop {
            let (part, stage) = match std::mem::replace(&mut self.stage, Stage::Over) {
                Stage::Beginning => {
                    let origin = self.engine.origin(self.scope);
                    (Some(BackupPart::Begins(self.engine.now(), origin)), Stage::Policies)
                }
                Stage::Policies => (Some(self.policies()), Stage::Breakers(None)),
                Stage::Breakers(after) => self.breakers(after).await?,
                Stage::Transitions(after, last) => self.transitions(after, last).await?,
                Stage::Over => return Ok(None),
            };
            self.stage = stage;
            if part.is_some() {
                return Ok(part);
            }
        }
    }

    fn policies(&self) -> BackupPart {
        let ranked = self.engine.policies().ranked();
        let mut rows: Vec<_> = ranked.iter().map(|policy| policy.row.clone()).collect();
        rows.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        BackupPart::Policies(rows)
    }

    async fn breakers(
        &self,
        after: Option<BreakerName>,
    ) -> Result<(Option<BackupPart>, Stage), EngineError> {
        let names = self.engine.breakers().names_beginning_with("", after.as_ref());
        let names: Vec<_> = names.take(BREAKERS).collect();
        let Some(last) = names.last().cloned() else {
            let stage = match self.scope {
                // What is not kept any more is passed by when it is met.
                BackupScope::Everything => Stage::Transitions(0, self.engine.latest_transition()),
                BackupScope::WithoutHistory => Stage::Over,
            };
            return Ok((None, stage));
        };
        let engine = Arc::clone(&self.engine);
        let rows = off_the_workers(move || engine.rows(&names)).await?;
        Ok((Some(BackupPart::Breakers(rows)), Stage::Breakers(Some(last))))
    }

    async fn transitions(
        &self,
        after: u64,
        last: u64,
    ) -> Result<(Option<BackupPart>, Stage), EngineError> {
        if after >= last {
            return Ok((None, Stage::Over));
        }
        let mut records = match self.engine.transitions_after(after, TRANSITIONS).await {
            Ok(records) => records,
            Err(EngineError::HistoryGone { gone, .. }) => {
                return Ok((None, Stage::Transitions(gone, last)));
            }
            Err(error) => return Err(error),
        };
        records.retain(|record| record.id <= last);
        Ok(match records.last().map(|record| record.id) {
            Some(id) => (Some(BackupPart::Transitions(records)), Stage::Transitions(id, last)),
            None => (None, Stage::Over),
        })
    }
}
