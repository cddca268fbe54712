//! How much of an empty gRPC method's speed is left to Acquire.
//!
//! Both are called in the same way, in turns, within one run: 4 connections with 64 calls in
//! flight on each, the server on a thread of its own. What counts is the ratio of the medians.
//!
//! `cargo run --release -p breaker-tests --bin bench [-- --seconds 3 --rounds 5]`

mod clock;
mod empty;
mod load;

use std::sync::Arc;
use std::time::Duration;

use breaker_engine::SystemClock;
use breaker_proto::v1::AcquireRequest;
use breaker_tests::start_in_memory;
use clap::Parser;
use tokio::runtime::{Builder, Runtime};

/// Measures Acquire against an empty gRPC method, side by side.
#[derive(Debug, Parser)]
struct Options {
    /// How long each round of each method takes, in seconds.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// How often the two take turns.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let servers = runtime()?;
    let clients = runtime()?;
    let empty = servers.block_on(empty::serve())?;
    let server = servers.block_on(start_in_memory(Arc::new(SystemClock::start())))?;
    let acquire = server.grpc_address();

    let round = Duration::from_secs(options.seconds);
    let nothing = AcquireRequest::default();
    let asked = AcquireRequest { breaker: "bench/breaker".into(), client_id: "bench".into() };
    let (mut baseline, mut measured) = (Vec::new(), Vec::new());
    println!("4 connections x 64 in flight, {} s a round; requests/s", options.seconds);
    println!("{:>6} {:>12} {:>12} {:>7}", "round", "empty", "acquire", "ratio");
    for round_number in 1..=options.rounds {
        let empty = clients.block_on(load::rate(empty, nothing.clone(), round))?;
        let acquire = clients.block_on(load::rate(acquire, asked.clone(), round))?;
        println!("{round_number:>6} {empty:>12.0} {acquire:>12.0} {:>7.3}", acquire / empty);
        baseline.push(empty);
        measured.push(acquire);
    }
    let (empty, acquire) = (median(baseline), median(measured));
    println!("{:>6} {empty:>12.0} {acquire:>12.0} {:>7.3}  (goal 0.9)", "median", acquire / empty);
    servers.block_on(server.shut_down())?;
    Ok(())
}

fn runtime() -> anyhow::Result<Runtime> {
    Ok(Builder::new_multi_thread().worker_threads(1).enable_all().build()?)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
