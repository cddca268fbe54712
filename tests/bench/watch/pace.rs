//! Calls that are due at even times, whether or not those before them were answered. How long each
//! took is counted from when it was due, so that a server that hangs makes all of them late.

use std::future::Future;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use hdrhistogram::Histogram;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::clock;

/// Most calls that wait for their answers; more are a server that cannot keep up.
const MAX_UNDER_WAY: u32 = 50_000;
/// What comes before is not counted.
const WARM_UP: Duration = Duration::from_millis(500);

/// How the calls went.
#[derive(Debug)]
pub(crate) struct Pace {
    pub(crate) took: Histogram<u64>,
    pub(crate) errors: u64,
}

impl Pace {
    pub(crate) fn p99(&self) -> Duration {
        Duration::from_nanos(self.took.value_at_percentile(99.0))
    }
}

/// Makes so many calls a second for a while on the threads of `runtime`, and waits for the answers.
/// The calling thread keeps the time, and sleeps in between.
pub(crate) fn keep<C, F>(
    runtime: &Handle,
    per_second: f64,
    duration: Duration,
    mut call: C,
) -> anyhow::Result<Pace>
where
    C: FnMut() -> F,
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let pace = Arc::new(Mutex::new(Pace { took: Histogram::new(3)?, errors: 0 }));
    let under_way = Arc::new(Semaphore::new(MAX_UNDER_WAY as usize));
    let begun = clock::now();
    let count = (per_second * (WARM_UP + duration).as_secs_f64()) as u32;
    for number in 0..count {
        let due_after = Duration::from_secs_f64(f64::from(number) / per_second);
        let due = begun + due_after;
        wait_until(due);
        let permit = Arc::clone(&under_way).try_acquire_owned();
        let permit = permit.ok().with_context(|| format!("{MAX_UNDER_WAY} calls wait"))?;
        let (call, pace) = (call(), Arc::clone(&pace));
        runtime.spawn(async move {
            let answer = call.await;
            let took = clock::now().saturating_duration_since(due);
            if due_after >= WARM_UP {
                let mut pace = pace.lock();
                let noted = pace.took.record(took.as_nanos() as u64);
                pace.errors += u64::from(answer.is_err() || noted.is_err());
            }
            drop(permit);
        });
    }
    runtime.block_on(async {
        ensure!(under_way.acquire_many(MAX_UNDER_WAY).await.is_ok(), "the calls never end");
        Ok(())
    })?;
    let mut pace = pace.lock();
    let empty = Pace { took: Histogram::new(3)?, errors: 0 };
    Ok(std::mem::replace(&mut *pace, empty))
}

fn wait_until(due: Instant) {
    let left = due.saturating_duration_since(clock::now());
    if !left.is_zero() {
        thread::sleep(left);
    }
}
