use breaker_core::Time;
use breaker_tests::{Daemon, clock, metric_of};
use tokio::task::block_in_place;

use crate::process;

/// The server at one time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) at: Time,
    pub(crate) memory_bytes: u64,
    pub(crate) threads: u64,
    pub(crate) counts: Counts,
}

/// What must be as much as before once everybody is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) handles: u64,
    /// Of its tokio runtime.
    pub(crate) tasks: u64,
    /// Open watch streams.
    pub(crate) streams: u64,
}

impl Sample {
    /// Looks at the server; the look itself is a connection and a task.
    pub(crate) fn of(daemon: &Daemon) -> anyhow::Result<Self> {
        let process = daemon.process_id();
        let page = block_in_place(|| daemon.page("/metrics"))?;
        let (tasks, streams) =
            (gauge(&page, "breakerd_tasks")?, gauge(&page, "breakerd_watch_streams")?);
        Ok(Self {
            at: clock::now(),
            memory_bytes: process::memory_bytes(process)?,
            threads: process::threads(process)?,
            counts: Counts { handles: process::handles(process)?, tasks, streams },
        })
    }

    pub(crate) const fn counts(&self) -> Counts {
        self.counts
    }
}

/// A gauge that counts something.
fn gauge(page: &str, name: &str) -> anyhow::Result<u64> {
    Ok(metric_of(page, name)?.parse::<f64>()? as u64)
}
