//! The port to storage: what the engine asks of a database, in plain data.
//!
//! Truth lives in memory; storage is what a restart reads. The engine is its only writer, commits
//! one batch after another, and never lets a caller wait for it unless the caller asked to.

use std::error;
use std::sync::Arc;

use async_trait::async_trait;
use breaker_core::{BreakerName, BreakerSnapshot, Cause, ConfigPatch, Time, Transition};
use thiserror::Error;

use crate::alerts::AlertRow;
use crate::damage::{Loaded, LoadedReporter, StoredAlerts, StoredPolicies, TransitionPage};
use crate::policy::{PolicyDeletion, PolicyRow};

/// Revisions and ids stay below. Counting does not come this far, and whatever does is damage: from
/// here there is room enough to go on counting, in a signed number too.
pub const MAX_NUMBER: u64 = 1 << 62;

/// A breaker as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct BreakerRow {
    /// The name; unique.
    pub name: BreakerName,
    /// The breaker itself.
    pub snapshot: BreakerSnapshot,
    /// The breaker's own configuration.
    pub own_config: ConfigPatch,
    /// The revision.
    pub revision: u64,
    /// The revision that last changed the own configuration.
    pub config_revision: u64,
    /// When the breaker was created.
    pub created_at: Time,
    /// When a breaker that was made by its first use was used last, in whole seconds; `None` for one
    /// that stays however long nobody uses it.
    pub used_at: Option<Time>,
}

/// What is stored of a reporter: which of its reports were counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReporterRow {
    /// The id; unique. Any text, and so one that holds zero bytes.
    pub id: Box<str>,
    /// The highest sequence number that was counted; never 0.
    pub highest: u64,
    /// Bit n says whether the number n below the highest was counted.
    pub recent: u128,
    /// When the last report came that was counted.
    pub heard_at: Time,
}

/// What is stored of a receiver of alerts: how far it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiverRow {
    /// The name; unique.
    pub name: Box<str>,
    /// The revision of the last change of an alert that it knows, or that was given up.
    pub told: u64,
}

/// A transition as it is journaled: the one record that storage, watchers and metrics read.
#[derive(Clone, Debug, PartialEq)]
pub struct TransitionRecord {
    /// Orders the transitions of one server; never 0, and below [`MAX_NUMBER`].
    pub id: u64,
    /// The breaker.
    pub breaker: BreakerName,
    /// The revision that the breaker reached with it.
    pub revision: u64,
    /// What happened.
    pub transition: Transition,
}

impl TransitionRecord {
    /// Where it stands in the history.
    pub const fn moment(&self) -> Moment {
        Moment { at: self.transition.at, id: self.id }
    }
}

/// A place in the history, which is in order of time, and of ids where times are equal.
///
/// A timer that was due while the server was down takes effect before what was noticed earlier:
/// ids alone would tell people the wrong order, and no range of time would be a range of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment {
    /// When the transition took effect.
    pub at: Time,
    /// The id of the transition.
    pub id: u64,
}

impl Moment {
    /// Before everything that can have happened.
    pub const START: Self = Self::start_of(Time::EPOCH);

    /// After everything that can have happened.
    pub const END: Self = Self { at: Time::from_nanos(u64::MAX), id: u64::MAX };

    /// Before everything that takes effect at this time.
    pub const fn start_of(at: Time) -> Self {
        Self { at, id: 0 }
    }
}

/// What a range of the history is of. Each is one index, so that no range is a long search; where
/// people ask for more at once, the engine looks through the narrowest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryScope {
    /// Every transition.
    All,
    /// Those of one breaker.
    Breaker(BreakerName),
    /// Those that somebody is named for; never empty.
    Actor(String),
    /// Those of any of these causes; at least one, each once.
    Causes(Vec<Cause>),
}

