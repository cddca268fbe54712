//! A way to the server that can be cut, and worse.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Context;
use breaker_tests::free_port;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// How much travels at once. Little, so that a slow link is slow from its first byte on.
const CHUNK_BYTES: usize = 1 << 10;

/// How soon a port is listened on again that was not free.
const LISTEN_AGAIN: Duration = Duration::from_millis(20);

/// What the link does with connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// All passes.
    Whole,
    /// Connections have ended, and new ones end at once.
    Cut,
    /// Connections have ended, and new ones are refused.
    Refusing,
    /// Connections stay, new ones are accepted, and nothing passes.
    Blackhole,
    /// What the server says passes at this pace.
    Slow { bytes_per_second: u32 },
}

/// A word of a scenario for a mode.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    Cut,
    Refuse,
    Blackhole,
    Slow,
    Mend,
}

/// A way to the server.
#[derive(Debug)]
pub(crate) struct Link {
    /// Where it begins.
    pub(crate) address: String,
    mode: watch::Sender<Mode>,
    task: JoinHandle<()>,
}

impl Link {
    /// A link to an address, which begins at a host.
    ///
    /// # Errors
    /// If there is no port left.
    pub(crate) async fn to(far: String, host: Ipv4Addr) -> anyhow::Result<Self> {
        let address = format!("{host}:{}", free_port()?);
        let listener = TcpListener::bind(&address).await.context("the link cannot listen")?;
        let (mode, is) = watch::channel(Mode::Whole);
        let task = tokio::spawn(serve(address.clone(), listener, far, is));
        Ok(Self { address, mode, task })
    }

    /// Does from now on with all connections what the mode says.
    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Accepts connections; each ends when the link has gone.
async fn serve(address: String, first: TcpListener, far: String, mut mode: watch::Receiver<Mode>) {
    let mut listener = Some(first);
    loop {
        let is = *mode.borrow_and_update();
        if is == Mode::Refusing {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(&address).await.ok();
        }
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await.ok(),
                None if is == Mode::Refusing => std::future::pending().await,
                None => {
                    sleep(LISTEN_AGAIN).await;
                    None
                }
            }
        };
        tokio::select! {
            changed = mode.changed() => if changed.is_err() { return },
            accepted = accepted => if let Some((near, _)) = accepted {
                tokio::spawn(join(near, far.clone(), mode.clone()));
            },
        }
    }
}

/// Carries what two ends say, until one of them closes or the link is cut.
async fn join(near: TcpStream, far: String, mode: watch::Receiver<Mode>) {
    let (mut ending, mut opening) = (mode.clone(), mode.clone());
    let travel = async {
        until(&mut opening, |mode| mode != Mode::Blackhole).await?;
        let far = TcpStream::connect(far).await.ok()?;
        // A small frame that waits for another one would make the link slower than it is told.
        near.set_nodelay(true).and_then(|()| far.set_nodelay(true)).ok()?;
        let (near_in, near_out) = near.into_split();
        let (far_in, far_out) = far.into_split();
        tokio::select! {
            _ = carry(near_in, far_out, mode.clone(), |_| None) => {}
            _ = carry(far_in, near_out, mode, pace) => {}
        }
        Some(())
    };
    tokio::select! {
        biased;
        _ = until(&mut ending, |mode| matches!(mode, Mode::Cut | Mode::Refusing)) => {}
        _ = travel => {}
    }
}

/// Carries what one end says to the other; what is on the way stays there while nothing passes.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut mode: watch::Receiver<Mode>,
    pace: impl Fn(Mode) -> Option<u32>,
) -> Option<()> {
    let mut chunk = [0; CHUNK_BYTES];
    loop {
        let length = from.read(&mut chunk).await.ok().filter(|length| *length > 0)?;
        let is = until(&mut mode, |mode| mode != Mode::Blackhole).await?;
        if let Some(bytes_per_second) = pace(is) {
            sleep(Duration::from_secs_f64(length as f64 / f64::from(bytes_per_second))).await;
        }
        to.write_all(&chunk[..length]).await.ok()?;
    }
}

const fn pace(mode: Mode) -> Option<u32> {
    match mode {
        Mode::Slow { bytes_per_second } => Some(bytes_per_second),
        _ => None,
    }
}

/// Waits for a mode; none comes once the link has gone.
async fn until(mode: &mut watch::Receiver<Mode>, is_it: impl Fn(Mode) -> bool) -> Option<Mode> {
    mode.wait_for(|mode| is_it(*mode)).await.ok().map(|mode| *mode)
}
