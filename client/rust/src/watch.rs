//! A stream of the states of breakers that outlives the connections it comes over.
//!
//! Events are made as the application takes them: one that reads slowly holds back the server, not
//! memory.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use breaker_core::{BreakerName, Violation};
use breaker_proto::v1;
use breaker_proto::v1::breaker_service_client::BreakerServiceClient;
use futures::Stream;
use futures::stream::{BoxStream, StreamExt, unfold};
use tokio::time::{sleep, timeout};
use tonic::{Status, Streaming};

use crate::backoff::{Backoff, BackoffLimits};
use crate::clock;
use crate::connection::Connection;
use crate::error::Error;
use crate::servers::{Address, Round, Step};
use crate::status::BreakerStatus;

/// What a watch tells.
#[derive(Clone, Debug)]
pub enum WatchEvent {
    /// The stream is alive. The first events after it bring the application's copy up to date.
    Connected,
    /// The stream is cut, or could not be made; the copy is as old as this event. Told once, and
    /// not again for each attempt that fails until the next `Connected`.
    Disconnected {
        /// Why.
        error: Error,
    },
    /// A breaker is new or has changed.
    Changed(Box<BreakerStatus>),
    /// A breaker is gone.
    Deleted(BreakerName),
    /// The copy is now equal to the server's.
    SnapshotComplete,
    /// Forget the copy: a new snapshot begins.
    Reset,
}

