//! The dependency that the fleet calls. It can be told to work, fail or hang, and counts the calls
//! it gets. Ends when its standard input does.
//!
//! `GET /work` is a call, `PUT /behaviour/{work|fail|hang}/{milliseconds}` says how calls go from
//! now on and how long they take, `GET /counts` tells what came.

mod counts;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, put};
use axum::{Json, Router};
use tokio::io::{AsyncReadExt, stdin};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::counts::{Counts, InFlight};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Behaviour {
    Work,
    Fail,
    Hang,
}

struct Upstream {
    behaviour: watch::Sender<(Behaviour, Duration)>,
    counts: Arc<Counts>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let upstream = Arc::new(Upstream {
        behaviour: watch::Sender::new((Behaviour::Work, Duration::ZERO)),
        counts: Arc::new(Counts::default()),
    });
    let router = Router::new()
        .route("/work", get(work))
        .route("/behaviour/{behaviour}/{milliseconds}", put(behave))
        .route("/counts", get(counts))
        .with_state(upstream);
    let listener = TcpListener::bind("127.0.0.1:0").await.context("no port is free")?;
    println!("upstream listening on {}", listener.local_addr()?);
    let mut ignored = Vec::new();
    tokio::select! {
        served = async { axum::serve(listener, router).await } => Ok(served?),
        told = async { stdin().read_to_end(&mut ignored).await } => Ok(told.map(drop)?),
    }
}

async fn work(State(upstream): State<Arc<Upstream>>, headers: HeaderMap) -> StatusCode {
    let header = headers.get("x-generation").and_then(|value| value.to_str().ok());
    let generation = header.and_then(|text| text.parse().ok()).unwrap_or(0);
    // Ends with the call, also if the caller gives it up.
    let _in_flight = InFlight::begin(&upstream.counts, generation);
    let mut behaviour = upstream.behaviour.subscribe();
    let (now, takes) = *behaviour.borrow();
    sleep(takes).await;
    match now {
        Behaviour::Work => StatusCode::OK,
        Behaviour::Fail => StatusCode::SERVICE_UNAVAILABLE,
        Behaviour::Hang => {
            let _ = behaviour.wait_for(|(behaviour, _)| *behaviour != Behaviour::Hang).await;
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

async fn behave(
    State(upstream): State<Arc<Upstream>>,
    Path((behaviour, milliseconds)): Path<(String, u64)>,
) -> StatusCode {
    let behaviour = match behaviour.as_str() {
        "work" => Behaviour::Work,
        "fail" => Behaviour::Fail,
        "hang" => Behaviour::Hang,
        _ => return StatusCode::NOT_FOUND,
    };
    upstream.behaviour.send_replace((behaviour, Duration::from_millis(milliseconds)));
    StatusCode::OK
}

async fn counts(State(upstream): State<Arc<Upstream>>) -> Json<serde_json::Value> {
    Json(upstream.counts.to_json())
}
