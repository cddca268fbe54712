//! `breakerctl bench`: puts a load on a server, and tells how it bears it.
//!
//! `options` says what can be typed. `load` makes calls and `fan_out` changes; `schedule`, `mix`,
//! `arrivals` and `statistics` decide and count, without a clock or a server, and `output` shows.

mod arrivals;
mod breakers;
mod fan_out;
mod interrupt;
mod load;
mod mix;
mod options;
mod output;
mod pacer;
mod progress;
mod schedule;
mod stage;
mod statistics;
mod streams;
mod target;
mod watchers;

use std::io;
use std::thread;

use breaker_client::servers::Address;
use clap::{Args, Subcommand};
use nix::sys::signal::Signal;
use tokio::runtime::{Builder, Runtime};

use crate::arguments::address;
use crate::connection::Leader;
use crate::error::{Error, exit};
use crate::output::{Format, line, notice};
use crate::{Context, clock, signals};
use breakers::RunId;
use interrupt::Interrupt;
use options::{LoadArguments, MixedArguments, ReportArguments, WatchArguments};
use output::About;
use schedule::Rate;
use stage::{Played, Stage};

/// Threads that the load runs on where nobody says how many.
const MAX_DEFAULT_THREADS: usize = 4;

const AFTER_HELP: &str = "\
What is measured:
    In a closed loop, the default, each of --connections times --in-flight workers makes its next
    call when its last one has ended: it shows how many calls a second the server bears. A server
    that stalls keeps the workers from calling, and the calls that it would have kept waiting are
    missing from the latencies. Nothing corrects that, because no call was due at any time.

    In an open loop, with --rate, calls are due at fixed times whatever the server does: it shows
    the latencies at that rate. A latency counts from when the call was due, be it sent later or
    not, and is thereby corrected for coordinated omission: there is nothing to correct
    afterwards. `once sent` counts from when the call was sent. A call is late that was sent more
    than 1 ms after it was due: as many calls as may be were in flight, or this machine has too
    much to do. At the end, calls that were due are still made for as long as --timeout says.

    Only answers have a latency, a denial being one. Shed are the calls that the server refused
    with RESOURCE_EXHAUSTED; failed are all others without an answer, be it within --timeout. In
    a closed loop a worker waits 10 ms after a call that was shed or failed. Latencies are right
    to three digits.

    The load goes to the server that leads when it begins, and does not follow the lead.

What is left:
    The breakers are named bench/RUN/N, or bench/RUN/N/breaker with --spread. They are made
    before and deleted after, also on Ctrl-C (a second one ends that, too), and what could not be
    deleted is told. What stays are transitions in the history and, for a day, each worker that
    reports as a reporter that the server remembers.

Exits with 1 if nothing that was measured succeeded.";

/// What can be typed after `breakerctl bench`.
#[derive(Debug, Args)]
#[command(after_long_help = AFTER_HELP)]
pub struct BenchArguments {
    /// What the load is.
    #[command(subcommand)]
    scenario: Scenario,
    /// The address of the server that leads, once more: a load on a server that is not on a loopback
    /// address goes nowhere without it. A tunnel on loopback is not seen through.
    #[arg(long, global = true, value_name = "ADDRESS", value_parser = address)]
    against: Option<Address>,
    /// Threads that the load runs on, 1 to 64; half of the cores without it, and 4 at most.
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: Option<u16>,
}

#[derive(Debug, Subcommand)]
enum Scenario {
    /// Asks for leave to make calls.
    Acquire(LoadArguments),
    /// Reports outcomes. Each worker is a reporter of its own.
    Report(ReportArguments),
    /// Changes a breaker, and tells how long it takes until each of many streams has got that: from
    /// before the change is sent, or with --rate from when it was due if it is late.
    Watch(WatchArguments),
    /// Acquires and reports, while streams watch.
    Mixed(MixedArguments),
}

impl Scenario {
    fn check(&self) -> Result<(), Error> {
        match self {
            Self::Acquire(load) => load.check(),
            Self::Report(report) => report.load.check(),
            Self::Watch(watch) => watch.check(),
            Self::Mixed(mixed) => mixed.check(),
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Acquire(_) => "acquire",
            Self::Report(_) => "report",
            Self::Watch(_) => "watch",
            Self::Mixed(_) => "mixed",
        }
    }

