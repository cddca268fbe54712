use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use breaker_core::{ErrorKind, Outcome, PermitId};
use tokio::time::{Instant, sleep_until};

use crate::admission::Probe;
use crate::breaker::Breaker;
use crate::cell::{Ending, Leave};
use crate::classify::{Verdict, error_kind};
use crate::clock;
use crate::local::LocalLeave;

/// Leave to make one call, and the duty to say how it ended.
///
/// A guard that is dropped, as when the future of its call is, reports IGNORED: that frees the
/// permit of a probe. Reports go out in the background.
#[derive(Debug)]
#[must_use = "a guard that is dropped at once reports IGNORED"]
pub struct Guard<'a> {
    breaker: Cow<'a, Breaker>,
    grant: Grant,
    started_at: Instant,
}

/// What a call was granted.
#[derive(Debug)]
pub(crate) enum Grant {
    /// Leave like that of every other call.
    Plain { generation: u64 },
    /// More than that.
    Special(Box<Special>),
    /// The outcome is told.
    Told,
}

#[derive(Debug)]
pub(crate) struct Special {
    leave: Leave,
    /// How long the permit is good for.
    time_left: Option<Duration>,
}

impl Grant {
    pub(crate) fn of(leave: Leave) -> Self {
        Self::Special(Box::new(Special { leave, time_left: None }))
    }

    /// What the server has answered.
    pub(crate) fn by_server(generation: u64, probe: Option<Probe>) -> Self {
        let permit = probe.map(|probe| probe.permit);
        let leave = Leave { generation, permit, ..Leave::default() };
        let time_left = probe.and_then(|probe| probe.time_left);
        Self::Special(Box::new(Special { leave, time_left }))
    }

    /// Together with the leave of the guard beside the fleet's breaker.
    pub(crate) fn with_guard(mut self, guard: Option<LocalLeave>) -> Self {
        if let Self::Special(special) = &mut self {
            special.leave.guard = guard;
        }
        self
    }
}

impl<'a> Guard<'a> {
    #[inline]
    pub(crate) fn borrowing(breaker: &'a Breaker, grant: Grant) -> Self {
        Self { breaker: Cow::Borrowed(breaker), grant, started_at: clock::now() }
    }

    #[inline]
    pub(crate) fn owning(breaker: Breaker, grant: Grant) -> Self {
        Self { breaker: Cow::Owned(breaker), grant, started_at: clock::now() }
    }

    /// The generation under which the call was admitted; 0 if the breaker does not exist yet, or
    /// was not heard of.
    pub fn generation(&self) -> u64 {
        match &self.grant {
            Grant::Plain { generation } => *generation,
            Grant::Special(special) => special.leave.generation,
            Grant::Told => 0,
        }
    }

    /// The server's permit, if the call is a probe.
    pub fn permit(&self) -> Option<PermitId> {
        match &self.grant {
            Grant::Special(special) => special.leave.permit,
            Grant::Plain { .. } | Grant::Told => None,
        }
    }

    /// How long the call may take, from the moment it was admitted. Past that it is a TIMEOUT.
    pub fn call_timeout(&self) -> Duration {
        let call_timeout = self.breaker.cell().call_timeout();
        match &self.grant {
            Grant::Special(special) => {
                special.time_left.map_or(call_timeout, |left| left.min(call_timeout))
            }
            Grant::Plain { .. } | Grant::Told => call_timeout,
        }
    }

    /// Waits for the call that the guard is for, for [`call_timeout`](Self::call_timeout) at
    /// most; `None` if it took longer.
    pub async fn bound<F: Future>(&self, call: F) -> Option<F::Output> {
        self.bound_by(Duration::MAX, call).await
    }

    /// The same, and for so long at most.
    #[inline]
    pub async fn bound_by<F: Future>(&self, most: Duration, call: F) -> Option<F::Output> {
        let mut call = pin!(call);
        // A call that never waits needs no timer.
        match poll_once(call.as_mut()).await {
            Poll::Ready(output) => Some(output),
            Poll::Pending => self.wait_for(most, call).await,
        }
    }

    /// Waits for a call that has begun.
    pub(crate) async fn wait_for<F: Future>(
        &self,
        most: Duration,
        mut call: Pin<&mut F>,
    ) -> Option<F::Output> {
        let Some(deadline) = self.started_at.checked_add(most.min(self.call_timeout())) else {
            return Some(call.await);
        };
        let client = self.breaker.client();
        let Some(runtime) = client.timers() else { return Some(call.await) };
        let alarm = {
            // The timer is the client's: a call need not be made on a Tokio runtime.
            let _entered = runtime.enter();
            sleep_until(deadline)
        };
        let mut alarm = pin!(alarm);
        poll_fn(|context| match call.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            // To look at a timer of a runtime that has ended is a panic.
            Poll::Pending if client.timers().is_none() => Poll::Pending,
            Poll::Pending => alarm.as_mut().poll(context).map(|()| None),
        })
        .await
    }

    /// How long ago the call was admitted.
    pub fn elapsed(&self) -> Duration {
        clock::now() - self.started_at
    }

    /// The call did what it was meant to do.
    #[inline]
    pub fn success(mut self) {
        let now = clock::now();
        if let Grant::Plain { generation } = self.grant
            && self.breaker.cell().succeed(generation, now - self.started_at)
        {
            self.grant = Grant::Told;
            return;
        }
        self.tell(Outcome::Success, None, now);
    }

    /// The call failed, with an error of this kind (`http.503`, `TimeoutError`); empty if it has
    /// none. What is too long for a kind, or no text, is left out.
    pub fn failure(self, kind: &str) {
        self.finish(Verdict::Failure(error_kind(kind)));
    }

    /// The call took longer than [`call_timeout`](Self::call_timeout).
    pub fn timeout(self) {
        self.finish(Verdict::Timeout);
    }

    /// The call counts for nothing: it was cancelled, or failed by the caller's own mistake.
    pub fn ignored(self) {
        self.finish(Verdict::Ignored);
    }

    /// The call ended so.
    #[inline]
    pub fn finish(mut self, verdict: Verdict) {
        let (outcome, error_kind) = match verdict {
            Verdict::Success => return self.success(),
            Verdict::Failure(kind) => (Outcome::Failure, kind),
            Verdict::Timeout => (Outcome::Timeout, None),
            Verdict::Ignored => (Outcome::Ignored, None),
        };
        self.tell(outcome, error_kind, clock::now());
    }

    fn tell(&mut self, outcome: Outcome, error_kind: Option<ErrorKind<'static>>, now: Instant) {
        let leave = match std::mem::replace(&mut self.grant, Grant::Told) {
            Grant::Plain { generation } => Leave { generation, ..Leave::default() },
            Grant::Special(special) => special.leave,
            Grant::Told => return,
        };
        let duration = now.saturating_duration_since(self.started_at);
        let ending = Ending { outcome, error_kind, duration, ended_at: now };
        self.breaker.cell().record(&leave, ending);
    }
}

impl Drop for Guard<'_> {
    #[inline]
    fn drop(&mut self) {
        if !matches!(self.grant, Grant::Told) {
            self.tell(Outcome::Ignored, None, clock::now());
        }
    }
}

/// Looks once whether a future is ready.
#[inline]
pub(crate) async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
}
