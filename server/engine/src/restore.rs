//! Filling an empty server with what a backup holds.
//!
//! Breakers and policies are checked and kept aside as they come, and nothing is made by anybody
//! else meanwhile. Only the history, which can be larger than memory, is written on its way. Once
//! all of the backup is there the rest is written, and only when all is on disk does anything of it
//! live. From its first write to its last the store knows that it holds a part of a backup, and no
//! server starts on it.
//!
//! The restored server lives in an incarnation above the one of the backup: whatever the other
//! server gave out after the backup was taken lies below what this one gives out.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use breaker_core::{BreakerName, Time};
use parking_lot::Mutex;

use crate::alerts;
use crate::backup::BackupOrigin;
use crate::breakers::{first_of_incarnation, incarnation_of};
use crate::durably::off_the_workers;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::live::Live;
use crate::loading::{Revival, Revived};
use crate::policies::MAX_POLICIES;
use crate::policy::{Policy, PolicyRow, Ranked};
use crate::store::{
    Batch, BreakerRow, Floors, HistoryRange, MAX_NUMBER, RestoreStep, TransitionRecord,
};

/// Breakers written in one commit.
const ROWS: usize = 1_000;
/// Transitions written in one commit.
const TRANSITIONS: usize = 5_000;

/// Keeps breakers and policies from being made while a restore fills the server, and for ever after
/// one that failed half-way.
#[derive(Debug, Default)]
pub(crate) struct Gate(Mutex<Phase>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Open,
    Restoring,
    HalfRestored,
}

impl Phase {
    const fn pass(self) -> Result<(), EngineError> {
        match self {
            Self::Open => Ok(()),
            Self::Restoring => Err(EngineError::Restoring),
            Self::HalfRestored => Err(EngineError::HalfRestored),
        }
    }
}

impl Gate {
    pub(crate) fn pass(&self) -> Result<(), EngineError> {
        self.0.lock().pass()
    }

    fn close(&self) -> Result<(), EngineError> {
        let mut phase = self.0.lock();
        phase.pass()?;
        *phase = Phase::Restoring;
        Ok(())
    }

    fn set(&self, phase: Phase) {
        *self.0.lock() = phase;
    }
}

/// What is in the way of a restore.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// How many policies there are.
    pub policies: usize,
    /// How many breakers there are.
    pub breakers: usize,
    /// Whether there are transitions.
    pub has_history: bool,
    /// How many rows there are that nobody understands.
    pub damaged: u64,
    /// Whether there are deletions that are not on disk yet.
    pub has_deletions: bool,
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = |count: u64, one: &str, many: &str| {
            (count > 0).then(|| format!("{count} {}", if count == 1 { one } else { many }))
        };
        let parts = [
            counted(self.policies as u64, "policy", "policies"),
            counted(self.breakers as u64, "breaker", "breakers"),
            self.has_history.then(|| "a history".to_owned()),
            counted(self.damaged, "damaged row", "damaged rows"),
            self.has_deletions.then(|| "deletions that are not on disk yet".to_owned()),
        ];
        f.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

/// How much was restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Policies.
    pub policies: u64,
    /// Breakers.
    pub breakers: u64,
    /// Transitions.
    pub transitions: u64,
}

impl fmt::Display for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { policies, breakers, transitions } = self;
        write!(f, "{policies} policies, {breakers} breakers and {transitions} transitions")
    }
}

/// A restore that is under way. Dropped before it is finished it leaves the server empty, and its
/// store of no use if something was written to it.
pub struct Restore {
    engine: Arc<Engine>,
    origin: BackupOrigin,
    policies: HashMap<Box<str>, Arc<Policy>>,
    /// The policies in their order, once the first breaker asks for them.
    ranked: Option<Arc<Ranked>>,
    breakers: HashMap<BreakerName, Box<Live>>,
    highest_revision: u64,
    /// How many breakers had something in the future, or further than their configuration lets it.
    bounded: usize,
    /// They wait to be written.
    transitions: Vec<Arc<TransitionRecord>>,
    last_transition_id: u64,
    /// When the latest transition took effect.
    history_until: Option<Time>,
    stage: Stage,
    written: Restored,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Reading,
    /// The store has the first step of the restore, or may have.
    Writing,
    Done,
}

