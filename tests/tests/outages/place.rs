//! A Postgres that can be taken away in every way, and given back.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};
use tempfile::TempDir;
use throwaway_postgres::{Cluster, Database};

/// How a database goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outage {
    /// Its processes hang.
    Paused,
    /// Its processes end at once.
    Killed,
    /// It is shut down.
    Stopped,
    /// It can be read only, as after a fail-over to a replica.
    ReadOnly,
    /// Its disk is full.
    DiskFull,
}

impl Outage {
    /// Whether nothing at all can be written. On a disk that is full there is still room within
    /// the files that are there.
    pub(crate) fn is_total(self) -> bool {
        self != Self::DiskFull
    }
}

/// Where the database is.
pub(crate) struct Place {
    pub(crate) database: Database,
    // In this order, in which they are dropped: the disk is busy as long as the cluster is there.
    cluster: Cluster,
    disk: Option<Disk>,
}

impl Place {
    pub(crate) fn for_an(outage: Outage) -> anyhow::Result<Self> {
        let disk = if outage == Outage::DiskFull { Some(Disk::mount()?) } else { None };
        let cluster = match &disk {
            // With little to write ahead, as the disk is small.
            Some(disk) => {
                Cluster::start_in(disk.folder.path(), &["max_wal_size=32MB", "min_wal_size=32MB"])?
            }
            None => Cluster::start()?,
        };
        Ok(Self { database: cluster.database()?, cluster, disk })
    }

    pub(crate) fn begin(&self, outage: Outage) -> anyhow::Result<()> {
        match outage {
            Outage::Paused => self.cluster.pause(),
            Outage::Killed => self.cluster.kill(),
            Outage::Stopped => self.cluster.stop(),
            Outage::ReadOnly => {
                self.database.query("ALTER SYSTEM SET default_transaction_read_only = on")?;
                self.database.query("SELECT pg_reload_conf()").map(drop)
            }
            Outage::DiskFull => self.disk()?.fill(),
        }
    }

    pub(crate) fn end(&self, outage: Outage) -> anyhow::Result<()> {
        match outage {
            Outage::Paused => self.cluster.resume(),
            Outage::Killed | Outage::Stopped => self.cluster.start_again(),
            Outage::ReadOnly => {
                self.database.query("ALTER SYSTEM RESET default_transaction_read_only")?;
                self.database.query("SELECT pg_reload_conf()").map(drop)
            }
            Outage::DiskFull => {
                self.disk()?.empty()?;
                // It ends by itself where not even its log can be written.
                if self.cluster.is_running()? { Ok(()) } else { self.cluster.start_again() }
            }
        }
    }

    fn disk(&self) -> anyhow::Result<&Disk> {
        self.disk.as_ref().context("this outage has no disk")
    }
}

/// A small disk of its own, in memory.
struct Disk {
    folder: TempDir,
}

/// Enough for a new cluster and a minute of writing.
const DISK: &str = "size=192m,mode=1777";

impl Disk {
    fn mount() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", DISK, "breakerd-test"])
            .arg(folder.path())
            .output()?;
        ensure!(
            mounted.status.success(),
            "this test needs a small disk, and mounting one needs root: run it in a container with \
             --cap-add SYS_ADMIN; mount says: {}",
            String::from_utf8_lossy(&mounted.stderr)
        );
        Ok(Self { folder })
    }

    fn ballast(&self) -> PathBuf {
        self.folder.path().join("ballast")
    }

    /// Fills it to the last byte.
    fn fill(&self) -> anyhow::Result<()> {
        let mut ballast = File::create(self.ballast())?;
        for size in [1 << 20, 4 << 10, 1] {
            while ballast.write_all(&vec![1; size]).is_ok() {}
        }
        Ok(())
    }

    fn empty(&self) -> anyhow::Result<()> {
        Ok(fs::remove_file(self.ballast())?)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A process that still ends keeps it busy no longer than that.
        let _ = Command::new("umount").arg("--lazy").arg(self.folder.path()).status();
    }
}
