use std::sync::Arc;
use std::time::Duration;

use breaker_core::{BreakerName, Decision, Mode, OnUnavailable, StateKind};
use tokio::time::Instant;

use crate::admission::{Answer, Denial, DenyReason};
use crate::ask;
use crate::call::{CallError, Caller};
use crate::cell::{Cell, Leave};
use crate::client::Client;
use crate::clock;
use crate::cold::Cold;
use crate::copy::{Held, Step};
use crate::guard::{Grant, Guard};
use crate::listeners::{Event, Listener, Transition};
use crate::local::{LocalDecision, LocalLeave};
use crate::metrics;
use crate::status::CurrentLevel;

/// One breaker, to make calls under. Cheap to clone; keep it rather than ask for it at each call.
#[derive(Clone, Debug)]
pub struct Breaker {
    cell: Arc<Cell>,
    client: Client,
}

/// What a client knows of a breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerView {
    /// The state. It is CLOSED for a breaker that does not exist yet.
    pub state: StateKind,
    /// The mode.
    pub mode: Mode,
    /// The generation; 0 for a breaker that does not exist yet.
    pub generation: u64,
    /// The revision; 0 for a breaker that does not exist yet.
    pub revision: u64,
    /// How long OPEN or FORCED_OPEN lasts from now on, if that is known.
    pub retry_after: Option<Duration>,
    /// The level of a multi-level breaker.
    pub level: Option<Arc<CurrentLevel>>,
}

impl Breaker {
    pub(crate) const fn new(cell: Arc<Cell>, client: Client) -> Self {
        Self { cell, client }
    }

    /// The name.
    pub fn name(&self) -> &str {
        self.cell.name().as_str()
    }

    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn cell(&self) -> &Cell {
        &self.cell
    }

    /// Whether every call is simply allowed just now, as under a CLOSED breaker. Asks nobody and
    /// counts nothing; a breaker for which this is false may still allow a call.
    #[inline]
    pub fn allows_all(&self) -> bool {
        self.cell.allows().is_some()
    }

    /// Asks whether a call may be made. The answer is there at once, from memory, except that a
    /// HALF_OPEN breaker's calls ask the server for a permit, and wait for that as long as the
    /// builder's `permit_timeout` at most.
    ///
    /// # Errors
    /// Why the call must not be made. Never because breakerd is away, unless `on_unavailable` is
    /// `deny`.
    #[inline]
    pub async fn acquire(&self) -> Result<Guard<'_>, Denial> {
        let grant = match self.cell.allows() {
            Some(generation) => Grant::Plain { generation },
            None => self.grant().await?,
        };
        Ok(Guard::borrowing(self, grant))
    }

    /// The same, with a guard that can be kept anywhere.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    pub async fn acquire_owned(self) -> Result<Guard<'static>, Denial> {
        let grant = match self.cell.allows() {
            Some(generation) => Grant::Plain { generation },
            None => self.grant().await?,
        };
        Ok(Guard::owning(self, grant))
    }

    /// Makes a call if it may be made, and reports how it ended. Every error is a failure; to
    /// judge otherwise, or to stop earlier, see [`caller`](Self::caller).
    ///
    /// # Errors
    /// If the call was denied, took longer than the breaker's `call_timeout`, or failed.
    pub async fn call<T, E>(
        &self,
        future: impl Future<Output = Result<T, E>>,
    ) -> Result<T, CallError<E>> {
        self.caller().call(future).await
    }

    /// Makes a call, or takes the value of `fallback` if it was denied, took too long, or failed.
    pub async fn call_or<T, E, F>(
        &self,
        future: impl Future<Output = Result<T, E>>,
        fallback: impl FnOnce(CallError<E>) -> F,
    ) -> T
    where
        F: Future<Output = T>,
    {
        self.caller().call_or(future, fallback).await
    }

    /// A way to make calls under this breaker that can be adjusted.
    pub const fn caller(&self) -> Caller<'_> {
        Caller::borrowing(self)
    }

    /// The same, to be kept.
    pub const fn into_caller(self) -> Caller<'static> {
        Caller::owning(self)
    }

    /// What is known of the breaker; `None` before the server has told.
    pub fn status(&self) -> Option<BreakerView> {
        let now = clock::now();
        let cold = self.cell.lock();
        let known = match &cold.held {
            Held::Unknown => return None,
            Held::Absent => return Some(BreakerView::absent()),
            Held::Known(known) => known,
        };
        let until =
            if known.mode == Mode::ForcedOpen { known.override_ends_at } else { known.retry_at };
        Some(BreakerView {
            state: known.state,
            mode: known.mode,
            generation: known.generation,
            revision: known.revision,
            retry_after: until.map(|until| until.saturating_duration_since(now)),
            level: known.level.clone(),
        })
    }

    /// Calls this with every change of the breaker's state, mode or level that the client learns
    /// of, on a task of the client: it should not block.
    pub fn on_transition(&self, tell: impl Fn(&Transition) + Send + Sync + 'static) -> Listener {
        let name: BreakerName = self.cell.name().clone();
        self.cell.common().listeners.add(move |event| match event {
            Event::Breaker(transition) if transition.breaker == name => tell(transition),
            _ => {}
        })
    }

    async fn grant(&self) -> Result<Grant, Denial> {
        match self.decide() {
            Decided::Now(decision) => decision,
            // On the heap, or every call would carry the room for it.
            Decided::Ask(asking) => Box::pin(asking.ask()).await,
        }
    }

    /// Decides a call that is not simply allowed.
    #[cold]
    fn decide(&self) -> Decided<'_> {
        let now = clock::now();
        let common = self.cell.common();
        let mut cold = self.cell.lock();
        let guard = match self.ask_guard(&mut cold, now) {
            Ok(guard) => guard,
            Err(denial) => return Decided::Now(Err(denial)),
        };
        let mut asking = Asking { breaker: self, guard, is_shadow: false };
        let decision = match cold.decide(common.options.on_unavailable, now) {
            Step::Allow { generation } => Ok(Grant::of(Leave { generation, ..Leave::default() })),
            Step::Deny { reason, retry_after } => Err(denial(&cold, reason, retry_after)),
            Step::Alone => self.decide_alone(&mut cold, now),
            Step::Ask { most, is_shadow } => {
                asking.is_shadow = is_shadow;
                if cold.asks.begin(most, common.signs(), now) {
                    return Decided::Ask(asking);
                }
                Err(denial(&cold, DenyReason::NoPermit, None))
            }
        };
        // What ends gives back to the guard, under the lock.
        drop(cold);
        Decided::Now(asking.end(decision))
    }

    fn ask_guard(&self, cold: &mut Cold, now: Instant) -> Result<Option<LocalLeave>, Denial> {
        let Some(own) = &self.cell.common().options.local_guard else { return Ok(None) };
        let LocalDecision { decision, leave, .. } = cold.ask_guard(own, now);
        match decision {
            Decision::Allowed(_) => Ok(Some(leave)),
            Decision::Denied { retry_after, .. } => {
                metrics::denied(self.name(), DenyReason::LocalOpen);
                Err(denial(cold, DenyReason::LocalOpen, retry_after))
            }
        }
    }

    /// Decides without the server, as `on_unavailable` says.
    fn decide_alone(&self, cold: &mut Cold, now: Instant) -> Result<Grant, Denial> {
        let generation = cold.held.generation();
        let otherwise = self.cell.common().options.on_unavailable;
        match cold.held.on_unavailable(otherwise) {
            OnUnavailable::Allow => Ok(Grant::of(Leave { generation, ..Leave::default() })),
            OnUnavailable::Deny => Err(denial(cold, DenyReason::Unavailable, None)),
            OnUnavailable::Local => {
                let decided = cold.decide_locally(now);
                match decided.decision {
                    Decision::Allowed(_) => {
                        let local = Some(decided.leave);
                        Ok(Grant::of(Leave { generation, local, ..Leave::default() }))
                    }
                    Decision::Denied { retry_after, .. } => Err(Denial {
                        state: Some(decided.state),
                        mode: Some(decided.mode),
                        ..denial(cold, DenyReason::LocalOpen, retry_after)
                    }),
                }
            }
        }
    }

    fn grant_anyway(&self) -> Grant {
        let generation = self.cell.lock().held.generation();
        Grant::of(Leave { generation, ..Leave::default() })
    }
}