impl Engine {
    /// Begins to restore a backup. Until it has ended no breaker and no policy is made.
    ///
    /// # Errors
    /// If another restore is under way or has failed half-way, if anything is there already, or if
    /// the database is away.
    pub async fn restore(self: Arc<Self>) -> Result<Restore, EngineError> {
        self.breakers().gate.close()?;
        let restore = Restore {
            engine: self,
            origin: BackupOrigin::default(),
            policies: HashMap::new(),
            ranked: None,
            breakers: HashMap::new(),
            highest_revision: 0,
            bounded: 0,
            transitions: Vec::new(),
            last_transition_id: 0,
            history_until: None,
            stage: Stage::Reading,
            written: Restored::default(),
        };
        restore.check_empty().await?;
        Ok(restore)
    }
}

impl Restore {
    /// Takes where the backup comes from; before anything else.
    ///
    /// # Errors
    /// If it cannot be.
    pub fn begin(&mut self, line: u64, origin: BackupOrigin) -> Result<(), EngineError> {
        let Floors { revision_floor, policy_revision_floor, trimmed_transition_id, .. } =
            origin.floors;
        let numbers = [
            ("incarnation", first_of_incarnation_if_any(origin.floors.incarnation)),
            ("revision_floor", Some(revision_floor)),
            ("generation_floor", Some(origin.floors.generation_floor)),
            ("policy_revision_floor", Some(policy_revision_floor)),
            ("last_transition_id", Some(origin.last_transition_id)),
            ("trimmed_transition_id", Some(trimmed_transition_id)),
        ];
        for (key, number) in numbers {
            if number.is_none_or(|number| number >= MAX_NUMBER) {
                return Err(bad(line, format!("{key} is too high to be one")));
            }
        }
        let highest = [revision_floor, policy_revision_floor, origin.last_transition_id];
        self.note_revision(highest.into_iter().max().unwrap_or(0));
        self.note_revision(trimmed_transition_id);
        self.origin = origin;
        Ok(())
    }

    /// Takes a policy, which stands in this line of the backup; all of them before the breakers.
    ///
    /// # Errors
    /// If it cannot be, or there are too many.
    pub fn policy(&mut self, line: u64, row: PolicyRow) -> Result<(), EngineError> {
        if row.revision >= MAX_NUMBER {
            return Err(bad(line, format!("column revision: {} is not a revision", row.revision)));
        }
        if self.policies.len() == MAX_POLICIES {
            return Err(EngineError::TooManyPolicies(MAX_POLICIES + 1));
        }
        self.note_revision(row.revision);
        let name = row.name.as_str().into();
        let policy = Arc::new(self.engine.policies().defaults().stored_policy(row));
        match self.policies.insert(name, policy) {
            Some(twice) => Err(bad(line, format!("policy `{}` comes twice", twice.name()))),
            None => Ok(()),
        }
    }

    /// Takes a breaker, which stands in this line of the backup.
    ///
    /// # Errors
    /// If it cannot be, or there are too many.
    pub fn breaker(&mut self, line: u64, row: BreakerRow) -> Result<(), EngineError> {
        let limit = self.engine.breakers().limit();
        if self.breakers.len() >= limit {
            return Err(EngineError::TooManyBreakers { limit });
        }
        let ranked = self.ranked();
        let revival = Revival {
            defaults: self.engine.policies().defaults(),
            ranked,
            first_revision: 0,
            now: self.engine.now(),
        };
        let revived = revival.revive(row).map_err(|damaged| bad(line, damaged.damage))?;
        let Revived { name, live, is_bounded } = revived;
        self.note_revision(live.revision);
        self.bounded += usize::from(is_bounded);
        if self.breakers.contains_key(&name) {
            return Err(bad(line, format!("breaker `{name}` comes twice")));
        }
        self.breakers.insert(name, live);
        Ok(())
    }

