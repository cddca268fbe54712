//! A real Redis that counts outcomes: what a team would build that wants the same counts in one
//! place. Its commands are encoded before and sent in pipelines, over a socket of this machine.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::population::name;
use crate::reports::{BREAKERS, RUNS_OF_A_BREAKER, has_failed};
use crate::{clock, cpu};

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pipelines that are under way at once.
const IN_FLIGHT: usize = 4;

/// A server of its own, which ends with this.
pub(crate) struct Redis {
    process: Child,
    folder: TempDir,
}

impl Redis {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let socket = folder.path().join("redis.sock");
        let process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(&socket)
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .context("redis-server does not start; install it, for example by apt-get")?;
        let redis = Self { process, folder };
        let began = clock::now();
        while redis.connect().is_err() {
            ensure!(began.elapsed() < PATIENCE, "redis-server does not listen");
            thread::sleep(Duration::from_millis(10));
        }
        Ok(redis)
    }

    fn connect(&self) -> std::io::Result<UnixStream> {
        UnixStream::connect(self.folder.path().join("redis.sock"))
    }

    /// How long processors have worked for it.
    pub(crate) fn worked(&self) -> anyhow::Result<Duration> {
        cpu::of_process(self.process.id())
    }

    /// Sends such a pipeline for a while, again and again; returns how many were counted, and within
    /// which time.
    pub(crate) fn count(
        &self,
        duration: Duration,
        pipeline: &str,
    ) -> anyhow::Result<(u64, Duration)> {
        let mut to = self.connect()?;
        let mut from = BufReader::new(to.try_clone()?);
        let begin = clock::now();
        let (mut sent, mut counted) = (0, 0);
        let mut answer = String::new();
        while counted < sent || begin.elapsed() < duration {
            while sent < counted + IN_FLIGHT as u64 && begin.elapsed() < duration {
                to.write_all(pipeline.as_bytes())?;
                sent += 1;
            }
            for _ in 0..BREAKERS * RUNS_OF_A_BREAKER {
                answer.clear();
                from.read_line(&mut answer)?;
                ensure!(answer.starts_with(':'), "Redis says {answer:?}");
            }
            counted += 1;
        }
        Ok((counted, begin.elapsed()))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The same counts as those of [`crate::reports::encoded`].
pub(crate) fn pipeline(calls_of_a_run: u32) -> anyhow::Result<String> {
    let mut commands = String::new();
    for breaker in 0..BREAKERS {
        for run in 0..RUNS_OF_A_BREAKER {
            let outcome = if has_failed(run) { "failures" } else { "successes" };
            let words = ["HINCRBY", &name(breaker), outcome, &calls_of_a_run.to_string()];
            write!(commands, "*{}\r\n", words.len())?;
            for word in words {
                write!(commands, "${}\r\n{word}\r\n", word.len())?;
            }
        }
    }
    Ok(commands)
}
