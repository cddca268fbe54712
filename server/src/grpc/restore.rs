//! Restore: the lines of a file in pieces, for the engine to be filled with.

use std::sync::Arc;
use std::time::Duration;

use breaker_engine::{EngineError, Restore};
use breaker_proto::v1;
use breaker_store::backup::{BadLine, Item, Reader};
use tokio::time::timeout;
use tonic::{Status, Streaming};

use super::error::{ended, to_status};
use crate::seat::{Leading, Seat};

/// How long a client may be silent. Nobody can make a breaker meanwhile.
const MAX_SILENCE: Duration = Duration::from_secs(60);

/// Fills the server with what the messages hold.
pub(crate) async fn restore(
    seat: &Seat,
    leading: &Leading,
    mut messages: Streaming<v1::RestoreRequest>,
) -> Result<v1::RestoreResponse, Status> {
    let restore = Arc::clone(&leading.engine).restore().await.map_err(to_status)?;
    tracing::info!("a backup is restored");
    let filling = Filling { restore, reader: Reader::default() };
    let restored = tokio::select! {
        biased;
        () = leading.over.cancelled() => Err(ended(seat)),
        restored = filling.fill(&mut messages) => restored,
    };
    match &restored {
        Ok(counts) => tracing::info!(?counts, "the backup is restored"),
        Err(status) => tracing::warn!(status = status.message(), "the restore has failed"),
    }
    restored
}

struct Filling {
    restore: Restore,
    reader: Reader,
}

/// What a line of a backup is refused with.
struct Refused(EngineError);

impl From<BadLine> for Refused {
    fn from(BadLine { line, problem }: BadLine) -> Self {
        Self(EngineError::BadBackup { line, problem })
    }
}

impl Filling {
    async fn fill(
        mut self,
        messages: &mut Streaming<v1::RestoreRequest>,
    ) -> Result<v1::RestoreResponse, Status> {
        while let Some(message) = self.message(messages).await? {
            // Some thousands of lines keep a worker from its calls for long.
            let (filling, taken) = tokio::task::spawn_blocking(move || {
                let taken = self.take(&message.data);
                (self, taken)
            })
            .await
            .map_err(|_| to_status(EngineError::ShuttingDown))?;
            self = filling;
            taken.map_err(|Refused(error)| self.failed(error))?;
            let written = self.restore.write_transitions().await;
            written.map_err(|error| self.failed(error))?;
        }
        let counts = std::mem::take(&mut self.reader).finish();
        counts.map_err(|bad| self.failed(Refused::from(bad).0))?;
        let restored = self.restore.finish().await.map_err(to_status)?;
        Ok(v1::RestoreResponse {
            policies: restored.policies,
            breakers: restored.breakers,
            transitions: restored.transitions,
        })
    }

    async fn message(
        &self,
        messages: &mut Streaming<v1::RestoreRequest>,
    ) -> Result<Option<v1::RestoreRequest>, Status> {
        match timeout(MAX_SILENCE, messages.message()).await {
            Ok(message) => message,
            Err(_) => Err(Status::deadline_exceeded(format!(
                "nothing of the backup came for {MAX_SILENCE:?}"
            ))),
        }
    }

    fn take(&mut self, data: &[u8]) -> Result<(), Refused> {
        let restore = &mut self.restore;
        self.reader.read(data, |line, item| {
            match item {
                Item::Header(header) => restore.begin(line, header.origin()),
                Item::Policy(row) => restore.policy(line, row),
                Item::Breaker(row) => restore.breaker(line, row),
                Item::Transition(record) => restore.transition(line, record),
            }
            .map_err(Refused)
        })
    }

    fn failed(&self, error: EngineError) -> Status {
        to_status(self.restore.failed(error))
    }
}
