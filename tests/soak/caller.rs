//! Replicas: each has a connection, makes some calls, of which many fail, and is gone.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use breaker_proto::v1::{self, Outcome};
use breaker_tests::{Chance, Clients, acquire, run_of};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::names;
use crate::tally::{Deed, Tally};

/// Most calls of one replica.
const MAX_CALLS: u64 = 30;
/// A replica rests between its calls.
const REST: Duration = Duration::from_millis(10);
/// One call in so many is never reported: its replica died.
const LOST_ONE_IN: u64 = 8;

/// The ids under which replicas report. The server remembers 200,000 of them, and must not be seen
/// to grow by what it is meant to remember: they take turns, and never begin again at 1.
#[derive(Debug)]
pub(crate) struct Reporters {
    life: u64,
    sequences: [AtomicU64; 64],
}

impl Default for Reporters {
    fn default() -> Self {
        static LIVES: AtomicU64 = AtomicU64::new(0);
        let life = LIVES.fetch_add(1, Ordering::Relaxed);
        Self { life, sequences: std::array::from_fn(|_| AtomicU64::new(0)) }
    }
}

impl Reporters {
    /// One of them, and the number of its next report.
    fn next(&self, chance: &mut Chance) -> (String, u64) {
        let number = chance.below(self.sequences.len() as u64);
        let sequence = self.sequences[number as usize].fetch_add(1, Ordering::Relaxed) + 1;
        (format!("replica-{}-{number}", self.life), sequence)
    }
}

/// One replica after another.
pub(crate) async fn come_and_go(
    address: SocketAddr,
    mut chance: Chance,
    tally: Arc<Tally>,
    reporters: Arc<Reporters>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    while !stop.is_cancelled() {
        let mut clients = Clients::of(&address.to_string())?;
        tally.count(Deed::Connection);
        for _ in 0..=chance.below(MAX_CALLS) {
            call(&mut clients, &mut chance, &tally, &reporters).await?;
            sleep(REST).await;
        }
    }
    Ok(())
}

async fn call(
    clients: &mut Clients,
    chance: &mut Chance,
    tally: &Tally,
    reporters: &Reporters,
) -> anyhow::Result<()> {
    let breaker = names::called(chance);
    let answer = clients.breakers.acquire(acquire(&breaker)).await;
    let Some(leave) = tally.answer(Deed::Acquire, answer)? else { return Ok(()) };
    if !leave.allowed {
        tally.count(Deed::Denied);
        return Ok(());
    }
    if leave.permit.is_some() {
        tally.count(Deed::Probe);
    }
    if chance.one_in(LOST_ONE_IN) {
        return Ok(());
    }
    let outcome = if chance.one_in(2) { Outcome::Failure } else { Outcome::Success };
    let permit_id = leave.permit.map_or(0, |permit| permit.id);
    let runs = vec![v1::Run { permit_id, ..run_of(outcome, 1) }];
    let report = v1::BreakerReport { breaker, generation: leave.generation, runs, late: false };
    let (reporter_id, sequence) = reporters.next(chance);
    let request = v1::ReportRequest { reporter_id, sequence, reports: vec![report] };
    tally.answer(Deed::Report, clients.breakers.report(request).await)?;
    Ok(())
}
