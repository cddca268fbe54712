//! How it looks. Colours are never the only sign: each state has a symbol and its word.

mod details;
mod dialogs;
mod list;
mod theme;

use jiff::Timestamp;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph, Wrap};

use super::app::{App, LINES_ABOVE, LINES_BELOW, Link, Message, Overlay};
use super::fleet::Totals;
use crate::words::printable;
pub(super) use theme::Theme;
use theme::{CLOSED, HALF_OPEN, OPEN, short};

const LIST_KEYS: &str =
    "Enter page  / o filter  s S order  f open  c close  r t x change  ? help  q quit";
const DETAIL_KEYS: &str =
    "Esc back  ↑↓ scroll  f open  c close  r release  t trip  x reset  ? help  q quit";

/// Brings everything up to date for a screen of this size.
pub(super) fn fit(app: &mut App, screen: Rect) {
    app.fit(screen.height);
    if let Some(shown) = &mut app.details {
        shown.scroll = shown.scroll.min(details::most_scroll(shown, screen.width));
    }
}

/// Draws all of it, once it fits.
pub(super) fn draw(frame: &mut Frame<'_>, app: &App, theme: &Theme, now: Timestamp) {
    let [above, middle, below] = Layout::vertical([
        Constraint::Length(LINES_ABOVE - 1),
        Constraint::Min(0),
        Constraint::Length(LINES_BELOW),
    ])
    .areas(frame.area());
    let lines = [
        status_line(app, theme, now),
        totals_line(app, theme),
        rates_line(app),
        order_line(app, theme),
    ];
    for (line, area) in lines.into_iter().zip(above.rows()) {
        frame.render_widget(line, area);
    }
    match &app.details {
        Some(shown) => details::draw(frame, middle, app, shown, theme, now),
        None => list::draw(frame, middle, app, theme, now),
    }
    if !app.is_live() {
        // What is shown is what was last known.
        let known = Rect { y: above.y + 1, height: above.height - 1 + middle.height, ..above };
        let known = known.intersection(frame.area());
        frame.buffer_mut().set_style(known, theme.dimmed());
    }
    bottom(frame, below, app, theme);
    match &app.overlay {
        Some(Overlay::Help) => dialogs::help(frame, theme),
        Some(Overlay::Change(dialog)) => dialogs::change(frame, dialog, theme),
        Some(Overlay::Filter(_)) | None => {}
    }
}

/// Who tells, whether they still do, and how the fleet is.
fn status_line(app: &App, theme: &Theme, now: Timestamp) -> Line<'static> {
    let mut line = Line::default();
    let mut say = |text: String, style| line.push_span(Span::styled(text, style));
    say("breakerd ".to_owned(), theme.strong());
    if let Some(dashboard) = &app.dashboard {
        say(format!("{} ", printable(&dashboard.server_version)), theme.plain());
    }
    match &app.link {
        Link::Connecting(None) => say("connecting …".to_owned(), theme.plain()),
        Link::Connecting(Some(why)) => {
            say(format!("not connected, trying again: {why}"), theme.bad())
        }
        Link::Live(address) => {
            say(format!("{address} "), theme.plain());
            say("● live".to_owned(), theme.good());
            let percent = app.fleet.totals().health_percent();
            let style = if percent < 100.0 { theme.bad() } else { theme.good() };
            say("  health ".to_owned(), theme.plain());
            // Rounded down: 100 means all of them.
            say(format!("{:.1} %", (percent * 10.0).floor() / 10.0), style);
        }
        Link::Lost(since, why) => {
            let lasted = now.duration_since(*since).unsigned_abs();
            let text = format!("✖ connection lost {} ago, reconnecting: {why}", short(lasted));
            say(text, theme.bad());
        }
    }
    line
}

