//! The server of the demo: a `breakerd` of its own in a folder that goes with it.

use std::env;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::fs;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::error::Error;

/// Where a server listens that is told nothing else, so that `breakerctl` finds it without a flag.
const USUAL_PORTS: (u16, u16) = (7420, 7421);
/// How long it may take until it listens.
const MAX_START: Duration = Duration::from_secs(30);
/// How long it may take to write everything and end.
const GRACE: Duration = Duration::from_secs(10);
/// How much of its log is shown when it has ended by itself.
const LAST_LINES: usize = 20;

/// A server that runs. It is killed, and its folder removed, when this is dropped.
#[derive(Debug)]
pub(super) struct Server {
    // Before the folder: what is dropped first ends first.
    child: Child,
    /// Where it listens for gRPC.
    pub(super) grpc: String,
    /// Where it listens for HTTP.
    pub(super) http: String,
    /// Kept open, because who writes to a pipe that nobody reads is ended.
    _stdout: Lines<BufReader<ChildStdout>>,
    folder: TempDir,
}

/// Where `breakerd` is: as it was said, or beside this program, or in `PATH`.
pub(super) fn find(said: Option<&Path>) -> Result<PathBuf, Error> {
    let own = env::current_exe().ok();
    let beside = own.as_deref().and_then(Path::parent);
    let path = env::var_os("PATH").unwrap_or_default();
    find_in(said, beside.into_iter().map(Path::to_owned).chain(env::split_paths(&path)))
}

fn find_in(said: Option<&Path>, folders: impl Iterator<Item = PathBuf>) -> Result<PathBuf, Error> {
    if let Some(said) = said {
        let missing = || {
            let said = said.display();
            Error::Usage(format!("--breakerd: there is no file {said}; name the server's program"))
        };
        return said.is_file().then(|| said.to_owned()).ok_or_else(missing);
    }
    let candidates = folders.map(|folder| folder.join("breakerd"));
    candidates.into_iter().find(|path| path.is_file()).ok_or_else(|| {
        Error::Usage(
            "breakerd is neither beside breakerctl nor in PATH; build it with `cargo build \
             --release --package breakerd`, or say where it is with --breakerd PATH"
                .to_owned(),
        )
    })
}

impl Server {
    /// Starts it, and waits until it listens: at the usual ports if both are free, else at any.
    pub(super) async fn start(program: &Path) -> anyhow::Result<Self> {
        let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if is_free(USUAL_PORTS.0)
            && is_free(USUAL_PORTS.1)
            && let Ok(server) = Self::start_at(program, USUAL_PORTS).await
        {
            return Ok(server);
        }
        // Somebody else may have taken them in between. What else is wrong is wrong here, too.
        Self::start_at(program, (0, 0)).await
    }

    async fn start_at(program: &Path, (grpc, http): (u16, u16)) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("breakerctl-demo-")
            .tempdir()
            .context("cannot make a temporary folder")?;
        let log = std::fs::File::create(log_of(&folder)).context("cannot write a log")?;
        let mut command = Command::new(program);
        // What is meant for a server of the user's own is not meant for this one.
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("BREAKERD_") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .arg(format!("--database=sqlite://{}/breakerd.db", folder.path().display()))
            .arg(format!("--listen=127.0.0.1:{grpc}"))
            .arg(format!("--http-listen=127.0.0.1:{http}"))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            // Ctrl-C is for breakerctl, which then ends the server in good order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let stdout = child.stdout.take().context("the server has no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let listening = timeout(MAX_START, addresses(&mut lines)).await;
        let Some((grpc, http)) = listening.ok().flatten() else {
            let said = last_lines(&folder).await;
            anyhow::bail!("{} does not start:\n{said}", program.display());
        };
        Ok(Self { child, grpc, http, _stdout: lines, folder })
    }

    /// Waits until it ends by itself, which it should not; why.
    pub(super) async fn ended(&mut self) -> anyhow::Error {
        let status = self.child.wait().await;
        let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        let said = last_lines(&self.folder).await;
        anyhow::anyhow!("the server has ended by itself: {how}\n{said}").context("the demo is over")
    }

    /// Ends it in good order, and removes its folder.
    pub(super) async fn end(mut self) -> anyhow::Result<()> {
        if let Some(id) = self.child.id().and_then(|id| i32::try_from(id).ok()) {
            // It may just have ended.
            let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
        }
        let ended: Option<ExitStatus> =
            timeout(GRACE, self.child.wait()).await.ok().and_then(Result::ok);
        if ended.is_none() {
            self.child.kill().await.context("cannot end the server")?;
        }
        let path = self.folder.path().display().to_string();
        self.folder.close().with_context(|| format!("cannot remove {path}"))
    }
}

/// Where it listens, as it says when it does; `None` if it ends before.
async fn addresses(lines: &mut Lines<BufReader<ChildStdout>>) -> Option<(String, String)> {
    let mut grpc = None;
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(address) = line.strip_prefix("grpc listening on ") {
            grpc = Some(address.to_owned());
        } else if let Some(address) = line.strip_prefix("http listening on ") {
            return Some((grpc?, address.to_owned()));
        }
    }
    None
}

fn log_of(folder: &TempDir) -> PathBuf {
    folder.path().join("breakerd.log")
}

async fn last_lines(folder: &TempDir) -> String {
    let log = fs::read(log_of(folder)).await.unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_where_it_is_said_to_be_or_in_the_first_folder_that_has_it() {
        let [empty, full] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let program = full.path().join("breakerd");
        std::fs::write(&program, "").unwrap();
        let folders = || [&empty, &full].into_iter().map(|folder| folder.path().to_owned());
        assert_eq!(find_in(None, folders()).unwrap(), program);
        assert_eq!(find_in(Some(&program), std::iter::empty()).unwrap(), program);
        let error = find_in(None, folders().take(1)).unwrap_err().to_string();
        assert!(error.contains("cargo build"), "{error}");
        let error = find_in(Some(Path::new("/no/such")), folders()).unwrap_err().to_string();
        assert!(error.contains("/no/such"), "{error}");
    }
}
