//! What it costs that all callers want the same breaker.
//!
//! A breaker is changed under the lock of its shard, so callers of one breaker take turns, and the
//! lines of memory that hold lock and breaker go from one processor to the next with each call.
//! Callers of different breakers seldom meet, and share only the counters over all breakers. The
//! ratio is what is left of the calls; it falls with the number of processors, and is near 1 on
//! one.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use breaker_engine::Engine;

use crate::figure::{Figure, Rounds};
use crate::population::{engine_with, name};
use crate::{Pace, clock};

const THREADS: u64 = 64;
/// Calls between two looks at the clock.
const BETWEEN_LOOKS: u64 = 1_000;

pub(crate) fn measure(pace: Pace) -> anyhow::Result<Vec<Figure>> {
    let alone = engine_with(THREADS)?;
    let duration = Duration::from_secs(pace.seconds);
    let mut rounds = Rounds::begin(
        "Acquire of 64 threads on one breaker, in the engine",
        "on 64 breakers",
        "calls/s",
    );
    for _ in 0..pace.rounds {
        let apart = rate(&alone.engine, duration, |thread| thread)?;
        rounds.add(apart, rate(&alone.engine, duration, |_| 0)?);
    }
    Ok(vec![rounds.end(None)])
}

/// How many calls a second the threads make, each of its breaker.
fn rate(engine: &Engine, duration: Duration, breaker: fn(u64) -> u64) -> anyhow::Result<f64> {
    let begin = Barrier::new(THREADS as usize);
    let run = |thread| {
        let name = name(breaker(thread));
        begin.wait();
        let began_at = clock::now();
        let mut calls = 0;
        while began_at.elapsed() < duration {
            for _ in 0..BETWEEN_LOOKS {
                black_box(engine.acquire(&name)?);
            }
            calls += BETWEEN_LOOKS;
        }
        anyhow::Ok(calls as f64 / began_at.elapsed().as_secs_f64())
    };
    thread::scope(|scope| {
        let run = &run;
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || run(thread))).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, anyhow::Result<f64>>| {
            thread.join().map_err(|_| anyhow::anyhow!("a caller panicked"))?
        };
        threads.into_iter().map(join).sum()
    })
}
