//! What is served over HTTP: health, readiness and metrics.

mod metrics;
mod streams;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use breaker_engine::Engine;
use serde_json::json;
use tokio_util::sync::CancellationToken;

pub(crate) use streams::{StreamGauge, StreamGuard};

/// The content type of OpenMetrics.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the pages show.
#[derive(Clone)]
pub(crate) struct Pages {
    pub(crate) engine: Arc<Engine>,
    pub(crate) streams: StreamGauge,
    pub(crate) drain: CancellationToken,
}

/// The routes.
pub(crate) fn router(pages: Pages) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(pages)
}

async fn index() -> &'static str {
    "breakerd\n\n/healthz  the process is alive\n/readyz   it takes calls, and how storage is doing\n\
     /metrics  for Prometheus\n"
}

async fn healthz() -> &'static str {
    "ok\n"
}

/// A server whose storage fails is ready: it goes on from memory. The answer shows it.
async fn readyz(State(pages): State<Pages>) -> impl IntoResponse {
    let status = pages.engine.storage_status().borrow().clone();
    let mut storage = match &status.failing {
        None => json!({ "status": "ok" }),
        Some(failing) => json!({
            "status": "failing",
            "for_seconds": pages.engine.now().since(failing.since).as_secs_f64(),
            "error": failing.error,
            "waiting_breakers": pages.engine.waiting_breakers(),
            "waiting_transitions": pages.engine.waiting_transitions(),
        }),
    };
    let damaged_rows = pages.engine.stats().damaged_rows();
    if damaged_rows > 0 {
        storage["damaged_rows"] = damaged_rows.into();
    }
    let (code, word) = if pages.drain.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "draining")
    } else if status.failing.is_some() {
        (StatusCode::OK, "degraded")
    } else {
        (StatusCode::OK, "ready")
    };
    let breakers = pages.engine.breaker_count();
    let page = json!({ "status": word, "breakers": breakers, "storage": storage });
    (code, [(header::CONTENT_TYPE, "application/json")], format!("{page}\n"))
}

async fn metrics(State(pages): State<Pages>) -> impl IntoResponse {
    match metrics::render(&pages) {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
