use std::sync::Arc;

use breaker_engine::{BreakerRow, PolicyRow, TransitionRecord};

use super::{Counts, Header, line};
use crate::rows::{BREAKERS, POLICIES, TRANSITIONS, Table};

/// Writes the lines of a backup, for whoever takes them from time to time.
#[derive(Debug, Default)]
pub struct Writer {
    lines: Vec<u8>,
    counts: Counts,
}

impl Writer {
    /// Writes the first line.
    pub fn header(&mut self, header: &Header) {
        // Numbers and texts cannot fail to be written.
        let _ = serde_json::to_writer(&mut self.lines, header);
        self.lines.push(b'\n');
    }

    /// Writes a policy.
    pub fn policy(&mut self, row: &PolicyRow) {
        self.row("policy", &POLICIES, row);
        self.counts.policies += 1;
    }

    /// Writes a breaker.
    pub fn breaker(&mut self, row: &BreakerRow) {
        self.row("breaker", &BREAKERS, row);
        self.counts.breakers += 1;
    }

    /// Writes a transition.
    pub fn transition(&mut self, record: &Arc<TransitionRecord>) {
        self.row("transition", &TRANSITIONS, record);
        self.counts.transitions += 1;
    }

    /// Writes the last line.
    pub fn footer(&mut self) {
        self.lines.extend_from_slice(b"{\"end\":");
        let _ = serde_json::to_writer(&mut self.lines, &self.counts);
        self.lines.extend_from_slice(b"}\n");
    }

    /// What was written since this was last called.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.lines)
    }

    /// How many rows were written so far.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    fn row<R>(&mut self, kind: &str, table: &Table<R>, row: &R) {
        self.lines.extend_from_slice(b"{\"");
        self.lines.extend_from_slice(kind.as_bytes());
        self.lines.extend_from_slice(b"\":");
        line::write(table, row, &mut self.lines);
        self.lines.extend_from_slice(b"}\n");
    }
}
