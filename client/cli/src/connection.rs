//! Requests to the one of several servers that leads.

use std::time::Duration;

use breaker_client::servers::{Address, Server, Servers, Step};
use breaker_proto::leader::NotLeader;
use breaker_proto::v1;
use breaker_proto::v1::breaker_admin_client::BreakerAdminClient;
use breaker_proto::v1::breaker_monitor_client::BreakerMonitorClient;
use breaker_proto::v1::breaker_service_client::BreakerServiceClient;
use tokio::time::{sleep_until, timeout, timeout_at};
use tonic::transport::Channel;
use tonic::{Response, Status};

use crate::clock;
use crate::error::Error;

/// A page of breakers with long configurations is larger than the 4 MiB that tonic expects.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// Bounds of what servers that stand by may ask for.
const LEAST_WAIT: Duration = Duration::from_millis(100);
const MOST_WAIT: Duration = Duration::from_secs(1);

pub(crate) type Admin = BreakerAdminClient<Channel>;
pub(crate) type Monitor = BreakerMonitorClient<Channel>;
pub(crate) type Service = BreakerServiceClient<Channel>;

/// The servers, and how long they may take.
#[derive(Debug)]
pub(crate) struct Connection {
    addresses: Vec<Address>,
    servers: Servers,
    timeout: Duration,
}

/// A server that led a moment ago.
#[derive(Debug)]
pub(crate) struct Leader(Server);

impl Leader {
    pub(crate) const fn address(&self) -> &Address {
        self.0.address()
    }

    pub(crate) fn admin(&self) -> Admin {
        BreakerAdminClient::new(self.0.channel()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    pub(crate) fn service(&self) -> Service {
        BreakerServiceClient::new(self.0.channel()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }
}

/// What to do while the servers stand by and none of them leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Ask them again and again, until the timeout is over.
    UntilTimeout,
    /// Ask each of them once.
    OneRound,
}

/// Nobody served a request in a whole round.
struct Unserved {
    error: Error,
    /// What one of those that stand by said; without any there is no leader to wait for.
    not_leader: Option<NotLeader>,
}

impl Connection {
    /// Connects to none of them yet.
    pub(crate) fn new(addresses: &[Address], timeout: Duration) -> Result<Self, Error> {
        let servers = Servers::new(addresses.iter().cloned(), timeout)
            .map_err(|error| Error::Usage(error.to_string()))?;
        Ok(Self { addresses: addresses.to_vec(), servers, timeout })
    }

    /// The same servers, over connections of its own.
    pub(crate) fn another(&self) -> Result<Self, Error> {
        Self::new(&self.addresses, self.timeout)
    }

    /// How long one server may take to answer.
    pub(crate) const fn timeout(&self) -> Duration {
        self.timeout
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
        self.request(Patience::UntilTimeout, ask).await
    }

    /// Asks `BreakerMonitor`.
    pub(crate) async fn monitor<Q: Clone, A>(
        &self,
        question: &Q,
        ask: impl AsyncFn(Monitor, Q) -> Result<Response<A>, Status>,
    ) -> Result<A, Error> {
        let ask = async |channel: Channel| {
            let client =
                BreakerMonitorClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES);
            ask(client, question.clone()).await
        };
        self.request(Patience::UntilTimeout, ask).await
    }

    /// Asks `BreakerService`.
    pub(crate) async fn service<Q: Clone, A>(
        &self,
        patience: Patience,
        question: &Q,
        ask: impl AsyncFn(Service, Q) -> Result<Response<A>, Status>,
    ) -> Result<A, Error> {
        let ask = async |channel: Channel| {
            let client =
                BreakerServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES);
            ask(client, question.clone()).await
        };
        self.request(patience, ask).await
    }

    /// The server that leads, for a request that is not to be made again at another one.
    pub(crate) async fn leader(&self) -> Result<Leader, Error> {
        // Costs next to nothing, and no server answers it that stands by.
        let question = v1::ExplainConfigRequest { name: "breakerctl/leader".to_owned() };
        self.admin(&question, async |mut admin, question| admin.explain_config(question).await)
            .await?;
        Ok(Leader(self.servers.begin().server().clone()))
    }

    /// A stream of the server that answered last was cut. Lets the next request begin at another
    /// one, and says at which.
    pub(crate) fn stream_was_cut(&self, status: &Status) -> Step {
        self.servers.advance(&mut self.servers.begin(), NotLeader::of(status).as_ref())
    }

    /// The answer of the server that leads, or what the last one that was asked said.
    async fn request<A>(
        &self,
        patience: Patience,
        ask: impl AsyncFn(Channel) -> Result<Response<A>, Status>,
    ) -> Result<A, Error> {
        let end = clock::now() + self.timeout;
        let mut answer = self.go_round(&ask).await;
        loop {
            let unserved = match answer {
                Ok(answer) => return Ok(answer),
                Err(unserved) => unserved,
            };
            let Some(not_leader) = &unserved.not_leader else { return Err(unserved.error) };
            let again = clock::now() + wait(not_leader.retry_delay, clock::chance());
            if patience == Patience::OneRound || again >= end {
                return Err(unserved.error);
            }
            sleep_until(again).await;
            let Ok(later) = timeout_at(end, self.go_round(&ask)).await else {
                return Err(unserved.error);
            };
            answer = later;
        }
    }

    /// Asks each server at most once, until one serves the request. Each has all the time.
    async fn go_round<A>(
        &self,
        ask: &impl AsyncFn(Channel) -> Result<Response<A>, Status>,
    ) -> Result<A, Unserved> {
        let mut round = self.servers.begin();
        let mut stood_by = None;
        loop {
            let server = round.server().clone();
            let answer = timeout(self.timeout, ask(server.channel())).await.unwrap_or_else(|_| {
                let waited = humantime::format_duration(self.timeout);
                Err(Status::deadline_exceeded(format!("no answer within {waited}")))
            });
            let error = match answer {
                Ok(response) => {
                    self.servers.settle(&round);
                    return Ok(response.into_inner());
                }
                Err(status) => Error::from_status(server.address(), status),
            };
            if error.is_final() {
                return Err(Unserved { error, not_leader: None });
            }
            let not_leader = error.not_leader();
            let step = self.servers.advance(&mut round, not_leader.as_ref());
            stood_by = not_leader.or(stood_by);
            if step == Step::Over {
                return Err(Unserved { error, not_leader: stood_by });
            }
        }
    }
}

/// How long to wait before servers that all stand by are asked again: what they ask for, within
/// bounds, and up to half as much again as `chance` (0 to 1) decides, so that not all come at once.
fn wait(retry_delay: Option<Duration>, chance: f64) -> Duration {
    let least = retry_delay.unwrap_or(LEAST_WAIT).clamp(LEAST_WAIT, MOST_WAIT);
    least.mul_f64(1.0 + chance.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests;
