//! How fast the server is beside something that everybody knows, row by row.
//!
//! What is measured and what it is measured beside take turns within one run, several times, and
//! the median of their ratios counts. What happens is told on standard error; each figure is a line of JSON on
//! standard output, and `table` makes one table of such lines.
//!
//! `tests/bench/run [ROW]...`, or one row by itself:
//! `cargo run --release -p breaker-tests --bin bench -- acquire [--seconds 3] [--rounds 5]`

mod clock;
mod cpu;
mod empty;
mod figure;
mod load;
mod population;
mod redis;
mod reports;
mod rows;
mod runtimes;
mod watch;

use clap::{Parser, Subcommand};

use self::figure::{Figure, table};

/// Measures the server beside something that everybody knows.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    pace: Pace,
}

/// How long it takes.
#[derive(Clone, Copy, Debug, clap::Args)]
struct Pace {
    /// How long each round of each measurement takes, in seconds.
    #[arg(long, global = true, default_value_t = 3)]
    seconds: u64,
    /// How often they take turns.
    #[arg(long, global = true, default_value_t = 5)]
    rounds: usize,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Measure(Row),
    /// Names the rows.
    Rows,
    /// Makes a table of the figures on standard input.
    Table,
}

/// What can be measured. A row more is a module in `rows/` and an arm here, and `tests/bench/run`
/// finds it.
#[derive(Debug, Subcommand)]
enum Row {
    /// Acquire beside an empty tonic method, 4 connections with 64 calls in flight each.
    Acquire,
    /// Outcomes through Report beside counters in Redis, as runs and one by one.
    Outcomes,
    /// Acquire among a million breakers beside Acquire among a thousand.
    ManyBreakers,
    /// 64 threads on one breaker beside 64 threads with a breaker each.
    OneBreaker,
    /// A change on its way to 10,000 streams on 100 connections, beside a naive broadcast.
    FanOut,
    /// A change on its way to 1,000 connections with a stream each, beside a naive broadcast.
    Connections,
    /// The p99 of Acquire beside 10,000 streams and 1,000 transitions a second, and alone.
    BesideStreams,
    /// 10,000 streams that go on after a restart of the server.
    Resume,
    /// What an idle stream takes.
    StreamMemory,
    /// What a reader that does not read gets for a million changes.
    StuckReader,
    /// Three times as many calls as the server can answer.
    Overload,
    /// Acquire beside dashboards and scrapes, and without.
    Viewers,
    /// The start on a million breakers, and the memory that they take.
    Start,
}

impl Row {
    fn measure(&self, pace: Pace) -> anyhow::Result<Vec<Figure>> {
        match self {
            Self::Acquire => rows::acquire::measure(pace),
            Self::Outcomes => rows::outcomes::measure(pace),
            Self::ManyBreakers => rows::many_breakers::measure(pace),
            Self::OneBreaker => rows::one_breaker::measure(pace),
            Self::FanOut => watch::fan_out::to_streams(pace.rounds),
            Self::Connections => watch::fan_out::to_connections(pace.rounds),
            Self::BesideStreams => watch::acquire::measure(pace.rounds),
            Self::Resume => watch::resume::measure(),
            Self::StreamMemory => watch::memory::measure(),
            Self::Overload => rows::overload::measure(pace),
            Self::Viewers => rows::viewers::measure(pace),
            Self::Start => rows::start::measure(),
            Self::StuckReader => watch::stuck::measure(1_000_000),
        }
    }
}

fn main() -> anyhow::Result<()> {
    let Arguments { command, pace } = Arguments::parse();
    match command {
        Command::Measure(row) => {
            for figure in row.measure(pace)? {
                println!("{}", serde_json::to_string(&figure)?);
            }
        }
        Command::Rows => {
            let rows = Row::augment_subcommands(clap::Command::new("rows"));
            rows.get_subcommands().for_each(|row| println!("{}", row.get_name()));
        }
        Command::Table => print!("{}", table(std::io::stdin().lock())?),
    }
    Ok(())
}
