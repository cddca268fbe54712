use breaker_core::{BreakerName, Violation};
use thiserror::Error;

use crate::policies::MAX_POLICIES;
use crate::policy::PolicyName;
use crate::restore::{Contents, Restored};
use crate::store::StoreError;

/// Why the engine did not do what it was asked to.
#[derive(Debug, Error)]
pub enum EngineError {
    /// Values were refused; nothing was changed.
    #[error("{}", list(.0))]
    Invalid(Vec<Violation>),
    /// There is no breaker of this name.
    #[error("there is no breaker `{0}`")]
    UnknownBreaker(BreakerName),
    /// There is no alert of this id.
    #[error("there is no alert {0}; it may have made room for later ones")]
    UnknownAlert(u64),
    /// There is a breaker of this name.
    #[error("breaker `{0}` exists already; update it, or delete it first")]
    AlreadyExists(BreakerName),
    /// The server would hold more breakers than it may.
    #[error(
        "the server holds at most {limit} breakers (`max_breakers`), and there would be more; delete \
         some, let `idle_ttl` drop those that nobody uses any more, or let the operator raise the limit"
    )]
    TooManyBreakers {
        /// The limit.
        limit: usize,
    },
    /// An override stops what was asked for.
    #[error("breaker `{0}` is under an override, which stops Trip and Reset; release it first")]
    Held(BreakerName),
    /// Somebody else changed the configuration meanwhile.
    #[error(
        "breaker `{name}` has etag {actual}, not {expected}: somebody changed it; read it again"
    )]
    EtagMismatch {
        /// The breaker.
        name: BreakerName,
        /// The etag that the change builds on.
        expected: u64,
        /// The etag of the breaker.
        actual: u64,
    },
    /// There is no policy of this name.
    #[error("there is no policy `{0}`")]
    UnknownPolicy(PolicyName),
    /// There is a policy of this name.
    #[error("policy `{0}` exists already; update it, or delete it first")]
    PolicyExists(PolicyName),
    /// There would be more policies than there may be.
    #[error("there would be {0} policies, and there may be {MAX_POLICIES}; delete some first")]
    TooManyPolicies(usize),
    /// Somebody else changed the policy meanwhile.
    #[error(
        "policy `{name}` has etag {actual}, not {expected}: somebody changed it; read it again"
    )]
    PolicyEtagMismatch {
        /// The policy.
        name: PolicyName,
        /// The etag that the change builds on.
        expected: u64,
        /// The etag of the policy.
        actual: u64,
    },
    /// The transitions that would follow are no longer kept.
    #[error(
        "transitions up to {gone} are no longer kept, and you ask for those after {after}; list them, and follow from the latest"
    )]
    HistoryGone {
        /// The id after which transitions were asked for.
        after: u64,
        /// The highest id that is gone.
        gone: u64,
    },
    /// Transitions were asked for that lie in the future.
    #[error("transition {after} has not happened; the latest is {latest}")]
    HistoryAhead {
        /// The id after which transitions were asked for.
        after: u64,
        /// The id of the latest transition.
        latest: u64,
    },
    /// A backup is being restored.
    #[error("a backup is being restored; try again when that is done")]
    Restoring,
    /// The store holds a part of a backup.
    #[error(
        "a restore into this database did not end, and it holds a part of the backup: stop the \
         server, throw the database away, and restore into an empty one"
    )]
    HalfRestored,
    /// A backup can only be restored where nothing is.
    #[error(
        "the server holds {0}, and a backup is restored into an empty one; start a server on an \
         empty database"
    )]
    NotEmpty(Contents),
    /// A line of a backup cannot be understood.
    #[error("line {line}: {problem}")]
    BadBackup {
        /// Which, from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// A restore has failed after it had begun to write.
    #[error(
        "{}; {written} had been written of the backup: stop the server, throw the database away, \
         and restore into an empty one",
        without_promise(.cause)
    )]
    RestoreFailed {
        /// What was written.
        written: Restored,
        /// Why it has failed.
        cause: Box<EngineError>,
    },
    /// The database does not work, and the answer depends on it.
    #[error("{0}; nothing was changed")]
    Store(#[from] StoreError),
    /// The server is shutting down.
    #[error("the server is shutting down; nothing was changed")]
    ShuttingDown,
}

/// What has happened, without the words that nothing was changed.
fn without_promise(cause: &EngineError) -> String {
    match cause {
        EngineError::Store(error) => error.to_string(),
        EngineError::ShuttingDown => "the server is shutting down".to_owned(),
        error => error.to_string(),
    }
}

fn list(violations: &[Violation]) -> String {
    let lines: Vec<_> = violations.iter().map(Violation::to_string).collect();
    lines.join("; ")
}
