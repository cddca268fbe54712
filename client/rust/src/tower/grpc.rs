use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use tower_layer::Layer;
use tower_service::Service;

use super::take_ready;
use crate::admission::Denial;
use crate::breaker::Breaker;
use crate::classify::Verdict;
use crate::guard::Guard;

/// The header, or trailer, that holds the code of a gRPC call.
const GRPC_STATUS: &str = "grpc-status";

/// Puts a breaker around gRPC calls: around the channel of a client, or around a server.
///
/// Codes that tell of a dependency in trouble are failures: see [`code_verdict`]. A denied call is
/// answered with UNAVAILABLE, which carries a `RetryInfo` if it is known when to ask again. The
/// breaker's `call_timeout` bounds the time until the head of the response is there.
#[derive(Clone, Debug)]
pub struct GrpcLayer {
    breaker: Breaker,
}

/// A gRPC service with a breaker around it.
#[derive(Clone, Debug)]
pub struct GrpcService<S> {
    inner: S,
    breaker: Breaker,
}

impl GrpcLayer {
    /// A layer of this breaker.
    pub const fn new(breaker: Breaker) -> Self {
        Self { breaker }
    }
}

impl<S> Layer<S> for GrpcLayer {
    type Service = GrpcService<S>;

    fn layer(&self, inner: S) -> GrpcService<S> {
        GrpcService { inner, breaker: self.breaker.clone() }
    }
}

impl<S, Q, B> Service<Request<Q>> for GrpcService<S>
where
    S: Service<Request<Q>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Default + Send,
    Q: Send + 'static,
{
    type Response = Response<GrpcBody<B>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let mut inner = take_ready(&mut self.inner);
        let breaker = self.breaker.clone();
        Box::pin(async move {
            let guard = match breaker.acquire_owned().await {
                Ok(guard) => guard,
                Err(denial) => return Ok(refusal(denied(&denial))),
            };
            match guard.bound(inner.call(request)).await {
                Some(Ok(response)) => Ok(watched(response, guard)),
                Some(Err(error)) => {
                    guard.failure("grpc.error");
                    Err(error)
                }
                None => {
                    guard.timeout();
                    Ok(refusal(Status::deadline_exceeded("the call took longer than it may")))
                }
            }
        })
    }
}

/// What a code says of the server that sent it: UNAVAILABLE, INTERNAL, UNKNOWN, DATA_LOSS and
/// RESOURCE_EXHAUSTED are failures of the kind `grpc.UNAVAILABLE` and the like, DEADLINE_EXCEEDED is
/// a TIMEOUT, CANCELLED is ignored; everything else, a caller's own mistakes included, is a success.
pub fn code_verdict(code: Code) -> Verdict {
    match code {
        Code::Unavailable => Verdict::failure("grpc.UNAVAILABLE"),
        Code::Internal => Verdict::failure("grpc.INTERNAL"),
        Code::Unknown => Verdict::failure("grpc.UNKNOWN"),
        Code::DataLoss => Verdict::failure("grpc.DATA_LOSS"),
        Code::ResourceExhausted => Verdict::failure("grpc.RESOURCE_EXHAUSTED"),
        Code::DeadlineExceeded => Verdict::Timeout,
        Code::Cancelled => Verdict::Ignored,
        _ => Verdict::Success,
    }
}

fn denied(denial: &Denial) -> Status {
    let details = ErrorDetails::with_retry_info(denial.retry_after.or(Some(Duration::ZERO)));
    Status::with_error_details(Code::Unavailable, denial.to_string(), details)
}

fn refusal<B: Default>(status: Status) -> Response<GrpcBody<B>> {
    status.into_http::<B>().map(|inner| GrpcBody { inner, guard: None })
}

/// A call ends with its response if that has no body, else with the body.
fn watched<B>(response: Response<B>, guard: Guard<'static>) -> Response<GrpcBody<B>> {
    let guard = match code(response.headers()) {
        Some(code) => {
            guard.finish(code_verdict(code));
            None
        }
        None => Some(guard),
    };
    response.map(|inner| GrpcBody { inner, guard })
}

fn code(headers: &HeaderMap) -> Option<Code> {
    headers.get(GRPC_STATUS).map(|status| Code::from_bytes(status.as_bytes()))
}

pin_project! {
    /// The body of a guarded call, whose trailers tell how the call ended. One that is dropped
    /// before them is a call that was cancelled.
    #[derive(Debug)]
    pub struct GrpcBody<B> {
        #[pin]
        inner: B,
        guard: Option<Guard<'static>>,
    }
}

impl<B: Default> Default for GrpcBody<B> {
    fn default() -> Self {
        Self { inner: B::default(), guard: None }
    }
}

impl<B: Body> Body for GrpcBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let body = self.project();
        let frame = ready!(body.inner.poll_frame(context));
        let ended = match &frame {
            Some(Ok(frame)) => frame
                .trailers_ref()
                .map(|trailers| code_verdict(code(trailers).unwrap_or(Code::Unknown))),
            Some(Err(_)) => Some(Verdict::failure("grpc.error")),
            // A server that ends a call without telling how has broken it off.
            None => Some(Verdict::failure("grpc.UNKNOWN")),
        };
        if let Some(verdict) = ended
            && let Some(guard) = body.guard.take()
        {
            guard.finish(verdict);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.guard.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
