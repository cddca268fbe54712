//! The list: as many columns as fit, the most telling first.

use jiff::Timestamp;
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Row, Table};

use super::super::app::App;
use super::super::fleet;
use super::theme::{Theme, short, symbol};
use crate::words::{printable, word};
use breaker_proto::v1;

/// The name takes what the others leave, and at least this.
const MIN_NAME: u16 = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    State,
    Mode,
    Level,
    Failed,
    Calls,
    Denied,
    Response,
    TimeInState,
    RetryIn,
}

impl Column {
    /// In the order in which they stand.
    const ALL: [Self; 9] = [
        Self::State,
        Self::Mode,
        Self::Level,
        Self::Failed,
        Self::Calls,
        Self::Denied,
        Self::Response,
        Self::TimeInState,
        Self::RetryIn,
    ];
    /// In the order in which they are left out last.
    const BY_WORTH: [Self; 9] = [
        Self::State,
        Self::TimeInState,
        Self::Failed,
        Self::RetryIn,
        Self::Mode,
        Self::Calls,
        Self::Denied,
        Self::Response,
        Self::Level,
    ];

    const fn title(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Mode => "mode",
            Self::Level => "level",
            Self::Failed => "failed",
            Self::Calls => "calls/s",
            Self::Denied => "denied/s",
            Self::Response => "response",
            Self::TimeInState => "for",
            Self::RetryIn => "retry",
        }
    }

    const fn width(self) -> u16 {
        match self {
            Self::State => 11,
            Self::Mode => 13,
            Self::Level => 10,
            Self::Failed => 7,
            Self::Calls => 7,
            Self::Denied | Self::Response => 8,
            Self::TimeInState | Self::RetryIn => 6,
        }
    }

    const fn is_number(self) -> bool {
        !matches!(self, Self::State | Self::Mode | Self::Level)
    }

    /// Those that fit beside the name, in the order in which they stand.
    fn fitting(width: u16) -> Vec<Self> {
        let mut left = width.saturating_sub(MIN_NAME);
        let mut fitting = Vec::new();
        for column in Self::BY_WORTH {
            // One for the space before it.
            match left.checked_sub(column.width() + 1) {
                Some(rest) => {
                    left = rest;
                    fitting.push(column);
                }
                None => break,
            }
        }
        Self::ALL.into_iter().filter(|column| fitting.contains(column)).collect()
    }

    fn text(self, app: &App, row: &fleet::Row, now: Timestamp) -> String {
        let state = &row.state;
        let measured = |text: fn(&fleet::Measured) -> Option<String>| {
            row.measured.as_ref().and_then(text).unwrap_or_default()
        };
        match self {
            Self::State => format!("{} {}", symbol(state.state), word::<v1::State>(state.state)),
            Self::Mode if state.mode == v1::Mode::Normal as i32 => String::new(),
            Self::Mode => word::<v1::Mode>(state.mode),
            Self::Level => {
                let level = state.level.as_ref();
                level.map(|level| printable(&level.name).into_owned()).unwrap_or_default()
            }
            Self::Failed => measured(|of| Some(format!("{:.1} %", of.failure_rate * 100.0))),
            Self::Calls => measured(|of| Some(format!("{:.1}", of.calls_per_second?))),
            Self::Denied => measured(|of| Some(format!("{:.1}", of.denied_per_second?))),
            Self::Response => measured(|of| Some(format!("{:.0} ms", of.response_ms))),
            Self::TimeInState => {
                state.since.as_ref().map(|since| short(app.elapsed(since, now))).unwrap_or_default()
            }
            Self::RetryIn => {
                let until = state.retry_time.as_ref();
                until.map(|until| short(app.remaining(until, now))).unwrap_or_default()
            }
        }
    }
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, theme: &Theme, now: Timestamp) {
    let columns = Column::fitting(area.width);
    let titles = std::iter::once(Cell::from("name"))
        .chain(columns.iter().map(|column| cell(*column, column.title().to_owned())));
    let rows = app.visible().iter().filter_map(|name| {
        let row = app.fleet.row(name)?;
        let cells = columns.iter().map(|column| {
            let cell = cell(*column, column.text(app, row, now));
            match column {
                Column::State => cell.style(theme.state(row.state.state)),
                Column::Mode => cell.style(theme.strong()),
                _ => cell,
            }
        });
        let name_cell = Cell::from(printable(name).into_owned());
        let style = if app.is_selected(name) { theme.selected() } else { theme.plain() };
        Some(Row::new(std::iter::once(name_cell).chain(cells)).style(style))
    });
    let widths = std::iter::once(Constraint::Fill(1))
        .chain(columns.iter().map(|column| Constraint::Length(column.width())));
    let table = Table::new(rows, widths).header(Row::new(titles).style(theme.strong()));
    frame.render_widget(table.column_spacing(1), area);
}

fn cell(column: Column, text: String) -> Cell<'static> {
    let line = Line::from(text);
    Cell::from(if column.is_number() { line.right_aligned() } else { line })
}
