use std::sync::Arc;
use std::time::Duration;

use breaker_core::BreakerName;
use tokio::runtime;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::batch::Batch;
use crate::breaker::Breaker;
use crate::builder::ClientBuilder;
use crate::clock;
use crate::error::Error;
use crate::follower;
use crate::listeners::{Event, Listener, Transition};
use crate::reporter;
use crate::shared::Shared;
use crate::state::{ClientState, ClientStatus};
use crate::watch::Watch;

/// How long a shutdown waits for the tasks, which take 5 s at most.
const SHUTDOWN_TIME: Duration = Duration::from_secs(6);

/// A client of breakerd. Cheap to clone; all clones share their connections and what they know.
///
/// It keeps a copy of each breaker that [`breaker`](Self::breaker) was ever called with: names are
/// meant to come from the application's code, not from its requests.
///
/// Tasks of the client follow the server and report to it. When the last clone and the last
/// breaker is dropped, they report what is left and end; [`shutdown`](Self::shutdown) waits for
/// that.
#[derive(Clone, Debug)]
pub struct Client(Arc<Handle>);

/// The end of the client that the application holds.
#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    closing: CancellationToken,
    tasks: TaskTracker,
}

impl Client {
    /// Builds a client.
    pub const fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    /// A client of the server at `host:port`, with defaults for everything else.
    ///
    /// # Errors
    /// If the address is wrong, or there is no Tokio runtime.
    pub fn new(address: impl Into<String>) -> Result<Self, Error> {
        Self::builder().address(address).build()
    }

    pub(crate) fn start(shared: Shared) -> Self {
        let shared = Arc::new(shared);
        let closing = CancellationToken::new();
        let tasks = TaskTracker::new();
        let runtime = &shared.runtime;
        tasks.spawn_on(follower::follow(Arc::clone(&shared), closing.clone()), runtime);
        tasks.spawn_on(reporter::report(Arc::clone(&shared), closing.clone()), runtime);
        let events = shared.common.listeners.events();
        tasks.spawn_on(tell_listeners(Arc::clone(&shared), events), runtime);
        Self(Arc::new(Handle { shared, closing, tasks }))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    /// The runtime that has the timers of calls; `None` once it has ended, as its tasks tell, and
    /// after a shutdown.
    pub(crate) fn timers(&self) -> Option<&runtime::Handle> {
        (!self.0.tasks.is_empty()).then_some(&self.0.shared.runtime)
    }

    /// The breaker of this name, `namespace/name`, and from now on the server tells of it. The
    /// server creates it at its first outcome if it is not there. This waits for nothing, and
    /// asks no server; the same name gives the same breaker.
    ///
    /// # Errors
    /// If the text is not a name.
    pub fn breaker(&self, name: &str) -> Result<Breaker, Error> {
        let name = BreakerName::new(name)?;
        Ok(Breaker::new(self.0.shared.registry.want(name), self.clone()))
    }

    /// Follows the states of breakers by names and globs, none for all: a stream apart from the
    /// copy that calls are decided from.
    pub fn watch<S: Into<String>>(&self, selectors: impl IntoIterator<Item = S>) -> Watch {
        let selectors = selectors.into_iter().map(Into::into).collect();
        let options = &self.0.shared.common.options;
        let connection = Arc::clone(&self.0.shared.connection);
        Watch::new(connection, selectors, options.backoff, options.stale_after)
    }

    /// What the client has to go by, and for how long.
    pub fn state(&self) -> ClientStatus {
        let phase = *self.0.shared.phase().borrow();
        let lasted = clock::now().saturating_duration_since(phase.since);
        ClientStatus { state: phase.state, lasted }
    }

    /// Waits until the copy is complete, for so long at most; whether it is. Calls need not wait
    /// for it: until then they are decided by `on_unavailable`.
    pub async fn ready(&self, longest: Duration) -> bool {
        self.0.shared.registry.watch_anyway();
        let mut phase = self.0.shared.phase();
        let ready = phase.wait_for(|phase| phase.state == ClientState::Ready);
        timeout(longest, ready).await.is_ok_and(|phase| phase.is_ok())
    }

    /// Calls this with every change of any breaker's state, mode or level that the client learns
    /// of, on a task of the client: it should not block.
    pub fn on_transition(&self, tell: impl Fn(&Transition) + Send + Sync + 'static) -> Listener {
        self.0.shared.common.listeners.add(move |event| match event {
            Event::Breaker(transition) => tell(transition),
            Event::Client(_) => {}
        })
    }

    /// Calls this whenever the client's own state changes, on a task of the client.
    pub fn on_state(&self, tell: impl Fn(ClientState) + Send + Sync + 'static) -> Listener {
        self.0.shared.common.listeners.add(move |event| match event {
            Event::Client(state) => tell(*state),
            Event::Breaker(_) => {}
        })
    }

    /// Under which id the server knows this client in logs and metrics.
    pub fn client_id(&self) -> &str {
        &self.0.shared.common.options.client_id
    }

    /// How many outcomes were given up since the client was built: because more than
    /// [`MAX_WAITING_RUNS`](crate::MAX_WAITING_RUNS) runs were waiting, because the server found
    /// them to be wrong, or because they came after the shutdown.
    pub fn outcomes_given_up(&self) -> u64 {
        self.0.shared.common.outbox.given_up()
    }

    /// How many runs of outcomes wait to be reported; those in the report under way are not
    /// among them.
    pub fn waiting_runs(&self) -> usize {
        self.0.shared.common.outbox.waiting_runs()
    }

    /// Reports all that waits now, and waits until it has arrived, for so long at most; whether
    /// it has.
    pub async fn flush(&self, longest: Duration) -> bool {
        timeout(longest, self.0.shared.common.outbox.flush()).await.is_ok()
    }

    /// Reports the outcomes that are waiting, for 5 s at most, and ends what the client has
    /// started. Calls can still be made; they are decided by `on_unavailable` and not reported.
    ///
    /// # Errors
    /// If outcomes were left when the time was over.
    pub async fn shutdown(&self) -> Result<(), Error> {
        self.0.close();
        // Tasks of a runtime that has ended are gone, and need no waiting for.
        let _ = timeout(SHUTDOWN_TIME, self.0.tasks.wait()).await;
        match self.0.give_up_what_is_left() {
            0 => Ok(()),
            left => Err(Error::Unflushed(left)),
        }
    }
}

impl Handle {
    fn close(&self) {
        if self.shared.common.close() {
            self.shared.enter(ClientState::Fallback);
            self.shared.registry.follow(ClientState::Fallback);
            self.shared.common.listeners.close();
            self.tasks.close();
            self.closing.cancel();
        }
    }

    /// Gives up the outcomes that nobody reports any more; how many calls they are of.
    fn give_up_what_is_left(&self) -> u64 {
        let outbox = &self.shared.common.outbox;
        let mut left = outbox.sending();
        outbox.send(0);
        loop {
            let (batch, is_left) = Batch::take(&self.shared.registry, clock::now());
            left += batch.calls();
            if !is_left {
                break;
            }
        }
        outbox.give_up(left);
        left
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

async fn tell_listeners(shared: Arc<Shared>, mut events: mpsc::Receiver<Event>) {
    while let Some(event) = events.recv().await {
        shared.common.listeners.tell(&event);
    }
}
