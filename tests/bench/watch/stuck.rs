//! What a reader costs that does not read: it misses a million changes, and then reads again.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use breaker_engine::SystemClock;
use breaker_proto::v1;
use breaker_tests::{Clients, RawConnection, RawStream, create, selecting, start_in_memory};
use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::figure::{Figure, Goal};
use crate::runtimes::{READERS, SERVER, one_thread};

const BREAKER: &str = "bench/restless";
/// Changes that are under way at a time.
const CHANGERS: usize = 32;
const WINDOW_BYTES: u32 = 1 << 20;
/// The one that was under way when it stopped, and one for all that it missed.
const MESSAGES: f64 = 2.0;
/// Within this time a connection has told the server of its window, and nothing more comes on a
/// stream that is read.
const QUIET: Duration = Duration::from_millis(500);

/// What came of so many changes.
pub(crate) fn measure(missed: u64) -> anyhow::Result<Vec<Figure>> {
    let (servers, readers) = (one_thread(SERVER)?, one_thread(READERS)?);
    let server = servers.block_on(start_in_memory(Arc::new(SystemClock::start())))?;
    let rows = readers.block_on(async {
        let mut clients = Clients::of(&server.grpc_address().to_string())?;
        clients.admin.create_breaker(create(BREAKER, v1::BreakerConfig::default())).await?;
        let connection = RawConnection::open(server.grpc_address()).await?;
        let mut messages = connection.watch(vec![BREAKER.to_owned()], Bytes::new()).await?;
        ensure!(messages.next().await?.is_complete, "the snapshot of one breaker is one message");
        connection.set_stream_window(0).await?;
        sleep(QUIET).await;

        let begun = generation(&mut clients).await?;
        change(&clients, begun + missed).await?;
        let changes = generation(&mut clients).await? - begun;

        connection.set_stream_window(WINDOW_BYTES).await?;
        let (count, bytes) = until_quiet(&mut messages).await?;
        anyhow::Ok(vec![
            Figure::new("changes that a stuck reader missed", changes as f64, "changes"),
            Figure::new("messages that a stuck reader got for them", count as f64, "messages")
                .with(Goal::AtMost(MESSAGES)),
            Figure::new("bytes that a stuck reader got for them", bytes as f64, "bytes"),
        ])
    })?;
    servers.block_on(server.shut_down())?;
    Ok(rows)
}

/// Changes the breaker until its generation is so high.
async fn change(clients: &Clients, last: u64) -> anyhow::Result<()> {
    let mut changers = JoinSet::new();
    for changer in 0..CHANGERS {
        let mut clients = clients.clone();
        changers.spawn(async move {
            // Half of them begin with the other change, so that few find it made already.
            let mut is_open = changer % 2 == 0;
            loop {
                let target = selecting(BREAKER);
                if is_open {
                    clients.admin.reset(v1::ResetRequest { target }).await?;
                } else {
                    clients.admin.trip(v1::TripRequest { target }).await?;
                }
                is_open = !is_open;
                // Asked seldom: it costs as much as a change.
                if changer == 0 && is_open && generation(&mut clients).await? >= last {
                    return anyhow::Ok(());
                }
            }
        });
    }
    // All but the one that counts go on for ever.
    changers.join_next().await.context("there are changers")?.context("a changer panicked")?
}

async fn generation(clients: &mut Clients) -> anyhow::Result<u64> {
    let request = v1::GetBreakerRequest { name: BREAKER.to_owned() };
    let answer = clients.admin.get_breaker(request).await?.into_inner();
    let state = answer.breaker.and_then(|breaker| breaker.state);
    Ok(state.context("a breaker has a state")?.generation)
}

/// Reads what has changed until nothing more comes; how many messages that were, and bytes.
async fn until_quiet(messages: &mut RawStream) -> anyhow::Result<(usize, usize)> {
    let (mut count, mut bytes) = (0, 0);
    while let Ok(gist) = timeout(QUIET, messages.next()).await {
        let gist = gist?;
        if gist.states > 0 {
            count += 1;
            bytes += gist.bytes;
        }
    }
    Ok((count, bytes))
}
