use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many watch streams are open, and may be.
#[derive(Clone, Debug)]
pub(crate) struct StreamGauge {
    open: Arc<AtomicUsize>,
    limit: usize,
}

/// An open stream; counted until it is dropped.
#[derive(Debug)]
pub(crate) struct StreamGuard(StreamGauge);

impl StreamGauge {
    pub(crate) fn new(limit: usize) -> Self {
        Self { open: Arc::default(), limit }
    }

    /// Counts a stream, if there is room for it.
    pub(crate) fn enter(&self) -> Option<StreamGuard> {
        let guard = StreamGuard(self.clone());
        (self.open.fetch_add(1, Ordering::Relaxed) < self.limit).then_some(guard)
    }

    /// How many there may be.
    pub(crate) const fn limit(&self) -> usize {
        self.limit
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_too_many_is_refused_and_not_counted() {
        let gauge = StreamGauge::new(2);
        let first = gauge.enter();
        let second = gauge.enter();
        assert!(first.is_some() && second.is_some() && gauge.enter().is_none());
        assert_eq!(gauge.count(), 2);
        drop(first);
        assert!(gauge.enter().is_some());
        assert_eq!(gauge.count(), 1);
    }
}
