//! What goes before the rows of breakers: which reports their counts hold.

use std::mem;

use super::{Writer, Written};
use crate::store::{Batch, ReporterRow, StoreError};

/// Most reporters in one commit.
const MAX_REPORTERS_AT_ONCE: usize = 5_000;

impl Writer {
    /// Commits a batch, and with its rows the reporters whose reports they may hold: all that were
    /// heard of since they were last written, because nobody knows which rows a report went to.
    /// Where there are more than fit, the others are committed before.
    pub(super) async fn commit_counted(&mut self, batch: &mut Batch) -> Result<(), StoreError> {
        if batch.rows.is_empty() {
            return self.commit(batch).await;
        }
        // The rows were read before. What is noted from here on is in none of them.
        let mut reporters = self.engine.reporters().take_unwritten();
        batch.reporters = last_of(&mut reporters);
        let mut committed = self.commit_reporters(reporters).await;
        if committed.is_ok() {
            committed = self.commit(batch).await;
        }
        if committed.is_err() {
            self.engine.reporters().write_again(mem::take(&mut batch.reporters));
        }
        committed
    }

    /// Commits what was noted of reporters and belongs to no row: of reports whose breakers are
    /// gone.
    pub(super) async fn write_reporters(&mut self) -> Result<Written, StoreError> {
        let reporters = self.engine.reporters().take_unwritten();
        if reporters.is_empty() {
            return Ok(Written::All);
        }
        self.commit_reporters(reporters).await.map(|()| Written::ABatch)
    }

    async fn commit_reporters(&mut self, mut waiting: Vec<ReporterRow>) -> Result<(), StoreError> {
        while !waiting.is_empty() {
            let batch = Batch { reporters: last_of(&mut waiting), ..Batch::default() };
            if let Err(error) = self.commit(&batch).await {
                self.engine.reporters().write_again(batch.reporters);
                self.engine.reporters().write_again(waiting);
                return Err(error);
            }
        }
        Ok(())
    }
}

/// Takes as many as fit into one commit.
fn last_of(reporters: &mut Vec<ReporterRow>) -> Vec<ReporterRow> {
    reporters.split_off(reporters.len().saturating_sub(MAX_REPORTERS_AT_ONCE))
}
