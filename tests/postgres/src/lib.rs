//! Real Postgres clusters for tests. Each is made from the installed server binaries, in a folder
//! of its own, and vanishes with the process that started it, however that ends.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use anyhow::{Context, bail, ensure};

/// The folder of a running cluster that many test processes share.
pub const SHARED: &str = "BREAKERD_TEST_POSTGRES";

/// Postgres refuses to run as root; then it runs as this user, whom its package creates.
const USER: &str = "postgres";

const KEEPER: &str = include_str!("keeper.sh");

/// A cluster of this process.
#[derive(Debug)]
pub struct Cluster {
    binaries: PathBuf,
    folder: PathBuf,
    keeper: Mutex<Keeper>,
}

#[derive(Debug)]
struct Keeper {
    process: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// Where a database is.
#[derive(Clone, Debug)]
pub struct Database {
    /// For `--database`.
    pub url: String,
    binaries: PathBuf,
}

impl Cluster {
    /// Makes a cluster that does as in production: what it has committed is on disk.
    ///
    /// # Errors
    /// If Postgres is not installed, or does not start.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(&[])
    }

    /// The same with settings of the server.
    ///
    /// # Errors
    /// If Postgres is not installed, or does not start.
    pub fn start_with(settings: &[&str]) -> anyhow::Result<Self> {
        Self::start_in(&env::temp_dir(), settings)
    }

    /// The same with its folder in another one, which has to be writable for everybody.
    ///
    /// # Errors
    /// If Postgres is not installed, or does not start.
    pub fn start_in(parent: &Path, settings: &[&str]) -> anyhow::Result<Self> {
        let binaries = binaries()?;
        let mut process = keeper_command()?
            .env("TMPDIR", parent)
            .arg(&binaries)
            .args(settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run the keeper of a Postgres cluster")?;
        let orders = process.stdin.take();
        let mut answers = BufReader::new(process.stdout.take().context("stdout is piped")?);
        let mut folder = String::new();
        answers.read_line(&mut folder)?;
        if folder.is_empty() {
            let mut said = String::new();
            process.stderr.take().context("stderr is piped")?.read_to_string(&mut said)?;
            bail!("Postgres did not start: {said}");
        }
        let keeper = Mutex::new(Keeper { process, orders, answers });
        Ok(Self { binaries, folder: folder.trim_end().into(), keeper })
    }

    /// A new and empty database.
    ///
    /// # Errors
    /// If the cluster does not answer.
    pub fn database(&self) -> anyhow::Result<Database> {
        new_database(&self.binaries, &self.folder)
    }

    /// Stops every process of the server where it is, as a machine that hangs does.
    ///
    /// # Errors
    /// If the keeper has ended.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.order("pause")
    }

    /// Lets them go on.
    ///
    /// # Errors
    /// If the keeper has ended.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.order("resume")
    }

    /// Ends the server with SIGKILL.
    ///
    /// # Errors
    /// If the keeper has ended.
    pub fn kill(&self) -> anyhow::Result<()> {
        self.order("kill")
    }

    /// Ends the server as a restart does: connections are cut, and everything is on disk.
    ///
    /// # Errors
    /// If the keeper has ended.
    pub fn stop(&self) -> anyhow::Result<()> {
        self.order("stop")
    }

    /// Whether the server still runs: it ends by itself if its disk is full at a bad moment.
    ///
    /// # Errors
    /// If the keeper has ended.
    pub fn is_running(&self) -> anyhow::Result<bool> {
        Ok(self.ask("alive")? == "yes\n")
    }

    /// Starts the server again, and waits until it answers.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start_again(&self) -> anyhow::Result<()> {
        self.order("start")
    }

    /// Where its files and its socket are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn order(&self, order: &str) -> anyhow::Result<()> {
        let answer = self.ask(order)?;
        ensure!(answer == "done\n", "the keeper of the Postgres cluster ended at `{order}`");
        Ok(())
    }

    fn ask(&self, order: &str) -> anyhow::Result<String> {
        let mut keeper = self.keeper.lock().map_err(|_| anyhow::anyhow!("a test has panicked"))?;
        let orders = keeper.orders.as_mut().context("the keeper takes orders")?;
        writeln!(orders, "{order}")?;
        orders.flush()?;
        let mut answer = String::new();
        keeper.answers.read_line(&mut answer)?;
        Ok(answer)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Ok(keeper) = self.keeper.get_mut() {
            // The end of its input is what the keeper ends by.
            keeper.orders.take();
            let _ = keeper.process.wait();
        }
    }
}

impl Database {
    /// A new database in a cluster that many tests share, for those that do nothing to the cluster
    /// itself.
    ///
    /// # Errors
    /// If Postgres is not installed, or does not start.
    pub fn in_shared_cluster() -> anyhow::Result<Self> {
        static OWN: OnceLock<Cluster> = OnceLock::new();
        if let Some(folder) = env::var_os(SHARED) {
            return new_database(&binaries()?, Path::new(&folder));
        }
        // Started without `tests/run`: the cluster is that of this process.
        if OWN.get().is_none() {
            let _ = OWN.set(Cluster::start()?);
        }
        OWN.get().context("the cluster was set")?.database()
    }

    /// What a statement returns, a line for each row, with `|` between the columns.
    ///
    /// # Errors
    /// What the database says.
    pub fn query(&self, sql: &str) -> anyhow::Result<String> {
        let output = Command::new(self.binaries.join("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql, &self.url])
            .stdin(Stdio::null())
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{sql}: {said}");
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }
}

fn new_database(binaries: &Path, folder: &Path) -> anyhow::Result<Database> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("test_{}_{number}", std::process::id());
    let url = |name: &str| format!("postgres://{USER}@localhost/{name}?host={}", folder.display());
    let maintenance = Database { url: url("postgres"), binaries: binaries.to_owned() };
    maintenance.query(&format!("CREATE DATABASE {name}"))?;
    Ok(Database { url: url(&name), binaries: binaries.to_owned() })
}

fn keeper_command() -> anyhow::Result<Command> {
    let is_root =
        fs::metadata("/proc/self").map(|own| std::os::unix::fs::MetadataExt::uid(&own))? == 0;
    let mut command = if is_root {
        let mut command = Command::new("runuser");
        command.args(["-u", USER, "--", "sh"]);
        command
    } else {
        Command::new("sh")
    };
    command.args(["-c", KEEPER, "keeper"]);
    Ok(command)
}

/// The folder of the server's binaries: the newest that Debian's packages have installed, or that
/// of `postgres` in the path.
fn binaries() -> anyhow::Result<PathBuf> {
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = installed.filter_map(|entry| Some((version(&entry.path())?, entry.path()))).max();
    let in_path = || {
        let path = env::var_os("PATH")?;
        env::split_paths(&path).find(|folder| folder.join("postgres").exists())
    };
    newest
        .map(|(_, folder)| folder.join("bin"))
        .filter(|folder| folder.join("postgres").exists())
        .or_else(in_path)
        .context("Postgres is not installed: these tests need its server (Debian: apt-get install postgresql)")
}