fn totals_line(app: &App, theme: &Theme) -> Line<'static> {
    let Totals { all, closed, open, half_open, forced_open, forced_closed, disabled, shadow } =
        app.fleet.totals();
    let mut line = Line::from(format!("{all} breaker{}  ", if all == 1 { "" } else { "s" }));
    for (symbol, count, word, state) in [
        (CLOSED, closed, "closed", breaker_proto::v1::State::Closed),
        (OPEN, open, "open", breaker_proto::v1::State::Open),
        (HALF_OPEN, half_open, "half_open", breaker_proto::v1::State::HalfOpen),
    ] {
        let style = if count == 0 { theme.plain() } else { theme.state(state as i32) };
        line.push_span(Span::styled(format!("{symbol} {count} {word}  "), style));
    }
    for (count, word) in [
        (forced_open, "forced_open"),
        (forced_closed, "forced_closed"),
        (disabled, "disabled"),
        (shadow, "shadow"),
    ] {
        if count > 0 {
            line.push_span(Span::styled(format!("{count} {word}  "), theme.strong()));
        }
    }
    line
}

/// Rates, alerts and storage, where the server tells.
fn rates_line(app: &App) -> Line<'static> {
    let Some(dashboard) = &app.dashboard else {
        let untold = "this server does not tell rates, alerts and storage";
        return Line::from(if app.is_untold { untold } else { "" });
    };
    let rates = dashboard.rates.unwrap_or_default();
    let alerts = dashboard.alert_counts.unwrap_or_default();
    let storage = match &dashboard.storage {
        Some(storage) if storage.degraded => {
            let lasted = storage.failing_for.as_ref().and_then(crate::time::duration);
            format!("storage DEGRADED for {}", short(lasted.unwrap_or_default()))
        }
        _ => "storage ok".to_owned(),
    };
    let worst = match alerts.critical {
        0 => String::new(),
        critical => format!(", {critical} critical"),
    };
    let up = dashboard.uptime.as_ref().and_then(crate::time::duration).unwrap_or_default();
    Line::from(format!(
        "{:.1} calls/s  {:.1} failed/s  {:.1} denied/s  alerts firing: {}{worst}  {storage}  up {}",
        rates.calls,
        rates.failures,
        rates.denied,
        alerts.firing,
        short(up)
    ))
}

fn order_line(app: &App, theme: &Theme) -> Line<'static> {
    let arrow = if app.reversed { "▲" } else { "▼" };
    let (listed, place) = app.place();
    let names = match app.filter.names() {
        "" => "all",
        names => names,
    };
    let text = format!(
        "order: {} {arrow}  names: {names}  states: {}  {place} of {listed}",
        app.order.word(),
        app.filter.states.word()
    );
    Line::styled(text, theme.strong())
}

/// The keys, or what is said instead: over the list where it takes more than a line.
fn bottom(frame: &mut Frame<'_>, area: Rect, app: &App, theme: &Theme) {
    let line = bottom_line(app, theme);
    let needed = line.width().div_ceil(usize::from(area.width).max(1)).max(1);
    // Words are not cut, which can take one more.
    let needed = if needed > 1 && app.message.is_some() { needed + 1 } else { 1 };
    let height = u16::try_from(needed).unwrap_or(u16::MAX).min(area.bottom());
    let area = Rect { y: area.bottom() - height, height, ..area };
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(line).wrap(Wrap { trim: true }), area);
}

fn bottom_line(app: &App, theme: &Theme) -> Line<'static> {
    if let Some(message) = &app.message {
        let (text, style) = match message {
            Message::Good(text) => (text, theme.good()),
            Message::Bad(text) => (text, theme.bad()),
        };
        return Line::styled(text.lines().collect::<Vec<_>>().join("; "), style);
    }
    if let Some(Overlay::Filter(input)) = &app.overlay {
        let text = format!("filter: {}▏ a part of the name, or a glob; Enter, Esc", input.text());
        return Line::styled(text, theme.strong());
    }
    let keys = if app.details.is_some() { DETAIL_KEYS } else { LIST_KEYS };
    Line::styled(keys, theme.dimmed())
}

#[cfg(test)]
mod tests;
