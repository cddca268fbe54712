//! Three times as many calls as the server can answer: what becomes of those that it lets through,
//! and of everybody else meanwhile. Server and flood share the machine.

use std::time::Duration;

use breaker_proto::v1::{ListBreakersRequest, State, WatchRequest};
use breaker_tests::{Clients, Daemon, Flood, acquire, create, eventually, selecting};
use tonic::Code;

use crate::cpu::{Core, of_process};
use crate::figure::{Figure, Goal, median};
use crate::{Pace, clock};

const CONNECTIONS: usize = 64;
/// In the measurement of what the server can answer: it is never without work, and nobody waits.
const FEW: usize = 8;
/// While there are too many: as many as the server lets one connection have.
const MANY: usize = 1_000;
const TIMES: f64 = 3.0;
const BREAKER: &str = "bench/flood";
const CALM: &str = "bench/calm";
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn measure(pace: Pace) -> anyhow::Result<Vec<Figure>> {
    let clients = Core::start()?;
    let seconds = pace.seconds.max(2) * 2;
    let runs = (0..pace.rounds).map(|_| clients.runtime.block_on(run(seconds)));
    let runs = runs.collect::<anyhow::Result<Vec<_>>>()?;
    let median = |figure: fn(&Run) -> f64| median(runs.iter().map(figure).collect());
    let name = "at 3 x of what the server can answer:";
    Ok(vec![
        Figure::new(
            &format!("{name} calls answered with a decision"),
            median(|r| r.decided),
            "calls/s",
        )
        .beside("at its limit", median(|r| r.capacity)),
        Figure::new(&format!("{name} an admin waits, at most"), median(|r| r.admin_ms), "ms")
            .with(Goal::AtMost(1_000.0)),
        Figure::new(&format!("{name} a watcher waits, at most"), median(|r| r.watcher_ms), "ms")
            .with(Goal::AtMost(1_000.0)),
        Figure::new("after it: until nothing is refused", median(|r| r.recovery_s), "s"),
    ])
}

struct Run {
    capacity: f64,
    decided: f64,
    admin_ms: f64,
    watcher_ms: f64,
    recovery_s: f64,
}

async fn run(seconds: u64) -> anyhow::Result<Run> {
    let server = Daemon::start_on("memory:", ["--log=warn"])?;
    let mut others = server.clients()?;
    others.breakers.acquire(acquire(BREAKER)).await?;
    others.admin.create_breaker(create(CALM, Default::default())).await?;
    let window = Duration::from_secs(seconds);

    let flood = Flood::start(&server.grpc, BREAKER, CONNECTIONS, FEW).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = (clock::now(), flood.answered());
    tokio::time::sleep(window).await;
    let answered = flood.answered() - before.1;
    let capacity = answered as f64 / before.0.elapsed().as_secs_f64();
    drop(flood);

    let mut flood =
        Flood::start_at(&server.grpc, BREAKER, CONNECTIONS, MANY, TIMES * capacity).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let watch = WatchRequest { selectors: vec![CALM.into()], ..Default::default() };
    let mut states = server.clients()?.breakers.watch(watch).await?.into_inner();
    let worked = of_process(server.process_id())?;
    let before = (clock::now(), allowed(&server)?);
    let (mut admin, mut watcher) = (Duration::ZERO, Duration::ZERO);
    while before.0.elapsed() < window {
        let asked = clock::now();
        others.admin.list_breakers(ListBreakersRequest::default()).await?;
        admin = admin.max(asked.elapsed());
        watcher = watcher.max(heard(&mut others, &mut states).await?);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let took = before.0.elapsed().as_secs_f64();
    let decided = (allowed(&server)? - before.1) as f64 / took;
    let worked = (of_process(server.process_id())? - worked).as_secs_f64() / took;
    flood.check()?;
    let refused = refused(&server)?;
    eprintln!(
        "can answer {capacity:.0}/s; of {:.0}/s it decides {decided:.0}/s with {worked:.2} processors \
         and has refused {refused} in all; an admin waits {admin:?} at most, a watcher {watcher:?}",
        TIMES * capacity
    );
    drop(flood);
    let recovery = eventually("nothing is refused", PATIENCE, async || {
        let answer = others.breakers.acquire(acquire(BREAKER)).await;
        let is_calm = server.gauge("breakerd_overload_refused_share")? == 0.0;
        match answer {
            Ok(_) => Ok(is_calm),
            Err(status) if status.code() == Code::ResourceExhausted => Ok(false),
            Err(status) => Err(status.into()),
        }
    })
    .await?;
    server.terminate()?;
    Ok(Run {
        capacity,
        decided,
        admin_ms: admin.as_secs_f64() * 1e3,
        watcher_ms: watcher.as_secs_f64() * 1e3,
        recovery_s: recovery.as_secs_f64(),
    })
}

/// How long it takes from a change until a watcher knows.
async fn heard(
    clients: &mut Clients,
    states: &mut tonic::Streaming<breaker_proto::v1::WatchResponse>,
) -> anyhow::Result<Duration> {
    let asked = clock::now();
    let mut wanted = State::Open;
    clients.admin.trip(breaker_proto::v1::TripRequest { target: selecting(CALM) }).await?;
    loop {
        let message = states.message().await?;
        let message = message.ok_or_else(|| anyhow::anyhow!("the stream has ended"))?;
        if !message.changed.iter().any(|state| state.state() == wanted) {
            continue;
        }
        if wanted == State::Closed {
            return Ok(asked.elapsed() / 2);
        }
        wanted = State::Closed;
        clients.admin.reset(breaker_proto::v1::ResetRequest { target: selecting(CALM) }).await?;
    }
}

fn allowed(server: &Daemon) -> anyhow::Result<u64> {
    server.metric("breakerd_acquires_total{decision=\"allowed\"}")
}

fn refused(server: &Daemon) -> anyhow::Result<u64> {
    server.metric("breakerd_refused_calls_total{reason=\"overload_acquire\"}")
}
