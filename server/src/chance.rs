//! The one place of the server that throws dice.
#![allow(clippy::disallowed_methods, reason = "this is where chance comes from")]

/// A number that tells one life of the server from all others.
pub(crate) fn life() -> u64 {
    rand::random()
}
