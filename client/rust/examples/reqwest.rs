//! Guards requests of reqwest to a server that breaks down.
//!
//! `cargo run -p breaker-client --example reqwest`, beside a breakerd on 127.0.0.1:7420 or where
//! `BREAKERD_ADDRESS` says; without one the breaker of this process decides.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use breaker_client::tower::status_verdict;
use breaker_client::{CallError, Client, Verdict};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::var("BREAKERD_ADDRESS").unwrap_or_else(|_| "127.0.0.1:7420".into());
    let client = Client::builder().address(address).client_id("example-reqwest").build()?;
    let bank = client.breaker("examples/bank")?;
    if !client.ready(Duration::from_secs(1)).await {
        println!("breakerd is away; this process decides alone");
    }
    let is_broken = Arc::new(AtomicBool::new(false));
    let url = bank_at(Arc::clone(&is_broken)).await?;

    let caller = bank.caller().timeout(Duration::from_secs(2)).classify(judge);
    let http = reqwest::Client::new();
    for turn in 1..=12 {
        is_broken.store(turn > 3, Ordering::Relaxed);
        match caller.call(http.get(&url).send()).await {
            Ok(response) => println!("{turn:>2}: the bank answered {}", response.status()),
            Err(CallError::Denied(denial)) => println!("{turn:>2}: not asked, because {denial}"),
            Err(error) => println!("{turn:>2}: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    if let Err(error) = client.shutdown().await {
        println!("{error}");
    }
    Ok(())
}

/// A request went well if the server was not to blame for its answer.
fn judge(result: &Result<reqwest::Response, reqwest::Error>) -> Verdict {
    match result {
        Ok(response) => status_verdict(response.status()),
        Err(error) if error.is_timeout() => Verdict::Timeout,
        Err(_) => Verdict::failure("http.error"),
    }
}

/// Starts the server that is asked; where it listens.
async fn bank_at(is_broken: Arc<AtomicBool>) -> Result<String, std::io::Error> {
    let answer = move || async move {
        match is_broken.load(Ordering::Relaxed) {
            true => StatusCode::SERVICE_UNAVAILABLE,
            false => StatusCode::OK,
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let application = Router::new().route("/", get(answer));
    tokio::spawn(async move { axum::serve(listener, application).await });
    Ok(url)
}
