//! Calls by many workers at once, each of which makes one after another.
//!
//! In a closed loop a worker goes on when its last call has ended. In an open loop a thread hands
//! out turns when calls are due (see `pacer`), and whichever worker is free takes one; with all of
//! them busy calls begin late, and their latency counts from when they were due all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tonic::{Code, Status};

use super::interrupt::Interrupt;
use super::mix::{Call, Mix, Reporter};
use super::pacer;
use super::progress::{self, Progress};
use super::schedule::Schedule;
use super::statistics::{Ending, Statistics};
use crate::clock;
use crate::connection::{Leader, Service};

/// How many statistics there are for all workers: few enough that their memory is small, and many
/// enough that workers seldom wait for one another.
const LANES: usize = 16;
/// A call that begins so much later than it was due is late.
const LATE: Duration = Duration::from_millis(1);
/// How long a worker of a closed loop waits after a call that failed: a server that is away must not
/// make it spin.
const PAUSE: Duration = Duration::from_millis(10);

/// What a load is.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) mix: Mix,
    pub(super) schedule: Schedule,
    /// How many calls are in flight on each connection.
    pub(super) in_flight: u64,
    /// How long one call may take, and how long calls that were due may still be made at the end.
    pub(super) timeout: Duration,
}

/// What became of it.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) acquire: Statistics,
    pub(super) report: Statistics,
    /// Calls that were due and never made, because too many others were in flight; `None` in a
    /// closed loop.
    pub(super) unsent: Option<u64>,
    pub(super) measured_time: Duration,
}

/// What workers share.
pub(super) struct Shared {
    plan: Plan,
    is_closed_loop: bool,
    /// Calls that are due and have not begun.
    turns: Semaphore,
    handed_out: AtomicU64,
    begun: AtomicU64,
    answered: AtomicU64,
    is_stopped: AtomicBool,
    lanes: Vec<Lane>,
}

/// What became of the calls of some of the workers.
struct Lane {
    acquire: Mutex<Statistics>,
    report: Mutex<Statistics>,
}

/// A call to make.
struct Turn {
    number: u64,
    due: Option<Instant>,
}

/// Makes the calls, and waits until all of them have ended.
pub(super) async fn run(
    plan: Plan,
    connections: &[Leader],
    interrupt: &Interrupt,
) -> anyhow::Result<Outcome> {
    let (schedule, deadline) = (plan.schedule, plan.schedule.end() + plan.timeout);
    let in_flight = plan.in_flight;
    let shared = Arc::new(Shared::new(plan)?);
    let mut tasks = JoinSet::new();
    let workers = connections.iter().flat_map(|leader| (0..in_flight).map(|_| leader.service()));
    for (number, service) in workers.enumerate() {
        tasks.spawn(work(Arc::clone(&shared), service, number));
    }
    if !shared.is_closed_loop {
        let (shared, workers) = (Arc::clone(&shared), tasks.len());
        tasks.spawn_blocking(move || pacer::pace(&shared, workers));
    }
    let mut progress = Progress::new();
    let mut shown = 0;
    let mut ended = schedule.end();
    loop {
        let is_running = !shared.is_stopped();
        tokio::select! {
            joined = tasks.join_next() => match joined {
                Some(joined) => joined?,
                None => break,
            },
            () = interrupt.first(), if is_running => {
                ended = clock::now();
                shared.stop();
            }
            () = sleep_until(deadline), if is_running => shared.stop(),
            () = progress.due() => {
                let answered = shared.answered.load(Ordering::Relaxed);
                progress.show(progress::of_calls(&schedule, clock::now(), answered - shown));
                shown = answered;
            }
        }
    }
    shared.outcome(ended)
}

impl Shared {
    fn new(plan: Plan) -> anyhow::Result<Self> {
        let statistics = || Statistics::new().map(Mutex::new);
        let lanes = (0..LANES).map(|_| Ok(Lane { acquire: statistics()?, report: statistics()? }));
        Ok(Self {
            is_closed_loop: plan.schedule.count() == 0,
            plan,
            turns: Semaphore::new(0),
            handed_out: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            is_stopped: AtomicBool::new(false),
            lanes: lanes.collect::<anyhow::Result<_>>()?,
        })
    }

