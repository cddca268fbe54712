//! How many outcomes one processor takes in through Report, beside the same counts in Redis: a
//! command for each run there, in pipelines of as many commands as a report has runs.
//!
//! What counts is the time that a processor worked for the server, or for Redis: both share the
//! machine with the one that sends. What the clock on the wall says is told beside it.

use std::sync::Arc;
use std::time::Duration;

use breaker_engine::SystemClock;
use breaker_tests::{Chance, start_in_memory};

use crate::Pace;
use crate::cpu::Core;
use crate::figure::{Figure, Goal, Rounds};
use crate::redis::{Redis, pipeline};
use crate::reports::{self, BREAKERS, RUNS_OF_A_BREAKER};

pub(crate) fn measure(pace: Pace) -> anyhow::Result<Vec<Figure>> {
    let as_runs = figure(pace, "outcomes through Report, 100 a run", 100, 10e6)?;
    let one_by_one = figure(pace, "outcomes through Report, one a run", 1, 1e6)?;
    Ok(vec![as_runs, one_by_one])
}

fn figure(pace: Pace, name: &str, calls_of_a_run: u32, goal: f64) -> anyhow::Result<Figure> {
    let (servers, clients) = (Core::start()?, Core::start()?);
    let clock = Arc::new(SystemClock::start());
    let server = servers.runtime.block_on(start_in_memory(clock))?;
    let address = server.grpc_address();
    clients.runtime.block_on(reports::create_breakers(address))?;
    let redis = Redis::start()?;
    let mut chance = Chance::of_test()?;

    let duration = Duration::from_secs(pace.seconds);
    let (report, commands) = (reports::encoded(calls_of_a_run), pipeline(calls_of_a_run)?);
    let calls = BREAKERS * RUNS_OF_A_BREAKER * u64::from(calls_of_a_run);
    let per_second = |(times, within): (u64, Duration), worked: Duration| {
        let outcomes = (times * calls) as f64;
        [outcomes / within.as_secs_f64(), outcomes / worked.as_secs_f64()]
    };
    let mut rounds = Rounds::begin(name, "HINCRBY in Redis", "outcomes/s of one processor");
    for _ in 0..pace.rounds {
        let before = redis.worked()?;
        let counted = redis.count(duration, &commands)?;
        let theirs = per_second(counted, redis.worked()? - before);
        let before = servers.worked()?;
        let sending = reports::send(address, duration, chance.fork(), &report);
        let counted = clients.runtime.block_on(sending)?;
        let ours = per_second(counted, servers.worked()? - before);
        rounds.add(theirs[1], ours[1]);
        eprintln!("{:>6} {:>12.0} {:>12.0} by the clock on the wall", "", theirs[0], ours[0]);
    }
    servers.runtime.block_on(server.shut_down())?;
    Ok(rounds.end(Some(Goal::AtLeast(goal))))
}
