//! The engine as its edges see it, on a store that can be away.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod backup;
mod damage;
mod durably;
mod flaky;
mod history;
mod idle;
mod monitor;
mod names;
mod policies;
mod repeated;
mod reports;
mod restarts;
mod storage_away;
