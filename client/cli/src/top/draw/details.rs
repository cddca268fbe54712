//! The page of one breaker.

use std::time::Duration;

use breaker_proto::v1;
use jiff::Timestamp;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Sparkline, Wrap};

use super::super::app::{App, Details};
use super::super::news::Told;
use super::theme::{Theme, short, symbol};
use crate::table;
use crate::time::{duration, rough_time_text};
use crate::words::{printable, word};

/// Width of what stands before a value.
const LABEL: usize = 18;
/// Lines of each of the two charts.
const CHART: u16 = 2;

pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    app: &App,
    shown: &Details,
    theme: &Theme,
    now: Timestamp,
) {
    let charts = shown.told.as_ref().and_then(|told| told.activity.as_ref());
    let [title, failures, calls, text] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(if charts.is_some() { CHART } else { 0 }),
        Constraint::Length(if charts.is_some() { CHART } else { 0 }),
        Constraint::Min(0),
    ])
    .areas(area);
    frame.render_widget(title_line(app, shown, theme, now), title);
    if let Some(activity) = charts {
        chart(frame, failures, "failure rate", activity, theme, |sample| {
            (sample.failure_rate * 100.0) as u64
        });
        chart(frame, calls, "calls", activity, theme, |sample| {
            sample.successes + sample.failures + sample.timeouts
        });
    }
    let lines = match (&shown.told, &shown.error) {
        (Some(told), _) => lines_of(told, *theme),
        (None, Some(error)) => vec![Line::styled(printable(error).into_owned(), theme.bad())],
        (None, None) => vec![Line::from("asking …")],
    };
    let paragraph = Paragraph::new(lines).wrap(Wrap { trim: false });
    frame.render_widget(paragraph.scroll((shown.scroll, 0)), text);
}

/// How far it can be scrolled: until the last line is at the top.
pub(super) fn most_scroll(shown: &Details, width: u16) -> u16 {
    let Some(told) = &shown.told else { return 0 };
    let width = usize::from(width).max(1);
    let lines = lines_of(told, Theme::default());
    let rows: usize = lines.iter().map(|line| line.width().div_ceil(width).max(1)).sum();
    u16::try_from(rows).unwrap_or(u16::MAX).saturating_sub(1)
}

fn title_line(app: &App, shown: &Details, theme: &Theme, now: Timestamp) -> Line<'static> {
    let mut line = Line::styled(printable(&shown.name).into_owned(), theme.strong());
    let Some(row) = app.fleet.row(&shown.name) else {
        line.push_span(Span::styled("  deleted", theme.bad()));
        return line;
    };
    let state = &row.state;
    let text = format!("  {} {}", symbol(state.state), word::<v1::State>(state.state));
    line.push_span(Span::styled(text, theme.state(state.state)));
    if state.mode != v1::Mode::Normal as i32 {
        line.push_span(Span::styled(format!("  {}", word::<v1::Mode>(state.mode)), theme.strong()));
    }
    if let Some(since) = &state.since {
        line.push_span(format!("  for {}", short(app.elapsed(since, now))));
    }
    if let Some(until) = &state.retry_time {
        line.push_span(format!("  retry in {}", short(app.remaining(until, now))));
    }
    line
}

/// A line of bars, the latest at the right; nothing where nothing happened.
fn chart(
    frame: &mut Frame<'_>,
    area: Rect,
    label: &str,
    activity: &v1::GetBreakerActivityResponse,
    theme: &Theme,
    value: impl Fn(&v1::ActivitySample) -> u64,
) {
    let width = u16::try_from(LABEL).unwrap_or_default();
    let [before, bars] =
        Layout::horizontal([Constraint::Length(width), Constraint::Min(0)]).areas(area);
    let series = series(activity, usize::from(bars.width), value);
    let highest = series.iter().flatten().max().copied().unwrap_or_default();
    let unit = if label == "calls" { "" } else { " %" };
    let text = vec![
        Line::styled(label.to_owned(), theme.strong()),
        Line::styled(format!("up to {highest}{unit}"), theme.dimmed()),
    ];
    frame.render_widget(Paragraph::new(text), before);
    let chart = Sparkline::default().data(series).max(highest.max(1)).absent_value_symbol(" ");
    frame.render_widget(chart, bars);
}

