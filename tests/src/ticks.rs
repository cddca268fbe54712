//! Even ticks finer than those of tokio, whose timers have a grain of a millisecond.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::time::Duration;

use nix::sys::timer::Expiration;
use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::net::unix::pipe::Receiver;

/// A timer of the kernel. Ticks that were missed come as one.
#[derive(Debug)]
pub(crate) struct Ticks {
    /// Not a pipe, but read like one.
    timer: Receiver,
}

impl Ticks {
    /// One tick in each such time, the first after it.
    pub(crate) fn every(period: Duration) -> io::Result<Self> {
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK)?;
        timer.set(Expiration::Interval(period.into()), TimerSetTimeFlags::empty())?;
        let timer = File::from(timer.as_fd().try_clone_to_owned()?);
        Ok(Self { timer: Receiver::from_file_unchecked(timer)? })
    }

    /// Waits for the next one. Can be dropped at any time.
    pub(crate) async fn next(&self) -> io::Result<()> {
        let mut missed = [0; size_of::<u64>()];
        loop {
            self.timer.readable().await?;
            match self.timer.try_read(&mut missed) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read.map(drop),
            }
        }
    }
}
