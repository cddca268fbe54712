//! The JSON API under `/api/v1`: the RPCs for curl, scripts and the dashboard.
//!
//! A request is turned into the message of its RPC, and the service that gRPC serves answers it: each
//! check, each error and who leads come from there. What stands here is only which request is which
//! RPC, and how messages look as JSON.

mod body;
mod inside;
mod json;
mod query;
mod routes;
mod stream;

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode, header, request};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use breaker_core::Violation;
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use prost_reflect::{DescriptorError, DescriptorPool, DynamicMessage, MessageDescriptor};
use serde_json::json;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tonic::Code;
use tonic::service::Routes;

pub(crate) use self::inside::{Inside, Rpc};
pub(crate) use self::json::{compact, from_value, to_json};
pub(crate) use self::routes::{Effect, Fields, ROUTES, Route, Verb};
pub(crate) use self::stream::{error_frame, frame, response, unwritable};
use super::openapi;
use super::problem::{Problem, Problems};
use crate::grpc::invalid;
use crate::overload::Overload;
use crate::rpcs::Measures;
use crate::seat::{NotLeading, Seat};
use crate::settings::HttpAccess;

/// Where the API begins.
pub(crate) const PREFIX: &str = "/api/v1/";
/// Requests that are read and answered at a time, streams aside. Each holds its body.
const MAX_CALLS: usize = 64;
/// How long a request may wait for others before it is refused.
const MAX_WAIT: Duration = Duration::from_secs(2);
/// How long the body of a request may take to come.
const MAX_BODY_WAIT: Duration = Duration::from_secs(10);
/// Streams over HTTP at a time, those of dashboards among them. There are half as many as
/// connections, so that there is always one left to ask with.
const MAX_STREAMS: usize = 500;

/// The protocol lacks what the server serves of it.
#[derive(Debug, Error)]
pub enum ProtocolError {
    /// The descriptors are malformed.
    #[error("the descriptors of the protocol are malformed: {0}")]
    Descriptors(#[from] DescriptorError),
    /// A message or an RPC is missing.
    #[error("there is no {0} in the protocol")]
    Missing(String),
}

/// The descriptors of the protocol.
pub(crate) fn protocol() -> Result<DescriptorPool, ProtocolError> {
    Ok(DescriptorPool::decode(breaker_proto::FILE_DESCRIPTOR_SET)?)
}

/// Which request is which RPC.
pub(crate) type RouteTable = Vec<(&'static Route, Rpc)>;

/// Looks up the RPCs of all requests.
pub(crate) fn table(protocol: &DescriptorPool) -> Result<RouteTable, ProtocolError> {
    ROUTES.iter().map(|route| Ok((route, Rpc::find(protocol, route.rpc)?))).collect()
}

/// The API of one server.
pub(crate) struct Api {
    table: RouteTable,
    inside: Inside,
    problems: Problems,
    access: HttpAccess,
    seat: Arc<Seat>,
    calls: Semaphore,
    streams: Arc<Semaphore>,
    /// The description of all this, made when somebody first asks for it.
    description: OnceLock<Bytes>,
}

impl Api {
    /// The API on top of the services of gRPC.
    pub(crate) fn new(
        protocol: &DescriptorPool,
        services: Routes,
        overload: Arc<Overload>,
        measures: Measures,
        seat: Arc<Seat>,
        access: HttpAccess,
    ) -> Result<Self, ProtocolError> {
        Ok(Self {
            table: table(protocol)?,
            inside: Inside::new(services, overload, measures),
            problems: Problems::load()?,
            access,
            seat,
            calls: Semaphore::new(MAX_CALLS),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            description: OnceLock::new(),
        })
    }

    /// Room for one more stream.
    pub(crate) fn stream_permit(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.streams).try_acquire_owned().map_err(|_| {
            Problem::crowded(format!("there are {MAX_STREAMS} streams over HTTP, the limit"))
        })
    }

    /// How many streams there are over HTTP.
    pub(crate) fn stream_count(&self) -> usize {
        MAX_STREAMS - self.streams.available_permits()
    }

    pub(crate) const fn inside(&self) -> &Inside {
        &self.inside
    }

    pub(crate) const fn problems(&self) -> &Problems {
        &self.problems
    }

    pub(crate) const fn seat(&self) -> &Arc<Seat> {
        &self.seat
    }

    /// Whether requests may change anything.
    pub(crate) fn is_writable(&self) -> bool {
        self.access == HttpAccess::Write
    }

    /// The RPC of a row of the table.
    pub(crate) fn rpc(&self, name: &str) -> Result<&Rpc, ProtocolError> {
        let found = self.table.iter().find(|(route, _)| route.rpc == name);
        found.map(|(_, rpc)| rpc).ok_or_else(|| ProtocolError::Missing(name.to_owned()))
    }

    /// The request of a path and a method.
    fn find<'p>(&self, verb: Option<Verb>, path: &'p str) -> Result<Found<'_, 'p>, Problem> {
        let matching = || {
            self.table.iter().filter_map(|(route, rpc)| {
                Some(Found { route, rpc, path_value: route.matches(path)? })
            })
        };
        if let Some(found) = matching().find(|found| Some(found.route.verb) == verb) {
            return Ok(found);
        }
        let allowed: Vec<_> = matching().map(|found| found.route.verb.word()).collect();
        Err(match allowed.as_slice() {
            [] => Problem::new(
                StatusCode::NOT_FOUND,
                Code::NotFound,
                format!(
                    "there is nothing at {PREFIX}{path}; {PREFIX}openapi.json tells what there is"
                ),
            ),
            allowed => Problem::method(allowed.join(", ")),
        })
    }

