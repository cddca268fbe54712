use crossbeam_queue::SegQueue;
use tokio::sync::Notify;

/// A queue with one reader, which can be filled under a lock: pushing never waits.
///
/// The queue itself has no limit; whoever pushes holds a flag in the breaker while a mark of it is
/// in the queue, so that it is bounded by the number of breakers.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    items: SegQueue<T>,
    filled: Notify,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { items: SegQueue::new(), filled: Notify::new() }
    }
}

impl<T> Queue<T> {
    pub(crate) fn push(&self, item: T) {
        self.items.push(item);
        self.filled.notify_one();
    }

    pub(crate) fn pop(&self) -> Option<T> {
        self.items.pop()
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Waits until something may have been pushed since the last call.
    pub(crate) async fn filled(&self) {
        self.filled.notified().await;
    }
}
