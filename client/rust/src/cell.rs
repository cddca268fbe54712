//! What a client keeps of one breaker.
//!
//! Three words decide a call of a CLOSED breaker and count its success without a lock: whether
//! calls are simply allowed and under which generation, how short a call has to be to be nothing
//! special, and the lanes. Everything else lies behind the lock, and sets these words anew whenever
//! it changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use breaker_core::{BreakerName, ErrorKind, Outcome, PermitId};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::clock;
use crate::cold::Cold;
use crate::common::Common;
use crate::copy::Held;
use crate::lanes::{self, Lanes};
use crate::listeners::{Standing, Transition};
use crate::local::LocalLeave;
use crate::options::LocalGuard;
use crate::runs::Run;
use crate::state::ClientState;

/// One breaker.
#[derive(Debug)]
pub(crate) struct Cell {
    name: BreakerName,
    common: Arc<Common>,
    /// The generation, and in the lowest bit whether every call is simply allowed under it.
    leave: AtomicU64,
    /// A success shorter than this, in nanoseconds, is counted in a lane. 0: none is.
    plain_below: AtomicU64,
    /// In nanoseconds.
    call_timeout: AtomicU64,
    lanes: Lanes,
    /// There are outcomes to report.
    waits: AtomicBool,
    /// The application has asked for it, so that it is watched by name.
    is_wanted: AtomicBool,
    /// The selectors of the stream cover it: what the stream does not tell of it is not there.
    is_covered: AtomicBool,
    cold: Mutex<Cold>,
}

/// On whose leave a call is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Leave {
    /// The generation that the fleet's breaker had; 0 if it was not known.
    pub(crate) generation: u64,
    /// The server's permit, if the call is a probe.
    pub(crate) permit: Option<PermitId>,
    /// That of the breaker which decides while the server is away.
    pub(crate) local: Option<LocalLeave>,
    /// That of the guard beside the fleet's breaker.
    pub(crate) guard: Option<LocalLeave>,
}

/// How a call ended.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    pub(crate) outcome: Outcome,
    pub(crate) error_kind: Option<ErrorKind<'static>>,
    pub(crate) duration: Duration,
    pub(crate) ended_at: Instant,
}

impl Ending {
    /// One of a call that took no time.
    pub(crate) const fn of(outcome: Outcome, ended_at: Instant) -> Self {
        Self { outcome, error_kind: None, duration: Duration::ZERO, ended_at }
    }
}

impl Cell {
    pub(crate) fn new(name: BreakerName, common: Arc<Common>, client: ClientState) -> Self {
        let cell = Self {
            name,
            common,
            leave: AtomicU64::new(0),
            plain_below: AtomicU64::new(0),
            call_timeout: AtomicU64::new(0),
            lanes: Lanes::default(),
            waits: AtomicBool::new(false),
            is_wanted: AtomicBool::new(false),
            is_covered: AtomicBool::new(false),
            cold: Mutex::new(Cold::new(client, clock::credit())),
        };
        cell.settle(&cell.lock());
        cell
    }

    pub(crate) const fn name(&self) -> &BreakerName {
        &self.name
    }

    pub(crate) fn common(&self) -> &Common {
        &self.common
    }

    /// The generation under which every call is allowed just now, if it is.
    #[inline]
    pub(crate) fn allows(&self) -> Option<u64> {
        let leave = self.leave.load(Ordering::Acquire);
        (leave & 1 == 1).then_some(leave >> 1)
    }

    /// How long a call may take.
    #[inline]
    pub(crate) fn call_timeout(&self) -> Duration {
        Duration::from_nanos(self.call_timeout.load(Ordering::Relaxed))
    }

    /// Counts a success on the hot path. `false`: it has to be [`record`](Self::record)ed.
    #[inline]
    pub(crate) fn succeed(&self, generation: u64, duration: Duration) -> bool {
        let nanos = nanos(duration);
        let is_counted = nanos < self.plain_below.load(Ordering::Relaxed)
            && self.allows() == Some(generation)
            && self.lanes.add(generation, nanos);
        if is_counted {
            self.begin_to_wait();
        }
        is_counted
    }

    /// Notes that there is something to report.
    #[inline]
    pub(crate) fn begin_to_wait(&self) {
        // The order of this and of what was counted matters: see `Lanes::add`.
        if !self.waits.load(Ordering::SeqCst) && !self.waits.swap(true, Ordering::SeqCst) {
            self.common.outbox.begin_to_wait();
        }
    }

    /// Whether there is something to report; if so, it is about to be taken.
    pub(crate) fn ends_waiting(&self) -> bool {
        self.waits.load(Ordering::SeqCst) && self.waits.swap(false, Ordering::SeqCst)
    }

