//! The program through which an SDK is told what to do: a line in, a line out.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use breaker_tests::clock;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncWriteExt, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::process::Process;

/// How long an answer may take beyond the time that the command takes by itself.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// A driver that has nothing more to do may report for 5 s what waits, and then has to end.
const END_WITHIN: Duration = Duration::from_secs(8);

/// What a process says when something went wrong that nobody has handled.
const UNHANDLED: &[&str] = &[
    "Traceback (most recent call last)",
    "UnhandledPromiseRejection",
    "Unhandled",
    "uncaughtException",
    "was never awaited",
    "panic:",
    "panicked at",
    "fatal error:",
    "DATA RACE",
];

/// How the driver of an SDK is started.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// The SDK.
    pub(crate) name: String,
    /// As a shell takes it.
    command: String,
}

impl Program {
    /// Reads `NAME=COMMAND LINE`.
    ///
    /// # Errors
    /// If one of the two is missing.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let (name, command) = text.split_once('=').context("must be NAME=COMMAND LINE")?;
        ensure!(!name.is_empty() && !command.is_empty(), "must be NAME=COMMAND LINE");
        Ok(Self { name: name.to_owned(), command: command.to_owned() })
    }

    /// Starts it.
    ///
    /// # Errors
    /// If there is no shell.
    pub(crate) fn start(&self) -> anyhow::Result<Driver> {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("exec {}", self.command));
        let (process, stdin, stdout) = Process::start(command)?;
        Ok(Driver { process, stdin, stdout })
    }
}

/// A driver that runs.
#[derive(Debug)]
pub(crate) struct Driver {
    process: Process,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Driver {
    /// Tells it to do something, and waits for the answer; `took` in it says for how many
    /// milliseconds.
    ///
    /// # Errors
    /// If it does not answer as the protocol wants it.
    pub(crate) async fn ask(
        &mut self,
        line: &Value,
        length: Duration,
    ) -> anyhow::Result<Map<String, Value>> {
        let begun = clock::now();
        self.tell(line).await?;
        let mut answer = self.answer(length).await?;
        let took = clock::now().since(begun).as_millis();
        answer.insert("took".into(), json!(u64::try_from(took)?));
        Ok(answer)
    }

    /// Tells it to do something; the answer is asked for later.
    ///
    /// # Errors
    /// If it does not listen any more.
    pub(crate) async fn tell(&mut self, line: &Value) -> anyhow::Result<()> {
        if let Err(error) = self.stdin.write_all(format!("{line}\n").as_bytes()).await {
            bail!("the driver does not listen ({error}): {}", self.fate().await);
        }
        Ok(())
    }

    /// Its next answer, to a command that takes so long by itself.
    ///
    /// # Errors
    /// If there is none, or it is no JSON object.
    pub(crate) async fn answer(&mut self, length: Duration) -> anyhow::Result<Map<String, Value>> {
        let within = ANSWER_WITHIN + length;
        let Ok(line) = timeout(within, self.stdout.next_line()).await else {
            bail!("the driver hangs: no answer within {within:?}");
        };
        let line = line.context("the driver's answer is no text")?;
        let Some(line) = line else { bail!("the driver gave no answer: {}", self.fate().await) };
        let answer = serde_json::from_str(&line);
        answer.with_context(|| format!("the driver answered with garbage: {line:?}"))
    }

    /// What it has said on its standard error.
    pub(crate) fn said(&self) -> String {
        self.process.said()
    }

    /// Closes its standard input and waits for its end.
    ///
    /// # Errors
    /// If it does not end as a driver has to.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        let Self { mut process, stdin, mut stdout } = self;
        drop(stdin);
        let status = process.ended(END_WITHIN).await.context("the driver hangs at its end")?;
        ensure!(status.success(), "the driver ended with {status}:\n{}", process.said());
        if let Ok(Ok(Some(line))) = timeout(END_WITHIN, stdout.next_line()).await {
            bail!("the driver said more than it was asked: {line:?}");
        }
        let said = process.said();
        if let Some(unhandled) = UNHANDLED.iter().find(|unhandled| said.contains(**unhandled)) {
            bail!("the driver has left an error unhandled ({unhandled:?})");
        }
        Ok(())
    }

    async fn fate(&mut self) -> String {
        match self.process.ended(Duration::from_secs(1)).await {
            Ok(status) => format!("it ended with {status}"),
            Err(_) => "it has closed its output and runs on".to_owned(),
        }
    }
}
