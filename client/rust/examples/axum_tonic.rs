//! An axum handler that calls a gRPC service through a breaker.
//!
//! `cargo run -p breaker-client --example axum_tonic`, beside a breakerd on 127.0.0.1:7420 or where
//! `BREAKERD_ADDRESS` says; without one the breaker of this process decides.

use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use breaker_client::Client;
use breaker_client::tower::{GrpcLayer, GrpcService};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Code;
use tonic::transport::{Channel, Endpoint, Server};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::{Layer, ServiceExt};

/// The service, with a breaker around each call.
type Stock = HealthClient<GrpcService<Channel>>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::var("BREAKERD_ADDRESS").unwrap_or_else(|_| "127.0.0.1:7420".into());
    let client = Client::builder().address(address).client_id("example-axum").build()?;
    let breaker = client.breaker("examples/stock")?;
    if !client.ready(Duration::from_secs(1)).await {
        println!("breakerd is away; this process decides alone");
    }
    let (url, end) = stock_service().await?;
    let mut service = Some(end);
    let channel = Endpoint::from_shared(url)?.connect_lazy();
    let stock = HealthClient::new(GrpcLayer::new(breaker).layer(channel));
    let application = Router::new().route("/", get(is_in_stock)).with_state(stock);

    for turn in 1..=10 {
        if turn == 4 {
            println!("    the stock service breaks down");
            drop(service.take());
        }
        let request = Request::get("/").body(Body::empty())?;
        let response = application.clone().oneshot(request).await?;
        let (head, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1_024).await?;
        println!("{turn:>2}: {} {}", head.status, String::from_utf8_lossy(&body));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    if let Err(error) = client.shutdown().await {
        println!("{error}");
    }
    Ok(())
}

/// Asks the service, and says so if it is down or not asked.
async fn is_in_stock(State(mut stock): State<Stock>) -> (StatusCode, String) {
    match stock.check(HealthCheckRequest::default()).await {
        Ok(_) => (StatusCode::OK, "in stock".to_owned()),
        Err(status) if status.code() == Code::Unavailable => {
            (StatusCode::SERVICE_UNAVAILABLE, status.message().to_owned())
        }
        Err(status) => (StatusCode::BAD_GATEWAY, status.message().to_owned()),
    }
}

/// Starts the service, which ends when the sender is dropped. Every tonic server can have one that
/// tells of its health.
async fn stock_service() -> Result<(String, oneshot::Sender<()>), std::io::Error> {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("", ServingStatus::Serving).await;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let server = Server::builder().add_service(health);
    let (end, ended) = oneshot::channel::<()>();
    let ended = async {
        let _ = ended.await;
    };
    let incoming = TcpListenerStream::new(listener);
    tokio::spawn(server.serve_with_incoming_shutdown(incoming, ended));
    Ok((url, end))
}
