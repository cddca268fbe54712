use std::io::{self, Write};
use std::time::Duration;

use breaker_core::Time;
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use super::tally::COLUMNS;
use super::{Comparison, Fleet, Tally, chart};
use crate::simulate::story::Story;

/// A comparison with all that it takes to make it again.
pub(super) struct Shown<'a> {
    pub(super) story: &'a Story,
    pub(super) story_name: &'a str,
    pub(super) fleet: &'a Fleet,
    pub(super) seed: u64,
    pub(super) comparison: &'a Comparison,
}

#[derive(Serialize)]
struct Object<'a> {
    story: &'a str,
    replicas: u32,
    calls_per_second: u32,
    report_delay_ms: f64,
    seed: u64,
    shared: Numbers,
    local: Numbers,
    chart: Vec<Column>,
}

/// Durations are null for what never happened.
#[derive(Serialize)]
struct Numbers {
    allowed: u64,
    denied: u64,
    wasted: u64,
    waited_ms: f64,
    denied_while_well: u64,
    first_open_after_ms: Option<f64>,
    all_open_after_ms: Option<f64>,
    times_opened: u64,
    probes: u64,
    most_probes_at_once: u32,
    recovered_after_ms: Option<f64>,
}

/// A piece of time: whether the dependency was ill within it, and how much was refused at most, 0
/// to 1.
#[derive(Serialize)]
struct Column {
    at_ms: f64,
    ill: bool,
    shared: f64,
    local: f64,
}

impl Shown<'_> {
    /// One object, without the line breaks that people would like.
    pub(super) fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        let Comparison { shared, local } = self.comparison;
        let columns = (0..COLUMNS).zip(shared.columns.iter().zip(&local.columns));
        let chart = columns.map(|(column, (&shared, &local))| {
            let (start, end) = chart::column(self.story, column);
            let ill = self.story.is_ill_within(start, end);
            Column { at_ms: millis(start.since(Time::EPOCH)), ill, shared, local }
        });
        let object = Object {
            story: self.story_name,
            replicas: self.fleet.replicas,
            calls_per_second: self.fleet.calls_per_second,
            report_delay_ms: millis(self.fleet.report_delay),
            seed: self.seed,
            shared: Numbers::from(shared),
            local: Numbers::from(local),
            chart: chart.collect(),
        };
        serde_json::to_writer(&mut *out, &object)?;
        writeln!(out)
    }

    /// Both fleets side by side, for people.
    pub(super) fn write_table(&self, out: &mut impl Write) -> io::Result<()> {
        let Comparison { shared, local } = self.comparison;
        writeln!(
            out,
            "{}, {}: {} calls of {} replicas, {} a second; {} between a replica and the server; seed {}",
            self.story_name,
            duration_text(self.story.end().since(Time::EPOCH)),
            shared.allowed + shared.denied,
            self.fleet.replicas,
            self.fleet.calls_per_second,
            duration_text(self.fleet.report_delay),
            self.seed
        )?;
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(["", "shared", "local"]);
        for (name, cell) in ROWS {
            table.add_row([name.to_owned(), cell(self, shared), cell(self, local)]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        writeln!(out, "\n{table}")
    }

    fn recovery_text(&self, tally: &Tally) -> String {
        match (self.story.is_well_again(), tally.recovered_after) {
            (_, Some(after)) => duration_text(after),
            (Some(_), None) => "not by the end".to_owned(),
            (None, None) => "-".to_owned(),
        }
    }
}

type Cell = fn(&Shown<'_>, &Tally) -> String;

const ROWS: [(&str, Cell); 11] = [
    ("calls let through", |_, tally| tally.allowed.to_string()),
    ("calls denied", |_, tally| tally.denied.to_string()),
    ("wasted: failed on the ill dependency", |_, tally| tally.wasted.to_string()),
    ("time spent waiting for it while ill", |_, tally| duration_text(tally.waited)),
    ("denied although it was well", |_, tally| tally.denied_while_well.to_string()),
    ("first replica open after", |_, tally| moment_text(tally.first_open_after)),
    ("every replica open after", |_, tally| moment_text(tally.all_open_after)),
    ("times opened, all breakers together", |_, tally| tally.opened.to_string()),
    ("probes sent", |_, tally| tally.probes.to_string()),
    ("probes under way at once, at most", |_, tally| tally.most_probes.to_string()),
    ("closed everywhere, once it was well, after", |shown, tally| shown.recovery_text(tally)),
];

impl From<&Tally> for Numbers {
    fn from(tally: &Tally) -> Self {
        Self {
            allowed: tally.allowed,
            denied: tally.denied,
            wasted: tally.wasted,
            waited_ms: millis(tally.waited),
            denied_while_well: tally.denied_while_well,
            first_open_after_ms: tally.first_open_after.map(millis),
            all_open_after_ms: tally.all_open_after.map(millis),
            times_opened: tally.opened,
            probes: tally.probes,
            most_probes_at_once: tally.most_probes,
            recovered_after_ms: tally.recovered_after.map(millis),
        }
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn moment_text(after: Option<Duration>) -> String {
    after.map_or_else(|| "never".to_owned(), duration_text)
}

/// To the millisecond, and of a minute or more to the second.
fn duration_text(duration: Duration) -> String {
    let shown = if duration < Duration::from_mins(1) {
        Duration::from_millis(duration.as_millis() as u64)
    } else {
        Duration::from_secs(duration.as_secs())
    };
    humantime::format_duration(shown).to_string()
}
