//! Page tokens: a position, and a hash of the query so that a token of another one is noticed.

use std::hash::{DefaultHasher, Hash, Hasher};

use breaker_core::{BreakerName, Time, Violation};
use breaker_engine::{Moment, Place, PolicyName};

/// The list of policies, which is the same for everybody.
const POLICIES: u64 = 0;

/// What a token must have been given for.
pub(crate) fn query_hash(query: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    query.hash(&mut hasher);
    hasher.finish()
}

pub(crate) fn from_place(query: u64, place: &Place) -> String {
    format!("{query:x}.{:x}.{}", place.key, place.name)
}

pub(crate) fn to_place(token: &str, query: u64) -> Result<Option<Place>, Violation> {
    parse(token, query, |rest| {
        let (key, name) = rest.split_once('.')?;
        let key = u64::from_str_radix(key, 16).ok()?;
        Some(Place { key, name: BreakerName::new(name).ok()? })
    })
}

pub(crate) fn from_moment(query: u64, moment: Moment) -> String {
    format!("{query:x}.{:x}.{:x}", moment.at.as_nanos(), moment.id)
}

pub(crate) fn to_moment(token: &str, query: u64) -> Result<Option<Moment>, Violation> {
    parse(token, query, |rest| {
        let (at, id) = rest.split_once('.')?;
        let at = Time::from_nanos(u64::from_str_radix(at, 16).ok()?);
        Some(Moment { at, id: u64::from_str_radix(id, 16).ok()? })
    })
}

pub(crate) fn from_number(query: u64, number: u64) -> String {
    format!("{query:x}.{number:x}")
}

pub(crate) fn to_number(token: &str, query: u64) -> Result<Option<u64>, Violation> {
    parse(token, query, |rest| u64::from_str_radix(rest, 16).ok())
}

pub(crate) fn from_policy(name: &PolicyName) -> String {
    format!("{POLICIES:x}.{name}")
}

pub(crate) fn to_policy(token: &str) -> Result<Option<PolicyName>, Violation> {
    parse(token, POLICIES, |rest| PolicyName::new(rest).ok())
}

fn parse<T>(
    token: &str,
    query: u64,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, Violation> {
    if token.is_empty() {
        return Ok(None);
    }
    let parsed = token
        .split_once('.')
        .filter(|(hash, _)| u64::from_str_radix(hash, 16) == Ok(query))
        .and_then(|(_, rest)| parse(rest));
    match parsed {
        Some(parsed) => Ok(Some(parsed)),
        None => Err(Violation::new(
            "page_token",
            "it is not from a page of this query; give back next_page_token with the other fields \
             unchanged, or leave it empty to begin anew",
        )),
    }
}
