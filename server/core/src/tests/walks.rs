//! Random walks through the life of a breaker.

mod configs;
mod equivalences;
mod invariants;
mod ledger;
mod reference;
mod same_as_reference;
mod set_back;
mod steps;
mod walker;

pub(crate) use self::configs::config;
