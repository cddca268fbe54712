//! The states over time as one line of blocks: the higher, the more is refused.

use std::env;
use std::io::{self, Write};

use breaker_core::{StateKind, Time};

use super::{Call, Replay};

/// Columns of the chart.
const WIDTH: u64 = 72;

/// Whether blocks are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colours {
    Plain,
    Ansi,
}

impl Colours {
    /// Colours on a terminal, unless `NO_COLOR` is set.
    pub(super) fn fitting(is_terminal: bool) -> Self {
        let is_unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if is_terminal && !is_unwanted { Self::Ansi } else { Self::Plain }
    }

    /// Writes a block in a colour, which is a number of ANSI.
    pub(super) fn paint(self, out: &mut impl Write, block: char, colour: u8) -> io::Result<()> {
        match self {
            Self::Plain => write!(out, "{block}"),
            Self::Ansi => write!(out, "\x1b[{colour}m{block}\x1b[0m"),
        }
    }
}

/// Draws the chart, from the first start to the last end.
pub(super) fn write(
    out: &mut impl Write,
    trace: &[Call],
    replay: &Replay,
    colours: Colours,
) -> io::Result<()> {
    let (Some(first), Some(last)) =
        (trace.first().map(|call| call.at), trace.iter().map(|call| call.at + call.duration).max())
    else {
        return Ok(());
    };
    let span = last.since(first).as_nanos() as u64;
    let mut transitions = replay.transitions.iter().peekable();
    let mut state = StateKind::Closed;
    writeln!(out)?;
    for column in 0..WIDTH {
        let end = Time::from_nanos(first.as_nanos() + span / WIDTH * (column + 1));
        // A column shows the most that was refused within it.
        let mut shown = state;
        while let Some(transition) = transitions.next_if(|transition| transition.at <= end) {
            state = transition.to;
            shown = if height(state) > height(shown) { state } else { shown };
        }
        write_block(out, shown, colours)?;
    }
    writeln!(out)?;
    let seconds = |time: Time| format!("{:.3} s", time.as_nanos() as f64 / 1e9);
    let (left, right) = (seconds(first), seconds(last));
    writeln!(out, "{left}{right:>width$}", width = WIDTH as usize - left.len().min(40))?;
    writeln!(out, "▁ closed   ▄ half_open   █ open")
}

const fn height(state: StateKind) -> u8 {
    match state {
        StateKind::Closed => 0,
        StateKind::HalfOpen => 1,
        StateKind::Open => 2,
    }
}

fn write_block(out: &mut impl Write, state: StateKind, colours: Colours) -> io::Result<()> {
    let (block, colour) = match state {
        StateKind::Closed => ('▁', 32),
        StateKind::HalfOpen => ('▄', 33),
        StateKind::Open => ('█', 31),
    };
    colours.paint(out, block, colour)
}
