//! `backup` writes all that a server knows to a file, and `restore` fills an empty server with it.
//!
//! A file is looked through on its way, and before anything of it is sent: one that was cut off or
//! altered reaches no server.

mod check;
mod file;

use std::fs::File;
use std::io::{self, IsTerminal, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use breaker_proto::v1;
use clap::Args;
use serde_json::json;
use tokio::time::timeout;
use tonic::{Code, Status};

use crate::Context;
use crate::error::Error;
use crate::output::{self, Format, notice};
use crate::words::printable;
use check::{Checker, Summary};
use file::Target;

/// Bytes read, and sent, at a time.
const PIECE_BYTES: usize = 256 << 10;
/// How long a server may be silent while it gathers a backup.
const MAX_SILENCE: Duration = Duration::from_secs(60);
/// People see how it goes on every so many bytes.
const PROGRESS_BYTES: u64 = 32 << 20;

#[derive(Debug, Args)]
pub struct BackupArguments {
    /// The file to write; `-` writes to the standard output. It gets its name once it is complete.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Leave out the history of transitions.
    #[arg(long)]
    without_history: bool,
    /// Take the place of a file of this name.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
pub struct RestoreArguments {
    /// The file to read; `-` reads the standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

impl BackupArguments {
    pub(crate) async fn command(&self, context: &Context) -> anyhow::Result<()> {
        let mut target = Target::create(&self.file, self.force)?;
        let mut checker = Checker::default();
        let mut progress = Progress::of(None);
        let server = context.connection.leader().await?;
        let refused = |status| Error::from_status(server.address(), status);
        let request = v1::BackupRequest { without_history: self.without_history };
        let stream = timeout(MAX_SILENCE, server.admin().backup(request)).await;
        let mut stream = stream.unwrap_or_else(|_| Err(silent())).map_err(refused)?.into_inner();
        loop {
            let message = timeout(MAX_SILENCE, stream.message()).await;
            let message = message.unwrap_or_else(|_| Err(silent())).map_err(refused)?;
            let Some(v1::BackupResponse { data }) = message else { break };
            checker.read(&data).context("the server sent no backup that can be restored")?;
            target.write_all(&data).with_context(|| cannot("write", &self.file))?;
            progress.add(data.len());
        }
        let summary = checker.finish().context("the backup is not complete, and was not kept")?;
        target.keep().with_context(|| cannot("write", &self.file))?;
        // Nothing but the backup goes to where the backup goes.
        let format = if is_standard(&self.file) { Format::Table } else { context.format };
        tell(format, "wrote", &summary, progress.bytes)?;
        Ok(())
    }
}

impl RestoreArguments {
    pub(crate) async fn command(&self, context: &Context) -> anyhow::Result<()> {
        let mut file = self.open()?;
        let (summary, bytes) = self.look_through(&mut file)?;
        notice(format_args!(
            "the backup of {} by breakerd {} holds {}",
            printable(&summary.created_at),
            printable(&summary.server_version),
            summary.counts
        ));
        file.rewind().with_context(|| cannot("read", &self.file))?;
        let server = context.connection.leader().await?;
        let failure = Failure::default();
        let pieces = Pieces { file, progress: Progress::of(Some(bytes)), failure: failure.clone() };
        // However long it takes: the connection is checked for life meanwhile.
        let answer = server.admin().restore(tokio_stream::iter(pieces)).await;
        if let Some(error) = failure.take() {
            return Err(error).with_context(|| cannot("read", &self.file));
        }
        let restored = answer.map_err(|status| in_the_middle(server.address(), status))?;
        let v1::RestoreResponse { policies, breakers, transitions } = restored.into_inner();
        let counts = check::Counts { policies, breakers, transitions };
        tell(context.format, "restored", &Summary { counts, ..summary }, bytes)?;
        Ok(())
    }

    /// The file, or a copy of the standard input, which has to be read twice.
    fn open(&self) -> anyhow::Result<File> {
        if !is_standard(&self.file) {
            return File::open(&self.file).with_context(|| cannot("read", &self.file));
        }
        let mut copy = tempfile::tempfile().context("cannot keep the standard input")?;
        io::copy(&mut io::stdin().lock(), &mut copy).context("cannot read the standard input")?;
        copy.rewind()?;
        Ok(copy)
    }

    fn look_through(&self, file: &mut File) -> anyhow::Result<(Summary, u64)> {
        let mut checker = Checker::default();
        let mut piece = vec![0; PIECE_BYTES];
        let mut bytes = 0;
        let refused = || format!("{} cannot be restored", self.file.display());
        loop {
            let read = file.read(&mut piece).with_context(|| cannot("read", &self.file))?;
            if read == 0 {
                return Ok((checker.finish().with_context(refused)?, bytes));
            }
            bytes += read as u64;
            checker.read(&piece[..read]).with_context(refused)?;
        }
    }
}

/// A file piece by piece.
struct Pieces {
    file: File,
    progress: Progress,
    failure: Failure,
}

/// Why a file could not be read to its end.
#[derive(Clone, Default)]
struct Failure(Arc<Mutex<Option<io::Error>>>);

impl Failure {
    fn set(&self, error: io::Error) {
        if let Ok(mut failure) = self.0.lock() {
            *failure = Some(error);
        }
    }

    fn take(&self) -> Option<io::Error> {
        self.0.lock().ok()?.take()
    }
}

impl Iterator for Pieces {
    type Item = v1::RestoreRequest;

    /// Ends at an error too: the server misses the last line then, and restores nothing.
    fn next(&mut self) -> Option<v1::RestoreRequest> {
        let mut data = vec![0; PIECE_BYTES];
        let read = self.file.read(&mut data).map_err(|error| self.failure.set(error)).ok()?;
        data.truncate(read);
        self.progress.add(read);
        (read > 0).then_some(v1::RestoreRequest { data })
    }
}

/// Shows people how far it is.
struct Progress {
    bytes: u64,
    total: Option<u64>,
    is_shown: bool,
}

impl Progress {
    fn of(total: Option<u64>) -> Self {
        Self { bytes: 0, total, is_shown: io::stderr().is_terminal() }
    }

    fn add(&mut self, bytes: usize) {
        let before = self.bytes / PROGRESS_BYTES;
        self.bytes += bytes as u64;
        if self.is_shown && self.bytes / PROGRESS_BYTES > before {
            match self.total {
                Some(total) => notice(format_args!("{} of {}", size(self.bytes), size(total))),
                None => notice(size(self.bytes)),
            }
        }
    }
}

fn tell(format: Format, done: &str, summary: &Summary, bytes: u64) -> io::Result<()> {
    let check::Counts { policies, breakers, transitions } = summary.counts;
    match format {
        Format::Table => {
            notice(format_args!("{done} {}, {}", summary.counts, size(bytes)));
            Ok(())
        }
        Format::Json => output::line(json!({
            "created_at": summary.created_at,
            "server_version": summary.server_version,
            "policies": policies,
            "breakers": breakers,
            "transitions": transitions,
            "bytes": bytes,
        })),
    }
}

/// A restore of which no server has said how it ended need not have left nothing behind.
fn in_the_middle(address: &breaker_client::servers::Address, status: Status) -> anyhow::Error {
    let is_cut = status.details().is_empty()
        && matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled);
    let error = anyhow::Error::from(Error::from_status(address, status));
    if is_cut {
        error.context(
            "the server has not said how the restore ended; if it serves no breakers, throw its \
             database away and restore into an empty one",
        )
    } else {
        error
    }
}

fn silent() -> Status {
    let waited = humantime::format_duration(MAX_SILENCE);
    Status::deadline_exceeded(format!("the server was silent for {waited}"))
}

fn cannot(what: &str, path: &Path) -> String {
    match is_standard(path) {
        true => format!("cannot {what} the backup"),
        false => format!("cannot {what} {}", path.display()),
    }
}

fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}
