//! Where a request goes, and whether it is one too many. What replicas call all day goes to its
//! service straight away, everything else by a table of routes.

use std::convert::Infallible;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use breaker_engine::Phase;
use breaker_proto::server::breaker_service_server::BreakerServiceServer;
use futures::FutureExt as _;
use futures::future::Map;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use http::{HeaderValue, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::Service;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::{Code, Status};
use tower::Service as _;

use super::Breakers;
use super::error::{over_client_rate, overloaded, too_many_connections};
use crate::overload::Call;
use crate::rpcs::{Measured, Measures, Method, Shard};
use crate::server::Limits;
use crate::transport::{Brake, Room};

/// How tonic begins the message of a status for a message beyond the limit, percent-encoded as it
/// is in a header.
const OVERSIZE: &str = "decoded%20message%20length%20too%20large";

type Answer = Result<Response<Body>, Infallible>;
type BoxAnswer = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// The services and limits that all connections share.
pub(crate) struct Front {
    breakers: BreakerServiceServer<Breakers>,
    others: Routes,
    limits: Limits,
    measures: Measures,
    acquire: Method,
    report: Method,
    /// What a refused call is answered; made once, because it is made so often.
    overloaded: Status,
    /// How many connections there were so far.
    connections: AtomicU64,
}

/// How many calls of Acquire and Report one client may make in a second.
#[derive(Clone, Debug)]
pub(crate) struct ClientRate {
    limit: Option<NonZeroU32>,
    refused: Arc<AtomicU64>,
}

impl ClientRate {
    pub(crate) fn new(limit: Option<NonZeroU32>) -> Self {
        Self { limit, refused: Arc::default() }
    }

    /// How many calls were refused.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

/// The services as one connection sees them. A connection is what a client is known by.
pub(crate) struct Desk {
    front: Arc<Front>,
    brake: Arc<Brake>,
    limiter: Option<(NonZeroU32, DefaultDirectRateLimiter)>,
    /// Its streams get their signs of life together.
    phase: Phase,
    /// Where its calls are counted.
    shard: Arc<Shard>,
    room: Room,
}

impl Front {
    pub(crate) fn new(
        breakers: BreakerServiceServer<Breakers>,
        others: Routes,
        limits: Limits,
        measures: Measures,
    ) -> Self {
        let method = |name: &str| {
            let service = BreakerServiceServer::<Breakers>::NAME;
            measures.rpcs.method(&format!("/{service}/{name}"))
        };
        let (acquire, report) = (method("Acquire"), method("Report"));
        let (overloaded, connections) = (overloaded(), AtomicU64::new(0));
        Self { breakers, others, limits, measures, acquire, report, overloaded, connections }
    }

    /// The services for one connection, which `brake` belongs to.
    pub(crate) fn desk(self: &Arc<Self>, brake: &Arc<Brake>, room: Room) -> Desk {
        let limiter = |limit| (limit, RateLimiter::direct(Quota::per_second(limit)));
        Desk {
            front: Arc::clone(self),
            brake: Arc::clone(brake),
            limiter: self.limits.client_rate.limit.map(limiter),
            phase: Phase::of(self.connections.fetch_add(1, Ordering::Relaxed)),
            shard: self.measures.rpcs.shard(),
            room,
        }
    }
}

impl Desk {
    /// Lets a call through, or says why not.
    fn admit(&self, call: Call) -> Result<(), Status> {
        if let Some((limit, limiter)) = &self.limiter
            && let Err(not_until) = limiter.check()
        {
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            self.front.limits.client_rate.refused.fetch_add(1, Ordering::Relaxed);
            self.brake.press(wait.min(Duration::from_secs(1)));
            return Err(over_client_rate(limit.get(), wait));
        }
        if self.front.limits.overload.refuses(call) {
            self.brake.press(self.front.limits.overload.rest());
            return Err(self.front.overloaded.clone());
        }
        Ok(())
    }

    fn method(&self, path: &str) -> Method {
        match breaker_method(path) {
            Some("Acquire") => self.front.acquire,
            Some("Report") => self.front.report,
            Some(_) | None => self.front.measures.rpcs.method(path),
        }
    }

    fn answer(&self, mut request: Request<Incoming>) -> BoxAnswer {
        if self.room == Room::None {
            let limit = self.front.limits.connections.limit();
            return Box::pin(refuse(request, too_many_connections(limit)));
        }
        let admitted = match breaker_method(request.uri().path()) {
            Some("Acquire") => self.admit(Call::Acquire),
            Some("Report") => self.admit(Call::Report),
            Some(_) => {
                request.extensions_mut().insert(self.phase);
                Ok(())
            }
            None => return Box::pin(self.front.others.clone().call(request)),
        };
        match admitted {
            Ok(()) => self.front.breakers.clone().call(request),
            Err(status) => Box::pin(refuse(request, status)),
        }
    }
}

/// The method of `BreakerService` that a path names, if it is one of that service.
fn breaker_method(path: &str) -> Option<&str> {
    let service = BreakerServiceServer::<Breakers>::NAME;
    path.strip_prefix('/')?.strip_prefix(service)?.strip_prefix('/')
}

/// Answers once the request is there: not every client takes an answer before it has asked.
async fn refuse(request: Request<Incoming>, status: Status) -> Answer {
    let mut body = request.into_body();
    while let Some(Ok(_)) = body.frame().await {}
    Ok(status.into_http())
}

impl Service<Request<Incoming>> for Desk {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Measured<Map<BoxAnswer, fn(Answer) -> Answer>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let method = self.method(request.uri().path());
        let span = self.front.measures.trace(method, request.headers());
        let answer = self.answer(request).map(corrected as fn(Answer) -> Answer);
        Measured::new(answer, span, &self.shard, method)
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