    const fn rate(&self) -> Option<Rate> {
        match self {
            Self::Acquire(load) => load.rate,
            Self::Report(report) => report.load.rate,
            Self::Watch(watch) => watch.rate,
            Self::Mixed(mixed) => mixed.load.rate,
        }
    }

    const fn connections(&self) -> u64 {
        match self {
            Self::Acquire(load) => load.connections,
            Self::Report(report) => report.load.connections,
            Self::Watch(watch) => watch.connections,
            Self::Mixed(mixed) => mixed.load.connections,
        }
    }
}

impl BenchArguments {
    /// What the load runs on.
    pub(crate) fn runtime(&self) -> io::Result<Runtime> {
        let half = || thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2));
        let threads = self.threads.map_or_else(|| half().min(MAX_DEFAULT_THREADS), usize::from);
        Builder::new_multi_thread().worker_threads(threads).enable_all().build()
    }

    /// The code to exit with.
    pub(crate) async fn command(&self, context: &Context) -> anyhow::Result<u8> {
        self.scenario.check()?;
        let interrupt = Interrupt::listen()?;
        let stage = Stage {
            context,
            run_id: RunId::new(clock::unique_number()),
            connections: self.connect(context).await?,
            interrupt: &interrupt,
        };
        let played = stage.play(&self.scenario).await;
        let left = breakers::delete(&context.connection, &stage.run_id, &interrupt).await;
        let played = match (played, interrupt.signal()) {
            (Err(error), Some(signal)) => {
                notice(format_args!("{error:#}"));
                return Ok(exit_code(Some(signal), false));
            }
            (played, _) => played?,
        };
        self.show(&stage, &played, left)?;
        if !played.has_succeeded() {
            notice("nothing that was measured succeeded");
        }
        Ok(exit_code(interrupt.signal(), played.has_succeeded()))
    }

    /// Connections to the server that leads, each of its own; and none of them the one over which
    /// breakers are made and deleted, so that the load does not stand in its way.
    async fn connect(&self, context: &Context) -> Result<Vec<Leader>, Error> {
        let leader = context.connection.leader().await?.address().clone();
        target::check(&leader, self.against.as_ref())?;
        let mut connections = Vec::new();
        for _ in 0..self.scenario.connections() {
            let connection = context.connection.another()?.leader().await?;
            if *connection.address() != leader {
                return Err(Error::Usage(format!(
                    "the lead has gone from {leader} to {}; try again",
                    connection.address()
                )));
            }
            connections.push(connection);
        }
        Ok(connections)
    }

    fn show(&self, stage: &Stage<'_>, played: &Played, left: Option<u64>) -> io::Result<()> {
        let about = About {
            scenario: self.scenario.name(),
            server: stage.connections.first().map_or("", |leader| leader.address().as_str()),
            run_id: stage.run_id.as_str(),
            connections: self.scenario.connections(),
            rate: self.scenario.rate(),
            is_interrupted: stage.interrupt.signal().is_some(),
            left,
        };
        match (stage.context.format, played) {
            (Format::Json, Played::Calls(calls)) => line(about.calls_json(calls)),
            (Format::Json, Played::Changes(changes)) => line(about.changes_json(changes)),
            (Format::Table, Played::Calls(calls)) => line(about.calls_text(calls)),
            (Format::Table, Played::Changes(changes)) => line(about.changes_text(changes)),
        }
    }
}

fn exit_code(interrupted_by: Option<Signal>, has_succeeded: bool) -> u8 {
    match interrupted_by {
        Some(signal) => signals::exit_code(signal as i32),
        None if has_succeeded => exit::OK,
        None => exit::FAILED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_of_which_nothing_succeeded_fails() {
        assert_eq!(exit_code(None, true), 0);
        assert_eq!(exit_code(None, false), 1);
        assert_eq!(exit_code(Some(Signal::SIGINT), true), 130);
        assert_eq!(exit_code(Some(Signal::SIGTERM), false), 143);
    }
}
