//! Connections to one of several servers.
//!
//! All requests go to the same server until it is away; then the next one in the list is tried.
//! A connection is made at the first request and made again by itself after a cut.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use breaker_proto::v1::breaker_service_client::BreakerServiceClient;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Response, Status};

use crate::address::Address;
use crate::error::Error;

/// How often an idle connection is checked for life.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// How long the answer to such a check may take.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub(crate) connect: Duration,
    pub(crate) request: Duration,
}

/// The servers, and which of them is asked first.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Never empty.
    servers: Vec<Server>,
    /// Counts on with each server that was away; its remainder is the index of the one to ask.
    turn: AtomicUsize,
    request_timeout: Duration,
}

/// One of the servers.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    address: String,
    client: BreakerServiceClient<Channel>,
}

/// Whose turn it was when a request was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn(usize);

impl Connection {
    /// Connects to none of the addresses yet.
    pub(crate) fn new(addresses: Vec<Address>, timeouts: Timeouts) -> Result<Self, Error> {
        if addresses.is_empty() {
            return Err(Error::NoAddress);
        }
        let servers = addresses.into_iter().map(|a| Server::new(a, timeouts)).collect();
        Ok(Self { servers, turn: AtomicUsize::new(0), request_timeout: timeouts.request })
    }

    /// The server to ask.
    pub(crate) fn server(&self) -> (Turn, Server) {
        let turn = self.turn.load(Ordering::Relaxed);
        (Turn(turn), self.servers[turn % self.servers.len()].clone())
    }

    /// Asks the next server from now on, unless somebody else has already moved on from this turn.
    pub(crate) fn pass(&self, Turn(turn): Turn) {
        let next = turn.wrapping_add(1);
        let _ = self.turn.compare_exchange(turn, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Makes a request, as many times as there are servers at most. One that is away is passed over; one that
    /// takes too long is not asked again, but has used up the time of this request.
    pub(crate) async fn request<T, F>(
        &self,
        make: impl Fn(BreakerServiceClient<Channel>) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut tried = 1;
        loop {
            let (turn, server) = self.server();
            let Ok(answer) = timeout(self.request_timeout, make(server.client)).await else {
                self.pass(turn);
                let status = Status::deadline_exceeded("the request timed out");
                return Err(Error::away(&server.address, status));
            };
            match answer.map_err(|status| Error::from_status(&server.address, status)) {
                Ok(response) => return Ok(response.into_inner()),
                Err(error) if error.is_unavailable() => {
                    self.pass(turn);
                    if tried == self.servers.len() {
                        return Err(error);
                    }
                    tried += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Server {
    fn new(address: Address, timeouts: Timeouts) -> Self {
        let name = address.as_str().to_owned();
        let channel = address
            .into_endpoint()
            .connect_timeout(timeouts.connect)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .connect_lazy();
        Self { address: name, client: BreakerServiceClient::new(channel) }
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn client(&self) -> BreakerServiceClient<Channel> {
        self.client.clone()
    }
}
