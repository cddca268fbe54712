//! A command in a process group of its own, so that it can be ended with all that it started.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::ending::{End, Ending};
use super::terminal::Terminal;
use crate::clock;
use crate::output::notice;
use crate::signals::Signals;

/// How long a command that is told to end has for it.
const GRACE: Duration = Duration::from_secs(2);
/// How often it is looked whether any of the group is left.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Runs a command until it ends, or until it has taken as long as it may.
pub(super) async fn run(command: &[OsString], limit: Option<Duration>) -> anyhow::Result<Ending> {
    // Before the command is there: a signal that came between would leave it behind.
    let mut signals = Signals::new()?;
    let begun = clock::now();
    let end = match spawn(command) {
        Ok((mut child, group)) => guard(&mut child, group, limit, &mut signals).await?,
        Err(error) => {
            let program = command.first().map(|program| program.display().to_string());
            notice(format_args!("{}: {error}", program.unwrap_or_default()));
            match error.kind() {
                io::ErrorKind::NotFound => End::NotFound,
                _ => End::NotExecutable,
            }
        }
    };
    let at = clock::now();
    Ok(Ending { end, duration: at.duration_since(begun), at })
}

fn spawn(command: &[OsString]) -> io::Result<(Child, Pid)> {
    let [program, arguments @ ..] = command else {
        return Err(io::ErrorKind::NotFound.into());
    };
    let child = Command::new(program).args(arguments).process_group(0).spawn()?;
    let group = child.id().and_then(|id| i32::try_from(id).ok());
    let group = group.ok_or_else(|| io::Error::other("it has no process id"))?;
    Ok((child, Pid::from_raw(group)))
}

async fn guard(
    child: &mut Child,
    group: Pid,
    limit: Option<Duration>,
    signals: &mut Signals,
) -> anyhow::Result<End> {
    let terminal = Terminal::lend(group);
    let deadline = async {
        match limit {
            Some(limit) => sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(deadline);
    let mut is_interrupted = false;
    loop {
        tokio::select! {
            biased;
            status = child.wait() => {
                let end = end_of(status.context("cannot wait for the command")?);
                let end = if is_interrupted { end.interrupted() } else { end };
                return Ok(if terminal.is_some() { end.at_terminal() } else { end });
            }
            () = &mut deadline => {
                end_group(child, group).await?;
                let limit = humantime::format_duration(limit.unwrap_or_default());
                notice(format_args!("the command took longer than {limit} and was ended"));
                return Ok(End::TimedOut);
            }
            signal = signals.next() => {
                is_interrupted = true;
                // Already gone: then its end is what comes next.
                let _ = killpg(group, signal);
            }
        }
    }
}

/// Ends a process group: politely, and after a while for good.
async fn end_group(child: &mut Child, group: Pid) -> anyhow::Result<()> {
    // A process that is stopped ends only once it goes on.
    let _ = killpg(group, Signal::SIGTERM).and_then(|()| killpg(group, Signal::SIGCONT));
    let gone = async {
        let ended = child.wait().await;
        while killpg(group, None).is_ok() {
            sleep(POLL_INTERVAL).await;
        }
        ended
    };
    if timeout(GRACE, gone).await.is_err() {
        let _ = killpg(group, Signal::SIGKILL);
    }
    child.wait().await.context("cannot wait for the command")?;
    Ok(())
}

fn end_of(status: ExitStatus) -> End {
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Exited(code),
        (None, Some(signal)) => End::Signalled(signal),
        (None, None) => End::Exited(i32::from(crate::exit::FAILED)),
    }
}
