//! `/api/v1/events`: one stream for all dashboards.
//!
//! While anybody looks one task follows the server, writes down what has happened once, and gives
//! the same bytes to every viewer through a queue that never waits. A viewer that is too slow for it
//! misses something, and is told to load its lists anew. While nobody looks there is no task.

mod changes;
mod feed;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream;
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::{self, error::RecvError};

use self::feed::Feed;
use super::api::{Api, ProtocolError, Rpc, frame, response};
use super::problem::Problem;
use crate::grpc::{not_leading, now_to_message};

/// What can wait for a viewer: some seconds of a busy fleet. The bytes are shared by all.
const QUEUE: usize = 64;

/// What the viewers share.
pub(crate) struct Events {
    api: Arc<Api>,
    rpcs: Rpcs,
    current: Mutex<Option<Current>>,
    /// How often viewers were told to load everything anew.
    resyncs: AtomicU64,
}

/// What is asked for all viewers.
struct Rpcs {
    breakers: Rpc,
    dashboard: Rpc,
    health: Rpc,
    alerts: Rpc,
}

/// The feed that goes on just now.
struct Current {
    frames: broadcast::Sender<Bytes>,
    /// The last that was said of the whole, for those who come between two.
    whole: Option<[Bytes; 2]>,
}

impl Events {
    pub(crate) fn new(api: Arc<Api>) -> Result<Self, ProtocolError> {
        let rpcs = Rpcs {
            breakers: api.rpc("BreakerAdmin.BatchGetBreakers")?.clone(),
            dashboard: api.rpc("BreakerMonitor.GetDashboard")?.clone(),
            health: api.rpc("BreakerMonitor.GetHealthSummary")?.clone(),
            alerts: api.rpc("BreakerMonitor.WatchAlerts")?.clone(),
        };
        Ok(Self { api, rpcs, current: Mutex::default(), resyncs: AtomicU64::new(0) })
    }

    /// How many dashboards are looked at.
    pub(crate) fn viewer_count(&self) -> usize {
        self.current.lock().as_ref().map_or(0, |current| current.frames.receiver_count())
    }

    /// How often viewers were told to load everything anew.
    pub(crate) fn resyncs(&self) -> u64 {
        self.resyncs.load(Ordering::Relaxed)
    }

    /// Tells viewers, of whom there are so many, to load everything anew.
    fn resync(&self, viewers: usize) -> Bytes {
        self.resyncs.fetch_add(viewers as u64, Ordering::Relaxed);
        frame(Some("resync"), b"{}")
    }

    /// What a viewer gets first, and then.
    fn join(self: &Arc<Self>) -> Result<(Vec<Bytes>, broadcast::Receiver<Bytes>), Problem> {
        let leading = self.api.seat().leading();
        let problems = self.api.problems();
        let leading = leading.map_err(|error| problems.of(&not_leading(error)))?;
        let hello = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "writable": self.api.is_writable(),
            "server_time": now_to_message(leading.engine.now()).map(|now| now.to_string()),
        });
        let mut first = vec![frame(Some("hello"), hello.to_string().as_bytes())];
        let mut current = self.current.lock();
        if let Some(current) = &*current {
            first.extend(current.whole.clone().into_iter().flatten());
            return Ok((first, current.frames.subscribe()));
        }
        let (frames, viewer) = broadcast::channel(QUEUE);
        *current = Some(Current { frames: frames.clone(), whole: None });
        drop(current);
        // It ends by itself when nobody looks any more, and when this server leads no more.
        tokio::spawn(Feed::new(Arc::clone(self), leading, frames).run());
        Ok((first, viewer))
    }

    /// Ends the feed if nobody looks at it; from then on the next viewer begins another one.
    fn end_if_unseen(&self) -> bool {
        let mut current = self.current.lock();
        let is_unseen = current.as_ref().is_none_or(|current| current.frames.receiver_count() == 0);
        if is_unseen {
            *current = None;
        }
        is_unseen
    }

    /// Ends the feed, whoever looks.
    fn end(&self) {
        *self.current.lock() = None;
    }

    fn keep_whole(&self, frames: [Bytes; 2]) {
        if let Some(current) = &mut *self.current.lock() {
            current.whole = Some(frames);
        }
    }
}

/// One viewer.
struct Viewer {
    events: Arc<Events>,
    first: std::vec::IntoIter<Bytes>,
    frames: broadcast::Receiver<Bytes>,
    _permit: OwnedSemaphorePermit,
}

impl Viewer {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.next() {
            return Some(first);
        }
        match self.frames.recv().await {
            Ok(frame) => Some(frame),
            Err(RecvError::Lagged(_)) => Some(self.events.resync(1)),
            Err(RecvError::Closed) => None,
        }
    }
}

/// The stream of one viewer.
pub(super) async fn events(State(events): State<Arc<Events>>) -> Response {
    match view(&events) {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

fn view(events: &Arc<Events>) -> Result<Response, Problem> {
    let permit = events.api.stream_permit()?;
    let (first, frames) = events.join()?;
    let events = Arc::clone(events);
    let viewer = Viewer { events, first: first.into_iter(), frames, _permit: permit };
    Ok(response(stream::unfold(viewer, |mut viewer| async move {
        let frame = viewer.next().await?;
        Some((frame, viewer))
    })))
}
