use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process;

use breaker_engine::StoreError;

use super::{real_path, unusable};

/// Keeps other servers off a database for as long as it lives. The operating system lets go of it
/// when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock beside the database file.
    pub(super) fn take(database: &Path) -> Result<Self, StoreError> {
        let path = beside(&real_path(database)?);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| unusable(database, &error))?;
        match file.try_lock() {
            Ok(()) => {
                let noted = file.set_len(0).and_then(|()| write!(file, "{}", process::id()));
                noted.map_err(|error| unusable(database, &error))?;
                Ok(Self { _file: file })
            }
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                Err(StoreError::InUse(format!(
                    "another breakerd (process {holder}) uses the database {}; stop it, or choose \
                     another --database",
                    database.display()
                )))
            }
            Err(TryLockError::Error(error)) => Err(unusable(database, &error)),
        }
    }
}

fn beside(database: &Path) -> PathBuf {
    let mut path = OsString::from(database);
    path.push("-lock");
    path.into()
}
