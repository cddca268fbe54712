//! Requests to the first of several servers that answers.

use std::time::Duration;

use breaker_proto::v1::breaker_admin_client::BreakerAdminClient;
use breaker_proto::v1::breaker_service_client::BreakerServiceClient;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Response, Status};

use crate::address::Address;
use crate::error::Error;

/// How often a connection without traffic is checked for life.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// A page of breakers with long configurations is larger than the 4 MiB that tonic expects.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

pub(crate) type Admin = BreakerAdminClient<Channel>;
pub(crate) type Service = BreakerServiceClient<Channel>;

/// The servers, in the order in which they are tried.
#[derive(Debug)]
pub(crate) struct Connection {
    servers: Vec<(Address, Channel)>,
    timeout: Duration,
}

impl Connection {
    /// Connects to none of them yet.
    pub(crate) fn new(addresses: &[Address], timeout: Duration) -> Self {
        let servers = addresses.iter().map(|address| {
            let endpoint = address
                .endpoint()
                .clone()
                .connect_timeout(timeout)
                .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
                .keep_alive_timeout(timeout)
                .keep_alive_while_idle(true);
            (address.clone(), endpoint.connect_lazy())
        });
        Self { servers: servers.collect(), timeout }
    }

    /// Asks `BreakerAdmin`.
    pub(crate) async fn admin<Q: Clone, A>(
        &self,
        question: &Q,
        ask: impl AsyncFn(Admin, Q) -> Result<Response<A>, Status>,
    ) -> Result<A, Error> {
        let ask = async |channel: Channel| {
            let client =
                BreakerAdminClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES);
            ask(client, question.clone()).await
        };
        self.request(ask).await
    }

    /// Asks `BreakerService`.
    pub(crate) async fn service<Q: Clone, A>(
        &self,
        question: &Q,
        ask: impl AsyncFn(Service, Q) -> Result<Response<A>, Status>,
    ) -> Result<A, Error> {
        let ask = async |channel: Channel| {
            let client =
                BreakerServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES);
            ask(client, question.clone()).await
        };
        self.request(ask).await
    }

    /// The answer of the first server that gives one, or what the last one said.
    async fn request<A>(
        &self,
        ask: impl AsyncFn(Channel) -> Result<Response<A>, Status>,
    ) -> Result<A, Error> {
        let mut last = Error::Usage("no address of a server is given".to_owned());
        for (address, channel) in &self.servers {
            let answer = timeout(self.timeout, ask(channel.clone())).await.unwrap_or_else(|_| {
                let waited = humantime::format_duration(self.timeout);
                Err(Status::deadline_exceeded(format!("no answer within {waited}")))
            });
            match answer {
                Ok(response) => return Ok(response.into_inner()),
                Err(status) => last = Error::from_status(address, status),
            }
            if !last.is_unavailable() {
                break;
            }
        }
        Err(last)
    }
}
