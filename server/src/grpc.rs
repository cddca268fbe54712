//! The services of `breaker.v1` on top of the engine.

mod admin;
mod alerts;
mod answers;
mod apply;
mod backup;
mod breakers;
mod configs;
mod error;
mod follow;
mod front;
mod health;
mod monitor;
mod monitor_answers;
mod page_token;
mod peers;
mod policies;
mod requests;
mod restore;
mod transitions;
mod watch;

pub(crate) use admin::Admin;
pub(crate) use alerts::row_to_message as alert_to_message;
pub(crate) use answers::{encode_status, now_to_message};
pub(crate) use breakers::Breakers;
pub(crate) use error::{ended, invalid, not_leading, overloaded};
pub(crate) use front::{ClientRate, Front};
pub(crate) use health::Health;
pub(crate) use monitor::Monitor;
pub(crate) use peers::Peers;

/// Most bytes of a message that the server takes.
pub(crate) const MAX_MESSAGE_BYTES: usize = 4 << 20;
