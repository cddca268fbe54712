//! Rust client of breakerd, the circuit breaker that a whole fleet shares.
//!
//! A [`Client`] keeps a copy of the breakers that the application uses, decides calls from it
//! without asking anybody, and reports in the background how they ended. It never makes a call
//! fail or wait for reasons of its own.
//!
//! ```no_run
//! # async fn charge(_cents: u32) -> Result<String, std::io::Error> { Ok(String::new()) }
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use breaker_client::{CallError, Client};
//!
//! let client = Client::new("127.0.0.1:7420")?;
//! let stripe = client.breaker("payments/stripe-api")?;
//! match stripe.call(charge(1_200)).await {
//!     Ok(receipt) => println!("paid: {receipt}"),
//!     Err(CallError::Denied(denial)) => println!("not tried: {denial}"),
//!     Err(error) => println!("{error}"),
//! }
//! client.shutdown().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Judging calls
//! Every error is a failure, unless a [`Caller`] says otherwise:
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use breaker_client::{Breaker, Verdict};
//!
//! # #[derive(Debug)]
//! # struct PaymentError { is_declined: bool }
//! # async fn charge(_cents: u32) -> Result<String, PaymentError> { Ok(String::new()) }
//! # async fn run(stripe: Breaker) {
//! // A card that was declined is not the dependency's fault.
//! let caller = stripe.caller().timeout(Duration::from_secs(2)).classify_errors(
//!     |error: &PaymentError| match error.is_declined {
//!         true => Verdict::Ignored,
//!         false => Verdict::failure("stripe"),
//!     },
//! );
//! let receipt = caller.call_or(charge(1_200), async |_| "later".to_owned()).await;
//! # drop(receipt);
//! # }
//! ```
//!
//! # Guards
//! Where a call is not one future, [`Breaker::acquire`] hands out a [`Guard`] that is told how the
//! call ended. One that is dropped, as by a task that is cancelled, reports that the call counts for
//! nothing.
//!
//! ```no_run
//! # use breaker_client::{Breaker, Denial};
//! # fn charge() -> bool { true }
//! # async fn run(stripe: Breaker) -> Result<(), Denial> {
//! let guard = stripe.acquire().await?;
//! match charge() {
//!     true => guard.success(),
//!     false => guard.failure("http.503"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # While breakerd is away
//! [`Client::state`] says what the client goes by: [`Ready`](ClientState::Ready), the copy;
//! [`Stale`](ClientState::Stale), the copy as it was when the stream was cut; or
//! [`Fallback`](ClientState::Fallback), where `on_unavailable` decides: as the server last told for
//! the breaker, or else as the client was built. By default that is a breaker of this process, which
//! decides with the same rules as the server. Outcomes wait for the server to come back, as up to
//! [`MAX_WAITING_RUNS`] runs of alike ones; [`Client::outcomes_given_up`] counts those that could
//! not wait.
//!
//! # Several servers
//! Of several servers on one database one leads, and the others stand by. A client that knows some
//! of them finds the one that leads by itself, stays with it, and follows when another one takes
//! over. A report is repeated under its number and a stream goes on from its token, so that nothing
//! is lost or counts twice.
//!
//! # Following breakers
//! [`Client::on_transition`] and [`Breaker::on_transition`] tell of changes. [`Client::watch`] is a
//! stream of the states of any breakers, apart from the client's own:
//!
//! ```no_run
//! # use breaker_client::{Client, WatchEvent};
//! # async fn run(client: Client) {
//! let mut watch = client.watch(["payments/*"]);
//! while let Some(event) = watch.next().await {
//!     if let WatchEvent::Changed(status) = event {
//!         println!("{} is now {:?}", status.name, status.state);
//!     }
//! }
//! # }
//! ```
//!
//! # Features
//! `tower` (on by default): layers for HTTP and gRPC. `metrics`: counters and a gauge through the
//! `metrics` facade. Code without async uses [`blocking`].

mod address;
mod admission;
mod ask;
mod asks;
mod backoff;
mod batch;
pub mod blocking;
mod breaker;
mod builder;
mod call;
mod cell;
mod classify;
mod client;
mod clock;
mod cold;
mod common;
mod connection;
mod copy;
mod error;
mod follower;
mod guard;
mod lanes;
mod listeners;
mod local;
mod metrics;
mod options;
mod outbox;
mod pace;
mod registry;
mod reporter;
mod runs;
pub mod servers;
mod shared;
mod state;
mod status;
#[cfg(feature = "tower")]
pub mod tower;
mod transport;
mod watch;

pub use admission::{Denial, DenyReason};
pub use breaker::{Breaker, BreakerView};
pub use breaker_core::{
    BreakerName, Config, ConfigPatch, ErrorKind, Mode, NameError, OnUnavailable, PermitId,
    StateKind, Time, Violation,
};
pub use builder::ClientBuilder;
pub use call::{CallError, Caller, Serving};
pub use classify::{ByError, Classify, EveryError, Verdict};
pub use client::Client;
pub use error::Error;
pub use guard::Guard;
pub use listeners::{Listener, Standing, Transition};
pub use outbox::MAX_WAITING_RUNS;
pub use state::{ClientState, ClientStatus};
pub use status::{BreakerStatus, CurrentLevel};
pub use transport::Tls;
pub use watch::{Watch, WatchEvent};

#[cfg(test)]
mod tests;
