//! Watch streams, each read by a task of its own.

use std::sync::Arc;
use std::time::Duration;

use breaker_proto::v1;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tonic::{Status, Streaming};

use crate::clock;
use crate::connection::{Leader, Service};
use crate::error::Error;

/// Events that wait to be taken, for each stream. A reader that finds no room waits; when a state
/// came was noted before.
const EVENTS_PER_STREAM: usize = 4;

/// Streams that are opened at a time: each has the whole limit for it.
const OPENING: usize = 256;

/// All streams of a load. They end when this is dropped.
pub(super) struct Streams {
    events: mpsc::Receiver<Event>,
    _readers: JoinSet<()>,
}

/// What happened to a stream.
#[derive(Debug)]
pub(super) enum Event {
    /// Its snapshot is complete.
    Opened,
    /// It was not opened.
    Refused(Status),
    /// A breaker has changed.
    State(Sighting),
    /// It has ended by itself.
    Cut { stream: usize },
}

/// A state that a stream has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sighting {
    pub(super) stream: usize,
    pub(super) revision: u64,
    pub(super) at: Instant,
}

impl Streams {
    /// Opens a stream for each selector, spread over the connections, and waits until all of them
    /// have their snapshots. One that takes longer than `limit` fails.
    pub(super) async fn open(
        connections: &[Leader],
        selectors: impl ExactSizeIterator<Item = String>,
        limit: Duration,
    ) -> Result<Self, Error> {
        let count = selectors.len();
        let (sender, events) = mpsc::channel((count * EVENTS_PER_STREAM).max(1));
        let turns = Arc::new(Semaphore::new(OPENING));
        let mut readers = JoinSet::new();
        for ((stream, selector), leader) in selectors.enumerate().zip(connections.iter().cycle()) {
            let opened = open(leader.service(), selector, limit, Arc::clone(&turns));
            readers.spawn(read(opened, stream, sender.clone()));
        }
        let mut streams = Self { events, _readers: readers };
        let mut opened = 0;
        while opened < count {
            match streams.next().await {
                Event::Opened => opened += 1,
                Event::Refused(status) => {
                    let address = connections.first().map(Leader::address);
                    let text = format!("stream {} of {count} did not open", opened + 1);
                    let status =
                        Status::new(status.code(), format!("{text}: {}", status.message()));
                    return Err(match address {
                        Some(address) => Error::from_status(address, status),
                        None => Error::Refused(Box::new(status)),
                    });
                }
                Event::State(_) | Event::Cut { .. } => {}
            }
        }
        Ok(streams)
    }

    /// What happens next; never comes back once all streams have ended.
    pub(super) async fn next(&mut self) -> Event {
        match self.events.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }
}

async fn read(
    opened: impl Future<Output = Result<Streaming<v1::WatchResponse>, Status>>,
    stream: usize,
    events: mpsc::Sender<Event>,
) {
    let mut messages = match opened.await {
        Ok(messages) => messages,
        Err(status) => {
            // Without a receiver nobody wants to know.
            let _ = events.send(Event::Refused(status)).await;
            return;
        }
    };
    let mut is_wanted = events.send(Event::Opened).await.is_ok();
    while is_wanted && let Ok(Some(answer)) = messages.message().await {
        let at = clock::now();
        for state in answer.changed {
            let sighting = Sighting { stream, revision: state.revision, at };
            is_wanted = events.send(Event::State(sighting)).await.is_ok();
        }
    }
    let _ = events.send(Event::Cut { stream }).await;
}

/// Opens a stream and reads its snapshot, once it is its turn.
async fn open(
    service: Service,
    selector: String,
    limit: Duration,
    turns: Arc<Semaphore>,
) -> Result<Streaming<v1::WatchResponse>, Status> {
    // It fails only once it is closed, which nobody does.
    let _turn = turns.acquire().await;
    let late = |_| Err(Status::deadline_exceeded("no snapshot in time"));
    timeout(limit, read_snapshot(service, selector)).await.unwrap_or_else(late)
}

async fn read_snapshot(
    mut service: Service,
    selector: String,
) -> Result<Streaming<v1::WatchResponse>, Status> {
    let request = v1::WatchRequest { selectors: vec![selector], resume_token: vec![] };
    let mut messages = service.watch(request).await?.into_inner();
    loop {
        match messages.message().await? {
            Some(answer) if answer.snapshot_complete => return Ok(messages),
            Some(_) => {}
            None => return Err(Status::unavailable("it ended within its snapshot")),
        }
    }
}
