//! Plays what a client does, as `tests/conformance/scenarios` tells it, with the SDK of every
//! language against a real server.
//!
//! `cargo run -p breaker-tests --bin conformance -- --driver 'python=python3 driver.py'`

mod command;
mod driver;
mod expectation;
mod host;
mod link;
mod operator;
mod play;
mod process;
mod recorder;
mod scenario;
mod server;
mod sight;
mod site;
mod step;
mod suite;
#[cfg(test)]
mod tests;
mod thin;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::driver::Program;
use crate::suite::Suite;

/// Plays the scenarios of the conformance suite with the drivers of SDKs.
#[derive(Debug, Parser)]
struct Options {
    /// The driver program of an SDK, as `NAME=COMMAND LINE`; may be given several times.
    #[arg(long = "driver", value_name = "NAME=COMMAND", value_parser = Program::parse)]
    drivers: Vec<Program>,
    /// Only scenarios whose `file/name` contains this; may be given several times.
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// How many scenarios are played at once.
    #[arg(long, default_value_t = 4)]
    jobs: usize,
    /// The folder of the scenarios.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/conformance/scenarios"))]
    scenarios: PathBuf,
    /// Says which scenarios there are and plays none.
    #[arg(long)]
    list: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    let mut scenarios = scenario::read_all(&options.scenarios)?;
    let is_wanted = |id: &str| options.only.iter().any(|part| id.contains(part.as_str()));
    scenarios.retain(|scenario| options.only.is_empty() || is_wanted(&scenario.id));
    ensure!(!scenarios.is_empty(), "no scenario matches {:?}", options.only);
    if options.list {
        scenarios.iter().for_each(|scenario| println!("{}: {}", scenario.id, scenario.fact));
        return Ok(ExitCode::SUCCESS);
    }
    ensure!(!options.drivers.is_empty(), "no driver: give at least one --driver NAME=COMMAND");
    ensure!(options.jobs > 0, "--jobs must be at least 1");

    let mut asked_to_end = signal(SignalKind::terminate())?;
    let suite = Suite { scenarios, programs: options.drivers, jobs: options.jobs };
    // Whatever the suite has started ends with it, also where it is dropped half-way.
    tokio::select! {
        is_good = suite.play() => Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
        heard = tokio::signal::ctrl_c() => {
            heard.context("cannot wait for ctrl-c")?;
            println!("interrupted");
            Ok(ExitCode::FAILURE)
        }
        _ = asked_to_end.recv() => {
            println!("asked to end");
            Ok(ExitCode::FAILURE)
        }
    }
}