    /// Takes a transition, which stands in this line of the backup; after all breakers, and in the
    /// order of the ids. It waits for [`write_transitions`](Self::write_transitions).
    ///
    /// # Errors
    /// If it cannot be.
    pub fn transition(&mut self, line: u64, record: TransitionRecord) -> Result<(), EngineError> {
        let before = self.last_transition_id.max(self.origin.floors.trimmed_transition_id);
        if record.id <= before {
            let problem = format!("column id: {} does not lie above {before}", record.id);
            return Err(bad(line, problem));
        }
        if record.id >= first_of_incarnation(self.incarnation()) {
            let problem = format!("column id: {} is above all that the header tells of", record.id);
            return Err(bad(line, problem));
        }
        self.last_transition_id = record.id;
        self.history_until = self.history_until.max(Some(record.transition.at));
        self.transitions.push(Arc::new(record));
        Ok(())
    }

    /// Writes the transitions that wait, if they are many.
    ///
    /// # Errors
    /// If they could not be written.
    pub async fn write_transitions(&mut self) -> Result<(), EngineError> {
        if self.transitions.len() >= TRANSITIONS {
            self.write_all_transitions().await
        } else {
            Ok(())
        }
    }

    /// Writes all that is not written yet and lets the breakers live. To be called when all of the
    /// backup was taken.
    ///
    /// # Errors
    /// If not all could be written.
    pub async fn finish(mut self) -> Result<Restored, EngineError> {
        let finished = self.write_and_publish().await;
        finished.map_err(|error| self.failed(error))
    }

    /// How a restore ends that has failed: as whatever failed, and if something was written, with
    /// what was.
    pub fn failed(&self, cause: EngineError) -> EngineError {
        match (self.stage, cause) {
            (Stage::Writing, cause @ EngineError::RestoreFailed { .. }) => cause,
            (Stage::Writing, cause) => {
                EngineError::RestoreFailed { written: self.written, cause: Box::new(cause) }
            }
            (_, cause) => cause,
        }
    }

    async fn write_and_publish(&mut self) -> Result<Restored, EngineError> {
        self.write_all_transitions().await?;
        let first = first_of_incarnation(self.incarnation());
        let mut breakers: Vec<_> = std::mem::take(&mut self.breakers).into_iter().collect();
        for (_, live) in &mut breakers {
            live.revision = live.revision.max(first);
            // It will be on disk before it lives, and watchers have not heard of it.
            (live.marks.recorded, live.marks.durable) = (0, live.revision);
        }
        for some in breakers.chunks(ROWS) {
            let rows = some.iter().map(|(name, live)| live.row(name)).collect();
            self.write(Batch { rows, ..Batch::default() }).await?;
            self.written.breakers += some.len() as u64;
        }
        self.write(Batch { restore: Some(RestoreStep::Ends), ..Batch::default() }).await?;
        self.publish(breakers, first).await?;
        if self.bounded > 0 {
            tracing::warn!(
                breakers = self.bounded,
                "times of restored breakers lie further ahead than their configuration lets them; \
                 they are taken back"
            );
        }
        Ok(self.written)
    }

