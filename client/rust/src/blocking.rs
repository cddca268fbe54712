//! The client for code without async: it brings a thread of its own.
//!
//! ```no_run
//! use breaker_client::{CallError, blocking};
//!
//! # fn charge() -> Result<String, std::io::Error> { Ok(String::new()) }
//! # fn run() -> Result<(), breaker_client::Error> {
//! let client = blocking::Client::new("127.0.0.1:7420")?;
//! let stripe = client.breaker("payments/stripe-api")?;
//! match stripe.call(charge) {
//!     Ok(receipt) => println!("paid: {receipt}"),
//!     Err(CallError::Denied(denial)) => println!("not tried: {denial}"),
//!     Err(error) => println!("{error}"),
//! }
//! # Ok(())
//! # }
//! ```

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use tokio::runtime::{self, Runtime};

use crate::admission::Denial;
use crate::builder::ClientBuilder;
use crate::call::CallError;
use crate::classify::{Classify, EveryError};
use crate::error::Error;
use crate::guard::Guard;
use crate::state::ClientStatus;

/// A client whose calls block. Cheap to clone. The end of the last clone and of the last breaker
/// reports what is left, for 5 s at most.
#[derive(Clone, Debug)]
pub struct Client(Arc<Owner>);

/// One breaker, to make calls under. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Breaker {
    breaker: crate::Breaker,
    owner: Arc<Owner>,
}

#[derive(Debug)]
struct Owner {
    client: crate::Client,
    /// `None` once it has ended.
    runtime: Option<Runtime>,
}

impl Client {
    /// A client of the server at `host:port`, with defaults for everything else.
    ///
    /// # Errors
    /// If the address is wrong, or there can be no thread.
    pub fn new(address: impl Into<String>) -> Result<Self, Error> {
        Self::build(crate::Client::builder().address(address))
    }

    /// A client as the builder says.
    ///
    /// # Errors
    /// As [`ClientBuilder::build`], and if there can be no thread.
    pub fn build(builder: ClientBuilder) -> Result<Self, Error> {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("breaker-client")
            .enable_all()
            .build()
            .map_err(|error| Error::NoThread(error.to_string()))?;
        let client = {
            let _entered = runtime.enter();
            builder.build()?
        };
        Ok(Self(Arc::new(Owner { client, runtime: Some(runtime) })))
    }

    /// The breaker of this name: see [`Client::breaker`](crate::Client::breaker).
    ///
    /// # Errors
    /// If the text is not a name.
    pub fn breaker(&self, name: &str) -> Result<Breaker, Error> {
        Ok(Breaker { breaker: self.0.client.breaker(name)?, owner: Arc::clone(&self.0) })
    }

    /// What the client has to go by, and for how long.
    pub fn state(&self) -> ClientStatus {
        self.0.client.state()
    }

    /// Waits until the copy is complete, for so long at most; whether it is.
    pub fn ready(&self, longest: Duration) -> bool {
        self.0.wait(async |client| client.ready(longest).await).unwrap_or(false)
    }

    /// Reports all that waits now, and waits until it has arrived, for so long at most; whether
    /// it has.
    pub fn flush(&self, longest: Duration) -> bool {
        self.0.wait(async |client| client.flush(longest).await).unwrap_or(false)
    }

    /// The async client, for listeners and all else that does not wait.
    pub fn as_async(&self) -> &crate::Client {
        &self.0.client
    }

    /// Reports the outcomes that are waiting, for 5 s at most, and takes no further ones.
    ///
    /// # Errors
    /// If outcomes were left when the time was over.
    pub fn shutdown(&self) -> Result<(), Error> {
        self.0.wait(async |client| client.shutdown().await).unwrap_or(Ok(()))
    }
}

impl Breaker {
    /// The name.
    pub fn name(&self) -> &str {
        self.breaker.name()
    }

    /// Asks whether a call may be made: see [`Breaker::acquire`](crate::Breaker::acquire). Blocks
    /// for a permit of a HALF_OPEN breaker alone.
    ///
    /// # Errors
    /// Why the call must not be made.
    pub fn acquire(&self) -> Result<Guard<'_>, Denial> {
        block_on(self.breaker.acquire())
    }

    /// Makes a call if it may be made, and reports how it ended. Every error is a failure. A call
    /// that blocks cannot be given up: one that took longer than `call_timeout` is a TIMEOUT, and
    /// its value is returned all the same.
    ///
    /// # Errors
    /// If the call was denied, or failed.
    pub fn call<T, E>(&self, call: impl FnOnce() -> Result<T, E>) -> Result<T, CallError<E>> {
        self.call_judged_by(EveryError, call)
    }

    /// The same, judged by this: a preset, or a closure over `&Result<T, E>`.
    ///
    /// # Errors
    /// If the call was denied, or failed.
    pub fn call_judged_by<T, E>(
        &self,
        classify: impl Classify<T, E>,
        call: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, CallError<E>> {
        let guard = self.acquire().map_err(CallError::Denied)?;
        let result = call();
        guard.finish(classify.classify(&result));
        result.map_err(CallError::Failed)
    }

    /// Makes a call, or takes the value of `fallback` if it was denied or failed.
    pub fn call_or<T, E>(
        &self,
        call: impl FnOnce() -> Result<T, E>,
        fallback: impl FnOnce(CallError<E>) -> T,
    ) -> T {
        self.call(call).unwrap_or_else(fallback)
    }

    /// The client that it is of.
    pub fn client(&self) -> Client {
        Client(Arc::clone(&self.owner))
    }

    /// The breaker of the async client, for listeners and all else that does not wait.
    pub const fn as_async(&self) -> &crate::Breaker {
        &self.breaker
    }
}

impl Owner {
    /// Does something with the client's timers and waits for it; `None` if they have ended.
    fn wait<T>(&self, work: impl AsyncFnOnce(&crate::Client) -> T) -> Option<T> {
        let runtime = self.runtime.as_ref()?;
        // Timers need to know whose they are.
        let _entered = runtime.enter();
        Some(block_on(work(&self.client)))
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // What was left was counted, and there is nobody to tell.
        let _ = self.wait(async |client| client.shutdown().await);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Waits on this thread alone, be it one of a runtime or none: Tokio's own way to block panics
/// within a runtime.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let mut future = pin!(future);
    // The first look needs nobody to be woken.
    if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        return output;
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
