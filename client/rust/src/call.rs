use std::time::Duration;

use thiserror::Error;
use tokio::time::timeout;

use crate::admission::{Admission, Denial};
use crate::breaker::Breaker;
use crate::classify::{ByError, Classify, EveryError, Verdict};

/// Why a guarded call has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CallError<E> {
    /// The call was not made.
    #[error("the call was denied: {0}")]
    Denied(Denial),
    /// The call was given up because it took longer than it may.
    #[error("the call timed out")]
    Timeout,
    /// The call was made and failed.
    #[error("the call failed")]
    Failed(#[source] E),
}

/// Makes calls under a breaker. It can be kept and used for many calls.
///
/// The result of a call is never delayed by its report, which goes out in the background.
#[derive(Clone, Debug)]
pub struct Caller<C = EveryError> {
    breaker: Breaker,
    classify: C,
    timeout: Option<Duration>,
}

impl Caller {
    pub(crate) const fn new(breaker: Breaker) -> Self {
        Self { breaker, classify: EveryError, timeout: None }
    }
}

impl<C> Caller<C> {
    /// Judges results with this closure, for calls whose failures are values, such as an HTTP
    /// response with status 503.
    pub fn classify<T, E, F>(self, classify: F) -> Caller<F>
    where
        F: Fn(&Result<T, E>) -> Verdict,
    {
        self.judged_by(classify)
    }

    /// Judges errors with this closure, and takes everything else for a success.
    pub fn classify_errors<E, F>(self, classify: F) -> Caller<ByError<F>>
    where
        F: Fn(&E) -> Verdict,
    {
        self.judged_by(ByError(classify))
    }

    /// Gives up a call after this time, if the breaker's `call_timeout` is not shorter.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Makes a call if it may be made, and reports how it ended.
    ///
    /// # Errors
    /// If the call was denied, took too long, or failed.
    pub async fn call<T, E>(
        &self,
        future: impl Future<Output = Result<T, E>>,
    ) -> Result<T, CallError<E>>
    where
        C: Classify<T, E>,
    {
        let guard = match self.breaker.admit().await {
            Admission::Allowed(guard) => guard,
            Admission::Denied(denial) => return Err(CallError::Denied(denial)),
        };
        let most = guard.call_timeout();
        let most = self.timeout.map_or(most, |own| own.min(most));
        match timeout(most, future).await {
            Ok(result) => {
                guard.finish(self.classify.classify(&result));
                result.map_err(CallError::Failed)
            }
            Err(_) => {
                guard.timeout();
                Err(CallError::Timeout)
            }
        }
    }

    /// Makes a call, or takes the value of `fallback` if it was denied, took too long, or failed.
    pub async fn call_or_else<T, E, F>(
        &self,
        future: impl Future<Output = Result<T, E>>,
        fallback: impl FnOnce(CallError<E>) -> F,
    ) -> T
    where
        C: Classify<T, E>,
        F: Future<Output = T>,
    {
        match self.call(future).await {
            Ok(value) => value,
            Err(error) => fallback(error).await,
        }
    }

    fn judged_by<F>(self, classify: F) -> Caller<F> {
        Caller { breaker: self.breaker, classify, timeout: self.timeout }
    }
}
