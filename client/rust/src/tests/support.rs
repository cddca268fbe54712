use std::panic::Location;
use std::sync::mpsc;
use std::time::Duration;

use breaker_core::ConfigPatch;
use tokio::task::{spawn_blocking, yield_now};

use super::server::TestServer;
use crate::{Breaker, Client, ClientBuilder, Denial, Guard};

pub(crate) const NAME: &str = "payments/stripe-api";

/// Longer than any test takes.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// A client's builder whose attempts follow each other without delay. Its calls wait for permits,
/// however busy the machine is.
pub(crate) fn builder() -> ClientBuilder {
    let moment = Duration::from_millis(1);
    Client::builder().backoff(moment, moment).permit_timeout(LONG)
}

pub(crate) fn client_of(server: &TestServer) -> Client {
    builder().address(&server.address).build().unwrap()
}

/// The breaker of a client that is ready, and so is the copy of it.
pub(crate) async fn breaker_of(server: &TestServer) -> Breaker {
    ready(&client_of(server), NAME).await
}

/// A breaker of which the copy holds what the server has.
pub(crate) async fn ready(client: &Client, name: &str) -> Breaker {
    let breaker = client.breaker(name).unwrap();
    eventually(|| breaker.status().is_some()).await;
    breaker
}

/// An address at which nobody listens.
pub(crate) fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// A breaker that one failure opens for half a minute, and one success closes.
pub(crate) fn trips_at_once() -> ConfigPatch {
    ConfigPatch {
        failure_threshold: Some(1),
        success_threshold: Some(1),
        open_duration: Some(Duration::from_secs(30)),
        call_timeout: Some(Duration::from_secs(2)),
        ..ConfigPatch::default()
    }
}

pub(crate) async fn allowed(breaker: &Breaker) -> Guard<'_> {
    match breaker.acquire().await {
        Ok(guard) => guard,
        Err(denial) => panic!("{denial}"),
    }
}

pub(crate) async fn denied(breaker: &Breaker) -> Denial {
    match breaker.acquire().await {
        Ok(guard) => panic!("allowed: {guard:?}"),
        Err(denial) => denial,
    }
}

/// Waits until something has come about, by the work of other threads as well.
#[track_caller]
pub(crate) fn eventually(is_so: impl FnMut() -> bool) -> impl Future<Output = ()> {
    comes_about(is_so, Location::caller())
}

async fn comes_about(mut is_so: impl FnMut() -> bool, place: &'static Location<'static>) {
    const MOST_LOOKS: u32 = 10_000;
    for _ in 0..MOST_LOOKS {
        if is_so() {
            return;
        }
        look_again().await;
    }
    panic!("what is awaited at {place} never came about");
}

/// Gives all that is on its way the time to arrive, for tests of what must not happen.
pub(crate) async fn settle() {
    for _ in 0..50 {
        look_again().await;
    }
}

/// Lets the other tasks and threads go on, whether the clock of the tests stands still or not.
async fn look_again() {
    yield_now().await;
    std::thread::sleep(Duration::from_millis(1));
}

/// While it is there, the clock of the test's runtime stands still, also while everyone waits for
/// a server of another thread. It is dropped by the end of the test.
pub(crate) struct StoppedTime {
    _ends_waiting: mpsc::Sender<()>,
}

impl StoppedTime {
    /// At once, in a test whose clock is paused from the start: then whole milliseconds are those
    /// of the timers, too, which round up to them.
    pub(crate) fn begin() -> Self {
        let (sender, waiting) = mpsc::channel::<()>();
        // Tokio lets a paused clock jump to the next timer when there is nothing else to do, which
        // is never so while something blocks.
        spawn_blocking(move || waiting.recv());
        Self { _ends_waiting: sender }
    }

    pub(crate) fn from_now_on() -> Self {
        tokio::time::pause();
        Self::begin()
    }

    pub(crate) async fn pass(&self, duration: Duration) {
        tokio::time::advance(duration).await;
    }
}
