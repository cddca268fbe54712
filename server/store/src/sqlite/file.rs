use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process;

use breaker_engine::StoreError;

/// A database file that this process has claimed for itself.
///
/// The claim is a lock on a file beside the database, which the operating system ends with the
/// process, however that ends. The lock file itself stays: were it deleted, two servers could hold
/// locks on two files of one name.
#[derive(Debug)]
pub(super) struct DatabaseFile {
    path: PathBuf,
    /// Locked as long as it is open.
    _lock: File,
}

/// The path in a URL of the form `sqlite://PATH`.
pub(super) fn path_of(url: &str) -> Result<PathBuf, StoreError> {
    let rest = url.strip_prefix("sqlite:").unwrap_or(url);
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.is_empty() || path.contains('?') || path.starts_with(':') {
        return Err(StoreError::Unusable(format!(
            "`{url}` does not name a database file; write sqlite://PATH without parameters, such \
             as sqlite://breakerd.db for a file in the current folder, or memory: to keep nothing"
        )));
    }
    Ok(path.into())
}

impl DatabaseFile {
    /// Claims a file, which is created if it is not there.
    pub(super) fn claim(path: &Path) -> Result<Self, StoreError> {
        create_if_missing(path)?;
        // Two paths to one file must lead to one lock.
        let path = path.canonicalize().map_err(|error| unusable(path, &error))?;
        let mut lock_path = path.clone().into_os_string();
        lock_path.push("-lock");
        let lock = lock(&path, Path::new(&lock_path))?;
        Ok(Self { path, _lock: lock })
    }

    /// The path, without symbolic links.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Creates an empty file, which SQLite takes for an empty database. SQLite itself never creates
/// one: a file that vanishes while the server runs must not come back without its tables.
fn create_if_missing(path: &Path) -> Result<(), StoreError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(()),
        Ok(metadata) if metadata.is_dir() => Err(StoreError::Unusable(format!(
            "{} is a folder; name a file in it, such as {}",
            path.display(),
            path.join("breakerd.db").display()
        ))),
        Ok(_) => Err(StoreError::Unusable(format!(
            "{} is not a regular file; choose another --database",
            path.display()
        ))),
        Err(error) if error.kind() == ErrorKind::NotFound => create(path),
        Err(error) => Err(unusable(path, &error)),
    }
}

fn create(path: &Path) -> Result<(), StoreError> {
    let created = OpenOptions::new().append(true).create(true).open(path);
    created.map(drop).map_err(|error| match path.parent() {
        Some(folder) if error.kind() == ErrorKind::NotFound => StoreError::Unusable(format!(
            "{} cannot be created, because the folder {} does not exist; create it, or choose \
             another --database",
            path.display(),
            folder.display()
        )),
        _ => unusable(path, &error),
    })
}

fn lock(path: &Path, lock_path: &Path) -> Result<File, StoreError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(lock_path)
        .map_err(|error| unusable(lock_path, &error))?;
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => in_use(path, lock_path),
        TryLockError::Error(error) => unusable(lock_path, &error),
    })?;
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", process::id()))
        .map_err(|error| unusable(lock_path, &error))?;
    Ok(file)
}

fn in_use(path: &Path, lock_path: &Path) -> StoreError {
    let written = fs::read_to_string(lock_path).unwrap_or_default();
    let holder = match written.trim().parse::<u32>() {
        Ok(id) => format!("another breakerd (process {id})"),
        Err(_) => "another breakerd".to_owned(),
    };
    StoreError::InUse(format!(
        "{} is used by {holder}; stop it, or choose another --database",
        path.display()
    ))
}

fn unusable(path: &Path, error: &io::Error) -> StoreError {
    let advice = match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "make the file and its folder writable for this user, or choose another --database"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "make room on the disk, or choose another --database"
        }
        _ => "choose another --database",
    };
    StoreError::Unusable(format!("{} cannot be used: {error}; {advice}", path.display()))
}
