use std::fs;
use std::time::Duration;

use anyhow::Context;

/// How long the threads of this process that have a name have run so far.
pub(crate) fn used_by(name: &str) -> anyhow::Result<Duration> {
    let mut nanos = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        // A thread can end while its files are read.
        let Ok(comm) = fs::read_to_string(task.join("comm")) else { continue };
        let Ok(schedstat) = fs::read_to_string(task.join("schedstat")) else { continue };
        if comm.trim_end() == name {
            let ran = schedstat.split(' ').next().context("schedstat begins with a time")?;
            nanos += ran.parse::<u64>()?;
        }
    }
    Ok(Duration::from_nanos(nanos))
}
