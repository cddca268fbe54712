//! What an application is told of: changes of breakers, and of the client itself.
//!
//! Listeners are called one after another by a task of their own, so that none holds up the copy.
//! One that panics is taken for one that returned.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use breaker_core::{BreakerName, Mode, StateKind};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::copy::Known;
use crate::state::ClientState;

/// Most events that wait for slow listeners. What comes when it is full is lost to them.
const MAX_EVENTS: usize = 1_024;

/// How a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The state.
    pub state: StateKind,
    /// The mode.
    pub mode: Mode,
    /// The number of the level, from 0; `None` without levels.
    pub level: Option<u32>,
}

impl Standing {
    pub(crate) fn of(known: &Known) -> Self {
        let level = known.level.as_ref().map(|level| level.number);
        Self { state: known.state, mode: known.mode, level }
    }
}

/// A change of a breaker's state, mode or level, as the client has learned of it. Several quick
/// changes may be told as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The breaker.
    pub breaker: BreakerName,
    /// How it stood.
    pub from: Standing,
    /// How it stands.
    pub to: Standing,
}

/// Keeps a listener; when it is dropped, the listener is called no more.
#[must_use = "a listener that is dropped hears nothing; `keep` lets it live as long as the client"]
pub struct Listener(Option<Arc<AtomicBool>>);

impl Listener {
    /// Lets the listener live as long as the client.
    pub fn keep(mut self) {
        self.0.take();
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(is_gone) = &self.0 {
            is_gone.store(true, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}

/// What listeners are told.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Breaker(Transition),
    Client(ClientState),
}

#[derive(Clone)]
struct Hear {
    tell: Arc<dyn Fn(&Event) + Send + Sync>,
    is_gone: Arc<AtomicBool>,
}

/// The listeners of a client.
#[derive(Default)]
pub(crate) struct Listeners {
    list: Mutex<Vec<Hear>>,
    queue: Mutex<Option<mpsc::Sender<Event>>>,
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listeners").finish_non_exhaustive()
    }
}

impl Listeners {
    pub(crate) fn add(&self, tell: impl Fn(&Event) + Send + Sync + 'static) -> Listener {
        let is_gone = Arc::new(AtomicBool::new(false));
        self.list.lock().push(Hear { tell: Arc::new(tell), is_gone: Arc::clone(&is_gone) });
        Listener(Some(is_gone))
    }

    /// Where the events come from that [`tell`](Self::tell) is to be called with.
    pub(crate) fn events(&self) -> mpsc::Receiver<Event> {
        let (sender, events) = mpsc::channel(MAX_EVENTS);
        self.queue.lock().replace(sender);
        events
    }

    /// Has the listeners told of something.
    pub(crate) fn enqueue(&self, event: Event) {
        if self.list.lock().is_empty() {
            return;
        }
        if let Some(queue) = &*self.queue.lock()
            && queue.try_send(event).is_err()
        {
            tracing::warn!("an event was lost: listeners are too slow");
        }
    }

    pub(crate) fn tell(&self, event: &Event) {
        let listeners = {
            let mut list = self.list.lock();
            list.retain(|hear| !hear.is_gone.load(Ordering::Relaxed));
            list.clone()
        };
        for listener in listeners {
            if catch_unwind(AssertUnwindSafe(|| (listener.tell)(event))).is_err() {
                tracing::error!(?event, "a listener panicked");
            }
        }
    }

    /// Ends the stream of events.
    pub(crate) fn close(&self) {
        self.queue.lock().take();
    }
}
