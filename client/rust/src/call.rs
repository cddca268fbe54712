use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use thiserror::Error;

use crate::admission::Denial;
use crate::breaker::Breaker;
use crate::classify::{ByError, Classify, EveryError, Verdict};
use crate::guard::{Guard, poll_once};

/// Why a guarded call has no value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
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
pub struct Caller<'a, C = EveryError> {
    breaker: Cow<'a, Breaker>,
    classify: C,
    timeout: Option<Duration>,
}

impl<'a> Caller<'a> {
    pub(crate) const fn borrowing(breaker: &'a Breaker) -> Self {
        Self { breaker: Cow::Borrowed(breaker), classify: EveryError, timeout: None }
    }

    pub(crate) const fn owning(breaker: Breaker) -> Self {
        Self { breaker: Cow::Owned(breaker), classify: EveryError, timeout: None }
    }
}

impl<'a, C> Caller<'a, C> {
    /// Judges results with this closure, for calls whose failures are values, such as an HTTP
    /// response with status 503.
    pub fn classify<T, E, F>(self, classify: F) -> Caller<'a, F>
    where
        F: Fn(&Result<T, E>) -> Verdict,
    {
        self.judged_by(classify)
    }

    /// Judges errors with this closure, and takes everything else for a success.
    pub fn classify_errors<E, F>(self, classify: F) -> Caller<'a, ByError<F>>
    where
        F: Fn(&E) -> Verdict,
    {
        self.judged_by(ByError(classify))
    }

    /// Judges results with this, such as a preset.
    pub fn judged_by<F>(self, classify: F) -> Caller<'a, F> {
        Caller { breaker: self.breaker, classify, timeout: self.timeout }
    }

    /// Gives up a call after this time, if the breaker's `call_timeout` is not shorter.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Makes a call if it may be made, and reports how it ended.
    ///
    /// # Errors
    /// If the call was denied, took too long, or failed.
    #[inline]
    pub async fn call<T, E>(
        &self,
        future: impl Future<Output = Result<T, E>>,
    ) -> Result<T, CallError<E>>
    where
        C: Classify<T, E>,
    {
        let guard = self.breaker.acquire().await.map_err(CallError::Denied)?;
        let mut future = pin!(future);
        if let Poll::Ready(result) = poll_once(future.as_mut()).await {
            return self.ended(guard, result);
        }
        match guard.wait_for(self.timeout.unwrap_or(Duration::MAX), future).await {
            Some(result) => self.ended(guard, result),
            None => {
                guard.timeout();
                Err(CallError::Timeout)
            }
        }
    }

    #[inline]
    fn ended<T, E>(&self, guard: Guard<'_>, result: Result<T, E>) -> Result<T, CallError<E>>
    where
        C: Classify<T, E>,
    {
        guard.finish(self.classify.classify(&result));
        result.map_err(CallError::Failed)
    }

    /// Makes a call, or takes the value of `fallback` if it was denied, took too long, or failed.
    pub async fn call_or<T, E, F>(
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

    /// Makes a call, or serves what was laid out for the level that the breaker is on.
    ///
    /// # Errors
    /// If the call was denied and nothing was laid out for its level, took too long, or failed.
    pub async fn call_serving<T, E>(
        &self,
        serving: &Serving<T>,
        future: impl Future<Output = Result<T, E>>,
    ) -> Result<T, CallError<E>>
    where
        C: Classify<T, E>,
    {
        match self.call(future).await {
            Err(CallError::Denied(denial)) => serving.serve(denial).map_err(CallError::Denied),
            result => result,
        }
    }
}

/// What to serve while a breaker with levels denies calls, by the word of the level.
pub struct Serving<T>(HashMap<String, Serve<T>>);

type Serve<T> = Box<dyn Fn(&Denial) -> T + Send + Sync>;

impl<T> Serving<T> {
    /// Nothing.
    pub fn new() -> Self {
        Self(HashMap::new())
    }

    /// Serves this where the level says so: `degraded`, `emergency`.
    #[must_use]
    pub fn on(
        mut self,
        word: impl Into<String>,
        serve: impl Fn(&Denial) -> T + Send + Sync + 'static,
    ) -> Self {
        self.0.insert(word.into(), Box::new(serve));
        self
    }

    fn serve(&self, denial: Denial) -> Result<T, Denial> {
        match denial.serve().and_then(|word| self.0.get(word)) {
            Some(serve) => Ok(serve(&denial)),
            None => Err(denial),
        }
    }
}

impl<T> Default for Serving<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Serving<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
