use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// How many watch streams are open.
#[derive(Clone, Debug, Default)]
pub(crate) struct StreamGauge(Arc<AtomicI64>);

/// An open stream; counted until it is dropped.
#[derive(Debug)]
pub(crate) struct StreamGuard(StreamGauge);

impl StreamGauge {
    /// Counts a stream.
    pub(crate) fn enter(&self) -> StreamGuard {
        self.0.fetch_add(1, Ordering::Relaxed);
        StreamGuard(self.clone())
    }

    /// How many there are.
    pub(crate) fn count(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
