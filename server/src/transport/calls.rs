//! The calls and streams of one connection, polled by the task of the connection.
//!
//! `FuturesUnordered` would do but for one thing: it gives up its turn once two of its futures have
//! woken themselves while they were polled, and the streams of h2 do that whenever they send. Here
//! everything that was ready at the beginning of a turn has its say in that turn.

use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use futures::task::AtomicWaker;
use parking_lot::Mutex;
use slab::Slab;

type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What the protocol has begun and the connection has not taken in yet.
#[derive(Clone, Default)]
pub(super) struct Spawned(Arc<Mutex<Vec<BoxFuture>>>);

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Spawned {
    fn execute(&self, future: F) {
        self.0.lock().push(Box::pin(future));
    }
}

/// Calls that have not ended.
#[derive(Default)]
pub(super) struct Calls {
    calls: Slab<Call>,
    ready: Arc<Ready>,
    /// Empty but while a turn goes on; kept for its room.
    turn: Vec<usize>,
}

struct Call {
    future: BoxFuture,
    bell: Arc<Bell>,
    waker: Waker,
}

/// The calls that were woken.
#[derive(Default)]
struct Ready {
    /// Each is here once; one that has ended meanwhile may have left its place to another.
    indexes: Mutex<Vec<usize>>,
    connection: AtomicWaker,
}

struct Bell {
    index: usize,
    /// Whether it is among those that were woken.
    has_rung: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.has_rung.swap(true, Ordering::AcqRel) {
            self.ready.indexes.lock().push(self.index);
            self.ready.connection.wake();
        }
    }
}

impl Calls {
    /// Takes in what was begun; `false` if nothing was.
    pub(super) fn take_in(&mut self, spawned: &Spawned) -> bool {
        let futures = mem::take(&mut *spawned.0.lock());
        let is_any = !futures.is_empty();
        for future in futures {
            let entry = self.calls.vacant_entry();
            let index = entry.key();
            let ready = Arc::clone(&self.ready);
            let bell = Arc::new(Bell { index, has_rung: AtomicBool::new(true), ready });
            entry.insert(Call { future, waker: Arc::clone(&bell).into(), bell });
            self.ready.indexes.lock().push(index);
        }
        is_any
    }

    /// Polls every call that is ready, once. Those that are woken meanwhile wake the connection.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) {
        self.ready.connection.register(context.waker());
        mem::swap(&mut *self.ready.indexes.lock(), &mut self.turn);
        for index in self.turn.drain(..) {
            let Some(call) = self.calls.get_mut(index) else { continue };
            call.bell.has_rung.store(false, Ordering::Release);
            let polled = call.future.as_mut().poll(&mut Context::from_waker(&call.waker));
            if polled.is_ready() {
                self.calls.remove(index);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Poll;

    use hyper::rt::Executor as _;

    use super::*;

    /// A wake of the connection.
    #[derive(Default)]
    struct Counted(AtomicUsize);

    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn all_that_is_ready_has_its_say_in_one_turn_though_each_wakes_itself() {
        let (spawned, polls) = (Spawned::default(), Arc::new(AtomicUsize::new(0)));
        for _ in 0..100 {
            let polls = Arc::clone(&polls);
            spawned.execute(std::future::poll_fn(move |context| {
                context.waker().wake_by_ref();
                match polls.fetch_add(1, Ordering::Relaxed) {
                    0..100 => Poll::Pending,
                    _ => Poll::Ready(()),
                }
            }));
        }
        let (mut calls, connection) = (Calls::default(), Arc::new(Counted::default()));
        let waker = Arc::clone(&connection).into();
        let mut context = Context::from_waker(&waker);
        assert!(calls.take_in(&spawned) && !calls.take_in(&spawned));
        calls.poll(&mut context);
        assert_eq!((polls.load(Ordering::Relaxed), calls.calls.len()), (100, 100));
        assert!(connection.0.load(Ordering::Relaxed) > 0, "the connection is to come again");
        calls.poll(&mut context);
        assert_eq!((polls.load(Ordering::Relaxed), calls.calls.len()), (200, 0));
        calls.poll(&mut context);
        assert_eq!(polls.load(Ordering::Relaxed), 200, "what has ended is not polled");
    }

    #[test]
    fn a_waker_that_outlives_its_call_harms_nobody() {
        let (spawned, kept) = (Spawned::default(), Arc::new(Mutex::new(None::<Waker>)));
        let keeper = Arc::clone(&kept);
        spawned.execute(std::future::poll_fn(move |context| {
            *keeper.lock() = Some(context.waker().clone());
            Poll::Ready(())
        }));
        let mut calls = Calls::default();
        let waker = Arc::new(Counted::default()).into();
        let mut context = Context::from_waker(&waker);
        calls.take_in(&spawned);
        calls.poll(&mut context);
        spawned.execute(std::future::pending());
        calls.take_in(&spawned);
        calls.poll(&mut context);
        kept.lock().take().unwrap().wake();
        calls.poll(&mut context);
        assert_eq!(calls.calls.len(), 1);
    }
}
