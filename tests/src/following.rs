use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::Context as _;
use serde_json::Value;

use crate::daemon::{Daemon, binary};

/// A `breakerctl` that follows something, and tells it as JSON. It is killed when this is dropped.
#[derive(Debug)]
pub struct Following {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Following {
    /// Starts it at a server, with these arguments.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(daemon: &Daemon, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut child = Command::new(binary("breakerctl")?)
            .args(["--address", &daemon.grpc, "-o", "json"])
            .args(arguments)
            .arg("--follow")
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().context("it has no standard output")?;
        Ok(Self { child, lines: BufReader::new(stdout).lines() })
    }

    /// Waits for what it tells next.
    ///
    /// # Errors
    /// If it ends before, or tells something that is not JSON.
    pub fn told(&mut self) -> anyhow::Result<Value> {
        let line = self.lines.next().context("breakerctl has ended")??;
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
