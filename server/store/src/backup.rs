//! A backup as a file: lines of JSON, the same whichever database they come from or go to.
//!
//! The first line is the header, with the version of the format. Then come a line for each policy,
//! each breaker and each transition, in this order, and a last line with how many of each there
//! are, by which a file that was cut off is noticed. What a line holds is a row of the tables of
//! `migrations/`, column by column; a column that is NULL is left out, and bytes are base64.
//!
//! A reader refuses what it does not know, columns included: what nobody understands must not be
//! lost without a word. A column that is added raises no version, because an older reader names it;
//! the version grows when the same words come to mean something else.

mod line;
mod read;
mod write;

pub use read::{Item, Reader};
pub use write::Writer;

use breaker_engine::{BackupOrigin, Floors};
use serde::{Deserialize, Serialize};

/// The version of the format that is written, and the highest that is read.
pub const VERSION: u64 = 1;

/// Longest line that is read. The row of a breaker with the largest windows has 4 MB.
pub const MAX_LINE_BYTES: usize = 16 << 20;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// The version of the format.
    breakerd_backup: u64,
    /// The version of the server that wrote it; for people.
    pub server_version: String,
    /// When the backup began, RFC 3339; for people.
    pub created_at: String,
    incarnation: u64,
    revision_floor: u64,
    generation_floor: u64,
    policy_revision_floor: u64,
    trimmed_transition_id: u64,
    last_transition_id: u64,
}

/// How many lines of each kind a backup has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Policies.
    pub policies: u64,
    /// Breakers.
    pub breakers: u64,
    /// Transitions.
    pub transitions: u64,
}

/// What is wrong with a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// The line, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub problem: String,
}

impl Header {
    /// The header of a backup that is written now.
    pub fn new(server_version: String, created_at: String, origin: BackupOrigin) -> Self {
        let Floors {
            incarnation,
            revision_floor,
            generation_floor,
            policy_revision_floor,
            trimmed_transition_id,
        } = origin.floors;
        Self {
            breakerd_backup: VERSION,
            server_version,
            created_at,
            incarnation,
            revision_floor,
            generation_floor,
            policy_revision_floor,
            trimmed_transition_id,
            last_transition_id: origin.last_transition_id,
        }
    }

    /// Where the backup comes from.
    pub const fn origin(&self) -> BackupOrigin {
        BackupOrigin {
            floors: Floors {
                incarnation: self.incarnation,
                revision_floor: self.revision_floor,
                generation_floor: self.generation_floor,
                policy_revision_floor: self.policy_revision_floor,
                trimmed_transition_id: self.trimmed_transition_id,
            },
            last_transition_id: self.last_transition_id,
        }
    }
}
