//! Watchers: each has a connection with some streams, reads them or not, and is gone, often without
//! a word.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use breaker_tests::{Chance, RawConnection, RawStream};
use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::names;
use crate::tally::{Deed, Tally};

const MAX_STREAMS: u64 = 8;
/// How long a watcher stays.
const LEAST_STAY: Duration = Duration::from_millis(20);
const MOST_STAY: Duration = Duration::from_millis(600);
/// What a stream that is not read lets come: a few changes.
const DEAF_WINDOW_BYTES: u32 = 2_048;
/// As long as it takes to say that streams end.
const PARTING: Duration = Duration::from_millis(10);

/// One watcher after another.
pub(crate) async fn come_and_go(
    address: SocketAddr,
    mut chance: Chance,
    tally: Arc<Tally>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    while !stop.is_cancelled() {
        let connection = RawConnection::open(address).await?;
        tally.count(Deed::Connection);
        let mut streams = Vec::new();
        for _ in 0..=chance.below(MAX_STREAMS) {
            streams.push(connection.watch(names::selectors(&mut chance), Bytes::new()).await?);
            tally.count(Deed::Stream);
        }
        stay(&connection, streams, &mut chance, &tally).await?;
    }
    Ok(())
}

async fn stay(
    connection: &RawConnection,
    streams: Vec<RawStream>,
    chance: &mut Chance,
    tally: &Arc<Tally>,
) -> anyhow::Result<()> {
    let stay = chance.between(LEAST_STAY, MOST_STAY);
    match chance.below(4) {
        0 => {
            streams.iter().for_each(|_| tally.count(Deed::DeafStream));
            connection.set_stream_window(DEAF_WINDOW_BYTES).await?;
            sleep(stay).await;
        }
        1 => {
            tally.count(Deed::FrozenConnection);
            connection.freeze().await?;
            sleep(stay).await;
        }
        _ => {
            let mut readers = JoinSet::new();
            for stream in streams {
                readers.spawn(read(stream, Arc::clone(tally)));
            }
            sleep(stay).await;
            // None of them ends before.
            if let Some(ended) = readers.try_join_next() {
                ended??;
            }
            if chance.one_in(2) {
                // With the streams' end told, and then that of the connection.
                readers.shutdown().await;
                sleep(PARTING).await;
                return Ok(());
            }
        }
    }
    tally.count(Deed::CutOff);
    Ok(())
}

async fn read(mut stream: RawStream, tally: Arc<Tally>) -> anyhow::Result<()> {
    loop {
        stream.next().await?;
        tally.count(Deed::Message);
    }
}
