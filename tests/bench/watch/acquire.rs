//! Acquire at half of its top rate, alone, and beside many streams and many transitions.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::ensure;
use breaker_engine::SystemClock;
use breaker_proto::v1::{self, Outcome};
use breaker_tests::{Clients, Flood, run_of, selecting, start_in_memory};
use hdrhistogram::Histogram;
use tokio::runtime::Runtime;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::percentile::{median, millis};
use super::streams::{Shape, Streams};
use crate::clock;
use crate::figure::{Figure, Goal};
use crate::runtimes::{CALLERS, SERVER, one_thread_on};

const SHAPE: Shape = Shape { connections: 100, streams_per_connection: 100 };
const CONNECTIONS: usize = 4;
/// On each connection in the measurement of the top rate.
const IN_FLIGHT: usize = 64;
/// At half of it; as many only wait for a server that cannot keep up.
const MOST_IN_FLIGHT: usize = 1_000;
/// What comes before is not counted.
const WARM_UP: Duration = Duration::from_millis(500);
const TOP_RATE_FOR: Duration = Duration::from_secs(3);
const ROUND: Duration = Duration::from_secs(4);
/// How long a server needs to see that the streams of a turn are gone.
const REST: Duration = Duration::from_millis(500);
/// The one that calls ask for.
const BREAKER: &str = "bench/breaker";
const TRANSITIONS_PER_SECOND: u32 = 1_000;
/// Breakers that change; as many as half of a second's transitions, so that each changes twice.
const CHANGING: u32 = 500;
/// One transition in so many is of a breaker that is watched.
const WATCHED_ONE_IN: u32 = 100;
/// Breakers that are watched, each by as many streams.
const WATCHED: usize = 100;

/// The p99 of Acquire.
pub(crate) fn measure(rounds: usize) -> anyhow::Result<Vec<Figure>> {
    let servers = one_thread_on(0, SERVER)?;
    // Whoever calls and whoever reads take turns by themselves, not when the kernel thinks fit.
    let clients = one_thread_on(1, CALLERS)?;
    let server = servers.block_on(start_in_memory(Arc::new(SystemClock::start())))?;
    let address = server.grpc_address();
    let mut admin = clients.block_on(async { Clients::of(&address.to_string()) })?;
    clients.block_on(create_breakers(&mut admin))?;
    let top = clients.block_on(clients.spawn(top_rate(address)))??;

    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        alone.push(p99(&clients, address, top / 2.0)?);
        let stop = CancellationToken::new();
        let mut streams = clients
            .block_on(Streams::open(address, SHAPE, |stream| vec![watched(stream % WATCHED)]))?;
        let changes = clients.spawn(change(admin.clone(), stop.clone()));
        beside.push(p99(&clients, address, top / 2.0)?);
        stop.cancel();
        let changed = clients.block_on(changes)??;
        let wanted = f64::from(TRANSITIONS_PER_SECOND) * ROUND.as_secs_f64();
        ensure!(f64::from(changed) >= wanted, "only {changed} of {wanted} transitions were made");
        clients.block_on(close_all(&mut admin))?;
        streams.check()?;
        drop(streams);
        thread::sleep(REST);
        eprintln!(
            "at {:.0}/s: p99 {:?} alone, {:?} beside",
            top / 2.0,
            alone.last().unwrap_or(&Duration::ZERO),
            beside.last().unwrap_or(&Duration::ZERO)
        );
    }
    servers.block_on(server.shut_down())?;
    Ok(vec![
        Figure::new("Acquire at its top rate", top, "calls/s"),
        Figure::new(
            "Acquire at half of its top rate, beside 10,000 streams and 1,000 transitions/s, p99",
            millis(median(&beside)),
            "ms",
        )
        .beside("alone", millis(median(&alone)))
        .with(Goal::RatioAtMost(2.0)),
    ])
}

fn watched(number: usize) -> String {
    format!("bench/watched-{number}")
}

fn changing(number: u32) -> String {
    format!("bench/changing-{number}")
}

async fn create_breakers(clients: &mut Clients) -> anyhow::Result<()> {
    let names = (0..WATCHED).map(watched).chain((0..CHANGING).map(changing));
    let report = |breaker| {
        let runs = vec![run_of(Outcome::Success, 1)];
        v1::BreakerReport { breaker, generation: 0, runs, late: false }
    };
    let reports = names.map(report).collect();
    clients.breakers.report(v1::ReportRequest { reports, ..Default::default() }).await?;
    Ok(())
}

/// Makes all breakers what they were at first.
async fn close_all(clients: &mut Clients) -> anyhow::Result<()> {
    clients.admin.reset(v1::ResetRequest { target: selecting("bench/*") }).await?;
    Ok(())
}

/// Calls that are answered in a second if none waits for anything but an answer.
async fn top_rate(address: SocketAddr) -> anyhow::Result<f64> {
    let mut flood = Flood::start(&address.to_string(), BREAKER, CONNECTIONS, IN_FLIGHT).await?;
    sleep(WARM_UP).await;
    let (begun, before) = (clock::now(), flood.answered());
    sleep(TOP_RATE_FOR).await;
    flood.check()?;
    Ok((flood.answered() - before) as f64 / begun.elapsed().as_secs_f64())
}

fn p99(clients: &Runtime, address: SocketAddr, per_second: f64) -> anyhow::Result<Duration> {
    let latencies = clients.block_on(clients.spawn(latencies(address, per_second)))??;
    let wanted = per_second * ROUND.as_secs_f64();
    let answered = latencies.len() as f64;
    ensure!(answered > 0.98 * wanted, "{answered} of {wanted:.0} calls were answered");
    Ok(Duration::from_nanos(latencies.value_at_percentile(99.0)))
}

async fn latencies(address: SocketAddr, per_second: f64) -> anyhow::Result<Histogram<u64>> {
    let address = address.to_string();
    let mut flood =
        Flood::start_at(&address, BREAKER, CONNECTIONS, MOST_IN_FLIGHT, per_second).await?;
    sleep(WARM_UP).await;
    flood.take_latencies();
    sleep(ROUND).await;
    flood.check()?;
    Ok(flood.take_latencies())
}

/// Trips and resets breakers in turns, at an even rate, until told to stop; returns how often.
async fn change(clients: Clients, stop: CancellationToken) -> anyhow::Result<u32> {
    let mut ticks = interval(Duration::from_secs(1) / TRANSITIONS_PER_SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut changes = tokio::task::JoinSet::new();
    let mut number = 0;
    loop {
        ticks.tick().await;
        if stop.is_cancelled() {
            break;
        }
        let (turn, place) = (number / CHANGING, number % CHANGING);
        let is_watched = number % WATCHED_ONE_IN == 0;
        let (name, is_open) = if is_watched {
            let turn = number / WATCHED_ONE_IN;
            (watched(turn as usize % WATCHED), turn / WATCHED as u32 % 2 == 1)
        } else {
            (changing(place), turn % 2 == 1)
        };
        let mut clients = clients.clone();
        changes.spawn(async move {
            let target = selecting(&name);
            if is_open {
                clients.admin.reset(v1::ResetRequest { target }).await?;
            } else {
                clients.admin.trip(v1::TripRequest { target }).await?;
            }
            anyhow::Ok(())
        });
        while let Some(changed) = changes.try_join_next() {
            changed??;
        }
        number += 1;
    }
    while let Some(changed) = changes.join_next().await {
        changed??;
    }
    Ok(number)
}
