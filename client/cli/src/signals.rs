//! The signals by which breakerctl is told to end.

use anyhow::Context as _;
use nix::sys::signal::Signal;
use tokio::signal::unix::{self, SignalKind};

use crate::error::exit;

/// Listens for them from when it is made; none of them ends the process by itself any more.
pub(crate) struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    hangup: unix::Signal,
    quit: unix::Signal,
}

impl Signals {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let listen = |kind| unix::signal(kind).context("cannot listen for signals");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
            quit: listen(SignalKind::quit())?,
        })
    }

    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::SIGINT,
            _ = self.terminate.recv() => Signal::SIGTERM,
            _ = self.hangup.recv() => Signal::SIGHUP,
            _ = self.quit.recv() => Signal::SIGQUIT,
        }
    }
}

/// What a process exits with that a signal of this number ended.
pub(crate) fn exit_code(signal: i32) -> u8 {
    u8::try_from(signal).map_or(exit::FAILED, |signal| exit::SIGNAL_BASE.saturating_add(signal))
}