    /// Whether the application has asked for it.
    pub(crate) fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Relaxed)
    }

    /// Notes that the application has asked for it; whether that is news.
    pub(crate) fn want(&self) -> bool {
        !self.is_wanted.load(Ordering::Relaxed) && !self.is_wanted.swap(true, Ordering::Relaxed)
    }

    /// Whether the stream would tell of it.
    pub(crate) fn is_covered(&self) -> bool {
        self.is_covered.load(Ordering::Relaxed)
    }

    /// Notes that the stream tells of it from now on.
    pub(crate) fn cover(&self) {
        self.is_covered.store(true, Ordering::Relaxed);
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Cold> {
        self.cold.lock()
    }

    /// Sets what the copy holds. Returns how the breaker stands now and stood before, if it was
    /// held before and stood otherwise.
    pub(crate) fn hold(&self, cold: &mut Cold, held: Held) -> Option<Transition> {
        let before = cold.held.known().map(Standing::of);
        if held.generation() != cold.held.generation() {
            self.drain_lanes(cold, held.generation(), clock::now());
        }
        cold.held = held;
        cold.local = None;
        if matches!(self.common.options.local_guard, Some(LocalGuard::AsTheBreaker)) {
            cold.reconfigure_guard();
        }
        self.settle(cold);
        let after = cold.held.known().map(Standing::of);
        let (from, to) = (before?, after?);
        (from != to).then(|| Transition { breaker: self.name.clone(), from, to })
    }

    /// Follows the state of the client.
    pub(crate) fn follow(&self, client: ClientState) {
        let mut cold = self.lock();
        let generation = cold.held.generation();
        self.drain_lanes(&mut cold, generation, clock::now());
        cold.client = client;
        if client == ClientState::Ready {
            cold.local = None;
        }
        self.settle(&cold);
    }

    /// Records how a call ended.
    pub(crate) fn record(&self, leave: &Leave, ending: Ending) {
        let outbox = &self.common.outbox;
        let mut cold = self.lock();
        let outcome = match ending.outcome {
            Outcome::Success | Outcome::Failure if ending.duration > self.call_timeout() => {
                Outcome::Timeout
            }
            outcome => outcome,
        };
        cold.tell_local(leave, &ending, outcome);
        if self.common.is_closed() {
            return outbox.give_up(1);
        }
        let generation = cold.held.generation();
        self.drain_lanes(&mut cold, generation, ending.ended_at);
        let run = Run {
            generation: leave.generation,
            permit: leave.permit,
            outcome,
            error_kind: ending.error_kind.filter(|_| outcome.is_failure()),
            is_slow: cold.is_slow(ending.duration),
            count: 1,
            total: ending.duration,
            longest: ending.duration,
            began_at: ending.ended_at,
            ended_at: ending.ended_at,
        };
        let is_prompt = run.is_prompt() || cold.begins_a_breaker();
        self.push(&mut cold, run);
        drop(cold);
        self.begin_to_wait();
        if is_prompt {
            outbox.hurry();
        }
    }

    /// Takes the oldest runs, at most so many; whether there are more.
    pub(crate) fn take_runs(&self, most: usize, now: Instant) -> (Vec<Run>, bool) {
        let mut cold = self.lock();
        let generation = cold.held.generation();
        self.drain_lanes(&mut cold, generation, now);
        self.lanes.widen_if_crowded(generation);
        let before = cold.runs.len();
        let taken = cold.runs.take(most);
        self.common.outbox.count(before, cold.runs.len());
        (taken, cold.runs.len() > 0)
    }

    /// Adds what the lanes hold to what waits; it ended before whatever is recorded next.
    fn drain_lanes(&self, cold: &mut Cold, next_generation: u64, now: Instant) {
        let successes = self.lanes.drain(next_generation);
        if successes.count == 0 {
            return;
        }
        let run = Run {
            generation: cold.held.generation(),
            permit: None,
            outcome: Outcome::Success,
            error_kind: None,
            is_slow: false,
            count: successes.count,
            total: successes.total,
            longest: Duration::ZERO,
            began_at: now,
            ended_at: now,
        };
        self.push(cold, run);
    }

    fn push(&self, cold: &mut Cold, run: Run) {
        let outbox = &self.common.outbox;
        let before = cold.runs.len();
        cold.runs.push(run);
        outbox.count(before, cold.runs.len());
        if outbox.is_full() {
            let before = cold.runs.len();
            outbox.give_up(cold.runs.shrink().into());
            outbox.count(before, cold.runs.len());
        }
    }

    /// Sets the words of the hot path to what is behind the lock.
    fn settle(&self, cold: &Cold) {
        let options = &self.common.options;
        let config = cold.held.config();
        self.call_timeout.store(nanos(config.call_timeout()), Ordering::Relaxed);
        let is_simple = options.local_guard.is_none()
            && !self.common.is_closed()
            && cold.held.allows_all(cold.client, options.on_unavailable);
        let slow = config.slow_call_rate().map_or(Duration::MAX, |slow| slow.duration);
        // The first outcome of a breaker that does not exist yet is in a hurry, and of what waits
        // for a server that is away it has to be known when it ended.
        let is_plain =
            is_simple && cold.client == ClientState::Ready && cold.held.known().is_some();
        let plain_below = match is_plain {
            true => nanos(config.call_timeout().min(slow)).min(lanes::MAX_NANOS),
            false => 0,
        };
        self.plain_below.store(plain_below, Ordering::Relaxed);
        let leave = cold.held.generation() << 1 | u64::from(is_simple);
        self.leave.store(leave, Ordering::Release);
    }
}

/// In nanoseconds, at most some centuries. Faster than by way of 128 bits.
const fn nanos(duration: Duration) -> u64 {
    let seconds = duration.as_secs().saturating_mul(1_000_000_000);
    seconds.saturating_add(duration.subsec_nanos() as u64)
}
