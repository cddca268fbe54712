//! What becomes of a dependency over time.
//!
//! Whether a call fails and how long it takes depends on when it starts and on its own draw, and on
//! nothing else. So breakers of every kind can be shown the same calls.

use std::time::Duration;

use breaker_core::{Outcome, Time};
use breaker_wire::parse_duration;
use serde::Deserialize;
use thiserror::Error;

const BUILT_IN: [(&str, &str); 4] = [
    ("outage", include_str!("stories/outage.toml")),
    ("brownout", include_str!("stories/brownout.toml")),
    ("flapping", include_str!("stories/flapping.toml")),
    ("slow", include_str!("stories/slow.toml")),
];

/// Longest story.
const MAX_LENGTH: Duration = Duration::from_hours(7 * 24);
/// Longest latency.
const MAX_LATENCY: Duration = Duration::from_hours(1);
/// Most phases of a story.
const MAX_PHASES: usize = 1_000;

/// A story: phases, one after another.
#[derive(Clone, Debug, PartialEq)]
pub struct Story {
    /// At least one, in the order of time.
    phases: Vec<Phase>,
}

#[derive(Clone, Debug, PartialEq)]
struct Phase {
    start: Time,
    end: Time,
    health: Health,
    /// How long a call takes on average.
    latency: Duration,
    /// 0 to 1.
    failing: f64,
    /// 0 to 1; together with those that fail no more than 1.
    hanging: f64,
}

/// Whether a breaker ought to let calls through to the dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It ought to.
    Well,
    /// Every call that is let through is one too many, a few probes aside.
    Ill,
}

/// What chance has in store for a call, each 0 to 1.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    /// Decides what becomes of the call.
    pub luck: f64,
    /// Decides how long it takes.
    pub pace: f64,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fate {
    /// How it ends.
    pub outcome: Outcome,
    /// How long it takes.
    pub duration: Duration,
    /// How the dependency is when the call starts.
    pub health: Health,
}

