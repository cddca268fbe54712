//! 10,000 subscribers after a restart of the real `breakerd` on its database: how long until all of
//! them are in sync again, and how Acquire fares meanwhile.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use breaker_proto::v1::{self, Outcome};
use breaker_tests::{Clients, Daemon, RawConnection, acquire, free_port, run_of};
use bytes::Bytes;
use futures::future::try_join_all;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::percentile::{millis, percentile};
use super::streams::Shape;
use crate::clock;
use crate::figure::{Figure, Goal};
use crate::runtimes::{CALLERS, READERS, one_thread};

const SHAPE: Shape = Shape { connections: 100, streams_per_connection: 100 };
const BREAKERS: usize = 1_000;
const NAMES_OF_A_STREAM: usize = 10;
/// A client that found nobody tries again after this.
const AGAIN_AFTER: Duration = Duration::from_millis(50);
/// A call is due so often.
const CALL_EVERY: Duration = Duration::from_millis(2);
/// Nobody waits longer for anything.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the server is away, beside the time that it takes to start.
const AWAY: Duration = Duration::from_millis(500);
/// How long calls are made before the server goes.
const BEFORE: Duration = Duration::from_secs(1);

/// From when the server listens again.
pub(crate) fn measure() -> anyhow::Result<Vec<Figure>> {
    let (readers, callers) = (one_thread(READERS)?, one_thread(CALLERS)?);
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("breakerd.db");
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let daemon = start(&database, address)?;
    readers.block_on(async { create_breakers(&mut daemon.clients()?).await })?;

    let gathering = Arc::new(Gathering::default());
    let mut subscribers = JoinSet::new();
    for number in 0..SHAPE.connections {
        let subscriber = subscribe(address, number, Arc::clone(&gathering));
        subscribers.spawn_on(subscriber, readers.handle());
    }
    readers.block_on(gathering.all_in_sync())?;
    let calls = Arc::new(Mutex::new(Vec::new()));
    let mut caller = JoinSet::new();
    caller.spawn_on(call(address, Arc::clone(&calls)), callers.handle());
    thread::sleep(BEFORE);

    gathering.in_sync.store(0, Ordering::Relaxed);
    daemon.kill()?;
    thread::sleep(AWAY);
    let daemon = start(&database, address)?;
    let listening = clock::now();
    readers.block_on(gathering.all_in_sync())?;
    let in_sync = clock::now();
    thread::sleep(BEFORE);

    let calls = calls.lock().clone();
    let meanwhile: Vec<_> =
        calls.iter().filter(|call| call.due >= listening && call.due < in_sync).collect();
    let failed = meanwhile.iter().filter(|call| !call.is_answered).count();
    let p99 = percentile(meanwhile.iter().map(|call| call.took), 99.0)?;
    if let Some(ended) = subscribers.try_join_next() {
        ended??;
    }
    ensure!(daemon.terminate()?.success(), "the server did not end well");
    let took = in_sync.saturating_duration_since(listening);
    Ok(vec![
        Figure::new("10,000 streams in sync after a restart", took.as_secs_f64(), "s")
            .with(Goal::AtMost(5.0)),
        Figure::new("Acquire until they are, p99", millis(p99), "ms"),
        Figure::new("Acquire until they are, calls", meanwhile.len() as f64, "calls"),
        Figure::new("Acquire until they are, failed", failed as f64, "calls"),
    ])
}

fn start(database: &Path, address: SocketAddr) -> anyhow::Result<Daemon> {
    Daemon::start_with(database, [format!("--listen={address}")])
}

fn name(number: usize) -> String {
    format!("bench/dependency-{}", number % BREAKERS)
}

async fn create_breakers(clients: &mut Clients) -> anyhow::Result<()> {
    let report = |number| v1::BreakerReport {
        breaker: name(number),
        generation: 0,
        runs: vec![run_of(Outcome::Success, 1)],
        late: false,
    };
    let reports = (0..BREAKERS).map(report).collect();
    clients.breakers.report(v1::ReportRequest { reports, ..Default::default() }).await?;
    Ok(())
}

/// How many streams are in sync.
#[derive(Default)]
struct Gathering {
    in_sync: AtomicUsize,
    all: Notify,
}

impl Gathering {
    fn add(&self) {
        if self.in_sync.fetch_add(1, Ordering::Relaxed) + 1 == SHAPE.streams() {
            self.all.notify_one();
        }
    }

    async fn all_in_sync(&self) -> anyhow::Result<()> {
        let waited = timeout(PATIENCE, self.all.notified()).await;
        let count = self.in_sync.load(Ordering::Relaxed);
        waited.with_context(|| format!("{count} streams are in sync after {PATIENCE:?}"))
    }
}

/// The streams of one connection, which is made again when it is cut, and goes on from its tokens.
async fn subscribe(
    address: SocketAddr,
    number: usize,
    gathering: Arc<Gathering>,
) -> anyhow::Result<()> {
    let tokens: Vec<Mutex<Bytes>> =
        (0..SHAPE.streams_per_connection).map(|_| Mutex::default()).collect();
    loop {
        if let Ok(connection) = RawConnection::open(address).await {
            let streams = tokens.iter().enumerate().map(|(stream, token)| {
                let first = number * SHAPE.streams_per_connection + stream;
                follow(&connection, first, token, &gathering)
            });
            // They end with the connection.
            let _: anyhow::Result<Vec<()>> = try_join_all(streams).await;
        }
        sleep(AGAIN_AFTER).await;
    }
}

async fn follow(
    connection: &RawConnection,
    first: usize,
    token: &Mutex<Bytes>,
    gathering: &Gathering,
) -> anyhow::Result<()> {
    let selectors = (first..first + NAMES_OF_A_STREAM).map(name).collect();
    let known = token.lock().clone();
    let mut messages = connection.watch(selectors, known).await?;
    loop {
        let message = messages.next().await?;
        *token.lock() = message.token;
        if message.is_complete {
            gathering.add();
        }
    }
}

/// One Acquire.
#[derive(Clone, Copy, Debug)]
struct Call {
    due: Instant,
    took: Duration,
    is_answered: bool,
}

/// Calls at an even rate, whether or not those before them were answered.
async fn call(address: SocketAddr, calls: Arc<Mutex<Vec<Call>>>) -> anyhow::Result<()> {
    let clients = Clients::of(&address.to_string())?;
    let mut ticks = interval(CALL_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut under_way = JoinSet::new();
    loop {
        let due = ticks.tick().await.into_std();
        let (mut clients, calls) = (clients.clone(), Arc::clone(&calls));
        under_way.spawn(async move {
            let answer = timeout(PATIENCE, clients.breakers.acquire(acquire(&name(0)))).await;
            let took = clock::now().saturating_duration_since(due);
            calls.lock().push(Call { due, took, is_answered: matches!(answer, Ok(Ok(_))) });
        });
        while let Some(ended) = under_way.try_join_next() {
            ended?;
        }
    }
}
