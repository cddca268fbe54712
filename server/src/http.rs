//! What is served over HTTP: the dashboard, the JSON API, health, readiness and metrics.

mod api;
mod events;
mod files;
mod guard;
mod listener;
mod metrics;
mod openapi;
mod problem;
mod streams;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Router, middleware};
use breaker_core::Time;
use breaker_engine::{Engine, Failing};
use serde_json::json;

use self::events::{Events, events};
use self::guard::guard;
use crate::grpc::now_to_message;
use crate::notify::Notifier;
use crate::rpcs::Rpcs;
use crate::seat::{NotLeading, Seat};
use crate::server::Limits;

pub use self::api::ProtocolError;
pub(crate) use self::api::{Api, protocol};
pub(crate) use self::guard::Hosts;
pub(crate) use self::listener::serve;
pub(crate) use self::metrics::{Family, Kind, Point, Shown, Value, read as read_numbers};
pub(crate) use self::streams::{StreamGauge, StreamGuard};

/// What the pages show.
#[derive(Clone)]
pub(crate) struct Pages {
    pub(crate) seat: Arc<Seat>,
    pub(crate) streams: StreamGauge,
    pub(crate) limits: Limits,
    pub(crate) api: Arc<Api>,
    pub(crate) events: Arc<Events>,
    pub(crate) rpcs: Arc<Rpcs>,
    pub(crate) shown: Arc<Shown>,
    pub(crate) notifier: Notifier,
}

impl Pages {
    /// The pages of a server.
    pub(crate) fn new(
        seat: Arc<Seat>,
        streams: StreamGauge,
        limits: Limits,
        rpcs: Arc<Rpcs>,
        api: Api,
        shown: Shown,
        notifier: Notifier,
    ) -> Result<Self, ProtocolError> {
        let api = Arc::new(api);
        let events = Arc::new(Events::new(Arc::clone(&api))?);
        Ok(Self { seat, streams, limits, api, events, rpcs, shown: Arc::new(shown), notifier })
    }

    /// When the server started.
    pub(crate) fn started_at(&self) -> Time {
        self.shown.started_at
    }
}

/// The routes, for a server that is called by these names.
pub(crate) fn router(pages: Pages, hosts: Hosts) -> Router {
    let feed =
        Router::new().route("/api/v1/events", get(events)).with_state(Arc::clone(&pages.events));
    api::router(Arc::clone(&pages.api))
        .merge(feed)
        .route("/healthz", get(healthz))
        .merge(
            Router::new()
                .route("/readyz", get(readyz))
                .route("/metrics", get(metrics))
                .with_state(pages),
        )
        .fallback(files::serve)
        .layer(middleware::from_fn_with_state(hosts, guard))
}

/// What there is, where there is no dashboard.
const fn index() -> &'static str {
    "breakerd\n\n/healthz  the process is alive\n/readyz   it takes calls, and how storage is doing\n\
     /metrics  for Prometheus\n/api/v1/  the RPCs as JSON; /api/v1/openapi.json describes them\n"
}

async fn healthz() -> &'static str {
    "ok\n"
}

/// A server whose storage fails is ready: it goes on from memory. One that stands by is not: it
/// takes no calls. The answer shows it.
async fn readyz(State(pages): State<Pages>) -> impl IntoResponse {
    let (code, page) = match pages.seat.engine() {
        _ if pages.seat.is_draining() => {
            (StatusCode::SERVICE_UNAVAILABLE, json!({ "status": "draining" }))
        }
        Err(NotLeading { leader }) => {
            let page = json!({ "status": "standing_by", "leader": leader });
            (StatusCode::SERVICE_UNAVAILABLE, page)
        }
        Ok(engine) => {
            let failing = engine.storage_status().borrow().failing.clone();
            let status = if failing.is_some() { "degraded" } else { "ready" };
            let storage = storage(&engine, failing);
            let breakers = engine.breaker_count();
            let page = json!({ "status": status, "breakers": breakers, "storage": storage });
            (StatusCode::OK, page)
        }
    };
    (code, [(header::CONTENT_TYPE, "application/json")], format!("{page}\n"))
}

fn storage(engine: &Engine, failing: Option<Failing>) -> serde_json::Value {
    let mut storage = match failing {
        None => json!({ "status": "ok" }),
        Some(failing) => json!({
            "status": "degraded",
            "since": now_to_message(failing.since).unwrap_or_default().to_string(),
            "for_seconds": engine.now().since(failing.since).as_secs_f64(),
            "error": failing.error,
            "waiting_breakers": engine.waiting_breakers(),
            "waiting_transitions": engine.waiting_transitions(),
        }),
    };
    let damaged_rows = engine.stats().damaged_rows();
    if damaged_rows > 0 {
        storage["damaged_rows"] = damaged_rows.into();
    }
    storage
}

async fn metrics(State(pages): State<Pages>, headers: HeaderMap) -> impl IntoResponse {
    let format = metrics::Format::asked_for(&headers);
    match metrics::render(&pages, format) {
        Ok(text) => ([(header::CONTENT_TYPE, format.content_type())], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
