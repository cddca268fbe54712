//! What a guarded call costs while the server is away: each call is timed by itself.

use std::time::Duration;

use anyhow::ensure;
use breaker_client::{Breaker, Client, ClientState};
use breaker_proto::v1;
use breaker_tests::{Daemon, create, eventually};

use crate::clock;

const CALLS: usize = 200_000;
const STALE_AFTER: Duration = Duration::from_secs(6);
const MAX_STALENESS: Duration = Duration::from_secs(3);

/// Measures it with a server that hangs and then one that is killed, by what clients are told to do.
pub(crate) async fn measure(folder: &std::path::Path) -> anyhow::Result<()> {
    println!("a guarded call, its two ends timed    p50, p99");
    for (word, on_unavailable) in
        [("allow", v1::OnUnavailable::Allow), ("local", v1::OnUnavailable::Local)]
    {
        let server = Daemon::start(&folder.join(format!("{word}.db")))?;
        let config = v1::BreakerConfig {
            on_unavailable: on_unavailable.into(),
            ..v1::BreakerConfig::default()
        };
        server.clients()?.admin.create_breaker(create("bench/away", config)).await?;
        let client = Client::builder()
            .address(&server.grpc)
            .stale_after(STALE_AFTER)
            .max_staleness(MAX_STALENESS)
            .build()?;
        let breaker = client.breaker("bench/away")?;
        ensure!(client.ready(Duration::from_secs(5)).await, "the client is not ready");
        time(word, "before", &client, &breaker).await;
        server.signal("STOP")?;
        time(word, "hung", &client, &breaker).await;
        until(&client, ClientState::Stale).await?;
        time(word, "hung", &client, &breaker).await;
        until(&client, ClientState::Fallback).await?;
        time(word, "hung", &client, &breaker).await;
        server.signal("CONT")?;
        until(&client, ClientState::Ready).await?;
        time(word, "back", &client, &breaker).await;
        server.kill()?;
        until(&client, ClientState::Stale).await?;
        time(word, "killed", &client, &breaker).await;
        until(&client, ClientState::Fallback).await?;
        time(word, "killed", &client, &breaker).await;
        // What waits can go nowhere.
        let _ = client.shutdown().await;
    }
    Ok(())
}

async fn time(word: &str, server: &str, client: &Client, breaker: &Breaker) {
    let mut times = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let began_at = clock::now();
        if let Ok(guard) = breaker.acquire().await {
            guard.success();
        }
        times.push(clock::now() - began_at);
    }
    times.sort_unstable();
    let (p50, p99) = (times[CALLS / 2], times[CALLS * 99 / 100]);
    println!("{word:6} {server:7} {:9} {p50:?}, {p99:?}", client.state().state.as_str());
}

async fn until(client: &Client, state: ClientState) -> anyhow::Result<()> {
    let is_in = async || Ok(client.state().state == state);
    eventually(state.as_str(), Duration::from_secs(30), is_in).await.map(drop)
}
