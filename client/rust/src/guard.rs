use std::time::Duration;

use breaker_core::{ErrorKind, Outcome, PermitId, Report, Run};
use tokio::time::Instant;

use crate::breaker::Breaker;
use crate::classify::{Verdict, error_kind};
use crate::clock;
use crate::local::LocalBreaker;
use crate::outcomes::{CallOutcome, Receipt};

/// Leave to make one call, and the duty to say how it ended.
///
/// A guard that is dropped, as when the future of its call is, reports IGNORED: that frees the
/// permit of a probe. Reports go out in the background; the [`Receipt`] tells when one has
/// arrived.
#[derive(Debug)]
#[must_use = "a guard that is dropped at once reports IGNORED"]
pub struct Guard {
    breaker: Breaker,
    /// `None` once the outcome is told.
    right: Option<Right>,
    started_at: Instant,
    call_timeout: Duration,
}

/// On whose leave a call is made.
#[derive(Clone, Debug)]
pub(crate) enum Right {
    /// The server's.
    Server { generation: u64, permit: Option<PermitId> },
    /// A local breaker's, because the server is away.
    Local { breaker: LocalBreaker, generation: u64, permit: Option<PermitId> },
    /// Nobody's: the server is away, and `on_unavailable` is `allow`.
    Unguarded,
}

impl Guard {
    pub(crate) fn new(breaker: Breaker, right: Right, call_timeout: Duration) -> Self {
        Self { breaker, right: Some(right), started_at: clock::now(), call_timeout }
    }

    /// The generation under which the server admitted the call; `None` if it is away.
    pub const fn generation(&self) -> Option<u64> {
        match self.right {
            Some(Right::Server { generation, .. }) => Some(generation),
            _ => None,
        }
    }

    /// The server's permit, if the call is a probe.
    pub const fn permit(&self) -> Option<PermitId> {
        match self.right {
            Some(Right::Server { permit, .. }) => permit,
            _ => None,
        }
    }

    /// How long the call may take, from the moment it was admitted. Past that it is a TIMEOUT.
    pub const fn call_timeout(&self) -> Duration {
        self.call_timeout
    }

    /// How long ago the call was admitted.
    pub fn elapsed(&self) -> Duration {
        clock::now() - self.started_at
    }

    /// The call did what it was meant to do.
    pub fn success(self) -> Receipt {
        self.finish(Verdict::Success)
    }

    /// The call failed, with an error of this kind (`http.503`, `TimeoutError`); empty if it has
    /// none. What is too long for a kind, or no text, is left out.
    pub fn failure(self, kind: &str) -> Receipt {
        self.finish(Verdict::Failure(error_kind(kind)))
    }

    /// The call took longer than [`call_timeout`](Self::call_timeout).
    pub fn timeout(self) -> Receipt {
        self.finish(Verdict::Timeout)
    }

    /// The call counts for nothing: it was cancelled, or failed by the caller's own mistake.
    pub fn ignored(self) -> Receipt {
        self.finish(Verdict::Ignored)
    }

    /// The call ended so.
    pub fn finish(mut self, verdict: Verdict) -> Receipt {
        self.tell(verdict)
    }

    fn tell(&mut self, verdict: Verdict) -> Receipt {
        let Some(right) = self.right.take() else { return Receipt::nothing_to_report() };
        let (outcome, error_kind) = outcome(verdict);
        let ended_at = clock::now();
        let duration = ended_at - self.started_at;
        match right {
            Right::Server { generation, permit } => self.breaker.client().report(CallOutcome {
                breaker: self.breaker.breaker_name().clone(),
                generation,
                permit,
                outcome,
                error_kind,
                duration,
                ended_at,
            }),
            Right::Local { breaker, generation, permit } => {
                let run = Run { error_kind, ..Run::new(outcome, 1).lasting(duration) };
                let report = Report { permit, ..Report::admitted(run, generation) };
                breaker.record(&report, ended_at);
                Receipt::nothing_to_report()
            }
            Right::Unguarded => Receipt::nothing_to_report(),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // The receipt of a call that was cancelled has no reader.
        drop(self.tell(Verdict::Ignored));
    }
}

fn outcome(verdict: Verdict) -> (Outcome, Option<ErrorKind>) {
    match verdict {
        Verdict::Success => (Outcome::Success, None),
        Verdict::Failure(kind) => (Outcome::Failure, kind),
        Verdict::Timeout => (Outcome::Timeout, None),
        Verdict::Ignored => (Outcome::Ignored, None),
    }
}
