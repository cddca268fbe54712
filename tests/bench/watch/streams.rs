use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use breaker_tests::{RawConnection, RawStream};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::clock;

/// No change takes longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// No server takes longer to send a snapshot to all.
const PATIENCE_AT_FIRST: Duration = Duration::from_secs(300);

/// How many streams there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) connections: usize,
    pub(crate) streams_per_connection: usize,
}

impl Shape {
    pub(crate) const fn streams(self) -> usize {
        self.connections * self.streams_per_connection
    }
}

/// Open streams that are read all the time. They end with this.
pub(crate) struct Streams {
    arrivals: Arc<Arrivals>,
    readers: JoinSet<anyhow::Result<()>>,
    _connections: Vec<Arc<RawConnection>>,
}

impl Streams {
    /// Opens so many, each with the selectors that its number gets, and waits until their snapshots
    /// are there.
    pub(crate) async fn open(
        address: SocketAddr,
        shape: Shape,
        selectors: impl Fn(usize) -> Vec<String>,
    ) -> anyhow::Result<Self> {
        let connections = connect(address, shape.connections).await?;
        Self::on(connections, shape, selectors).await
    }

    /// The same on connections that are there.
    pub(crate) async fn on(
        connections: Vec<Arc<RawConnection>>,
        shape: Shape,
        selectors: impl Fn(usize) -> Vec<String>,
    ) -> anyhow::Result<Self> {
        let arrivals = Arc::new(Arrivals::default());
        let mut opening = JoinSet::new();
        for (number, connection) in connections.iter().cycle().take(shape.streams()).enumerate() {
            let (connection, selectors) = (Arc::clone(connection), selectors(number));
            opening.spawn(async move {
                let mut messages = connection.watch(selectors, Bytes::new()).await?;
                while !messages.next().await?.is_complete {}
                anyhow::Ok(messages)
            });
        }
        let mut readers = JoinSet::new();
        let begun = async {
            while let Some(opened) = opening.join_next().await {
                readers.spawn(read(opened??, Arc::clone(&arrivals)));
            }
            anyhow::Ok(())
        };
        timeout(PATIENCE_AT_FIRST, begun).await.context("not every snapshot came")??;
        Ok(Self { arrivals, readers, _connections: connections })
    }

    /// Forgets what has come so far, makes a change that each stream is to hear of in one message,
    /// and tells when each had it.
    pub(crate) async fn hear(
        &mut self,
        change: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<Vec<Instant>> {
        let streams = self.readers.len();
        self.arrivals.expect(streams);
        change.await?;
        if timeout(PATIENCE, self.arrivals.all.notified()).await.is_err() {
            let came = self.arrivals.times.lock().len();
            if let Some(ended) = self.readers.try_join_next() {
                ended??;
            }
            anyhow::bail!("{came} of {streams} streams heard of a change within {PATIENCE:?}");
        }
        Ok(std::mem::take(&mut *self.arrivals.times.lock()))
    }

    /// Looks whether all of them are still open.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        match self.readers.try_join_next() {
            Some(ended) => ended?,
            None => Ok(()),
        }
    }
}

/// Opens so many connections.
pub(crate) async fn connect(
    address: SocketAddr,
    count: usize,
) -> anyhow::Result<Vec<Arc<RawConnection>>> {
    let mut connections = Vec::with_capacity(count);
    // One by one: a burst of them is not what is measured.
    for number in 0..count {
        let connection = RawConnection::open(address).await;
        connections.push(Arc::new(connection.with_context(|| format!("connection {number}"))?));
    }
    Ok(connections)
}

async fn read(mut messages: RawStream, arrivals: Arc<Arrivals>) -> anyhow::Result<()> {
    loop {
        let message = messages.next().await?;
        // The others are signs of life.
        if message.states > 0 {
            arrivals.add(clock::now());
        }
    }
}

/// When streams heard of a change.
#[derive(Default)]
struct Arrivals {
    times: Mutex<Vec<Instant>>,
    expected: Mutex<usize>,
    all: Notify,
}

impl Arrivals {
    fn expect(&self, count: usize) {
        *self.expected.lock() = count;
        *self.times.lock() = Vec::with_capacity(count);
    }

    fn add(&self, at: Instant) {
        let mut times = self.times.lock();
        // Nobody may be asking: then this does not grow.
        if times.len() < *self.expected.lock() {
            times.push(at);
            if times.len() == *self.expected.lock() {
                self.all.notify_one();
            }
        }
    }
}
