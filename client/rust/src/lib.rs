//! Rust client of breakerd, the circuit breaker that a whole fleet shares.
//!
//! A [`Client`] speaks the thin protocol: for each call it asks the server for leave and reports
//! how the call ended. A call is guarded by wrapping its future:
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use breaker_client::{CallError, Client, Verdict};
//!
//! # #[derive(Debug, thiserror::Error)]
//! # #[error("declined")]
//! # struct PaymentError { is_declined: bool }
//! # async fn charge(_cents: u32) -> Result<String, PaymentError> { Ok(String::new()) }
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::builder()
//!     .addresses(["breakerd-0:7420", "breakerd-1:7420"])
//!     .client_id("checkout-7")
//!     .build()?;
//! let stripe = client.breaker("payments/stripe-api")?;
//!
//! match stripe.call(charge(1_200)).await {
//!     Ok(receipt) => println!("paid: {receipt}"),
//!     Err(CallError::Denied(denial)) => println!("not tried: {denial}"),
//!     Err(CallError::Timeout) => println!("given up"),
//!     Err(CallError::Failed(error)) => println!("failed: {error}"),
//! }
//!
//! // A card that was declined is not the dependency's fault.
//! let caller = stripe.caller().timeout(Duration::from_secs(2)).classify_errors(
//!     |error: &PaymentError| match error.is_declined {
//!         true => Verdict::Ignored,
//!         false => Verdict::failure("stripe"),
//!     },
//! );
//! let receipt = caller.call_or_else(charge(1_200), |_| async { "later".to_owned() }).await;
//! # drop(receipt);
//!
//! client.shutdown().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Where a call is not one future, [`Breaker::admit`] hands out a [`Guard`] that is told how the
//! call ended. [`Client::watch`] follows the states of breakers:
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
//! # Several servers
//! Of several servers on one database one leads, and the others stand by. A client that knows some
//! of them finds the one that leads by itself, stays with it, and follows when another one takes
//! over. A report is repeated under its number and a watch goes on from its token, so that
//! nothing is lost or counts twice. Calls made while nobody leads are decided as while the server
//! is away.
//!
//! # While the server is away
//! A guarded call never fails because breakerd does. An Acquire that is not answered, by any of the
//! servers within the request timeout, is decided by `on_unavailable`: as the server last told it
//! for the breaker, or else as the client was built. Calls that the server did not
//! admit are not reported to it. Outcomes of those that it did admit wait for it, for a minute and
//! up to [`MAX_QUEUED_OUTCOMES`] of them; the oldest are given up first, and
//! [`Client::outcomes_given_up`] counts them.

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
