use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Wrap};

use super::super::change::{Dialog, Field};
use super::super::input::Input;
use super::theme::Theme;
use crate::words::printable;

const HELP: [&str; 16] = [
    "↑ ↓ j k          select           PgUp PgDn Home End  page through",
    "Enter            the breaker's page             Esc  back; no filter",
    "/                filter by a part of the name, or a glob: payments/*",
    "o                filter by state: all, not closed, open, half_open, closed",
    "s                order by state, name, failed, calls, denied, response, time",
    "S                the other way round",
    "",
    "f                force open: deny every call",
    "c                force close: allow every call",
    "r                release: end what was forced",
    "t                trip: open now for open_duration",
    "x                reset: close now with fresh counters",
    "",
    "Changes ask for a reason, and for what is meant. With a filter Tab takes all",
    "that is listed. Rates are known of the breakers on the screen, and of all",
    "within some seconds while they are the order.   q quits, any key ends this.",
];

pub(super) fn help(frame: &mut Frame<'_>, theme: &Theme) {
    let lines: Vec<_> = HELP.iter().map(|line| Line::from(*line)).collect();
    window(frame, " keys ", lines, theme);
}

pub(super) fn change(frame: &mut Frame<'_>, dialog: &Dialog, theme: &Theme) {
    let action = dialog.action;
    let field = |label: &str, field: Field, input: &Input, hint: &str| {
        let is_active = dialog.field == field;
        let (cursor, style) = if is_active { ("▏", theme.strong()) } else { ("", theme.plain()) };
        Line::from(vec![
            Span::styled(format!("{label:<14}"), style),
            Span::from(format!("{}{cursor}", input.text())),
            Span::styled(format!("  {hint}"), theme.dimmed()),
        ])
    };
    let mut lines = vec![
        Line::styled(printable(&dialog.target().text()).into_owned(), theme.strong()),
        Line::from(action.consequence()),
        Line::default(),
        field("reason", Field::Reason, &dialog.reason, "kept with the transition"),
    ];
    if action.has_time_to_live() {
        let hint = "such as 10m; empty: until release";
        lines.push(field("time to live", Field::TimeToLive, &dialog.time_to_live, hint));
    }
    let question = dialog.question();
    lines.extend([
        field("confirm", Field::Confirmation, &dialog.confirmation, ""),
        Line::default(),
        Line::styled(printable(&question).into_owned(), theme.bad()),
    ]);
    let other = if dialog.has_other_target() { "  Tab: this one, or all listed" } else { "" };
    lines.push(Line::styled(
        format!("Enter ↓ ↑: next field{other}  Esc: change nothing"),
        theme.dimmed(),
    ));
    lines.extend(dialog.error.iter().map(|error| Line::styled(error.clone(), theme.bad())));
    window(frame, &format!(" {} ", action.word()), lines, theme);
}

/// A window in the middle, as large as what is in it.
fn window(frame: &mut Frame<'_>, title: &str, lines: Vec<Line<'_>>, theme: &Theme) {
    let screen = frame.area();
    let width = screen.width.min(80);
    // What is too long for a line takes more of them.
    let inner = usize::from(width.saturating_sub(2)).max(1);
    let height: usize = lines.iter().map(|line| line.width().div_ceil(inner).max(1)).sum();
    let height = u16::try_from(height + 2).unwrap_or(u16::MAX).min(screen.height);
    let area: Rect = screen.centered(Constraint::Length(width), Constraint::Length(height));
    let block = Block::bordered().title(title.to_owned()).title_style(theme.strong());
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }).block(block), area);
}
