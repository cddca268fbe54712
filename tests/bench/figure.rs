//! What a row has come to.

use std::fmt::Write as _;
use std::io::BufRead;

use serde::{Deserialize, Serialize};

/// One line of the table.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    /// What it is measured beside.
    pub(crate) beside: String,
    pub(crate) unit: String,
    pub(crate) baseline: f64,
    pub(crate) measured: f64,
    /// The median of the ratios of the rounds, not the ratio of the medians: what was measured and
    /// its baseline are neighbours in time, and share what else the machine did then.
    pub(crate) ratio: f64,
    pub(crate) goal: Option<Goal>,
    pub(crate) met: Option<bool>,
}

/// What a figure has to reach.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    RatioAtLeast(f64),
    RatioAtMost(f64),
    MeasuredAtLeast(f64),
}

impl Goal {
    fn is_met(self, measured: f64, ratio: f64) -> bool {
        match self {
            Self::RatioAtLeast(least) => ratio >= least,
            Self::RatioAtMost(most) => ratio <= most,
            Self::MeasuredAtLeast(least) => measured >= least,
        }
    }

    fn text(self) -> String {
        match self {
            Self::RatioAtLeast(least) => format!("ratio ≥ {least}"),
            Self::RatioAtMost(most) => format!("ratio ≤ {most}"),
            Self::MeasuredAtLeast(least) => format!("≥ {}", amount(least)),
        }
    }
}

/// What was measured round by round, its baseline always just before it.
#[derive(Debug)]
pub(crate) struct Rounds {
    name: String,
    beside: String,
    unit: String,
    baseline: Vec<f64>,
    measured: Vec<f64>,
}

impl Rounds {
    pub(crate) fn begin(name: &str, beside: &str, unit: &str) -> Self {
        eprintln!("\n{name}, beside {beside}; {unit}");
        eprintln!("{:>6} {:>12} {:>12} {:>7}", "round", "baseline", "measured", "ratio");
        Self {
            name: name.to_owned(),
            beside: beside.to_owned(),
            unit: unit.to_owned(),
            baseline: Vec::new(),
            measured: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, baseline: f64, measured: f64) {
        self.baseline.push(baseline);
        self.measured.push(measured);
        line(&self.measured.len().to_string(), baseline, measured, measured / baseline);
    }

    pub(crate) fn end(self, goal: Option<Goal>) -> Figure {
        let rounds = self.measured.iter().zip(&self.baseline);
        let ratio = median(rounds.map(|(measured, baseline)| measured / baseline).collect());
        let (baseline, measured) = (median(self.baseline), median(self.measured));
        line("median", baseline, measured, ratio);
        let met = goal.map(|goal| goal.is_met(measured, ratio));
        if let Some(goal) = goal {
            eprintln!("{:>6} {}: {}", "goal", goal.text(), word(met));
        }
        let Self { name, beside, unit, .. } = self;
        Figure { name, beside, unit, baseline, measured, ratio, goal, met }
    }
}

fn line(round: &str, baseline: f64, measured: f64, ratio: f64) {
    eprintln!("{round:>6} {:>12} {:>12} {ratio:>7.3}", amount(baseline), amount(measured));
}

/// All figures of these lines, one beneath the other.
pub(crate) fn table(lines: impl BufRead) -> anyhow::Result<String> {
    let heads = ["name", "beside", "unit", "baseline", "measured", "ratio", "goal", ""];
    let mut rows = vec![heads.map(str::to_owned)];
    for line in lines.lines() {
        let figure: Figure = serde_json::from_str(&line?)?;
        rows.push([
            figure.name,
            figure.beside,
            figure.unit,
            amount(figure.baseline),
            amount(figure.measured),
            format!("{:.3}", figure.ratio),
            figure.goal.map(Goal::text).unwrap_or_default(),
            word(figure.met).to_owned(),
        ]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<_> = (0..heads.len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &rows {
        for (cell, width) in row.iter().zip(&widths) {
            write!(text, "{cell:width$}  ")?;
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    Ok(text)
}

const fn word(met: Option<bool>) -> &'static str {
    match met {
        Some(true) => "met",
        Some(false) => "missed",
        None => "",
    }
}

/// A number as people read it.
fn amount(number: f64) -> String {
    match number {
        million if million >= 1e6 => format!("{:.2} M", million / 1e6),
        thousand if thousand >= 1e4 => format!("{:.1} k", thousand / 1e3),
        small => format!("{small:.1}"),
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
