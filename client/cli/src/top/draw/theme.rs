use std::env;
use std::time::Duration;

use breaker_proto::v1::State;
use ratatui::style::{Color, Modifier, Style};

pub(super) const CLOSED: &str = "●";
pub(super) const OPEN: &str = "✖";
pub(super) const HALF_OPEN: &str = "◐";

/// Which colours there are.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::top) struct Theme {
    is_coloured: bool,
}

impl Theme {
    /// Without colours where `NO_COLOR` asks for that.
    pub(in crate::top) fn of_environment() -> Self {
        Self { is_coloured: env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) }
    }

    #[cfg(test)]
    pub(super) const fn new(is_coloured: bool) -> Self {
        Self { is_coloured }
    }

    pub(super) fn plain(self) -> Style {
        Style::new()
    }

    pub(super) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(super) fn dimmed(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub(super) fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    pub(super) fn good(self) -> Style {
        self.coloured(Color::Green)
    }

    pub(super) fn bad(self) -> Style {
        self.coloured(Color::Red).add_modifier(Modifier::BOLD)
    }

    pub(super) fn state(self, state: i32) -> Style {
        match State::try_from(state) {
            Ok(State::Closed) => self.good(),
            Ok(State::Open) => self.bad(),
            Ok(State::HalfOpen) => self.coloured(Color::Yellow),
            Ok(State::Unspecified) | Err(_) => self.plain(),
        }
    }

    fn coloured(self, colour: Color) -> Style {
        if self.is_coloured { Style::new().fg(colour) } else { Style::new() }
    }
}

pub(super) fn symbol(state: i32) -> &'static str {
    match State::try_from(state) {
        Ok(State::Closed) => CLOSED,
        Ok(State::Open) => OPEN,
        Ok(State::HalfOpen) => HALF_OPEN,
        Ok(State::Unspecified) | Err(_) => "?",
    }
}

/// A duration in at most six places: `59s`, `59m59s`, `23h59m`, `99d23h`.
pub(super) fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{:02}s", seconds % 60),
        (0, ..) => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}
