//! What can be typed after `breakerctl bench SCENARIO`, each with its bounds.

use std::ops::RangeInclusive;
use std::time::Duration;

use breaker_wire::parse_duration;
use clap::Args;

use super::mix::ReportShape;
use super::schedule::Rate;
use crate::error::Error;

/// Breakers that are made for a load and deleted again, one request each.
const BREAKERS: RangeInclusive<u64> = 1..=10_000;
const CONNECTIONS: RangeInclusive<u64> = 1..=1_000;
/// A server takes 1,024 calls and streams on a connection; a few are left for admin calls.
const PER_CONNECTION: u64 = 1_000;
/// Calls in flight on all connections together, each a task of its own.
const MAX_IN_FLIGHT: u64 = 20_000;
const STREAMS: RangeInclusive<u64> = 1..=20_000;
const MAX_DURATION: Duration = Duration::from_hours(1);
const MAX_WARMUP: Duration = Duration::from_mins(10);
/// As many bytes as leave room for what is added to make an id of it, of the 200 of the protocol.
const MAX_CLIENT_ID_BYTES: usize = 150;

#[derive(Clone, Debug, Args)]
pub(super) struct LoadArguments {
    /// Connections, 1 to 1,000.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = within(CONNECTIONS))]
    pub(super) connections: u64,
    /// Calls in flight on each connection, 1 to 1,000, and 20,000 on all of them. Also the bound of
    /// an open loop.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = within(1..=PER_CONNECTION))]
    pub(super) in_flight: u64,
    /// Calls a second, 1 to 1,000,000: an open loop, in which calls are due at fixed times whatever
    /// the server does. Without it the loop is closed.
    #[arg(long, value_name = "PER_SECOND", value_parser = Rate::parse)]
    pub(super) rate: Option<Rate>,
    /// How long to measure, after the warm-up; 1 h at most.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub(super) duration: Duration,
    /// For how long calls are made that do not count, 10 min at most.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = warmup)]
    pub(super) warmup: Duration,
    /// Breakers that the calls are spread over evenly, 1 to 10,000.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = within(BREAKERS))]
    pub(super) breakers: u64,
    /// Who says to call, 150 bytes at most.
    #[arg(long, value_name = "ID", default_value = "breakerctl-bench", value_parser = client_id)]
    pub(super) client_id: String,
}

#[derive(Clone, Debug, Args)]
pub(super) struct ReportShapeArguments {
    /// Runs in a report, 1 to 10,000.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = within(1..=10_000))]
    pub(super) runs: u64,
    /// Outcomes in a run, 1 to 1,000,000.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = outcomes_per_run())]
    pub(super) outcomes_per_run: u32,
    /// How many runs of a hundred are failures. Enough of them trip the breakers.
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = within(0..=100))]
    pub(super) failure_percent: u64,
}

#[derive(Clone, Debug, Args)]
pub(super) struct ReportArguments {
    #[command(flatten)]
    pub(super) load: LoadArguments,
    #[command(flatten)]
    pub(super) report: ReportShapeArguments,
}

#[derive(Clone, Debug, Args)]
pub(super) struct MixedArguments {
    #[command(flatten)]
    pub(super) load: LoadArguments,
    /// How many calls of a hundred report; the others acquire.
    #[arg(long, value_name = "PERCENT", default_value_t = 50, value_parser = within(0..=100))]
    pub(super) report_percent: u64,
    /// Streams that watch all breakers of the load meanwhile, 0 to 1,000.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = within(0..=1_000))]
    pub(super) streams: u64,
    #[command(flatten)]
    pub(super) report: ReportShapeArguments,
}

#[derive(Clone, Debug, Args)]
pub(super) struct WatchArguments {
    /// Streams, 1 to 20,000, and 1,000 on each connection.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = within(STREAMS))]
    pub(super) streams: u64,
    /// Connections that the streams are spread over, 1 to 1,000.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = within(CONNECTIONS))]
    pub(super) connections: u64,
    /// Changes that are measured, 1 to 10,000, one after another. One more comes before them and
    /// does not count.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = within(1..=10_000))]
    pub(super) changes: u64,
    /// Let each stream watch a namespace of its own, and change a breaker in another one of them
    /// each time. Without it all streams watch the same breaker.
    #[arg(long)]
    pub(super) spread: bool,
    /// Changes a second, due at fixed times. Without it the next change is made once all streams
    /// have got the last one.
    #[arg(long, value_name = "PER_SECOND", value_parser = Rate::parse)]
    pub(super) rate: Option<Rate>,
}

