//! tonic answers a message beyond the limit with OUT_OF_RANGE; the protocol says
//! RESOURCE_EXHAUSTED, as other implementations of gRPC do.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::{HeaderValue, Request, Response};
use tonic::Code;
use tower::{Layer, Service};

/// How tonic begins the message of such a status, percent-encoded as it is in a header.
const MARK: &str = "decoded%20message%20length%20too%20large";

#[derive(Clone, Copy, Debug)]
pub(crate) struct OversizeLayer;

impl<S> Layer<S> for OversizeLayer {
    type Service = Oversize<S>;

    fn layer(&self, inner: S) -> Oversize<S> {
        Oversize { inner }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Oversize<S> {
    inner: S,
}

impl<S, B, R> Service<Request<B>> for Oversize<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let response = self.inner.call(request);
        Box::pin(async move { response.await.map(corrected) })
    }
}

fn corrected<R>(mut response: Response<R>) -> Response<R> {
    let headers = response.headers_mut();
    let has_mark = headers
        .get("grpc-message")
        .and_then(|message| message.to_str().ok())
        .is_some_and(|message| message.contains(MARK));
    if has_mark {
        let code = HeaderValue::from(Code::ResourceExhausted as i32);
        headers.insert("grpc-status", code);
    }
    response
}