/// The last samples by their places in time, `None` where there is none.
fn series(
    activity: &v1::GetBreakerActivityResponse,
    width: usize,
    value: impl Fn(&v1::ActivitySample) -> u64,
) -> Vec<Option<u64>> {
    let mut series = vec![None; width];
    let interval = activity.sample_interval.as_ref().and_then(duration).unwrap_or_default();
    let interval = interval.max(Duration::from_millis(1)).as_millis() as i64;
    let millis =
        |time: &prost_types::Timestamp| time.seconds * 1_000 + i64::from(time.nanos) / 1_000_000;
    let end = activity.server_time.as_ref().map(millis).unwrap_or_default();
    for sample in &activity.samples {
        let Some(time) = &sample.time else { continue };
        let ago = usize::try_from((end - millis(time)).max(0) / interval).unwrap_or(usize::MAX);
        if let Some(slot) = width.checked_sub(ago.saturating_add(1)) {
            series[slot] = Some(value(sample));
        }
    }
    series
}

fn lines_of(told: &Told, theme: Theme) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let heading = |text: &str| Line::styled(text.to_owned(), theme.strong());
    let pair = |what: &str, text: &str| Line::from(format!("{what:<LABEL$}{text}"));
    lines.extend(table::known(&told.breaker).iter().map(|[what, text]| pair(what, text)));
    lines.extend([Line::default(), heading("recent transitions")]);
    lines.extend(told.transitions.iter().map(|transition| transition_line(transition, theme)));
    if let Some(activity) = &told.activity {
        lines.extend([Line::default(), heading("reporters")]);
        lines.extend(activity.reporters.iter().map(reporter_line));
    }
    lines.extend([Line::default(), heading("configuration in force, and where from")]);
    lines.extend(
        table::config(&told.breaker)
            .iter()
            .map(|[key, value, from]| Line::from(format!("{key:<22}{value}  ({from})"))),
    );
    lines
}

fn transition_line(transition: &v1::Transition, theme: Theme) -> Line<'static> {
    let v1::Transition { from_state, from_mode, from_level, .. } = transition;
    let v1::Transition { to_state, to_mode, to_level, cause, actor, reason, .. } = transition;
    let time = transition.time.as_ref().and_then(rough_time_text).unwrap_or_default();
    let before = table::side(*from_state, *from_mode, from_level);
    let after = table::side(*to_state, *to_mode, to_level);
    let mut rest = format!("  {}", word::<v1::Cause>(*cause));
    for (what, said) in [("by", actor), ("because", reason)] {
        if !said.is_empty() {
            rest.push_str(&format!(", {what}: {}", printable(said)));
        }
    }
    Line::from(vec![
        Span::from(format!("{time}  {before} → ")),
        Span::styled(after, theme.state(*to_state)),
        Span::from(rest),
    ])
}

fn reporter_line(reporter: &v1::BreakerReporter) -> Line<'static> {
    let name = match &*reporter.reporter_id {
        "" => "without an id".into(),
        id => printable(id),
    };
    let age = reporter.last_report_age.as_ref().and_then(duration).unwrap_or_default();
    Line::from(format!("{name}  {} calls, the last {} ago", reporter.calls, short(age)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_stand_at_their_time_and_gaps_stay_empty() {
        let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let sample = |seconds, failures| v1::ActivitySample {
            time: time(seconds),
            failures,
            ..Default::default()
        };
        let activity = v1::GetBreakerActivityResponse {
            samples: vec![sample(10, 9), sample(80, 1), sample(95, 2), sample(100, 3)],
            sample_interval: Some(prost_types::Duration { seconds: 5, nanos: 0 }),
            server_time: time(102),
            ..Default::default()
        };
        let series = series(&activity, 6, |sample| sample.failures);
        assert_eq!(series, [None, Some(1), None, None, Some(2), Some(3)]);
    }
}
