use std::path::Path;

use breaker_engine::StoreError;

/// The primary result codes of SQLite that somebody can do something about.
mod code {
    pub(super) const PERM: i32 = 3;
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const READONLY: i32 = 8;
    pub(super) const IOERR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const NOTADB: i32 = 26;
}

/// An error while the server runs: the database may come back.
pub(super) fn unavailable(error: sqlx::Error) -> StoreError {
    StoreError::Unavailable(Box::new(error))
}

/// An error at the start of the server, when somebody is there to read what to do.
pub(super) fn unusable(path: &Path, error: &sqlx::Error) -> StoreError {
    let database_error = error.as_database_error();
    let cause = database_error.map_or_else(|| error.to_string(), |e| e.message().to_owned());
    // The upper bits of a result code tell variants of one error apart.
    let code = database_error
        .and_then(|error| error.code()?.parse::<i32>().ok())
        .map(|extended| extended & 0xff);
    let advice = match code {
        Some(code::PERM | code::READONLY | code::CANTOPEN) => {
            "make the file and its folder writable for this user"
        }
        Some(code::BUSY | code::LOCKED) => "end the program that has it locked",
        Some(code::FULL) => "make room on the disk",
        Some(code::IOERR) => "check the disk and the room on it",
        Some(code::NOTADB) => "check the path",
        Some(code::CORRUPT) => "restore a backup of it",
        _ => "see what the cause says",
    };
    StoreError::Unusable(format!(
        "{} cannot be used: {cause}; {advice}, or choose another --database",
        path.display()
    ))
}