    async fn answer(&self, request: Request<Body>) -> Result<Response, Problem> {
        let (head, body) = request.into_parts();
        let path = decoded(head.uri.path())?;
        let path = path.strip_prefix(PREFIX).unwrap_or_default();
        let found = self.find(Verb::of(&head.method), path)?;
        if found.route.effect == Effect::Changes && !self.is_writable() {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                Code::PermissionDenied,
                "this server changes nothing over HTTP (`http_access` is read); use gRPC",
            ));
        }
        let room = timeout(MAX_WAIT, self.calls.acquire()).await;
        let Ok(Ok(_room)) = room else {
            let message = format!("there are {MAX_CALLS} requests at a time, the limit");
            return Err(Problem::crowded(message));
        };
        let message = self.message(&found, &head, body).await?;
        let span = self.inside.trace(found.rpc, &head.headers);
        if found.rpc.method().is_server_streaming() {
            let permit = self.stream_permit()?;
            let messages = self.inside.stream(found.rpc, message, span).await;
            let messages = messages.map_err(|status| self.problems.of(&status))?;
            return Ok(stream::of_rpc(messages, self.problems.clone(), permit));
        }
        let answer = self.inside.call(found.rpc, message, span).await;
        let json = answer.and_then(|answer| to_json(&answer).map_err(unwritable));
        let json = json.map_err(|status| self.problems.of(&status))?;
        Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
    }

    /// The message that a request amounts to.
    async fn message(
        &self,
        found: &Found<'_, '_>,
        head: &request::Parts,
        body: Body,
    ) -> Result<DynamicMessage, Problem> {
        let (route, kind) = (found.route, found.rpc.method().input());
        let query = head.uri.query().unwrap_or_default();
        let path_field = route.path_field();
        let mut message = match route.fields() {
            Fields::Query => self.of_query(&kind, query, |name| Some(name) != path_field)?,
            Fields::Body => {
                self.of_query(&kind, query, |_| false)?;
                self.of_body(&kind, body).await?
            }
            Fields::BodyAndMask => {
                let is_mask = |name: &str| name == "update_mask";
                let masked = self.of_query(&kind, query, is_mask)?;
                let mut message = self.of_body(&kind, body).await?;
                if let Some(mask) = masked.get_field_by_name("update_mask")
                    && masked.has_field_by_name("update_mask")
                {
                    message.set_field_by_name("update_mask", mask.into_owned());
                }
                message
            }
        };
        if let Some(field) = path_field {
            let set = query::set_path_field(&mut message, field, found.path_value);
            set.map_err(|violation| self.invalid(vec![violation]))?;
        }
        Ok(message)
    }

    fn of_query(
        &self,
        kind: &MessageDescriptor,
        query: &str,
        takes: impl Fn(&str) -> bool,
    ) -> Result<DynamicMessage, Problem> {
        query::from_query(kind, query, takes).map_err(|violations| self.invalid(violations))
    }

    async fn of_body(
        &self,
        kind: &MessageDescriptor,
        body: Body,
    ) -> Result<DynamicMessage, Problem> {
        let Ok(bytes) = timeout(MAX_BODY_WAIT, body::read(body)).await else {
            return Err(Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                Code::DeadlineExceeded,
                format!("the body did not come within {MAX_BODY_WAIT:?}"),
            ));
        };
        let bytes = bytes?;
        json::from_bytes(kind, &bytes).map_err(|violation| self.invalid(vec![violation]))
    }

    fn invalid(&self, violations: Vec<Violation>) -> Problem {
        self.problems.of(&invalid(violations))
    }
}

/// A request that the table knows.
struct Found<'t, 'p> {
    route: &'static Route,
    rpc: &'t Rpc,
    path_value: &'p str,
}

/// The routes of the API.
pub(crate) fn router(api: Arc<Api>) -> Router {
    Router::new()
        .route("/api/v1/server", get(server))
        .route("/api/v1/openapi.json", get(description))
        .route("/api/v1", get(call))
        .route("/api/v1/{*rest}", axum::routing::any(call))
        .with_state(api)
}

async fn call(State(api): State<Arc<Api>>, request: Request<Body>) -> Response {
    api.answer(request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn description(State(api): State<Arc<Api>>) -> impl IntoResponse {
    let described =
        api.description.get_or_init(|| openapi::describe(&api.table).to_string().into());
    ([(header::CONTENT_TYPE, "application/json")], described.clone())
}

/// What a page has to know of the server before it asks for anything else.
async fn server(State(api): State<Arc<Api>>) -> impl IntoResponse {
    let leader = match api.seat.leading() {
        Ok(_) => Ok(()),
        Err(NotLeading { leader }) => Err(leader),
    };
    let server = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "writable": api.is_writable(),
        "leading": leader.is_ok(),
        "leader": leader.err().flatten(),
    });
    ([(header::CONTENT_TYPE, "application/json")], server.to_string())
}

/// A path without its escapes.
fn decoded(path: &str) -> Result<Cow<'_, str>, Problem> {
    percent_decode_str(path).decode_utf8().map_err(|_| {
        let message = "the path is not text in UTF-8";
        Problem::new(StatusCode::BAD_REQUEST, Code::InvalidArgument, message)
    })
}
