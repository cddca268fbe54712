use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::listeners::Listeners;
use crate::options::Options;
use crate::outbox::Outbox;

/// What all breakers of a client share.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) options: Options,
    pub(crate) outbox: Outbox,
    pub(crate) listeners: Listeners,
    /// How many signs of life the server has given.
    signs: AtomicU64,
    is_closed: AtomicBool,
}

impl Common {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            options,
            outbox: Outbox::new(),
            listeners: Listeners::default(),
            signs: AtomicU64::new(0),
            is_closed: AtomicBool::new(false),
        }
    }

    pub(crate) fn signs(&self) -> u64 {
        self.signs.load(Ordering::Relaxed)
    }

    /// The server has answered, or the stream has brought something.
    pub(crate) fn note_sign(&self) {
        self.signs.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the client was shut down: nothing is reported any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }

    /// Notes that it was; whether that is news.
    pub(crate) fn close(&self) -> bool {
        !self.is_closed.swap(true, Ordering::SeqCst)
    }
}
