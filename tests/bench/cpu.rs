//! How long a processor has worked for somebody. Client and server share a machine here, and often
//! its processors too: what the clock on the wall says of the server depends on the client.

use std::time::Duration;

use nix::time::ClockId;
use nix::unistd::Pid;
use tokio::runtime::{Builder, Runtime};

/// A runtime with one thread for all of its tasks.
pub(crate) struct Core {
    pub(crate) runtime: Runtime,
}

impl Core {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self { runtime })
    }

    /// How long a processor has worked for its tasks so far.
    pub(crate) fn worked(&self) -> anyhow::Result<Duration> {
        // A thread can read its own clock; so one of the tasks does.
        self.runtime.block_on(self.runtime.spawn(async { of_this_thread() }))?
    }

    /// Waits until the tasks have done what they had to do.
    pub(crate) fn settle(&self) -> anyhow::Result<()> {
        const LOOK: Duration = Duration::from_millis(200);
        const QUIET: Duration = Duration::from_millis(2);
        loop {
            let before = self.worked()?;
            std::thread::sleep(LOOK);
            if self.worked()? - before < QUIET {
                return Ok(());
            }
        }
    }
}

/// How long a processor has worked for this thread.
pub(crate) fn of_this_thread() -> anyhow::Result<Duration> {
    Ok(ClockId::CLOCK_THREAD_CPUTIME_ID.now()?.into())
}

/// How long processors have worked for a process.
pub(crate) fn of_process(id: u32) -> anyhow::Result<Duration> {
    let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(id.try_into()?))?;
    Ok(clock.now()?.into())
}
