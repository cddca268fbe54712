//! The live breakers of one server, between the pure core and the outside.
//!
//! Calls change a breaker in the map under the lock of its shard and go on. Each change leaves a
//! mark, and three tasks work off the marks behind their backs:
//!
//! ```text
//! acquire, report, admin ──► breakers ──► deadlines   lets time pass
//!                                    └──► recorder ──► watch log   what watchers read
//!                                                 ├──► journal     every transition, in order
//!                                                 └──► writer ──► store
//! ```
//!
//! Another task takes a sample every few seconds of the breakers that were used, for people who look
//! at all of them, and one lets go of the breakers that nobody uses any more.
//!
//! A report is noted before its calls are counted, and the writer stores what was noted with every
//! row that may hold the calls: a report that is repeated counts once, over a crash too.
//!
//! What a breaker is configured with comes from its own values, from the policies and from the
//! server's defaults. It is settled when the breaker is made and when one of them changes, never
//! during a call.
//!
//! The edges come in from outside: the clock, the store, and how a status is encoded. There is no
//! transport and no database in here.

mod alerts;
mod backup;
mod breakers;
mod calls;
mod changes;
mod clock;
mod damage;
mod deadlines;
mod defaults;
mod durably;
mod election;
mod engine;
mod error;
mod forgetter;
mod histogram;
mod history;
mod idle;
mod journal;
mod lease;
mod list;
mod live;
mod loading;
mod monitor;
mod names;
mod plan;
mod policies;
mod policy;
mod policy_changes;
mod queue;
mod reconcile;
mod recorder;
mod reporters;
mod restore;
mod selectors;
mod signals;
mod stats;
mod store;
mod ties;
mod trimmer;
mod view;
mod watch;
mod writer;

pub use alerts::{
    Acknowledgement, AlertCounts, AlertFilter, AlertRow, AlertRule, MAX_ALERTS, MAX_FIRING,
    Severity,
};
pub use backup::{Backup, BackupOrigin, BackupPart, BackupScope};
pub use calls::{Admitted, BreakerReport, Reported};
pub use changes::{Action, Changed, ConfigUpdate, Matched};
pub use clock::{Clock, ManualClock, SystemClock};
pub use damage::{
    Damage, DamagedRow, Loaded, LoadedReporter, StoredAlerts, StoredPolicies, TransitionPage,
};
pub use defaults::Defaults;
pub use durably::Durability;
pub use election::{Candidate, Tenure};
pub use engine::{Encode, Engine, Options, TaskFailure, Tasks, UnknownBreakers};
pub use error::EngineError;
pub use histogram::Histogram;
pub use history::{HistoryFilter, HistoryPage};
pub use lease::{Lease, LeaseView, Member, SharedDatabase, Standby, Term};
pub use list::{BreakerPage, Order, Place, Query};
pub use monitor::{
    Activity, ActivitySample, BusyBreaker, CallRates, Dashboard, FleetCounts, Health,
    HeardReporter, NamespaceHealth, SAMPLE_INTERVAL, SAMPLES_KEPT_FOR, UnhealthyBreaker,
};
pub use plan::Change;
pub use policies::MAX_POLICIES;
pub use policy::{PolicyDeletion, PolicyName, PolicyNameError, PolicyRow, PolicySpec};
pub use policy_changes::{Explanation, PolicyPage, PolicyUpdate, PolicyView};
pub use reconcile::{Others, Wanted};
pub use reporters::MAX_REPORTERS;
pub use restore::{Contents, Restore, Restored};
pub use selectors::{Selector, Selectors};
pub use stats::{Stats, StorageStats};
pub use store::{
    Batch, BreakerRow, Deletion, Floors, Forgotten, HistoryRange, HistoryScope, MAX_NUMBER, Moment,
    Opened, ReceiverRow, ReporterRow, RestoreStep, Silence, Store, StoreError, TransitionRecord,
    Trimmed,
};
pub use view::{Acquired, BreakerOutline, BreakerStatus, BreakerView, CurrentLevel};
pub use watch::{Phase, Subscription, Update, WatchStats};
pub use writer::{Failing, StorageStatus};
