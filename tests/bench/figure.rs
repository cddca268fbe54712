//! What a row has come to.

use std::fmt::Write as _;
use std::io::BufRead;

use serde::{Deserialize, Serialize};

/// One line of the table.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Figure {
    name: String,
    unit: String,
    measured: f64,
    baseline: Option<Baseline>,
    /// Of what was measured to the baseline.
    ratio: Option<f64>,
    goals: Vec<Goal>,
    met: Option<bool>,
}

/// What a figure is measured beside.
#[derive(Debug, Deserialize, Serialize)]
struct Baseline {
    name: String,
    measured: f64,
}

impl Figure {
    /// A figure by itself.
    pub(crate) fn new(name: &str, measured: f64, unit: &str) -> Self {
        let (name, unit) = (name.to_owned(), unit.to_owned());
        Self { name, unit, measured, baseline: None, ratio: None, goals: Vec::new(), met: None }
    }

    /// Beside another one in the same unit.
    pub(crate) fn beside(mut self, name: &str, baseline: f64) -> Self {
        self.ratio = Some(self.measured / baseline);
        self.baseline = Some(Baseline { name: name.to_owned(), measured: baseline });
        self
    }

    /// With something to reach.
    pub(crate) fn with(mut self, goal: Goal) -> Self {
        let is_met = goal.is_met(self.measured, self.ratio);
        self.met = Some(self.met.unwrap_or(true) && is_met);
        self.goals.push(goal);
        self
    }
}

/// What a figure has to reach.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    RatioAtLeast(f64),
    RatioAtMost(f64),
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    fn is_met(self, measured: f64, ratio: Option<f64>) -> bool {
        match self {
            Self::RatioAtLeast(least) => ratio.is_some_and(|ratio| ratio >= least),
            Self::RatioAtMost(most) => ratio.is_some_and(|ratio| ratio <= most),
            Self::AtLeast(least) => measured >= least,
            Self::AtMost(most) => measured <= most,
        }
    }

    fn text(self) -> String {
        match self {
            Self::RatioAtLeast(least) => format!("ratio ≥ {least}"),
            Self::RatioAtMost(most) => format!("ratio ≤ {most}"),
            Self::AtLeast(least) => format!("≥ {}", amount(least)),
            Self::AtMost(most) => format!("≤ {}", amount(most)),
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

    /// The medians of what was measured, and of the ratios of the rounds: what disturbs a round
    /// disturbs both sides of it.
    pub(crate) fn end(self, goal: Option<Goal>) -> Figure {
        let Self { name, beside, unit, baseline, measured } = self;
        let rounds = measured.iter().zip(&baseline);
        let ratio = median(rounds.map(|(measured, baseline)| measured / baseline).collect());
        let (baseline, measured) = (median(baseline), median(measured));
        line("median", baseline, measured, ratio);
        let mut figure = Figure::new(&name, measured, &unit).beside(&beside, baseline);
        figure.ratio = Some(ratio);
        match goal {
            Some(goal) => {
                let figure = figure.with(goal);
                eprintln!("{:>6} {}: {}", "goal", goal.text(), word(figure.met));
                figure
            }
            None => figure,
        }
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
        let goals: Vec<_> = figure.goals.into_iter().map(Goal::text).collect();
        let (beside, baseline) = figure
            .baseline
            .map(|beside| (beside.name, amount(beside.measured)))
            .unwrap_or_default();
        rows.push([
            figure.name,
            beside,
            figure.unit,
            baseline,
            amount(figure.measured),
            figure.ratio.map(|ratio| format!("{ratio:.3}")).unwrap_or_default(),
            goals.join(", "),
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

/// The one in the middle; 0 of none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