    pub(super) const fn schedule(&self) -> &Schedule {
        &self.plan.schedule
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }

    /// Lets no more calls begin.
    fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
        self.turns.close();
    }

    /// Lets so many more calls begin.
    pub(super) fn hand_out(&self, turns: u64) {
        self.handed_out.fetch_add(turns, Ordering::Relaxed);
        self.turns.add_permits(usize::try_from(turns).unwrap_or(0));
    }

    /// Sends workers home who find no more turns.
    pub(super) fn dismiss(&self, workers: usize) {
        self.turns.add_permits(workers);
    }

    /// The next call; `None` once there are no more.
    async fn turn(&self) -> Option<Turn> {
        if self.is_closed_loop {
            if self.is_stopped() || clock::now() >= self.schedule().end() {
                return None;
            }
            let number = self.begun.fetch_add(1, Ordering::Relaxed);
            return Some(Turn { number, due: None });
        }
        self.turns.acquire().await.ok()?.forget();
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let due = self.schedule().due(number);
        (number < self.schedule().count()).then_some(Turn { number, due })
    }

    /// Takes a call that has just ended.
    fn record(&self, statistics: &Mutex<Statistics>, turn: &Turn, sent: Instant, ending: Ending) {
        let ended = clock::now();
        if !matches!(ending, Ending::Failed(_)) {
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
        let since = turn.due.unwrap_or(sent);
        if self.schedule().is_measured(since) {
            let mut statistics = statistics.lock();
            statistics.record(ending, ended.duration_since(since), ended.duration_since(sent));
            statistics.late += u64::from(sent.duration_since(since) > LATE);
        }
    }

    fn outcome(&self, ended: Instant) -> anyhow::Result<Outcome> {
        let (mut acquire, mut report) = (Statistics::new()?, Statistics::new()?);
        for lane in &self.lanes {
            acquire.add(&lane.acquire.lock())?;
            report.add(&lane.report.lock())?;
        }
        let unsent = self.begun.load(Ordering::Relaxed)..self.handed_out.load(Ordering::Relaxed);
        let unsent = (!self.is_closed_loop).then(|| self.schedule().count_measured(unsent));
        let measured_time = self.schedule().measured_time(ended);
        Ok(Outcome { acquire, report, unsent, measured_time })
    }
}

async fn work(shared: Arc<Shared>, mut service: Service, worker: usize) {
    let plan = &shared.plan;
    let lane = &shared.lanes[worker % LANES];
    let id = format!("{}-{worker}", plan.mix.reporter_id);
    let mut reporter = Reporter { id, sequence: 0 };
    while let Some(turn) = shared.turn().await {
        let call = plan.mix.call(turn.number, &mut reporter);
        let statistics = match call {
            Call::Acquire(_) => &lane.acquire,
            Call::Report(_) => &lane.report,
        };
        let sent = clock::now();
        let ending = timeout(plan.timeout, make(&mut service, call)).await;
        let ending = ending.unwrap_or(Ending::Failed(Code::DeadlineExceeded));
        shared.record(statistics, &turn, sent, ending);
        if shared.is_closed_loop && matches!(ending, Ending::Failed(_)) {
            sleep(PAUSE).await;
        }
    }
}

async fn make(service: &mut Service, call: Call) -> Ending {
    let failed = |status: Status| Ending::Failed(status.code());
    match call {
        Call::Acquire(request) => match service.acquire(request).await {
            Ok(answer) if answer.get_ref().allowed => Ending::Answered,
            Ok(_) => Ending::Denied,
            Err(status) => failed(status),
        },
        Call::Report(request) => {
            service.report(request).await.map_or_else(failed, |_| Ending::Answered)
        }
    }
}
