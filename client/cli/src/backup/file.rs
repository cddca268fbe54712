use std::io::{self, Stdout, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::NamedTempFile;

use super::is_standard;
use crate::error::Error;

/// Where a backup is written. A file bears another name until it is complete, and is gone if it never
/// is.
pub(super) enum Target {
    Standard(Stdout),
    File { beside: NamedTempFile, path: PathBuf, overwrites: bool },
}

impl Target {
    pub(super) fn create(path: &Path, overwrites: bool) -> anyhow::Result<Self> {
        if is_standard(path) {
            return Ok(Self::Standard(io::stdout()));
        }
        if !overwrites && path.symlink_metadata().is_ok() {
            return Err(Error::Usage(exists(path)).into());
        }
        let name = path.file_name().context("the backup needs the name of a file")?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let beside = tempfile::Builder::new()
            .prefix(&format!(".{}.", name.to_string_lossy()))
            .tempfile_in(folder)
            .with_context(|| format!("cannot write to {}", folder.display()))?;
        Ok(Self::File { beside, path: path.to_owned(), overwrites })
    }

    /// Gives the file its name, once it is on disk.
    pub(super) fn keep(self) -> anyhow::Result<()> {
        match self {
            Self::Standard(mut out) => out.flush()?,
            Self::File { beside, path, overwrites } => {
                beside.as_file().sync_all()?;
                if overwrites {
                    beside.persist(path)?;
                } else if let Err(failed) = beside.persist_noclobber(&path) {
                    return Err(match failed.error.kind() {
                        io::ErrorKind::AlreadyExists => Error::Usage(exists(&path)).into(),
                        _ => failed.error.into(),
                    });
                }
            }
        }
        Ok(())
    }
}

impl Write for Target {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match self {
            Self::Standard(out) => out.write(data),
            Self::File { beside, .. } => beside.write(data),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Standard(out) => out.flush(),
            Self::File { beside, .. } => beside.flush(),
        }
    }
}

fn exists(path: &Path) -> String {
    format!("{} exists; --force takes its place", path.display())
}