impl HistoryScope {
    /// Whether the transition is part of it.
    pub fn contains(&self, record: &TransitionRecord) -> bool {
        match self {
            Self::All => true,
            Self::Breaker(breaker) => *breaker == record.breaker,
            Self::Actor(actor) => actor == record.transition.by.actor(),
            Self::Causes(causes) => causes.contains(&record.transition.cause),
        }
    }
}

/// A range of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRange {
    /// Of what.
    pub scope: HistoryScope,
    /// The range ends before this place.
    pub before: Moment,
    /// The range begins with what took effect at this time.
    pub from: Time,
}

impl HistoryRange {
    /// The whole history.
    pub const fn everything() -> Self {
        Self { scope: HistoryScope::All, before: Moment::END, from: Time::EPOCH }
    }

    /// Whether the transition lies in it.
    pub fn contains(&self, record: &TransitionRecord) -> bool {
        record.moment() < self.before
            && record.transition.at >= self.from
            && self.scope.contains(record)
    }
}

/// A breaker that was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion {
    /// The name.
    pub name: BreakerName,
    /// Its last revision. A breaker created later under the same name has a higher one and stays.
    pub revision: u64,
    /// Its last generation.
    pub generation: u64,
}

/// What a server had reached: whatever it gave out lies at or below, or in a later incarnation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Floors {
    /// The incarnation.
    pub incarnation: u64,
    /// The highest revision of any deleted breaker.
    pub revision_floor: u64,
    /// The highest generation of any deleted breaker.
    pub generation_floor: u64,
    /// The highest revision of the deletion of any policy.
    pub policy_revision_floor: u64,
    /// The highest id of a transition that is not kept any more.
    pub trimmed_transition_id: u64,
}

/// A step of a restore, which fills an empty store with what a backup holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreStep {
    /// The first: the store is to reach these, and is of no use before the last.
    Begins(Floors),
    /// The last.
    Ends,
}

/// What is written in one transaction: all of it or nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Policies to insert or to replace.
    pub policies: Vec<PolicyRow>,
    /// Policies to delete, after the others were written: each only up to its revision.
    pub policy_deletions: Vec<PolicyDeletion>,
    /// Breakers to insert or to replace, each at most once.
    pub rows: Vec<BreakerRow>,
    /// Breakers to delete, after the rows were written: each only up to its revision.
    pub deletions: Vec<Deletion>,
    /// Transitions to append, in rising order of their ids. One that is there already is left.
    pub transitions: Vec<Arc<TransitionRecord>>,
    /// Reporters to insert or to replace, each at most once.
    pub reporters: Vec<ReporterRow>,
    /// Alerts to insert or to replace, each at most once.
    pub alerts: Vec<AlertRow>,
    /// The ids of alerts to delete; none of those above.
    pub alert_deletions: Vec<u64>,
    /// Receivers of alerts to insert or to replace, each at most once.
    pub receivers: Vec<ReceiverRow>,
    /// The first or last step of a restore. Not together with deletions.
    pub restore: Option<RestoreStep>,
}

impl Batch {
    /// How many rows it writes or deletes.
    pub(crate) const fn size(&self) -> usize {
        self.policies.len()
            + self.policy_deletions.len()
            + self.rows.len()
            + self.deletions.len()
            + self.transitions.len()
            + self.reporters.len()
            + self.alerts.len()
            + self.alert_deletions.len()
            + self.receivers.len()
    }

    /// Whether there is nothing to write.
    pub const fn is_empty(&self) -> bool {
        self.size() == 0 && self.restore.is_none()
    }
}

/// What the opening of a store found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// How many times the store was opened after a server that did not close it. Part of every
    /// revision given out since, so that none is given out twice.
    pub incarnation: u64,
    /// Whether this opening follows a server that did not close the store: what it did last may
    /// be missing.
    pub after_crash: bool,
    /// The highest revision of any deleted breaker.
    pub revision_floor: u64,
    /// The highest generation of any deleted breaker.
    pub generation_floor: u64,
    /// The highest revision of the deletion of any policy.
    pub policy_revision_floor: u64,
    /// The highest transition id ever stored; 0 without one.
    pub last_transition_id: u64,
    /// The highest transition id that was trimmed; 0 without one.
    pub trimmed_transition_id: u64,
    /// Whether a restore has begun that did not end: the store holds a part of a backup.
    pub is_half_restored: bool,
}

