use std::net::SocketAddr;
use std::time::Duration;

use breaker_proto::v1::AcquireRequest;
use breaker_proto::v1::breaker_service_client::BreakerServiceClient;
use tokio::task::JoinSet;
use tonic::transport::Endpoint;

use crate::clock;

const CONNECTIONS: usize = 4;
const IN_FLIGHT: usize = 64;

/// Calls Acquire for a while and tells how many calls a second were answered.
pub(crate) async fn rate(
    address: SocketAddr,
    request: AcquireRequest,
    duration: Duration,
) -> anyhow::Result<f64> {
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
            callers.spawn(async move {
                let mut answered = 0_u64;
                while begin.elapsed() < duration {
                    client.acquire(request.clone()).await?;
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
    Ok(answered as f64 / begin.elapsed().as_secs_f64())
}
