//! The same calls through a breaker that a fleet shares, and through one breaker a replica.
//!
//! The calls of the whole fleet are one Poisson process, and each call falls to a replica by
//! chance, which is the same as a process for each replica. Both fleets are walked through the
//! calls side by side and draw nothing themselves, so that they differ by nothing but who knows
//! what when.

mod arguments;
mod chart;
mod local;
mod output;
mod queue;
mod shared;
mod tally;

use std::time::Duration;

use breaker_core::{Config, Outcome, PermitId, Report, ReporterId, Run, Time};
use rand::{Rng, RngExt};

pub use arguments::FleetArguments;
pub use tally::Tally;

pub(super) use arguments::command;

use super::story::{Draw, Fate, Story};
use local::Local;
use shared::Shared;

/// A fleet and its calls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fleet {
    /// How many processes make the calls, at least one.
    pub replicas: u32,
    /// How many calls all of them make, on average; at least one.
    pub calls_per_second: u32,
    /// How long anything takes from a replica to the server, and from the server to a replica.
    pub report_delay: Duration,
}

/// What became of the same calls in two ways.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// With one breaker at the server.
    pub shared: Tally,
    /// With a breaker in each replica.
    pub local: Tally,
}

/// What both fleets are given.
#[derive(Clone, Copy)]
struct Scene<'a> {
    config: &'a Config,
    story: &'a Story,
    fleet: &'a Fleet,
}

/// A call that a replica would like to make.
#[derive(Clone, Copy)]
struct Call {
    at: Time,
    replica: usize,
    draw: Draw,
}

/// A call that was let through.
#[derive(Clone)]
struct Admitted {
    replica: usize,
    fate: Fate,
    generation: u64,
    permit: Option<PermitId>,
}

/// Plays a story through both fleets.
pub fn compare(config: &Config, story: &Story, fleet: &Fleet, rng: &mut impl Rng) -> Comparison {
    let scene = Scene { config, story, fleet };
    let (mut shared, mut local) = (Shared::new(scene), Local::new(scene));
    let mut at = Time::EPOCH + gap(fleet, rng);
    while at < story.end() {
        let draw = Draw { luck: rng.random(), pace: rng.random() };
        let call = Call { at, replica: rng.random_range(0..fleet.replicas) as usize, draw };
        shared.call(&call);
        local.call(&call);
        at = at + gap(fleet, rng);
    }
    Comparison { shared: shared.finish(), local: local.finish() }
}

/// The time until the next call of a Poisson process.
fn gap(fleet: &Fleet, rng: &mut impl Rng) -> Duration {
    let chance: f64 = rng.random();
    Duration::from_secs_f64(-(1.0 - chance).ln() / f64::from(fleet.calls_per_second))
}

impl Scene<'_> {
    fn admit(
        &self,
        call: &Call,
        start: Time,
        generation: u64,
        permit: Option<PermitId>,
    ) -> Admitted {
        let mut fate = self.story.fate(start, call.draw);
        // The caller gives up.
        if fate.duration > self.config.call_timeout() {
            fate.outcome = Outcome::Timeout;
            fate.duration = self.config.call_timeout();
        }
        Admitted { replica: call.replica, fate, generation, permit }
    }
}

impl Admitted {
    /// What is to be recorded once the call has ended.
    fn report(&self) -> Report<'static> {
        let run = Run::new(self.fate.outcome, 1).lasting(self.fate.duration);
        let reporter = ReporterId::of(&format!("replica-{}", self.replica));
        let report = Report::admitted(run, self.generation).by(reporter);
        match self.permit {
            Some(permit) => report.with_permit(permit),
            None => report,
        }
    }
}

#[cfg(test)]
mod tests;