/// What one step of trimming did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trimmed {
    /// How many transitions were deleted.
    pub count: usize,
    /// The highest transition id that was ever trimmed; 0 without one.
    pub trimmed_transition_id: u64,
}

/// Reporters to forget: of `limit` of them, those that were silent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// Since when.
    pub since: Time,
    /// Those are looked at whose ids come after this one, as bytes.
    pub after: Vec<u8>,
    /// How many are looked at.
    pub limit: usize,
}

/// Which reporters were forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// How many.
    pub count: usize,
    /// The id of the last that was looked at; `None` if no other comes after it.
    pub last: Option<Vec<u8>>,
}

/// Why storage did not do what it was asked to.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The database cannot be reached or does not work; it may later.
    #[error("the database does not answer: {0}")]
    Unavailable(#[source] Box<dyn error::Error + Send + Sync>),
    /// Another server uses the database.
    #[error("{0}")]
    InUse(String),
    /// The database cannot be used as it is configured.
    #[error("{0}")]
    Unusable(String),
    /// Another server leads now. Nothing was written, and nothing ever will be by this store.
    #[error("another server has taken the lead; this one writes nothing any more")]
    Superseded,
}

/// A database behind the engine. Implementations are called from one writer at a time, and from
/// any number of readers beside it.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Begins a life of the server: counts up the incarnation if the last life did not end with
    /// [`close`](Self::close), and notes durably that this one has not ended yet. Called once.
    async fn open(&self) -> Result<Opened, StoreError>;

    /// Every policy, in no order. There are few enough to come at once. What is damaged keeps
    /// nothing else from being read, here and below.
    async fn policies(&self) -> Result<StoredPolicies, StoreError>;

    /// Hands every breaker to `sink`, in no order.
    async fn load(&self, sink: &mut (dyn FnMut(Loaded) + Send)) -> Result<(), StoreError>;

    /// The reporters that were heard of last, `limit` of them at most, and of these the one first
    /// that was silent for longest.
    async fn reporters(
        &self,
        limit: usize,
        sink: &mut (dyn FnMut(LoadedReporter) + Send),
    ) -> Result<(), StoreError>;

    /// Every alert, and every receiver, in no order.
    async fn alerts(&self) -> Result<StoredAlerts, StoreError>;

    /// Writes a batch durably.
    async fn commit(&self, batch: &Batch) -> Result<(), StoreError>;

    /// The latest transitions of a range, the latest first, by [`TransitionRecord::moment`]:
    /// `limit` of them, or all if there are fewer. Damaged ones count.
    async fn history(
        &self,
        range: &HistoryRange,
        limit: usize,
    ) -> Result<TransitionPage, StoreError>;

    /// At most `limit` transitions with an id above `after`, the oldest first. Damaged ones count.
    async fn transitions_after(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<TransitionPage, StoreError>;

    /// Deletes at most `limit` of the transitions that took effect before `older_than`, the
    /// oldest ids first, stopping at the first that is younger: what is gone for followers is told
    /// by one id. One that took effect before others with lower ids stays as long as they do.
    async fn trim(&self, older_than: Time, limit: usize) -> Result<Trimmed, StoreError>;

    /// Deletes reporters that were silent for long, in the order of their ids. Looks at few enough
    /// to take no longer than a commit.
    async fn forget_reporters(&self, silence: &Silence) -> Result<Forgotten, StoreError>;

    /// Ends a life of the server: everything it did is in the store.
    async fn close(&self) -> Result<(), StoreError>;
}
