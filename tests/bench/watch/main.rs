//! What Watch costs: changes on their way to many streams, beside a naive broadcast; calls beside
//! many streams; memory; a restart; a reader that does not read.
//!
//! `cargo build --release -p breakerd && cargo run --release -p breaker-tests --bin bench-watch
//! [-- --row fan-out --row memory --rounds 5 --json]`

mod acquire;
#[path = "../clock.rs"]
mod clock;
mod cpu;
mod fan_out;
#[path = "../load.rs"]
mod load;
mod memory;
mod naive;
mod pace;
mod percentile;
mod resume;
mod row;
mod runtimes;
mod streams;
mod stuck;

use clap::{Parser, ValueEnum};

use crate::row::Row;

/// Measures the watch streams of a server.
#[derive(Debug, Parser)]
struct Options {
    /// What is measured; everything if nothing is named.
    #[arg(long = "row")]
    rows: Vec<Subject>,
    /// How often those that are compared take turns.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Changes that the reader which does not read misses.
    #[arg(long, default_value_t = 1_000_000)]
    missed: u64,
    /// Prints one line of JSON a row.
    #[arg(long)]
    json: bool,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Subject {
    /// A change on its way to 10,000 streams on 100 connections.
    FanOut,
    /// A change on its way to 1,000 connections with a stream each.
    Connections,
    /// Acquire alone, and beside 10,000 streams and 1,000 transitions a second.
    Acquire,
    /// 10,000 streams that go on after a restart of the server.
    Resume,
    /// What an idle stream takes.
    Memory,
    /// A reader that does not read.
    Stuck,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let all = Subject::value_variants();
    for subject in if options.rows.is_empty() { all } else { &options.rows } {
        for row in measure(*subject, &options)? {
            println!("{}", if options.json { row.json().to_string() } else { row.to_string() });
        }
    }
    Ok(())
}

fn measure(subject: Subject, options: &Options) -> anyhow::Result<Vec<Row>> {
    match subject {
        Subject::FanOut => fan_out::to_streams(options.rounds),
        Subject::Connections => fan_out::to_connections(options.rounds),
        Subject::Acquire => acquire::measure(options.rounds),
        Subject::Resume => resume::measure(),
        Subject::Memory => memory::measure(),
        Subject::Stuck => stuck::measure(options.missed),
    }
}
