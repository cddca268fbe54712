//! Calls of Acquire, many in flight.

use std::net::SocketAddr;
use std::time::Duration;

use breaker_proto::v1::AcquireRequest;
use breaker_proto::v1::breaker_service_client::BreakerServiceClient;
use breaker_tests::Chance;
use tokio::task::JoinSet;
use tonic::transport::Endpoint;

use crate::clock;

const CONNECTIONS: usize = 4;
const IN_FLIGHT: usize = 64;

/// What was answered.
pub(crate) struct Answered {
    pub(crate) calls: f64,
    pub(crate) within: Duration,
}

impl Answered {
    /// How many calls a second were answered.
    pub(crate) fn rate(&self) -> f64 {
        self.calls / self.within.as_secs_f64()
    }
}

/// Calls Acquire for a while.
pub(crate) async fn acquire(
    address: SocketAddr,
    duration: Duration,
    mut chance: Chance,
    request: impl Fn(&mut Chance) -> AcquireRequest + Clone + Send + 'static,
) -> anyhow::Result<Answered> {
    let mut callers = JoinSet::new();
    let mut clients = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let channel = Endpoint::from_shared(format!("http://{address}"))?.connect().await?;
        clients.push(BreakerServiceClient::new(channel));
    }
    let begin = clock::now();
    for client in clients {
        for _ in 0..IN_FLIGHT {
            let (mut client, request) = (client.clone(), request.clone());
            let mut chance = chance.fork();
            callers.spawn(async move {
                let mut answered = 0_u64;
                while begin.elapsed() < duration {
                    client.acquire(request(&mut chance)).await?;
                    answered += 1;
                }
                anyhow::Ok(answered)
            });
        }
    }
    let mut answered = 0;
    while let Some(caller) = callers.join_next().await {
        answered += caller??;
    }
    Ok(Answered { calls: answered as f64, within: begin.elapsed() })
}