/// What came of a call's first look.
enum Decided<'a> {
    /// All there is to say.
    Now(Result<Grant, Denial>),
    /// The server has to be asked, and there is room for it.
    Ask(Asking<'a>),
}

/// A call on its way between the guard of this process, which has let it through, and the fleet's
/// breaker. If it gets no further, the guard has its leave back.
struct Asking<'a> {
    breaker: &'a Breaker,
    guard: Option<LocalLeave>,
    is_shadow: bool,
}

impl Asking<'_> {
    /// Asks the server for a permit.
    async fn ask(self) -> Result<Grant, Denial> {
        let Breaker { cell, client } = self.breaker;
        let signs = cell.common().signs();
        let decision = match ask::for_permit(client.shared(), cell, signs).await {
            Some(Answer::Allowed { generation, probe }) => Ok(Grant::by_server(generation, probe)),
            Some(Answer::Denied(denial)) => Err(denial),
            None => self.breaker.decide_alone(&mut cell.lock(), clock::now()),
        };
        self.end(decision)
    }

    /// The last word.
    fn end(mut self, decision: Result<Grant, Denial>) -> Result<Grant, Denial> {
        match decision {
            Ok(grant) => Ok(grant.with_guard(self.guard.take())),
            Err(_) if self.is_shadow => {
                Ok(self.breaker.grant_anyway().with_guard(self.guard.take()))
            }
            Err(denial) => {
                metrics::denied(self.breaker.name(), denial.reason);
                Err(denial)
            }
        }
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if let Some(leave) = self.guard.take() {
            self.breaker.cell.lock().give_back_to_guard(leave, clock::now());
        }
    }
}

fn denial(cold: &Cold, reason: DenyReason, retry_after: Option<Duration>) -> Denial {
    let known = cold.held.known();
    Denial {
        reason,
        state: known.map(|known| known.state),
        mode: known.map(|known| known.mode),
        retry_after,
        level: known.and_then(|known| known.level.clone()),
    }
}

impl BreakerView {
    const fn absent() -> Self {
        Self {
            state: StateKind::Closed,
            mode: Mode::Normal,
            generation: 0,
            revision: 0,
            retry_after: None,
            level: None,
        }
    }
}
