//! A process that ends with whoever started it, and is never waited for without bounds.

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// What is kept of what a process says on its standard error; what comes later is read and lost.
const MAX_SAID_BYTES: usize = 1 << 20;

/// How long the end of what a process has said is waited for: a child of it may still hold the pipe.
const HEAR_WITHIN: Duration = Duration::from_secs(1);

/// A process in a group of its own. The group is killed when this is dropped, paused or not.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    said: Arc<Mutex<String>>,
    listener: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts a process; returns what leads into it and out of it, too.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(crate) fn start(
        mut command: Command,
    ) -> anyhow::Result<(Self, ChildStdin, Lines<BufReader<ChildStdout>>)> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let spawned = command.process_group(0).kill_on_drop(true).spawn();
        let mut child = spawned.with_context(|| format!("cannot start {command:?}"))?;
        let stdin = child.stdin.take().context("stdin is piped")?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        let stderr = child.stderr.take().context("stderr is piped")?;
        let said = Arc::default();
        let listener = Some(tokio::spawn(listen(stderr, Arc::clone(&said))));
        Ok((Self { child, said, listener }, stdin, BufReader::new(stdout).lines()))
    }

    /// What it has said on its standard error so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().clone()
    }

    /// Sends the signal to the process and its children.
    ///
    /// # Errors
    /// If it has ended.
    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let id = self.child.id().context("it has ended already")?;
        killpg(Pid::from_raw(id.try_into()?), signal).with_context(|| format!("{signal}"))
    }

    /// Stops it as a machine that hangs does, and waits until it stands still: a busy process goes on
    /// until the thread that takes the signal has its turn.
    ///
    /// # Errors
    /// If it has ended, or does not stand still soon.
    pub(crate) async fn pause(&self) -> anyhow::Result<()> {
        let id = self.child.id().context("it has ended already")?;
        self.signal(Signal::SIGSTOP)?;
        for _ in 0..1_000 {
            if stands_still(id)? {
                return Ok(());
            }
            sleep(Duration::from_millis(2)).await;
        }
        anyhow::bail!("it goes on although it was stopped")
    }

    /// Waits until it ends, and all that it said was heard.
    ///
    /// # Errors
    /// If it does not in time.
    pub(crate) async fn ended(&mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        let ended = timeout(within, self.child.wait()).await;
        let status = ended.with_context(|| format!("still runs after {within:?}"))??;
        if let Some(listener) = self.listener.take() {
            // What is not heard by then was not said by this process.
            let _ = timeout(HEAR_WITHIN, listener).await;
        }
        Ok(status)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already where there is nobody to get the signal.
        let _ = self.signal(Signal::SIGKILL);
    }
}

/// Whether every thread of a process is stopped. Where the system does not tell, it is taken to be.
fn stands_still(process: u32) -> anyhow::Result<bool> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else { return Ok(true) };
    for thread in threads {
        let stat = std::fs::read_to_string(thread?.path().join("stat")).unwrap_or_default();
        // The state stands after the name, which can hold anything but ends with the last `)`.
        let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
        if state.is_some_and(|state| !state.starts_with('T')) {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn listen(stderr: ChildStderr, said: Arc<Mutex<String>>) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut said = said.lock();
        if said.len() + line.len() < MAX_SAID_BYTES {
            said.push_str(&line);
            said.push('\n');
        }
    }
}