/// Why a story was refused.
#[derive(Debug, Error)]
pub enum StoryError {
    /// It is no TOML, or has keys that a story does not have.
    #[error(transparent)]
    Unreadable(#[from] toml::de::Error),
    /// Values that make no sense.
    #[error("refused:{}", .0.iter().map(|problem| format!("\n  {problem}")).collect::<String>())]
    Refused(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoryKeys {
    phase: Vec<PhaseKeys>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PhaseKeys {
    r#for: String,
    latency: String,
    #[serde(default)]
    failure_percent: f64,
    #[serde(default)]
    timeout_percent: f64,
    /// Without it a phase is well if nothing fails.
    well: Option<bool>,
}

impl Story {
    /// The names of the stories that are built in.
    pub fn names() -> [&'static str; BUILT_IN.len()] {
        BUILT_IN.map(|(name, _)| name)
    }

    /// The text of the story of this name.
    pub fn built_in(name: &str) -> Option<&'static str> {
        BUILT_IN.into_iter().find(|(known, _)| *known == name).map(|(_, text)| text)
    }

    /// Reads a story.
    ///
    /// # Errors
    /// Every value that was refused.
    pub fn parse(text: &str) -> Result<Self, StoryError> {
        let keys: StoryKeys = toml::from_str(text)?;
        let mut check = Check::default();
        if keys.phase.is_empty() || keys.phase.len() > MAX_PHASES {
            let count = keys.phase.len();
            check.problems.push(format!("{count} phases: a story has 1 to {MAX_PHASES}"));
        }
        let mut phases = Vec::new();
        let mut start = Time::EPOCH;
        for (index, keys) in keys.phase.iter().take(MAX_PHASES).enumerate() {
            let phase = check.phase(&format!("phase {}", index + 1), keys, start);
            start = phase.end;
            phases.push(phase);
        }
        let length = start.since(Time::EPOCH);
        if length > MAX_LENGTH {
            let [length, most] = [length, MAX_LENGTH].map(humantime::format_duration);
            check.problems.push(format!("for: the phases last {length} together; at most {most}"));
        }
        if check.problems.is_empty() {
            Ok(Self { phases })
        } else {
            Err(StoryError::Refused(check.problems))
        }
    }

    /// When it ends; it begins at [`Time::EPOCH`].
    pub fn end(&self) -> Time {
        self.phases[self.phases.len() - 1].end
    }

    /// What becomes of a call that starts now. After the end all stays as it was.
    pub fn fate(&self, at: Time, draw: Draw) -> Fate {
        let phase = self.phase(at);
        let (outcome, duration) = if draw.luck < phase.failing {
            (Outcome::Failure, phase.lasting(draw.pace))
        } else if draw.luck < phase.failing + phase.hanging {
            (Outcome::Timeout, Duration::MAX)
        } else {
            (Outcome::Success, phase.lasting(draw.pace))
        };
        Fate { outcome, duration, health: phase.health }
    }

    /// How the dependency is.
    pub fn health(&self, at: Time) -> Health {
        self.phase(at).health
    }

    /// Whether the dependency is ill at any time from `start` on and before `end`.
    pub fn is_ill_within(&self, start: Time, end: Time) -> bool {
        self.ill_phases().any(|phase| phase.start < end && start < phase.end)
    }

    /// When the dependency falls ill for the first time.
    pub fn falls_ill(&self) -> Option<Time> {
        self.ill_phases().next().map(|phase| phase.start)
    }

    /// When the dependency is well again for good, if it is before the end.
    pub fn is_well_again(&self) -> Option<Time> {
        self.ill_phases().last().map(|phase| phase.end).filter(|&end| end < self.end())
    }

    fn phase(&self, at: Time) -> &Phase {
        let over = self.phases.partition_point(|phase| phase.end <= at);
        &self.phases[over.min(self.phases.len() - 1)]
    }

    fn ill_phases(&self) -> impl Iterator<Item = &Phase> {
        self.phases.iter().filter(|phase| phase.health == Health::Ill)
    }
}

impl Phase {
    /// Half to one and a half times the latency.
    fn lasting(&self, pace: f64) -> Duration {
        self.latency.mul_f64(0.5 + pace.clamp(0.0, 1.0))
    }
}

#[derive(Default)]
struct Check {
    problems: Vec<String>,
}

impl Check {
    fn phase(&mut self, name: &str, keys: &PhaseKeys, start: Time) -> Phase {
        let failing = self.share(&format!("{name}: failure_percent"), keys.failure_percent);
        let hanging = self.share(&format!("{name}: timeout_percent"), keys.timeout_percent);
        if failing + hanging > 1.0 && failing.max(hanging) <= 1.0 {
            let sum = keys.failure_percent + keys.timeout_percent;
            self.problems.push(format!(
                "{name}: failure_percent and timeout_percent are {sum} together; at most 100"
            ));
        }
        let is_well = keys.well.unwrap_or(failing + hanging == 0.0);
        let length = self.duration(&format!("{name}: for"), &keys.r#for, MAX_LENGTH);
        if length.is_zero() {
            self.problems
                .push(format!("{name}: for is \"{}\"; it must be longer than 0", keys.r#for));
        }
        Phase {
            start,
            end: start + length,
            health: if is_well { Health::Well } else { Health::Ill },
            latency: self.duration(&format!("{name}: latency"), &keys.latency, MAX_LATENCY),
            failing,
            hanging,
        }
    }

    fn share(&mut self, key: &str, percent: f64) -> f64 {
        if !(0.0..=100.0).contains(&percent) {
            self.problems.push(format!("{key} is {percent}; it must be 0 to 100"));
        }
        percent / 100.0
    }

    fn duration(&mut self, key: &str, text: &str, most: Duration) -> Duration {
        let problem = match parse_duration(text) {
            Ok(duration) if duration <= most => return duration,
            Ok(_) => format!("is \"{text}\"; at most {}", humantime::format_duration(most)),
            Err(problem) => problem,
        };
        self.problems.push(format!("{key}: {problem}"));
        // What is refused already need not be told a second time.
        most
    }
}

#[cfg(test)]
mod tests;
