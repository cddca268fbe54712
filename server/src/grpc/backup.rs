//! Backup: what the engine knows, as the lines of a file in pieces. Nothing is gathered for a client
//! that does not read.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use breaker_core::Time;
use breaker_engine::{Backup, BackupPart, BackupScope};
use breaker_proto::v1;
use breaker_store::backup::{Header, Writer};
use futures::{Stream, stream};
use tonic::Status;

use super::error::{ended, to_status};
use crate::seat::{Leading, Seat};

/// A message has at least so many bytes, but for the last.
const LEAST_BYTES: usize = 256 << 10;
/// Most bytes of a message.
const MOST_BYTES: usize = 768 << 10;

pub(crate) type BackupStream =
    Pin<Box<dyn Stream<Item = Result<v1::BackupResponse, Status>> + Send>>;

struct Sender {
    seat: Arc<Seat>,
    leading: Arc<Leading>,
    backup: Backup,
    writer: Writer,
    /// Written and not sent yet.
    waiting: Vec<u8>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Gathering,
    Ending,
    Over,
}

/// A backup of the server, as long as it leads.
pub(crate) fn stream(
    seat: Arc<Seat>,
    leading: Arc<Leading>,
    request: &v1::BackupRequest,
) -> BackupStream {
    let scope = match request.without_history {
        true => BackupScope::WithoutHistory,
        false => BackupScope::Everything,
    };
    tracing::info!(?scope, "a backup is taken");
    let backup = Arc::clone(&leading.engine).backup(scope);
    let (writer, waiting) = (Writer::default(), Vec::new());
    let sender = Sender { seat, leading, backup, writer, waiting, phase: Phase::Gathering };
    Box::pin(stream::unfold(sender, |mut sender| async move {
        let item = sender.next().await?;
        Some((item, sender))
    }))
}

impl Sender {
    async fn next(&mut self) -> Option<Result<v1::BackupResponse, Status>> {
        let over = self.leading.over.clone();
        let filled = tokio::select! {
            biased;
            () = over.cancelled() => Err(ended(&self.seat)),
            filled = self.fill() => filled,
        };
        // What it knows may be older than what another server has told meanwhile.
        let holds = self.leading.holds(self.leading.engine.now());
        let filled = if holds { filled } else { Err(ended(&self.seat)) };
        if let Err(status) = filled {
            let is_news = self.phase != Phase::Over;
            self.phase = Phase::Over;
            return is_news.then_some(Err(status));
        }
        if self.waiting.is_empty() {
            return None;
        }
        let rest = self.waiting.split_off(self.waiting.len().min(MOST_BYTES));
        let data = std::mem::replace(&mut self.waiting, rest);
        Some(Ok(v1::BackupResponse { data }))
    }

    /// Gathers as much as makes a message, or all that is left.
    async fn fill(&mut self) -> Result<(), Status> {
        while self.waiting.len() < LEAST_BYTES && self.phase == Phase::Gathering {
            match self.backup.next().await.map_err(to_status)? {
                Some(part) => self.write(part),
                None => {
                    self.writer.footer();
                    self.phase = Phase::Ending;
                    tracing::info!(counts = ?self.writer.counts(), "the backup is complete");
                }
            }
            self.waiting.append(&mut self.writer.take());
        }
        Ok(())
    }

    fn write(&mut self, part: BackupPart) {
        let writer = &mut self.writer;
        match part {
            BackupPart::Begins(now, origin) => {
                let version = env!("CARGO_PKG_VERSION").to_owned();
                writer.header(&Header::new(version, rfc_3339(now), origin));
            }
            BackupPart::Policies(rows) => rows.iter().for_each(|row| writer.policy(row)),
            BackupPart::Breakers(rows) => rows.iter().for_each(|row| writer.breaker(row)),
            BackupPart::Transitions(records) => {
                records.iter().for_each(|record| writer.transition(record));
            }
        }
    }
}

fn rfc_3339(time: Time) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_nanos(time.as_nanos()))
        .to_string()
}
