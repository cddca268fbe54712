//! The words for enums in the database: those of the protocol, in lower case.

use breaker_core::{Cause, Mode, StateKind};
use breaker_proto::v1;
use breaker_wire::{
    cause_from_message, cause_to_message, mode_from_message, mode_to_message, state_from_message,
    state_to_message,
};

pub(crate) fn of_state(state: StateKind) -> String {
    word("STATE_", state_to_message(state).as_str_name())
}

pub(crate) fn to_state(word: &str) -> Option<StateKind> {
    state_from_message(v1::State::from_str_name(&name("STATE_", word))?.into())
}

pub(crate) fn of_mode(mode: Mode) -> String {
    word("MODE_", mode_to_message(mode).as_str_name())
}

pub(crate) fn to_mode(word: &str) -> Option<Mode> {
    mode_from_message(v1::Mode::from_str_name(&name("MODE_", word))?.into())
}

pub(crate) fn of_cause(cause: Cause) -> String {
    word("CAUSE_", cause_to_message(cause).as_str_name())
}

pub(crate) fn to_cause(word: &str) -> Option<Cause> {
    cause_from_message(v1::Cause::from_str_name(&name("CAUSE_", word))?.into())
}

fn word(prefix: &str, name: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_ascii_lowercase()
}

fn name(prefix: &str, word: &str) -> String {
    format!("{prefix}{}", word.to_ascii_uppercase())
}
