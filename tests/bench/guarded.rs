//! What a guarded call of the Rust client costs while its breaker is CLOSED, beside the breakers of
//! one process that the crates `failsafe` and `recloser` offer, and beside the two readings of the
//! clock that a call is timed with. The client's breaker is one of a real server.
//!
//! `cargo bench -p breaker-tests --bench guarded`

#![allow(missing_docs, reason = "the macros of criterion make functions without any")]
#![allow(clippy::panic, reason = "criterion has no way for a benchmark to fail")]

#[path = "clock.rs"]
mod clock;

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use breaker_client::{Breaker, Client};
use breaker_core::Time;
use breaker_tests::Hosted;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use failsafe::CircuitBreaker;
use futures::executor::block_on;
use recloser::Recloser;
use tokio::runtime::Runtime;

/// A call that goes well at once.
fn upstream() -> Result<u32, ()> {
    Ok(black_box(1))
}

/// How long so many rounds take on each of so many threads at once.
fn on_threads(threads: usize, rounds: u64, run: impl Fn(u64) + Sync) -> Duration {
    let begin = Barrier::new(threads + 1);
    let mut began_at = None;
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                begin.wait();
                run(rounds);
            });
        }
        begin.wait();
        began_at = Some(clock::now());
    });
    began_at.map(|began_at| clock::now() - began_at).unwrap_or_default()
}

fn bench(
    group: &mut BenchmarkGroup<'_, criterion::measurement::WallTime>,
    name: &str,
    threads: usize,
    run: impl Fn(u64) + Sync,
) {
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|rounds| on_threads(threads, rounds, &run));
    });
}

/// So many guarded calls, as a task makes them.
fn guarded(breaker: &Breaker, rounds: u64) {
    block_on(async {
        for _ in 0..rounds {
            if let Ok(guard) = breaker.acquire().await {
                let _ = black_box(upstream());
                guard.success();
            }
        }
    });
}

/// The same with calls that are futures.
fn guarded_futures(breaker: &Breaker, rounds: u64) {
    block_on(async {
        for _ in 0..rounds {
            let _ = black_box(breaker.call(async { upstream() }).await);
        }
    });
}

fn repeat(rounds: u64, round: impl Fn()) {
    for _ in 0..rounds {
        round();
    }
}

fn benches(criterion: &mut Criterion) {
    let (_runtime, hosted, breaker) =
        connect().unwrap_or_else(|error| panic!("there is no server: {error:#}"));
    for threads in [1, 8] {
        let mut group = criterion.benchmark_group(format!("{threads} threads"));
        bench(&mut group, "decision", threads, |rounds| {
            repeat(rounds, || {
                black_box(black_box(&breaker).allows_all());
            });
        });
        bench(&mut group, "two clock reads", threads, |rounds| {
            repeat(rounds, || {
                black_box((clock::now(), clock::now()));
            });
        });
        bench(&mut group, "guarded call", threads, |rounds| guarded(&breaker, rounds));
        bench(&mut group, "guarded future", threads, |rounds| guarded_futures(&breaker, rounds));
        let failsafe = failsafe::Config::new().build();
        bench(&mut group, "failsafe", threads, |rounds| {
            repeat(rounds, || {
                let _ = black_box(failsafe.call(upstream));
            });
        });
        let recloser = Recloser::default();
        bench(&mut group, "recloser", threads, |rounds| {
            repeat(rounds, || {
                let _ = black_box(recloser.call(upstream));
            });
        });
        group.finish();
    }
    assert!(breaker.allows_all(), "the breaker was not CLOSED all the time");
    drop(hosted);
}

fn connect() -> anyhow::Result<(Runtime, Hosted, Breaker)> {
    let runtime = Runtime::new()?;
    let (hosted, breaker) = runtime.block_on(async {
        let hosted = Hosted::start(Time::from_millis(1_000_000)).await?;
        let client = Client::new(hosted.address())?;
        let breaker = client.breaker("bench/upstream")?;
        guarded(&breaker, 1);
        client.flush(Duration::from_secs(5)).await;
        while breaker.status().is_none_or(|status| status.revision == 0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        anyhow::Ok((hosted, breaker))
    })?;
    Ok((runtime, hosted, breaker))
}

criterion_group!(all, benches);
criterion_main!(all);
