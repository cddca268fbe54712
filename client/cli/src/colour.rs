//! Colours of states. Words stand beside them wherever they are used, for those who see none.

use anstyle::{AnsiColor, Style};
use breaker_proto::v1::{Mode, State};

/// What stands above the lines that belong to it.
pub(crate) const HEADING: Style = Style::new().bold();

/// How a breaker is shown in this state and mode.
pub(crate) fn of(state: i32, mode: i32) -> Style {
    let style = match State::try_from(state) {
        Ok(State::Closed) => AnsiColor::Green.on_default(),
        Ok(State::Open) => AnsiColor::Red.on_default(),
        Ok(State::HalfOpen) => AnsiColor::Yellow.on_default(),
        Ok(State::Unspecified) | Err(_) => Style::new(),
    };
    // What people have decided stands out among what happens by itself.
    if mode == Mode::Normal as i32 { style } else { style.bold() }
}