    /// Lets the breakers live, whose rows are on disk.
    async fn publish(
        &mut self,
        breakers: Vec<(BreakerName, Box<Live>)>,
        first: u64,
    ) -> Result<(), EngineError> {
        let (engine, ranked) = (Arc::clone(&self.engine), self.ranked());
        let (floors, incarnation) = (self.floors(), self.incarnation());
        let history_until = self.history_until;
        off_the_workers(move || {
            engine.set_incarnation(incarnation);
            engine.be_lenient();
            engine.idleness().spare(engine.now());
            engine.policies().adopt(ranked, first.max(floors.policy_revision_floor));
            engine.breakers().raise(first.max(floors.revision_floor), floors.generation_floor);
            engine.journal().go_on_after(first, history_until, floors.trimmed_transition_id);
            // A name without a breaker is like that of one that has just gone.
            engine.breakers().know_names(breakers.iter().map(|(name, _)| name.clone()).collect());
            for (name, live) in breakers {
                engine.breakers().insert_stored(name, live);
            }
        })
        .await?;
        self.stage = Stage::Done;
        alerts::find_all(&self.engine);
        self.engine.alerts().look_again();
        Ok(())
    }

    async fn write_all_transitions(&mut self) -> Result<(), EngineError> {
        self.begin_to_write().await?;
        let transitions = std::mem::take(&mut self.transitions);
        for some in transitions.chunks(TRANSITIONS) {
            self.write(Batch { transitions: some.to_vec(), ..Batch::default() }).await?;
            self.written.transitions += some.len() as u64;
        }
        Ok(())
    }

    /// Lets the store know that it is filled, and writes the policies.
    async fn begin_to_write(&mut self) -> Result<(), EngineError> {
        if self.stage != Stage::Reading {
            return Ok(());
        }
        // Somebody can have been about to make a breaker when the gate was closed.
        self.check_empty().await?;
        self.stage = Stage::Writing;
        let policies: Vec<_> = self.policies.values().map(|policy| policy.row.clone()).collect();
        let count = policies.len() as u64;
        let restore = Some(RestoreStep::Begins(self.floors()));
        self.write(Batch { policies, restore, ..Batch::default() }).await?;
        self.written.policies = count;
        Ok(())
    }

    async fn write(&self, batch: Batch) -> Result<(), EngineError> {
        self.engine.write(batch).await
    }

    async fn check_empty(&self) -> Result<(), EngineError> {
        let engine = &self.engine;
        let stored = engine.store().history(&HistoryRange::everything(), 1).await?;
        let contents = Contents {
            policies: engine.policies().ranked().len(),
            breakers: engine.breaker_count(),
            has_history: stored.last.is_some() || engine.waiting_transitions() > 0,
            damaged: engine.stats().damaged_rows(),
            has_deletions: engine.desk().has_deletions()
                || !engine.policies().unwritten().is_empty(),
        };
        match contents == Contents::default() {
            true => Ok(()),
            false => Err(EngineError::NotEmpty(contents)),
        }
    }

    fn ranked(&mut self) -> Arc<Ranked> {
        let policies = &self.policies;
        let ranked = || Arc::new(Ranked::new(policies.values().cloned().collect()));
        Arc::clone(self.ranked.get_or_insert_with(ranked))
    }

    fn note_revision(&mut self, revision: u64) {
        self.highest_revision = self.highest_revision.max(revision);
    }

    /// The incarnation that the server lives in when it is restored.
    fn incarnation(&self) -> u64 {
        let seen = incarnation_of(self.highest_revision).max(self.origin.floors.incarnation);
        seen.max(self.engine.incarnation()) + 1
    }

    fn floors(&self) -> Floors {
        Floors { incarnation: self.incarnation(), ..self.origin.floors }
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        self.engine.breakers().gate.set(match self.stage {
            Stage::Reading | Stage::Done => Phase::Open,
            Stage::Writing => Phase::HalfRestored,
        });
    }
}

/// The first number of an incarnation, if it has one that can be counted on from.
fn first_of_incarnation_if_any(incarnation: u64) -> Option<u64> {
    let highest = incarnation_of(MAX_NUMBER) - 2;
    (incarnation < highest).then(|| first_of_incarnation(incarnation))
}

fn bad(line: u64, problem: impl fmt::Display) -> EngineError {
    EngineError::BadBackup { line, problem: problem.to_string() }
}
