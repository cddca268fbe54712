use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::server::conn::http2;
use hyper_util::rt::TokioIo;
use tokio::time::{Sleep, sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::calls::{Calls, Spawned};
use super::output::Output;
use super::{Brake, Room, Serve};

/// How often a turn goes on with what has come in the meantime before others have theirs.
const MAX_ROUNDS: usize = 8;

/// One connection with all that goes on on it.
pub(super) struct Connection<S: Serve> {
    served: Pin<Box<http2::Connection<TokioIo<Output>, S, Spawned>>>,
    output: Output,
    spawned: Spawned,
    calls: Calls,
    brake: Arc<Brake>,
    resting: Option<Pin<Box<Sleep>>>,
    room: Room,
    /// `None` once the connection was told to come to its end.
    drained: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl<S: Serve> Connection<S> {
    pub(super) fn new(
        served: http2::Connection<TokioIo<Output>, S, Spawned>,
        output: Output,
        spawned: Spawned,
        brake: Arc<Brake>,
        room: Room,
        drained: WaitForCancellationFutureOwned,
    ) -> Self {
        Self {
            served: Box::pin(served),
            output,
            spawned,
            calls: Calls::default(),
            brake,
            resting: None,
            room,
            drained: Some(Box::pin(drained)),
        }
    }

    /// Lets everything have its say; ready once the connection has ended.
    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<()> {
        for _ in 0..MAX_ROUNDS {
            self.calls.poll(context);
            if self.served.as_mut().poll(context).is_ready() {
                // Nobody hears any more what its calls have to say.
                return Poll::Ready(());
            }
            if !self.calls.take_in(&self.spawned) {
                return Poll::Pending;
            }
            if self.room == Room::None {
                // Its call will be answered. Told to go before it came, a client might hear only that.
                self.drain();
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_drained(&mut self, context: &mut Context<'_>) {
        if let Some(drained) = &mut self.drained
            && drained.as_mut().poll(context).is_ready()
        {
            self.drain();
        }
    }

    /// Lets nothing more begin; what goes on comes to its end.
    fn drain(&mut self) {
        if self.drained.take().is_some() {
            self.served.as_mut().graceful_shutdown();
        }
    }

    /// Begins a rest that is due, and ends one that is over.
    fn poll_rest(&mut self, context: &mut Context<'_>) {
        let Some(rest) = self.brake.rest() else { return };
        let resting = self.resting.get_or_insert_with(|| Box::pin(sleep(rest)));
        if resting.as_mut().poll(context).is_ready() {
            self.resting = None;
            self.brake.release();
            context.waker().wake_by_ref();
        }
    }
}

impl<S: Serve> Future for Connection<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.poll_drained(context);
        if this.poll_turn(context).is_ready() {
            // What the protocol says of its end goes out if it can; nobody waits for it.
            let _ = this.output.poll_send(context);
            return Poll::Ready(());
        }
        this.poll_rest(context);
        match this.output.poll_send(context) {
            Poll::Ready(Err(_)) => Poll::Ready(()),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }
    }
}
