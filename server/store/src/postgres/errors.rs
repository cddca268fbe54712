use breaker_engine::StoreError;

use super::connection::Location;

/// The classes of SQLSTATE that somebody can do something about.
const NO_ACCESS: &str = "28";
const NO_DATABASE: &str = "3D";
const NO_PRIVILEGE: &str = "42501";
const READ_ONLY: &str = "25006";
const STARTING: &str = "57P03";
const TAKEN: &str = "42P07";

/// An error while the server runs: the database may come back.
pub(super) fn unavailable(error: sqlx::Error) -> StoreError {
    StoreError::Unavailable(Box::new(error))
}

/// An error at the start of the server, when somebody is there to read what to do.
pub(super) fn unusable(location: &Location, error: &sqlx::Error) -> StoreError {
    let database_error = error.as_database_error();
    let cause = database_error.map_or_else(|| error.to_string(), |e| e.message().to_owned());
    let code = database_error.and_then(sqlx::error::DatabaseError::code).unwrap_or_default();
    let advice = match &*code {
        code if code.starts_with(NO_ACCESS) => "check the user and the password in --database",
        code if code.starts_with(NO_DATABASE) => "create it (`createdb`), or check --database",
        NO_PRIVILEGE => {
            "let its user create tables in it, or let another one run `breakerd migrate`"
        }
        READ_ONLY => "name the primary, not a replica",
        STARTING => "try again when it is up",
        TAKEN => "give breakerd a database of its own",
        _ if database_error.is_none() => "see that it runs and can be reached from here",
        _ => "see what the cause says",
    };
    StoreError::Unusable(format!("{location} cannot be used: {cause}; {advice}"))
}
