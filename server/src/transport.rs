//! How connections are served: HTTP/2 with one task for each connection.
//!
//! A server that spawns a task for each call or stream writes to the socket as often as one of them
//! has something to say: a change that a hundred streams of one connection watch costs a hundred
//! wake-ups and as many writes. Here the connection and everything on it are one task. In one turn it
//! lets all that is ready speak, reads what has come, and writes everything at once.
//!
//! What lasts long does not belong into a turn: it holds up its own connection, though no other.

mod calls;
mod connection;
mod output;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

use self::calls::Spawned;
use self::connection::Connection;
use self::output::Output;

/// The server asks connections for a sign of life so often, and waits so long for it.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

/// Most calls and streams at a time on one connection; a client lets others wait.
pub(crate) const MAX_STREAMS_PER_CONNECTION: u32 = 1_024;

/// After a failure to accept a connection, which mostly means that there are no file handles left.
const REST_AFTER_FAILURE: Duration = Duration::from_millis(50);

/// Connections that are one too many and are being told so. Any more are closed without a word.
const MAX_REFUSING: usize = 64;
/// How long that may take, for one that makes no call as for one that is slow; then it is cut.
const REFUSING: Duration = Duration::from_secs(5);

/// Whether there is room for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    Enough,
    /// All that it hears, in answer to its first call, is that it is one too many.
    None,
}

/// Answers the requests of one connection.
pub(crate) trait Serve:
    hyper::service::Service<
        Request<Incoming>,
        Response = Response<Body>,
        Error = Infallible,
        Future: Send + 'static,
    > + Send
    + 'static
{
}

impl<S> Serve for S where
    S: hyper::service::Service<
            Request<Incoming>,
            Response = Response<Body>,
            Error = Infallible,
            Future: Send + 'static,
        > + Send
        + 'static
{
}

/// How many connections there are, and may be.
#[derive(Debug)]
pub(crate) struct Connections {
    limit: usize,
    open: AtomicUsize,
    refused: AtomicU64,
}

impl Connections {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { limit, open: AtomicUsize::new(0), refused: AtomicU64::new(0) }
    }

    /// How many are open.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// How many there may be.
    pub(crate) const fn limit(&self) -> usize {
        self.limit
    }

    /// How many were refused because there were too many.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

/// Keeps more of a connection from being read for a while. What was read is answered, and streams
/// go on.
#[derive(Debug, Default)]
pub(crate) struct Brake {
    /// How long the rest is, in nanoseconds; 0 while there is none.
    rest: AtomicU64,
}

impl Brake {
    /// Lets nothing more be read until the connection has rested.
    pub(crate) fn press(&self, rest: Duration) {
        let rest = u64::try_from(rest.as_nanos()).unwrap_or(u64::MAX);
        self.rest.fetch_max(rest, Ordering::Relaxed);
    }

    /// How long the rest is that is due or goes on.
    fn rest(&self) -> Option<Duration> {
        let rest = self.rest.load(Ordering::Relaxed);
        (rest > 0).then_some(Duration::from_nanos(rest))
    }

    fn release(&self) {
        self.rest.store(0, Ordering::Relaxed);
    }
}

/// Serves connections until `drain`, and then those that are open until all is said on them. When
/// the future is dropped they are cut.
pub(crate) async fn serve<S: Serve>(
    listener: TcpListener,
    connections: Arc<Connections>,
    drain: CancellationToken,
    service: impl Fn(&Arc<Brake>, Room) -> S,
) -> io::Result<()> {
    let mut tasks = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = drain.cancelled() => break,
            Some(_) = tasks.join_next() => {
                connections.open.store(tasks.len(), Ordering::Relaxed);
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let socket = match accepted {
            Ok((socket, _)) => socket,
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                sleep(REST_AFTER_FAILURE).await;
                continue;
            }
        };
        let room = if tasks.len() < connections.limit { Room::Enough } else { Room::None };
        if room == Room::None {
            let refused = connections.refused.fetch_add(1, Ordering::Relaxed) + 1;
            tracing::debug!(limit = connections.limit, refused, "a connection is one too many");
            if tasks.len() >= connections.limit + MAX_REFUSING {
                continue;
            }
        }
        // Answers are small, and somebody waits for each. A socket that has no options is closed.
        let _ = socket.set_nodelay(true);
        let (brake, spawned) = (Arc::<Brake>::default(), Spawned::default());
        let output = Output::new(socket, Arc::clone(&brake));
        let served = http2::Builder::new(spawned.clone())
            .timer(TokioTimer::new())
            .keep_alive_interval(KEEPALIVE.0)
            .keep_alive_timeout(KEEPALIVE.1)
            .max_concurrent_streams(MAX_STREAMS_PER_CONNECTION)
            .serve_connection(TokioIo::new(output.clone()), service(&brake, room));
        let drained = drain.clone().cancelled_owned();
        let connection = Connection::new(served, output, spawned, brake, room, drained);
        match room {
            Room::Enough => tasks.spawn(connection),
            Room::None => tasks.spawn(timeout(REFUSING, connection).map(drop)),
        };
        connections.open.store(tasks.len(), Ordering::Relaxed);
    }
    // Whoever comes now is to go elsewhere, not to wait.
    drop(listener);
    while tasks.join_next().await.is_some() {
        connections.open.store(tasks.len(), Ordering::Relaxed);
    }
    Ok(())
}
