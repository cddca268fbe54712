use nix::sys::signal::Signal;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::signals::Signals;

/// Whether somebody wants the load to end: the first time so that it ends early and is cleaned up,
/// the second time at once.
#[derive(Debug)]
pub(super) struct Interrupt {
    received: watch::Receiver<Received>,
    listener: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Received {
    count: u32,
    last: Option<Signal>,
}

impl Interrupt {
    pub(super) fn listen() -> anyhow::Result<Self> {
        let mut signals = Signals::new()?;
        let (sender, received) = watch::channel(Received::default());
        let listener = tokio::spawn(async move {
            loop {
                let last = Some(signals.next().await);
                sender.send_modify(|received| {
                    *received = Received { count: received.count + 1, last }
                });
            }
        });
        Ok(Self { received, listener })
    }

    /// The signal by which the load was ended.
    pub(super) fn signal(&self) -> Option<Signal> {
        self.received.borrow().last
    }

    /// Waits until it was asked for once.
    pub(super) async fn first(&self) {
        self.nth(1).await;
    }

    /// Waits until it was asked for twice.
    pub(super) async fn second(&self) {
        self.nth(2).await;
    }

    async fn nth(&self, count: u32) {
        // It fails only once nobody listens any more, and this is what keeps the listener.
        let _ = self.received.clone().wait_for(|received| received.count >= count).await;
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.listener.abort();
    }
}
