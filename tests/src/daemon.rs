use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use anyhow::{Context, ensure};

use crate::Clients;

/// A real `breakerd` process. Killed when it is dropped.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    /// Where gRPC listens.
    pub grpc: String,
    /// Where HTTP listens.
    pub http: String,
    log: Log,
}

/// What a process says on its standard error. Read all the time, or the process would wait.
#[derive(Debug)]
struct Log {
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

/// What is kept of a log.
const MAX_LOG_BYTES: usize = 1 << 20;

impl Log {
    fn of(stderr: ChildStderr) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let kept = Arc::clone(&text);
        let reader = thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let Ok(mut text) = kept.lock() else { return };
                if text.len() + line.len() < MAX_LOG_BYTES {
                    text.push_str(&line);
                    text.push('\n');
                }
            }
        });
        Self { text, reader: Some(reader) }
    }

    /// The log of a process that has ended.
    fn whole(&mut self) -> String {
        // A reader that has panicked has left what it had read.
        let _ = self.reader.take().map(JoinHandle::join);
        self.text()
    }

    fn text(&self) -> String {
        self.text.lock().map(|text| text.clone()).unwrap_or_default()
    }
}

/// The path of a binary of this workspace, built beside the tests and the benchmarks.
///
/// # Errors
/// If it was not built.
pub fn binary(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.parent().context("a program lies in a folder")?;
    // A test lies one folder deeper than what it tests.
    let folder = if folder.ends_with("deps") { folder.parent() } else { Some(folder) };
    let path = folder.context("a test lies in target/PROFILE/deps")?.join(name);
    ensure!(path.exists(), "{} is missing; run `cargo build --workspace` first", path.display());
    Ok(path)
}

/// The value of a metric on a page of them, as it stands there.
///
/// # Errors
/// If there is none.
pub fn metric_of<'p>(page: &'p str, name: &str) -> anyhow::Result<&'p str> {
    let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.with_context(|| format!("there is no metric {name}"))
}

/// A port that nobody listens on, for a server that comes back to it. Connections never begin at
/// one of these by themselves.
///
/// # Errors
/// If there is none.
pub fn free_port() -> anyhow::Result<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..1_000 {
        let turn = std::process::id() * 7 + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(20_000 + turn % 12_000)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    anyhow::bail!("no port is free from 20000 to 32000")
}

impl Daemon {
    /// Starts a server on a database file, on free ports, and waits until it listens.
    ///
    /// # Errors
    /// If it does not start; the error holds what it said.
    pub fn start(database: &Path) -> anyhow::Result<Self> {
        Self::start_with(database, [] as [&str; 0])
    }

    /// The same with more arguments.
    ///
    /// # Errors
    /// If it does not start; the error holds what it said.
    pub fn start_with<A: AsRef<OsStr>>(
        database: &Path,
        arguments: impl IntoIterator<Item = A>,
    ) -> anyhow::Result<Self> {
        Self::start_on(&format!("sqlite://{}", database.display()), arguments)
    }

    /// Starts a server on the database of a URL, on free ports unless the arguments say otherwise,
    /// and waits until it listens, be it that it leads or that it stands by.
    ///
    /// # Errors
    /// If it does not start; the error holds what it said.
    pub fn start_on<A: AsRef<OsStr>>(
        url: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> anyhow::Result<Self> {
        let mut child = Command::new(binary("breakerd")?)
            // As variables, so that an argument can say otherwise.
            .envs([("BREAKERD_LISTEN", "127.0.0.1:0"), ("BREAKERD_HTTP_LISTEN", "127.0.0.1:0")])
            .args(["--database", url])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("stdout is piped")?).lines();
        let mut listening = |what: &str| {
            let prefix = format!("{what} listening on ");
            lines
                .by_ref()
                .map_while(Result::ok)
                .find_map(|line| Some(line.strip_prefix(&prefix)?.to_owned()))
        };
        match (listening("grpc"), listening("http")) {
            (Some(grpc), Some(http)) => {
                let log = Log::of(child.stderr.take().context("stderr is piped")?);
                Ok(Self { child, grpc, http, log })
            }
            _ => {
                let mut said = String::new();
                child.stderr.take().context("stderr is piped")?.read_to_string(&mut said)?;
                let status = child.wait()?;
                anyhow::bail!("breakerd ended with {status}: {said}")
            }
        }
    }

    /// New connections to the server.
    ///
    /// # Errors
    /// Never with an address that a server gave.
    pub fn clients(&self) -> anyhow::Result<Clients> {
        Clients::of(&self.grpc)
    }

    /// Sends the process a signal by its name: `STOP`, `CONT`.
    ///
    /// # Errors
    /// If it has ended.
    pub fn signal(&self, name: &str) -> anyhow::Result<()> {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").arg(format!("-{name}")).arg(id).status()?;
        ensure!(sent.success(), "kill -{name} failed");
        Ok(())
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// The id of the process.
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Ends the process with SIGKILL.
    ///
    /// # Errors
    /// If it had ended before.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks the process to end, and waits for it.
    ///
    /// # Errors
    /// If it cannot be asked.
    pub fn terminate(mut self) -> anyhow::Result<ExitStatus> {
        self.ask_to_end()?;
        Ok(self.child.wait()?)
    }

    /// Asks the process to end, and returns what it has logged.
    ///
    /// # Errors
    /// If it cannot be asked, or ends with a failure.
    pub fn terminate_and_tell(mut self) -> anyhow::Result<String> {
        self.ask_to_end()?;
        let status = self.child.wait()?;
        let said = self.log.whole();
        ensure!(status.success(), "breakerd ended with {status}: {said}");
        Ok(said)
    }

    /// A page that it serves over HTTP.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn page(&self, path: &str) -> anyhow::Result<String> {
        Ok(self.answer(path)?.1)
    }

    /// The value of a counter, with its labels if it has any.
    ///
    /// # Errors
    /// If it does not answer, or knows no such metric.
    pub fn metric(&self, name: &str) -> anyhow::Result<u64> {
        Ok(metric_of(&self.page("/metrics")?, name)?.parse()?)
    }

    /// The value of a gauge, or of a counter, with its labels if it has any.
    ///
    /// # Errors
    /// If it does not answer, or knows no such metric.
    pub fn gauge(&self, name: &str) -> anyhow::Result<f64> {
        Ok(metric_of(&self.page("/metrics")?, name)?.parse()?)
    }

    /// What it answers over HTTP: the code of the status, and the page.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn answer(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let mut connection = TcpStream::connect(&self.http)?;
        write!(connection, "GET {path} HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        let (head, body) =
            answer.split_once("\r\n\r\n").context("the answer has no end of headers")?;
        let code = head.split(' ').nth(1).context("the answer has no status")?.parse()?;
        Ok((code, body.to_owned()))
    }

    fn ask_to_end(&self) -> anyhow::Result<()> {
        let asked = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status()?;
        ensure!(asked.success(), "kill failed");
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
