//! How much of an empty gRPC method's speed is left to Acquire: both are called in the same way,
//! the server on a thread of its own. How long a processor worked for the server is told beside it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use breaker_engine::SystemClock;
use breaker_proto::v1::AcquireRequest;
use breaker_tests::{Chance, start_in_memory};

use crate::cpu::Core;
use crate::figure::{Figure, Goal, Rounds};
use crate::{Pace, empty, load};

pub(crate) fn measure(pace: Pace) -> anyhow::Result<Vec<Figure>> {
    let (servers, clients) = (Core::start()?, Core::start()?);
    let empty = servers.runtime.block_on(empty::serve())?;
    let clock = Arc::new(SystemClock::start());
    let server = servers.runtime.block_on(start_in_memory(clock))?;
    let mut chance = Chance::of_test()?;
    let mut rate = |address: SocketAddr, request: AcquireRequest| {
        let duration = Duration::from_secs(pace.seconds);
        let before = servers.worked()?;
        let calls = load::acquire(address, duration, chance.fork(), move |_| request.clone());
        let answered = clients.runtime.block_on(calls)?;
        let worked = servers.worked()? - before;
        anyhow::Ok((answered.rate(), worked.as_nanos() as f64 / answered.calls))
    };
    let asked = AcquireRequest { breaker: "bench/breaker".into(), client_id: "bench".into() };
    let mut rounds = Rounds::begin("Acquire", "an empty tonic method", "requests/s");
    for _ in 0..pace.rounds {
        let (nothing, its_cost) = rate(empty, AcquireRequest::default())?;
        let (acquire, cost) = rate(server.grpc_address(), asked.clone())?;
        rounds.add(nothing, acquire);
        eprintln!("{:>6} {its_cost:>9.0} ns {cost:>9.0} ns of the server a call", "");
    }
    servers.runtime.block_on(server.shut_down())?;
    Ok(vec![rounds.end(Some(Goal::RatioAtLeast(0.9)))])
}