/// The states of breakers as they change: a stream of [`WatchEvent`]s.
///
/// It connects by itself, again and again, and goes on where it was. It ends only if the server
/// finds the selectors to be wrong, after a [`WatchEvent::Disconnected`] that tells so.
pub struct Watch(BoxStream<'static, WatchEvent>);

impl Watch {
    pub(crate) fn new(
        connection: Arc<Connection>,
        selectors: Vec<String>,
        backoff: BackoffLimits,
        max_silence: Duration,
    ) -> Self {
        let round = connection.servers().begin();
        let watcher = Watcher {
            connection,
            selectors,
            resume_token: Vec::new(),
            backoff: Backoff::new(backoff),
            max_silence,
            events: VecDeque::new(),
            round,
            link: Link::Down { is_told: false, connect: Connect::AtOnce },
            has_copy: false,
            must_reset: false,
        };
        Self(
            unfold(watcher, |mut watcher| async {
                let event = watcher.next_event().await?;
                Some((event, watcher))
            })
            .boxed(),
        )
    }

    /// The next event; `None` once the watch has ended.
    pub async fn next(&mut self) -> Option<WatchEvent> {
        self.0.next().await
    }
}

impl Stream for Watch {
    type Item = WatchEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<WatchEvent>> {
        self.0.poll_next_unpin(context)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

struct Watcher {
    connection: Arc<Connection>,
    selectors: Vec<String>,
    /// Of the last message; empty before there was one.
    resume_token: Vec<u8>,
    backoff: Backoff,
    /// How long the stream may be silent. The server gives a sign of life at least every 5 s.
    max_silence: Duration,
    /// The servers that were asked since the last message.
    round: Round,
    /// What is still to be told of the last message.
    events: VecDeque<WatchEvent>,
    link: Link,
    /// The application was told of breakers.
    has_copy: bool,
    /// The copy cannot be gone on with, because there was no token yet when the stream was cut.
    must_reset: bool,
}

enum Link {
    Up(Box<Streaming<v1::WatchResponse>>),
    Down { is_told: bool, connect: Connect },
    Ended,
}

/// When to connect.
#[derive(Clone, Copy)]
enum Connect {
    /// For the first time, or to the leader that was just named.
    AtOnce,
    AfterBackoff,
}

impl Watcher {
    async fn next_event(&mut self) -> Option<WatchEvent> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            match &mut self.link {
                Link::Ended => return None,
                Link::Down { connect: Connect::AtOnce, .. } => self.connect().await,
                Link::Down { connect: Connect::AfterBackoff, .. } => {
                    sleep(self.backoff.next_delay(clock::chance())).await;
                    self.round = self.connection.servers().begin();
                    self.connect().await;
                }
                Link::Up(stream) => {
                    let message =
                        receive(self.round.server().address(), stream, self.max_silence).await;
                    match message.and_then(|message| self.take_in(message)) {
                        Ok(()) => {
                            self.backoff.reset();
                            self.round.renew();
                        }
                        Err(error) => self.lose(error),
                    }
                }
            }
        }
    }

    async fn connect(&mut self) {
        let request = v1::WatchRequest {
            selectors: self.selectors.clone(),
            resume_token: self.resume_token.clone(),
        };
        let server = self.round.server();
        let mut client = BreakerServiceClient::new(server.service());
        let answer = match timeout(self.max_silence, client.watch(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(silent(self.max_silence)),
        };
        match answer {
            Ok(response) => {
                self.connection.servers().settle(&self.round);
                self.link = Link::Up(Box::new(response.into_inner()));
                self.must_reset = self.has_copy && self.resume_token.is_empty();
                self.events.push_back(WatchEvent::Connected);
            }
            Err(status) => self.lose(Error::from_status(server.address(), status)),
        }
    }

    fn take_in(&mut self, message: v1::WatchResponse) -> Result<(), Error> {
        let events = self.events_of(&message).map_err(Error::Malformed)?;
        self.has_copy |= !message.changed.is_empty();
        self.must_reset = false;
        self.events.extend(events);
        self.resume_token = message.resume_token;
        Ok(())
    }

    fn events_of(&self, message: &v1::WatchResponse) -> Result<Vec<WatchEvent>, Violation> {
        let mut events = Vec::new();
        if message.reset || self.must_reset {
            events.push(WatchEvent::Reset);
        }
        for state in &message.changed {
            let status = BreakerStatus::from_message(state, message.server_time.as_ref())?;
            events.push(WatchEvent::Changed(Box::new(status)));
        }
        for name in &message.deleted {
            let name = BreakerName::new(name)
                .map_err(|error| Violation::new("deleted", error.to_string()))?;
            events.push(WatchEvent::Deleted(name));
        }
        if message.snapshot_complete {
            events.push(WatchEvent::SnapshotComplete);
        }
        Ok(events)
    }

    fn lose(&mut self, error: Error) {
        let step = self.connection.servers().advance(&mut self.round, error.not_leader().as_ref());
        if matches!(error, Error::Invalid { .. }) {
            self.link = Link::Ended;
            self.events.push_back(WatchEvent::Disconnected { error });
            return;
        }
        let was_told = match self.link {
            Link::Down { is_told, .. } => Some(is_told),
            Link::Up(_) | Link::Ended => None,
        };
        // A leader that was named when the watch began may answer before there is a loss to tell of.
        let (is_told, connect) = match (was_told, step) {
            (Some(was_told), Step::Leader) => (was_told, Connect::AtOnce),
            (None, Step::Leader) => (true, Connect::AtOnce),
            (_, Step::Next | Step::Over) => (true, Connect::AfterBackoff),
        };
        self.link = Link::Down { is_told, connect };
        if is_told && was_told != Some(true) {
            self.events.push_back(WatchEvent::Disconnected { error });
        } else {
            tracing::debug!(%error, "the watch is still cut");
        }
    }
}

async fn receive(
    address: &Address,
    stream: &mut Streaming<v1::WatchResponse>,
    max_silence: Duration,
) -> Result<v1::WatchResponse, Error> {
    let status = match timeout(max_silence, stream.message()).await {
        Ok(Ok(Some(message))) => return Ok(message),
        Ok(Ok(None)) => Status::unavailable("the server ended the stream"),
        Ok(Err(status)) => status,
        Err(_) => silent(max_silence),
    };
    Err(Error::from_status(address, status))
}

fn silent(max_silence: Duration) -> Status {
    Status::deadline_exceeded(format!("no sign of life for {max_silence:?}"))
}
