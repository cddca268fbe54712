use std::fs;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use breaker_core::{Config, Time};
use breaker_wire::parse_duration;
use clap::value_parser;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

use super::{Fleet, chart, compare, output};
use crate::error::Error;
use crate::simulate::Format;
use crate::simulate::chart::Colours;
use crate::simulate::story::Story;

/// Most calls of one simulation: some twenty seconds of computing.
const MAX_CALLS: u64 = 20_000_000;
/// Longest way between a replica and the server.
const MAX_REPORT_DELAY: Duration = Duration::from_mins(1);

/// How a fleet is simulated.
#[derive(Clone, Debug, clap::Args)]
pub struct FleetArguments {
    /// How many replicas the fleet has.
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=10_000))]
    pub replicas: Option<u32>,
    /// What becomes of the dependency: outage, brownout, flapping, slow, or a file of one's own.
    ///
    /// A file holds phases, `[[phase]]` in TOML: for = "30s", latency = "20ms" (a call takes half to
    /// one and a half of it), and where they fit failure_percent = 40, timeout_percent = 5, and
    /// well = false (or true) for whether the dependency counts as well in this phase. Without
    /// that key it does if nothing fails.
    #[arg(
        long,
        value_name = "NAME|FILE",
        default_value = "outage",
        conflicts_with = "trace",
        requires = "replicas"
    )]
    pub story: String,
    /// How many calls the whole fleet makes on average.
    #[arg(
        long,
        value_name = "R",
        default_value_t = 100,
        conflicts_with = "trace",
        requires = "replicas",
        value_parser = value_parser!(u32).range(1..=1_000_000)
    )]
    pub calls_per_second: u32,
    /// How long an outcome takes to the server, a change to the replicas, and each half of asking
    /// for a permit.
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "50ms",
        conflicts_with = "trace",
        requires = "replicas",
        value_parser = report_delay
    )]
    pub report_delay: Duration,
    /// Where chance begins; the same seed gives the same result.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        conflicts_with = "trace",
        requires = "replicas"
    )]
    pub seed: u64,
}

/// Plays the story, and writes to the standard output how both fleets fared.
///
/// # Errors
/// What is wrong with the story, or with the output.
pub(in crate::simulate) fn command(
    config: &Config,
    arguments: &FleetArguments,
    replicas: u32,
    format: Format,
) -> anyhow::Result<()> {
    let story = read_story(&arguments.story)?;
    let fleet = Fleet {
        replicas,
        calls_per_second: arguments.calls_per_second,
        report_delay: arguments.report_delay,
    };
    check_calls(&story, &fleet)?;
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(arguments.seed);
    let comparison = compare(config, &story, &fleet, &mut rng);
    let shown = output::Shown {
        story: &story,
        story_name: &arguments.story,
        fleet: &fleet,
        seed: arguments.seed,
        comparison: &comparison,
    };
    let stdout = io::stdout();
    let is_terminal = stdout.is_terminal();
    let mut out = BufWriter::new(stdout.lock());
    match format {
        Format::Json => shown.write_json(&mut out)?,
        Format::Summary => {
            shown.write_table(&mut out)?;
            chart::write(&mut out, &story, &comparison, Colours::fitting(is_terminal))?;
        }
    }
    out.flush().context("cannot write the result")
}

pub(super) fn read_story(name: &str) -> anyhow::Result<Story> {
    let text = match Story::built_in(name) {
        Some(text) => text.to_owned(),
        None => fs::read_to_string(Path::new(name)).with_context(|| {
            let names = Story::names().join(", ");
            format!("cannot read the story {name}, which is none of {names} either")
        })?,
    };
    Story::parse(&text).with_context(|| format!("in the story {name}"))
}

pub(super) fn check_calls(story: &Story, fleet: &Fleet) -> Result<(), Error> {
    let length = story.end().since(Time::EPOCH);
    let calls = length.as_secs_f64() * f64::from(fleet.calls_per_second);
    if calls <= MAX_CALLS as f64 {
        return Ok(());
    }
    let fitting = (MAX_CALLS as f64 / length.as_secs_f64()).floor();
    Err(Error::Usage(format!(
        "{} calls a second for {} are {calls:.0} calls, more than the {MAX_CALLS} that are \
         simulated; lower --calls-per-second to {fitting} or take a shorter story",
        fleet.calls_per_second,
        humantime::format_duration(length)
    )))
}

fn report_delay(text: &str) -> Result<Duration, String> {
    let delay = parse_duration(text)?;
    if delay > MAX_REPORT_DELAY {
        return Err(format!("at most {}", humantime::format_duration(MAX_REPORT_DELAY)));
    }
    Ok(delay)
}
