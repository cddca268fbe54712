//! Where a request goes. What replicas call all day goes to its service straight away, everything
//! else by a table of routes.

use std::convert::Infallible;
use std::future::Ready;
use std::pin::Pin;

use breaker_proto::server::breaker_service_server::BreakerServiceServer;
use futures::FutureExt as _;
use futures::future::{Either, Map};
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::service::Service;
use tonic::Code;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tower::Service as _;

use super::Breakers;

/// How tonic begins the message of a status for a message beyond the limit, percent-encoded as it
/// is in a header.
const OVERSIZE: &str = "decoded%20message%20length%20too%20large";

type Answer = Result<Response<Body>, Infallible>;

/// The services as one connection sees them.
#[derive(Clone)]
pub(crate) struct Front {
    breakers: BreakerServiceServer<Breakers>,
    others: Routes,
}

impl Front {
    pub(crate) const fn new(breakers: BreakerServiceServer<Breakers>, others: Routes) -> Self {
        Self { breakers, others }
    }
}

/// The method of `BreakerService` that a path names, if it is one of that service.
fn breaker_method(path: &str) -> Option<&str> {
    let service = BreakerServiceServer::<Breakers>::NAME;
    path.strip_prefix('/')?.strip_prefix(service)?.strip_prefix('/')
}

impl Service<Request<Incoming>> for Front {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Map<
        Either<Pin<Box<dyn Future<Output = Answer> + Send>>, Ready<Answer>>,
        fn(Answer) -> Answer,
    >;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let answer = match breaker_method(request.uri().path()) {
            Some(_) => Either::Left(self.breakers.clone().call(request)),
            None => Either::Left(Box::pin(self.others.clone().call(request)) as Pin<Box<_>>),
        };
        answer.map(corrected)
    }
}

/// tonic answers a message beyond the limit with OUT_OF_RANGE; the protocol says
/// RESOURCE_EXHAUSTED, as other implementations of gRPC do.
fn corrected(answer: Answer) -> Answer {
    answer.map(|mut response| {
        let headers = response.headers_mut();
        let is_oversize = headers
            .get("grpc-message")
            .and_then(|message| message.to_str().ok())
            .is_some_and(|message| message.contains(OVERSIZE));
        if is_oversize {
            headers.insert("grpc-status", HeaderValue::from(Code::ResourceExhausted as i32));
        }
        response
    })
}
