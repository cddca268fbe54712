//! What storage holds and breakerd did not write so: rows that somebody edited, or that a disk has
//! damaged. One of them keeps neither the server from starting nor any other row from being read.

use std::fmt;

use breaker_core::{BreakerName, ConfigPatch, ContentsError, SnapshotError, Time};

use crate::alerts::AlertRow;
use crate::policy::PolicyRow;
use crate::store::{BreakerRow, MAX_NUMBER, Moment, ReceiverRow, ReporterRow, TransitionRecord};

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The first column that cannot be understood.
    pub column: String,
    /// Why it cannot.
    pub problem: String,
}

/// A breaker as it was found in storage.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "nearly all are breakers, and there can be millions")]
pub enum Loaded {
    /// It can be understood.
    Breaker(BreakerRow),
    /// It cannot.
    Damaged(DamagedRow),
}

/// A row of a breaker that cannot be understood, and what of it can.
#[derive(Clone, Debug, PartialEq)]
pub struct DamagedRow {
    /// What is wrong.
    pub damage: Damage,
    /// The name; without it nothing can be made of the rest.
    pub name: Option<BreakerName>,
    /// The breaker's own configuration.
    pub own_config: Option<ConfigPatch>,
    /// The revision.
    pub revision: Option<u64>,
    /// The revision that last changed the own configuration.
    pub config_revision: Option<u64>,
    /// The generation.
    pub generation: Option<u64>,
    /// When the breaker was created.
    pub created_at: Option<Time>,
    /// When it was used last, if it is one that goes when nobody uses it.
    pub used_at: Option<Time>,
}

/// A reporter as it was found in storage: as it is, or its id as it stands there, and what is wrong.
pub type LoadedReporter = Result<ReporterRow, (String, Damage)>;

/// The policies that were found in storage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoredPolicies {
    /// Those that can be understood.
    pub rows: Vec<PolicyRow>,
    /// The names of those that cannot, as they stand there, and what is wrong with each.
    pub damaged: Vec<(String, Damage)>,
}

/// The alerts that were found in storage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoredAlerts {
    /// Those that can be understood.
    pub rows: Vec<AlertRow>,
    /// The ids of those that cannot, and what is wrong with each.
    pub damaged: Vec<(u64, Damage)>,
    /// How far their receivers were told.
    pub receivers: Vec<ReceiverRow>,
    /// The names of receivers that cannot be understood, as they stand there, and what is wrong with
    /// each.
    pub damaged_receivers: Vec<(String, Damage)>,
}

/// Transitions that stand next to each other in storage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TransitionPage {
    /// Those that can be understood, in the order in which they were asked for.
    pub records: Vec<TransitionRecord>,
    /// The ids of those that cannot, and what is wrong with each.
    pub damaged: Vec<(u64, Damage)>,
    /// The place of the last one that was looked at, whichever it is: the next page goes on from
    /// there. `None` if there was none.
    pub last: Option<Moment>,
}

impl Damage {
    /// That a column cannot be understood.
    pub fn new(column: impl Into<String>, problem: impl fmt::Display) -> Self {
        Self { column: column.into(), problem: problem.to_string() }
    }

    /// What a snapshot shows that is none of a breaker, by the column that holds it.
    pub(crate) fn of_snapshot(error: &SnapshotError) -> Self {
        let column = match error {
            SnapshotError::BadGeneration(_) => "generation",
            SnapshotError::EndlessOpen => "retry_at",
            SnapshotError::BadMetrics(ContentsError::BadCall(_)) => "window_calls",
            SnapshotError::BadMetrics(_) => "window_buckets",
            SnapshotError::BadMemory(_) => "memory",
        };
        Self::new(column, error)
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.problem)
    }
}

impl BreakerRow {
    /// What is wrong with numbers that are numbers all the same.
    pub(crate) fn damage(&self) -> Option<Damage> {
        if self.revision >= MAX_NUMBER {
            Some(Damage::new("revision", format!("{} is not a revision", self.revision)))
        } else if self.config_revision > self.revision {
            let problem = format!("{} is above the revision", self.config_revision);
            Some(Damage::new("config_revision", problem))
        } else {
            None
        }
    }
}

impl StoredPolicies {
    /// Policies as they were read, each with its name as it stands there.
    pub fn of(read: impl IntoIterator<Item = (String, Result<PolicyRow, Damage>)>) -> Self {
        let mut policies = Self::default();
        for (name, row) in read {
            match row {
                Ok(row) if row.revision < MAX_NUMBER => policies.rows.push(row),
                Ok(row) => {
                    let problem = format!("{} is not a revision", row.revision);
                    policies.damaged.push((name, Damage::new("revision", problem)));
                }
                Err(damage) => policies.damaged.push((name, damage)),
            }
        }
        policies
    }
}

impl TransitionPage {
    /// Transitions as they were read, each with its place.
    pub fn of(read: impl IntoIterator<Item = (Moment, Result<TransitionRecord, Damage>)>) -> Self {
        let mut page = Self::default();
        for (moment, record) in read {
            page.last = Some(moment);
            match record {
                Ok(record) => page.records.push(record),
                Err(damage) => page.damaged.push((moment.id, damage)),
            }
        }
        page
    }

    /// How many were looked at.
    pub(crate) fn len(&self) -> usize {
        self.records.len() + self.damaged.len()
    }
}
