//! What replicas do all day, many at a time.

use std::sync::Arc;
use std::time::Duration;

use breaker_core::Time;
use breaker_proto::v1::{self, Outcome};
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tonic::Status;

use crate::requests::{acquire, create, run_of};
use crate::{Chance, Clients, clock};

/// Breakers that live by themselves, apart from what admins do to all of them.
pub const BREAKERS: u64 = 12;
/// Breakers that are deleted again and again, and created by whoever asks for them next.
const FLEETING: u64 = 3;
/// Callers, each with a connection of its own.
const CALLERS: usize = 4;
/// Most calls of one caller.
const MAX_CALLS: usize = 20_000;
/// A caller rests between its calls, so that they measure the server and not the machine.
const REST: Duration = Duration::from_millis(3);
/// A caller rests longer after an error: its server may be gone.
const REST_AFTER_ERROR: Duration = Duration::from_millis(15);
/// Nobody waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How one Acquire or Report went.
#[derive(Clone, Debug)]
pub struct Call {
    /// When it was sent.
    pub sent: Time,
    /// How long it took.
    pub took: Duration,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// Callers at work. They end when this is dropped.
#[derive(Debug)]
pub struct Load {
    calls: Arc<Mutex<Vec<Call>>>,
    _callers: JoinSet<()>,
}

/// The name of one of the breakers that live by themselves.
pub fn lasting(number: u64) -> String {
    format!("auto/{number:02}")
}

/// Creates the breakers that live by themselves: they open and half-open within a fraction of a
/// second.
///
/// # Errors
/// If the server does not do it durably.
pub async fn create_lasting(clients: &mut Clients) -> anyhow::Result<()> {
    let millis = |millis| Some(prost_types::Duration { seconds: 0, nanos: millis * 1_000_000 });
    for number in 0..BREAKERS {
        let config = v1::BreakerConfig {
            failure_threshold: Some(3),
            open_duration: millis(100 + 20 * number as i32),
            // Also for how long a permit that was lost with its caller is out.
            call_timeout: millis(250),
            ..Default::default()
        };
        let created = clients.admin.create_breaker(create(&lasting(number), config)).await?;
        anyhow::ensure!(created.into_inner().durable, "{} is not durable", lasting(number));
    }
    Ok(())
}

impl Load {
    /// Sets the callers to work on whichever of some servers serves.
    ///
    /// # Errors
    /// If an address is none.
    pub fn start(addresses: &[String], chance: &mut Chance) -> anyhow::Result<Self> {
        let calls = Arc::default();
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let servers =
                addresses.iter().map(|a| Clients::of(a)).collect::<Result<Vec<_>, _>>()?;
            callers.spawn(call(servers, chance.fork(), Arc::clone(&calls)));
        }
        Ok(Self { calls, _callers: callers })
    }

    /// The calls that were sent from one time to another, and have ended.
    pub fn calls(&self, from: Time, to: Time) -> Vec<Call> {
        let calls = self.calls.lock();
        calls.iter().filter(|call| call.sent >= from && call.sent < to).cloned().collect()
    }
}

/// The time within which 99 of 100 calls were answered.
pub fn p99(calls: &[Call]) -> Duration {
    let mut took: Vec<_> = calls.iter().map(|call| call.took).collect();
    took.sort_unstable();
    took.get(took.len() * 99 / 100).copied().unwrap_or_default()
}

async fn call(mut servers: Vec<Clients>, mut chance: Chance, calls: Arc<Mutex<Vec<Call>>>) {
    let mut first = 0;
    for _ in 0..MAX_CALLS {
        let Some(clients) = servers.get_mut(first) else { return };
        if call_once(clients, &mut chance, &calls).await.is_err() {
            first = (first + 1) % servers.len();
            sleep(REST_AFTER_ERROR).await;
        }
        sleep(REST).await;
    }
}

async fn call_once(
    clients: &mut Clients,
    chance: &mut Chance,
    calls: &Mutex<Vec<Call>>,
) -> Result<(), Status> {
    let name = match chance.one_in(10) {
        true => format!("fleeting/{}", chance.below(FLEETING)),
        false => lasting(chance.below(BREAKERS)),
    };
    let answer = measured(clients.breakers.acquire(acquire(&name)), calls).await?;
    // One in eight never comes back: its permit expires.
    if !answer.allowed || chance.one_in(8) {
        return Ok(());
    }
    let outcome = if chance.one_in(2) { Outcome::Failure } else { Outcome::Success };
    let permit_id = answer.permit.map_or(0, |permit| permit.id);
    let run = v1::Run { permit_id, ..run_of(outcome, 1) };
    let report = v1::BreakerReport {
        breaker: name,
        generation: answer.generation,
        runs: vec![run],
        late: false,
    };
    let request = v1::ReportRequest { reports: vec![report], ..Default::default() };
    measured(clients.breakers.report(request), calls).await.map(|_| ())
}

async fn measured<T>(
    request: impl Future<Output = Result<tonic::Response<T>, Status>>,
    calls: &Mutex<Vec<Call>>,
) -> Result<T, Status> {
    let sent = clock::now();
    let answered = tokio::time::timeout(PATIENCE, request).await;
    let answer =
        answered.unwrap_or_else(|_| Err(Status::deadline_exceeded(format!("{PATIENCE:?}"))));
    let (took, error) = (clock::now().since(sent), answer.as_ref().err().map(ToString::to_string));
    calls.lock().push(Call { sent, took, error });
    answer.map(tonic::Response::into_inner)
}

/// Deletes one of the fleeting breakers, if it is there.
///
/// # Errors
/// What the server says otherwise.
pub async fn delete_fleeting(clients: &mut Clients, chance: &mut Chance) -> Result<(), Status> {
    let name = format!("fleeting/{}", chance.below(FLEETING));
    let request = v1::DeleteBreakerRequest { name, ..Default::default() };
    match clients.admin.delete_breaker(request).await {
        Err(status) if status.code() != tonic::Code::NotFound => Err(status),
        Ok(_) | Err(_) => Ok(()),
    }
}
