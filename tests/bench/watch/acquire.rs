//! Acquire at half of its top rate, alone, and beside many streams and many transitions.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::ensure;
use breaker_engine::SystemClock;
use breaker_proto::v1::breaker_service_client::BreakerServiceClient;
use breaker_proto::v1::{self, AcquireRequest, Outcome};
use breaker_tests::{Chance, Clients, run_of, selecting, start_in_memory};
use tokio::runtime::Runtime;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use super::pace;
use super::percentile::{median, millis};
use super::runtimes::{CALLERS, READERS, SERVER, one_thread};
use super::streams::{Shape, Streams};
use crate::figure::{Figure, Goal};
use crate::load;

const SHAPE: Shape = Shape { connections: 100, streams_per_connection: 100 };
/// As in the measurement of the top rate.
const CONNECTIONS: usize = 4;
const TOP_RATE_FOR: Duration = Duration::from_secs(3);
const ROUND: Duration = Duration::from_secs(4);
/// How long a server needs to see that the streams of a turn are gone.
const REST: Duration = Duration::from_millis(500);
const TRANSITIONS_PER_SECOND: u32 = 1_000;
/// Breakers that change; as many as half of a second's transitions, so that each changes twice.
const CHANGING: u32 = 500;
/// One transition in so many is of a breaker that is watched.
const WATCHED_ONE_IN: u32 = 100;
/// Breakers that are watched, each by as many streams.
const WATCHED: usize = 100;

/// The p99 of Acquire.
pub(crate) fn measure(rounds: usize) -> anyhow::Result<Vec<Figure>> {
    let (servers, readers) = (one_thread(SERVER)?, one_thread(READERS)?);
    let callers = one_thread(CALLERS)?;
    let server = servers.block_on(start_in_memory(Arc::new(SystemClock::start())))?;
    let address = server.grpc_address();
    let mut clients = readers.block_on(async { Clients::of(&address.to_string()) })?;
    readers.block_on(create_breakers(&mut clients))?;
    let top = callers
        .block_on(load::acquire(address, TOP_RATE_FOR, Chance::of_test()?, |_| asked()))?
        .rate();

    let channels = callers.block_on(channels(address))?;
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        alone.push(p99(&callers, &channels, top / 2.0)?);
        let stop = CancellationToken::new();
        let mut streams = readers
            .block_on(Streams::open(address, SHAPE, |stream| vec![watched(stream % WATCHED)]))?;
        let changes = readers.spawn(change(clients.clone(), stop.clone()));
        beside.push(p99(&callers, &channels, top / 2.0)?);
        stop.cancel();
        readers.block_on(changes)??;
        readers.block_on(close_all(&mut clients))?;
        streams.check()?;
        drop(streams);
        thread::sleep(REST);
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

fn asked() -> AcquireRequest {
    AcquireRequest { breaker: "bench/breaker".into(), client_id: "bench".into() }
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

async fn channels(address: SocketAddr) -> anyhow::Result<Vec<BreakerServiceClient<Channel>>> {
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        let channel = Endpoint::from_shared(format!("http://{address}"))?.connect().await?;
        channels.push(BreakerServiceClient::new(channel));
    }
    Ok(channels)
}

fn p99(
    callers: &Runtime,
    channels: &[BreakerServiceClient<Channel>],
    per_second: f64,
) -> anyhow::Result<Duration> {
    let mut turns = channels.iter().cycle();
    let pace = pace::keep(callers.handle(), per_second, ROUND, || {
        let channel = turns.next().cloned();
        async move {
            if let Some(mut channel) = channel {
                channel.acquire(asked()).await?;
            }
            Ok(())
        }
    })?;
    ensure!(pace.errors == 0, "{} calls failed", pace.errors);
    Ok(pace.p99())
}

/// Trips and resets breakers in turns, at an even rate, until told to stop.
async fn change(clients: Clients, stop: CancellationToken) -> anyhow::Result<()> {
    let mut ticks = interval(Duration::from_secs(1) / TRANSITIONS_PER_SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut changes = tokio::task::JoinSet::new();
    for number in 0.. {
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
    }
    while let Some(changed) = changes.join_next().await {
        changed??;
    }
    Ok(())
}
