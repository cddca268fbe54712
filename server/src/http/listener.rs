//! How connections of HTTP are taken, bounded, and brought to their end.

use std::io::{self, Write as _};
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Most connections at a time. A browser keeps one for each page that is open, and some more while
/// it loads one.
const MAX_CONNECTIONS: usize = 1_000;
/// How long a connection may say nothing, or take to say what it wants.
const HEADERS_WITHIN: Duration = Duration::from_secs(30);
/// How long what is being answered may take when the server goes down.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// After a failure to accept a connection, which mostly means that there are no file handles left.
const REST_AFTER_FAILURE: Duration = Duration::from_millis(50);

/// What a connection that is one too many is told.
const CROWDED: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\
    content-type: text/plain\r\ncontent-length: 38\r\n\r\nthere are too many connections by HTTP\n";

/// Serves connections until `drain`, and then those that are open until all is said on them, for a
/// while. When the future is dropped they are cut.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    drain: CancellationToken,
) -> io::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = drain.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, _)) if connections.len() < MAX_CONNECTIONS => {
                // Somebody waits for each answer. A socket that has no options is closed.
                let _ = socket.set_nodelay(true);
                connections.spawn(connection(socket, router.clone(), drain.clone()));
            }
            // It goes into the empty buffer of the socket, or nowhere.
            Ok((socket, _)) => drop(socket.into_std().and_then(|mut std| std.write(CROWDED))),
            Err(error) => {
                tracing::warn!(%error, "a connection of HTTP cannot be accepted");
                sleep(REST_AFTER_FAILURE).await;
            }
        }
    }
    // Whoever comes now is to go elsewhere, not to wait.
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(LAST_WORDS, ended).await.is_err() {
        tracing::debug!("some connections of HTTP did not end within {LAST_WORDS:?} and are cut");
    }
    Ok(())
}

async fn connection(socket: TcpStream, router: Router, drain: CancellationToken) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .serve_connection(TokioIo::new(socket), TowerToHyperService::new(router));
    let mut served = pin!(served);
    // A connection that breaks has nobody left who could be told.
    tokio::select! {
        _ = served.as_mut() => return,
        () = drain.cancelled() => served.as_mut().graceful_shutdown(),
    }
    let _ = served.await;
}
