//! The layers for tower, around services that this test makes.
#![cfg(feature = "tower")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test that cannot be set up fails")]

#[path = "tower/grpc.rs"]
mod grpc;
#[path = "tower/http.rs"]
mod http;
#[path = "support/server.rs"]
mod server;

use std::time::Duration;

use breaker_client::{Breaker, Client};
use breaker_core::ConfigPatch;
use breaker_proto::v1;

use self::server::TestServer;

const NAME: &str = "payments/stripe-api";
const LONG: Duration = Duration::from_secs(60);

/// A server and a breaker that one failure opens for half a minute.
async fn guarded() -> (TestServer, Breaker) {
    let server = TestServer::start(&ConfigPatch {
        failure_threshold: Some(1),
        open_duration: Some(Duration::from_secs(30)),
        ..ConfigPatch::default()
    });
    server.create(NAME);
    let client = Client::new(&server.address).unwrap();
    let breaker = client.breaker(NAME).unwrap();
    assert!(client.ready(LONG).await);
    (server, breaker)
}

/// Opens the breaker, and waits until the client knows.
async fn opened(server: &TestServer, breaker: &Breaker) {
    server.trip(NAME);
    while breaker.allows_all() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The next run that was reported, as `FAILURE http.503`.
async fn reported(server: &mut TestServer) -> String {
    let (run, _) = server.next_run().await;
    let outcome = match run.outcome() {
        v1::Outcome::Success => "SUCCESS",
        v1::Outcome::Failure => "FAILURE",
        v1::Outcome::Timeout => "TIMEOUT",
        _ => "IGNORED",
    };
    format!("{outcome} {}", run.error_kind).trim_end().to_owned()
}
