//! Whether Acquire costs more the more breakers there are. The names are chosen by chance among all,
//! so that with a million of them each call finds its breaker in the memory and not in a cache: that
//! is all that should be left of the difference.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use breaker_engine::SystemClock;
use breaker_proto::v1::{AcquireRequest, BreakerReport, ReportRequest};
use breaker_tests::{Chance, Clients, start_in_memory};

use crate::cpu::{self, Core};
use crate::figure::{Figure, Goal, Rounds};
use crate::population::{Alone, Asked, engine_with, name};
use crate::{Pace, load};

const FEW: u64 = 1_000;
const MANY: u64 = 1_000_000;
/// Breakers that one Report makes.
const MADE_AT_ONCE: u64 = 10_000;
/// Calls of the engine in one round.
const CALLS: usize = 1_000_000;
const GOAL: Goal = Goal::RatioAtMost(1.2);

pub(crate) fn measure(pace: Pace) -> anyhow::Result<Vec<Figure>> {
    Ok(vec![through_grpc(pace)?, in_the_engine(pace)?])
}

fn through_grpc(pace: Pace) -> anyhow::Result<Figure> {
    let clients = Core::start()?;
    let mut chance = Chance::of_test()?;
    let start = |breakers| {
        let core = Core::start()?;
        let clock = Arc::new(SystemClock::start());
        let server = core.runtime.block_on(start_in_memory(clock))?;
        let address = server.grpc_address();
        clients.runtime.block_on(fill(address, breakers))?;
        core.settle()?;
        anyhow::Ok((core, server, address))
    };
    let (few, many) = (start(FEW)?, start(MANY)?);
    let mut cost = |core: &Core, address, breakers| {
        let duration = Duration::from_secs(pace.seconds);
        let request = move |chance: &mut Chance| AcquireRequest {
            breaker: name(chance.below(breakers)),
            client_id: String::new(),
        };
        let before = core.worked()?;
        let calls = load::acquire(address, duration, chance.fork(), request);
        let answered = clients.runtime.block_on(calls)?;
        anyhow::Ok((core.worked()? - before).as_nanos() as f64 / answered.calls)
    };
    let mut rounds = Rounds::begin(
        "Acquire through gRPC among 1,000,000 breakers",
        "among 1,000",
        "ns of the server a call",
    );
    for _ in 0..pace.rounds {
        let among_few = cost(&few.0, few.2, FEW)?;
        rounds.add(among_few, cost(&many.0, many.2, MANY)?);
    }
    for (core, server, _) in [few, many] {
        core.runtime.block_on(server.shut_down())?;
    }
    Ok(rounds.end(Some(GOAL)))
}

/// Makes so many breakers.
async fn fill(address: SocketAddr, breakers: u64) -> anyhow::Result<()> {
    let mut clients = Clients::of(&address.to_string())?;
    let numbers: Vec<_> = (0..breakers).collect();
    for numbers in numbers.chunks(MADE_AT_ONCE as usize) {
        let report = |&number| BreakerReport { breaker: name(number), ..BreakerReport::default() };
        let reports = numbers.iter().map(report).collect();
        clients.breakers.report(ReportRequest { reports, ..ReportRequest::default() }).await?;
    }
    Ok(())
}

fn in_the_engine(pace: Pace) -> anyhow::Result<Figure> {
    let mut chance = Chance::of_test()?;
    let (few, many) = (engine_with(FEW)?, engine_with(MANY)?);
    let mut cost = |alone: &Alone, breakers| {
        let asked = Asked::by_chance(breakers, CALLS, &mut chance);
        let before = cpu::of_this_thread()?;
        for name in asked.iter() {
            black_box(alone.engine.acquire(name)?);
        }
        anyhow::Ok((cpu::of_this_thread()? - before).as_nanos() as f64 / CALLS as f64)
    };
    let mut rounds =
        Rounds::begin("Acquire in the engine among 1,000,000 breakers", "among 1,000", "ns a call");
    for _ in 0..pace.rounds {
        let among_few = cost(&few, FEW)?;
        rounds.add(among_few, cost(&many, MANY)?);
    }
    Ok(rounds.end(Some(GOAL)))
}
