//! The server of one scenario, with a database file of its own, that can be treated badly.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, ensure};
use breaker_tests::{binary, free_port};
use nix::sys::signal::Signal;
use serde::Deserialize;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::process::Process;

/// How long a server may take to start or to end.
const WITHIN: Duration = Duration::from_secs(20);

/// What happens to the server.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    Start,
    /// With SIGTERM.
    Stop,
    /// With SIGKILL.
    Kill,
    /// With SIGSTOP: it hangs, and its connections stay.
    Pause,
    Resume,
    Restart,
    /// With SIGTERM, and then another one at the same address with an empty database.
    Replace,
}

/// A server that may run or not; its addresses and its database stay the same.
#[derive(Debug)]
pub(crate) struct Server {
    /// Where gRPC listens.
    pub(crate) address: String,
    http_address: String,
    arguments: Vec<String>,
    folder: TempDir,
    running: Option<Running>,
    /// What those have logged that have ended.
    earlier_log: String,
}

#[derive(Debug)]
struct Running {
    process: Process,
    /// Kept open: a server may wait for its end, and write to its output.
    _pipes: (ChildStdin, Lines<BufReader<ChildStdout>>),
}

impl Server {
    /// A server that does not run yet.
    ///
    /// # Errors
    /// If there is no place for it.
    pub(crate) fn new(host: Ipv4Addr, arguments: &[String]) -> anyhow::Result<Self> {
        Ok(Self {
            address: format!("{host}:{}", free_port()?),
            http_address: format!("{host}:{}", free_port()?),
            arguments: arguments.to_vec(),
            folder: tempfile::tempdir()?,
            running: None,
            earlier_log: String::new(),
        })
    }

    /// Lets something happen to it.
    ///
    /// # Errors
    /// If the server does not take it as it should.
    pub(crate) async fn happen(&mut self, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Start => self.start().await,
            Event::Stop => self.stop().await,
            Event::Kill => self.kill().await,
            Event::Pause => self.running()?.process.pause().await,
            Event::Resume => self.running()?.process.signal(Signal::SIGCONT),
            Event::Restart => {
                self.stop().await?;
                self.start().await
            }
            Event::Replace => {
                self.stop().await?;
                self.folder = tempfile::tempdir()?;
                self.start().await
            }
        }
    }

    /// A number of its metrics, that of all labels together.
    ///
    /// # Errors
    /// If it does not serve them, or none of this name.
    pub(crate) async fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let mut connection = TcpStream::connect(&self.http_address).await?;
        connection.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await?;
        let mut page = String::new();
        connection.read_to_string(&mut page).await?;
        let of_line = |line: &str| -> Option<f64> {
            let rest = line.strip_prefix(name)?;
            let is_it = rest.starts_with(' ') || rest.starts_with('{');
            is_it.then(|| rest.rsplit(' ').next()?.parse().ok())?
        };
        let values: Vec<_> = page.lines().filter_map(of_line).collect();
        ensure!(!values.is_empty(), "the server has no metric {name:?}");
        Ok(values.iter().sum())
    }

    /// All that it has logged.
    pub(crate) fn log(&self) -> String {
        let now = self.running.as_ref().map(|running| running.process.said()).unwrap_or_default();
        format!("{}{now}", self.earlier_log)
    }

    async fn start(&mut self) -> anyhow::Result<()> {
        ensure!(self.running.is_none(), "the server runs already");
        let database = self.folder.path().join("breakerd.db");
        let mut command = Command::new(binary("breakerd")?);
        command.args(["--database", &format!("sqlite://{}", database.display())]);
        command.args(["--listen", &self.address, "--http-listen", &self.http_address]);
        command.args(&self.arguments);
        let (process, stdin, mut lines) = Process::start(command)?;
        let heard = timeout(WITHIN, async {
            while let Some(line) = lines.next_line().await? {
                if line.starts_with("http listening on ") {
                    return anyhow::Ok(());
                }
            }
            anyhow::bail!("it ended")
        });
        match heard.await {
            Ok(Ok(())) => {
                self.running = Some(Running { process, _pipes: (stdin, lines) });
                Ok(())
            }
            _ => anyhow::bail!("the server does not start:\n{}", process.said()),
        }
    }

    async fn stop(&mut self) -> anyhow::Result<()> {
        self.running()?.process.signal(Signal::SIGTERM)?;
        let status = self.gone().await?;
        ensure!(status.success(), "the server ended with {status}");
        Ok(())
    }

    async fn kill(&mut self) -> anyhow::Result<()> {
        self.running()?.process.signal(Signal::SIGKILL)?;
        self.gone().await?;
        Ok(())
    }

    async fn gone(&mut self) -> anyhow::Result<std::process::ExitStatus> {
        let mut running = self.running.take().context("the server does not run")?;
        let ended = running.process.ended(WITHIN).await.context("the server");
        self.earlier_log.push_str(&running.process.said());
        ended
    }

    fn running(&self) -> anyhow::Result<&Running> {
        self.running.as_ref().context("the server does not run")
    }
}
