//! The client against a server in the same process, whose breakers are real and whose clock is
//! set by hand.

mod agreeing;
mod alone;
mod blocking;
mod building;
mod calling;
mod deciding;
mod ending;
mod following;
mod guarding;
mod leading;
mod listening;
mod local_guard;
#[cfg(feature = "metrics")]
mod metrics;
mod outcomes;
mod permits;
mod repeating;
mod secure;
#[path = "../tests/support/server.rs"]
mod server;
mod staleness;
mod support;
mod watching;
