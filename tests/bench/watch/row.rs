use std::fmt;

use serde_json::{Value, json};

/// One figure, beside what it is compared with.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) measured: f64,
    pub(crate) baseline: Option<f64>,
    pub(crate) goals: Vec<Goal>,
}

/// What a figure has to reach.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// In the unit of the row.
    AtMost(f64),
    /// Of the baseline.
    RatioAtMost(f64),
}

impl Row {
    /// A figure by itself.
    pub(crate) const fn new(name: &'static str, measured: f64, unit: &'static str) -> Self {
        Self { name, unit, measured, baseline: None, goals: Vec::new() }
    }

    /// Beside another one in the same unit.
    pub(crate) fn beside(self, baseline: f64) -> Self {
        Self { baseline: Some(baseline), ..self }
    }

    /// With something to reach.
    pub(crate) fn with(mut self, goal: Goal) -> Self {
        self.goals.push(goal);
        self
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        json!({
            "name": self.name,
            "baseline": self.baseline,
            "measured": self.measured,
            "ratio": self.ratio(),
            "goal": self.goal(),
            "unit": self.unit,
            "met": self.is_met(),
        })
    }

    fn ratio(&self) -> Option<f64> {
        self.baseline.map(|baseline| self.measured / baseline)
    }

    fn goal(&self) -> Option<String> {
        let goals = self.goals.iter().map(|goal| match goal {
            Goal::AtMost(most) => format!("<= {most} {}", self.unit),
            Goal::RatioAtMost(most) => format!("<= {most} x"),
        });
        (!self.goals.is_empty()).then(|| goals.collect::<Vec<_>>().join(" and "))
    }

    fn is_met(&self) -> bool {
        self.goals.iter().all(|goal| match *goal {
            Goal::AtMost(most) => self.measured <= most,
            Goal::RatioAtMost(most) => self.ratio().is_some_and(|ratio| ratio <= most),
        })
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, unit, measured, .. } = self;
        write!(f, "{name}: {measured:.2} {unit}")?;
        if let (Some(baseline), Some(ratio)) = (self.baseline, self.ratio()) {
            write!(f, ", {ratio:.2} x of {baseline:.2} {unit}")?;
        }
        if let Some(goal) = self.goal() {
            let met = if self.is_met() { "met" } else { "NOT met" };
            write!(f, " (goal {goal}: {met})")?;
        }
        Ok(())
    }
}
