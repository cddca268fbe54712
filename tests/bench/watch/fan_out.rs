//! A change on its way to many streams, and what it costs the server, beside the naive server. The
//! streams of one are gone before the other has its turn.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use breaker_engine::SystemClock;
use breaker_proto::v1::{self, BreakerState};
use breaker_tests::{Clients, create, selecting, start_in_memory};
use breakerd::Server;
use tokio::runtime::Runtime;
use tokio::time::sleep;

use super::percentile::{median, millis, percentile};
use super::streams::{Shape, Streams};
use super::{cpu, naive};
use crate::clock;
use crate::figure::{Figure, Goal};
use crate::runtimes::{NAIVE, READERS, SERVER, one_thread};

const NAIVE_NAME: &str = "a naive broadcast";
const BREAKER: &str = "bench/watched";
/// In each turn; the first is not counted.
const CHANGES: usize = 10;
/// How long a server needs to see that the streams of a turn are gone.
const REST: Duration = Duration::from_millis(500);

/// To 10,000 streams on 100 connections.
pub(crate) fn to_streams(rounds: usize) -> anyhow::Result<Vec<Figure>> {
    let shape = Shape { connections: 100, streams_per_connection: 100 };
    let [real, naive] = compare(shape, rounds)?;
    Ok(vec![
        Figure::new("a change to 10,000 streams on 100 connections, p99", millis(real.p99()), "ms")
            .beside(NAIVE_NAME, millis(naive.p99()))
            .with(Goal::AtMost(50.0))
            .with(Goal::RatioAtMost(0.6)),
        Figure::new("a change to 10,000 streams, CPU of the server", millis(real.cpu()), "ms")
            .beside(NAIVE_NAME, millis(naive.cpu())),
    ])
}

/// To 1,000 connections with one stream each.
pub(crate) fn to_connections(rounds: usize) -> anyhow::Result<Vec<Figure>> {
    let shape = Shape { connections: 1_000, streams_per_connection: 1 };
    let [real, naive] = compare(shape, rounds)?;
    Ok(vec![
        Figure::new("a change to 1,000 connections, p99", millis(real.p99()), "ms")
            .beside(NAIVE_NAME, millis(naive.p99()))
            .with(Goal::AtMost(25.0)),
        Figure::new("a change to 1,000 connections, CPU of the server", millis(real.cpu()), "ms")
            .beside(NAIVE_NAME, millis(naive.cpu())),
    ])
}

/// What changes took.
#[derive(Default)]
struct Taken {
    p99: Vec<Duration>,
    cpu: Vec<Duration>,
}

impl Taken {
    fn p99(&self) -> Duration {
        median(&self.p99)
    }

    fn cpu(&self) -> Duration {
        median(&self.cpu)
    }
}

/// One of the servers, and who changes its breaker.
struct Side {
    thread: &'static str,
    address: SocketAddr,
    clients: Clients,
    is_open: bool,
    is_naive: bool,
    taken: Taken,
}

fn compare(shape: Shape, rounds: usize) -> anyhow::Result<[Taken; 2]> {
    let (servers, naives) = (one_thread(SERVER)?, one_thread(NAIVE)?);
    let readers = one_thread(READERS)?;
    let server = servers.block_on(start_in_memory(Arc::new(SystemClock::start())))?;
    let mut sides = readers.block_on(sides(&server, &naives))?;
    for _ in 0..rounds {
        for side in &mut sides {
            readers.block_on(side.turn(shape))?;
        }
    }
    servers.block_on(server.shut_down())?;
    Ok(sides.map(|side| side.taken))
}

async fn sides(server: &Server, naives: &Runtime) -> anyhow::Result<[Side; 2]> {
    let address = server.grpc_address();
    let mut clients = Clients::of(&address.to_string())?;
    clients.admin.create_breaker(create(BREAKER, v1::BreakerConfig::default())).await?;
    trip(&mut clients).await?;
    let open = shown(&mut clients).await?;
    reset(&mut clients).await?;
    let closed = shown(&mut clients).await?;
    let naive = naives.spawn(naive::serve([closed, open])).await??;
    let side = |thread, address: SocketAddr, is_naive| {
        let clients = Clients::of(&address.to_string())?;
        anyhow::Ok(Side {
            thread,
            address,
            clients,
            is_open: false,
            is_naive,
            taken: Taken::default(),
        })
    };
    Ok([side(SERVER, address, false)?, side(NAIVE, naive, true)?])
}

impl Side {
    async fn turn(&mut self, shape: Shape) -> anyhow::Result<()> {
        let selectors = |_| vec![BREAKER.to_owned()];
        let mut streams = Streams::open(self.address, shape, selectors)
            .await
            .with_context(|| format!("streams of {}", self.thread))?;
        for change in 0..CHANGES {
            let cpu = cpu::used_by(self.thread)?;
            let began = clock::now();
            let heard = streams.hear(self.change()).await?;
            let took = heard.into_iter().map(|at| at.saturating_duration_since(began));
            let p99 = percentile(took, 99.0)?;
            // The first change finds cold caches, and buffers that have not grown yet.
            if change > 0 {
                self.taken.p99.push(p99);
                self.taken.cpu.push(cpu::used_by(self.thread)?.saturating_sub(cpu));
            }
        }
        streams.check()?;
        drop(streams);
        sleep(REST).await;
        Ok(())
    }

    async fn change(&mut self) -> anyhow::Result<()> {
        if self.is_naive {
            self.clients.breakers.report(v1::ReportRequest::default()).await?;
        } else if self.is_open {
            reset(&mut self.clients).await?;
        } else {
            trip(&mut self.clients).await?;
        }
        self.is_open = !self.is_open;
        Ok(())
    }
}

async fn trip(clients: &mut Clients) -> anyhow::Result<()> {
    clients.admin.trip(v1::TripRequest { target: selecting(BREAKER) }).await?;
    Ok(())
}

async fn reset(clients: &mut Clients) -> anyhow::Result<()> {
    clients.admin.reset(v1::ResetRequest { target: selecting(BREAKER) }).await?;
    Ok(())
}

async fn shown(clients: &mut Clients) -> anyhow::Result<BreakerState> {
    let request = v1::GetBreakerRequest { name: BREAKER.to_owned() };
    let answer = clients.admin.get_breaker(request).await?.into_inner();
    answer.breaker.and_then(|breaker| breaker.state).context("a breaker has a state")
}
