//! Layers for [tower] services: a breaker around each request.
//!
//! | layer | around | a denied request |
//! | --- | --- | --- |
//! | [`BreakerLayer::new`] | any service | is an error, [`CallError::Denied`] |
//! | [`BreakerLayer::http`] | an HTTP client | is an error; answers of 429 and 5xx are failures, `http.503` |
//! | [`BreakerLayer::http_server`] | an HTTP server's handler | is answered with 503 and `retry-after` |
//! | [`GrpcLayer`] | a gRPC client's channel, or a gRPC server | is answered with UNAVAILABLE; failures are `grpc.UNAVAILABLE` and the like |
//!
//! [tower]: https://docs.rs/tower

mod grpc;
mod http;

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tower_layer::Layer;
use tower_service::Service;

pub use self::grpc::{GrpcBody, GrpcLayer, GrpcService, code_verdict};
pub use self::http::{AsResponse, HttpStatus, status_verdict};
use crate::breaker::Breaker;
use crate::call::CallError;
use crate::classify::{Classify, EveryError};

/// Puts a breaker around a service.
#[derive(Clone, Debug)]
pub struct BreakerLayer<C = EveryError, A = AsError> {
    breaker: Breaker,
    classify: C,
    answer: A,
    timeout: Option<Duration>,
}

/// A service with a breaker around it.
#[derive(Clone, Debug)]
pub struct BreakerService<S, C = EveryError, A = AsError> {
    inner: S,
    layer: BreakerLayer<C, A>,
}

/// What becomes of a request that was denied, took too long, or failed.
pub trait Answer<R, E> {
    /// The error of the guarded service.
    type Error;

    /// The response in its place, or an error.
    ///
    /// # Errors
    /// What the guarded service is to fail with.
    fn answer(&self, error: CallError<E>) -> Result<R, Self::Error>;

    /// What an error of the service within becomes.
    fn failed(&self, error: E) -> Self::Error;
}

/// Makes all of it errors.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsError;

impl<R, E> Answer<R, E> for AsError {
    type Error = CallError<E>;

    fn answer(&self, error: CallError<E>) -> Result<R, Self::Error> {
        Err(error)
    }

    fn failed(&self, error: E) -> Self::Error {
        CallError::Failed(error)
    }
}

impl BreakerLayer {
    /// Around any service. Every error is a failure.
    pub const fn new(breaker: Breaker) -> Self {
        Self { breaker, classify: EveryError, answer: AsError, timeout: None }
    }
}

impl BreakerLayer<HttpStatus> {
    /// Around an HTTP client: answers of 429 and 5xx are failures of the kind `http.503`, and so
    /// are errors, of the kind `http.error`.
    pub const fn http(breaker: Breaker) -> Self {
        Self { breaker, classify: HttpStatus, answer: AsError, timeout: None }
    }
}

impl BreakerLayer<HttpStatus, AsResponse> {
    /// Around the handler of an HTTP server, for one whose own work needs a breaker: denied
    /// requests are answered with 503 and `retry-after`, those that took too long with 504.
    pub const fn http_server(breaker: Breaker) -> Self {
        Self { breaker, classify: HttpStatus, answer: AsResponse, timeout: None }
    }
}

impl<C, A> BreakerLayer<C, A> {
    /// Judges results with this: a preset, or a closure over `&Result<Response, Error>`.
    pub fn classify<F>(self, classify: F) -> BreakerLayer<F, A> {
        let Self { breaker, answer, timeout, .. } = self;
        BreakerLayer { breaker, classify, answer, timeout }
    }

    /// Gives up a request after this time, if the breaker's `call_timeout` is not shorter. Until
    /// the head of the response is there: its body may take longer.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl<S, C: Clone, A: Clone> Layer<S> for BreakerLayer<C, A> {
    type Service = BreakerService<S, C, A>;

    fn layer(&self, inner: S) -> Self::Service {
        BreakerService { inner, layer: self.clone() }
    }
}

impl<S, C, A, Q> Service<Q> for BreakerService<S, C, A>
where
    S: Service<Q> + Clone + Send + 'static,
    S::Future: Send,
    S::Response: Send,
    S::Error: Send,
    C: Classify<S::Response, S::Error> + Clone + Send + Sync + 'static,
    A: Answer<S::Response, S::Error> + Clone + Send + Sync + 'static,
    Q: Send + 'static,
{
    type Response = S::Response;
    type Error = A::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, A::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), A::Error>> {
        self.inner.poll_ready(context).map_err(|error| self.layer.answer.failed(error))
    }

    fn call(&mut self, request: Q) -> Self::Future {
        let mut inner = take_ready(&mut self.inner);
        let BreakerLayer { breaker, classify, answer, timeout } = self.layer.clone();
        Box::pin(async move {
            let caller = breaker.into_caller().judged_by(classify);
            let caller = match timeout {
                Some(timeout) => caller.timeout(timeout),
                None => caller,
            };
            // The service is called once there is leave.
            let call = async { inner.call(request).await };
            caller.call(call).await.or_else(|error| answer.answer(error))
        })
    }
}

/// Takes the service that was polled until it was ready, and leaves a clone, which may not be.
fn take_ready<S: Clone>(inner: &mut S) -> S {
    let clone = inner.clone();
    std::mem::replace(inner, clone)
}