impl LoadArguments {
    /// Checks what no single option can.
    pub(super) fn check(&self) -> Result<(), Error> {
        let in_flight = self.connections * self.in_flight;
        if in_flight > MAX_IN_FLIGHT {
            return Err(Error::Usage(format!(
                "{} connections with {} calls in flight on each make {in_flight}; the most is \
                 {MAX_IN_FLIGHT}",
                self.connections, self.in_flight
            )));
        }
        Ok(())
    }
}

impl ReportShapeArguments {
    pub(super) const fn shape(&self) -> ReportShape {
        let Self { runs, outcomes_per_run, failure_percent } = *self;
        ReportShape { runs, outcomes_per_run, failure_percent }
    }
}

impl MixedArguments {
    pub(super) fn check(&self) -> Result<(), Error> {
        self.load.check()?;
        let streams = self.streams.div_ceil(self.load.connections);
        if self.load.in_flight + streams > PER_CONNECTION {
            return Err(Error::Usage(format!(
                "{} calls in flight and {streams} streams on a connection are too many: the most \
                 is {PER_CONNECTION} together; give more --connections",
                self.load.in_flight
            )));
        }
        Ok(())
    }
}

impl WatchArguments {
    pub(super) fn check(&self) -> Result<(), Error> {
        let streams = self.streams.div_ceil(self.connections);
        if streams > PER_CONNECTION {
            return Err(Error::Usage(format!(
                "{streams} streams on a connection are too many: the most is {PER_CONNECTION}; \
                 give --connections {} or more",
                self.streams.div_ceil(PER_CONNECTION)
            )));
        }
        Ok(())
    }
}

fn within(bounds: RangeInclusive<u64>) -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(bounds)
}

fn outcomes_per_run() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=1_000_000)
}

fn duration(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("it must be longer than 0".to_owned()),
        duration => at_most(duration, MAX_DURATION),
    }
}

fn warmup(text: &str) -> Result<Duration, String> {
    at_most(parse_duration(text)?, MAX_WARMUP)
}

fn at_most(duration: Duration, bound: Duration) -> Result<Duration, String> {
    if duration > bound {
        return Err(format!("it must be {} at most", humantime::format_duration(bound)));
    }
    Ok(duration)
}

fn client_id(text: &str) -> Result<String, String> {
    if text.len() > MAX_CLIENT_ID_BYTES {
        return Err(format!("it must be {MAX_CLIENT_ID_BYTES} bytes at most"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::Scenario;
    use crate::{Arguments, Command};

    fn parse(line: &str) -> Result<Scenario, String> {
        let words = ["breakerctl", "bench"].into_iter().chain(line.split(' '));
        match Arguments::try_parse_from(words).map_err(|error| error.to_string())?.command {
            Command::Bench(bench) => Ok(bench.scenario),
            other => panic!("{other:?}"),
        }
    }

    fn refused(line: &str) -> String {
        match parse(line) {
            Err(error) => error,
            Ok(scenario) => scenario.check().unwrap_err().to_string(),
        }
    }

    #[test]
    fn without_options_the_loop_is_closed_over_four_connections() {
        let Ok(Scenario::Acquire(load)) = parse("acquire") else { panic!("acquire") };
        assert_eq!((load.connections, load.in_flight, load.rate), (4, 64, None));
        assert_eq!((load.duration.as_secs(), load.warmup.as_secs()), (10, 1));
        for line in ["acquire", "report", "watch", "mixed", "watch --spread --rate 3"] {
            parse(line).unwrap().check().unwrap();
        }
    }

    #[test]
    fn every_count_has_a_bound_and_says_it() {
        for (line, bound) in [
            ("acquire --connections 1001", "1..=1000"),
            ("acquire --in-flight 0", "1..=1000"),
            ("acquire --connections 1000 --in-flight 21", "20000"),
            ("acquire --rate 0", "1 to 1000000"),
            ("acquire --duration 61m", "1h"),
            ("acquire --duration 0s", "longer than 0"),
            ("acquire --warmup 11m", "10m"),
            ("acquire --breakers 10001", "1..=10000"),
            ("report --runs 10001", "1..=10000"),
            ("report --outcomes-per-run 1000001", "1..=1000000"),
            ("report --failure-percent 101", "0..=100"),
            ("watch --streams 20001", "1..=20000"),
            ("watch --streams 4001", "--connections 5 or more"),
            ("watch --changes 10001", "1..=10000"),
            ("mixed --report-percent 101", "0..=100"),
            ("mixed --in-flight 990 --streams 44", "1000 together"),
        ] {
            let error = refused(line);
            assert!(error.contains(bound), "{line}: {error}");
        }
        let long = format!("acquire --client-id {}", "x".repeat(151));
        assert!(refused(&long).contains("150 bytes"));
    }
}
