//! Requests to the one of several servers that leads.

use std::time::Duration;

use breaker_proto::v1::breaker_service_client::BreakerServiceClient;
use tokio::time::timeout;
use tonic::{Response, Status};

use crate::error::Error;
use crate::servers::{Round, Servers, Step};
use crate::transport::Service;

/// The servers, and how long they may take.
#[derive(Debug)]
pub(crate) struct Connection {
    servers: Servers,
    request_timeout: Duration,
}

impl Connection {
    pub(crate) const fn new(servers: Servers, request_timeout: Duration) -> Self {
        Self { servers, request_timeout }
    }

    /// The servers, for streams.
    pub(crate) const fn servers(&self) -> &Servers {
        &self.servers
    }

    /// Makes a request, to each server once at most, and to all of them within the request
    /// timeout: somebody waits for it.
    pub(crate) async fn request<T, F>(
        &self,
        make: impl Fn(BreakerServiceClient<Service>) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut round = self.servers.begin();
        let answer = timeout(self.request_timeout, self.ask(&mut round, make)).await;
        answer.unwrap_or_else(|_| {
            let status = Status::deadline_exceeded("the request timed out");
            let error = Error::away(round.server().address(), status);
            self.servers.advance(&mut round, None);
            Err(error)
        })
    }

    async fn ask<T, F>(
        &self,
        round: &mut Round,
        make: impl Fn(BreakerServiceClient<Service>) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        loop {
            let server = round.server().clone();
            let error = match make(BreakerServiceClient::new(server.service())).await {
                Ok(response) => {
                    self.servers.settle(round);
                    return Ok(response.into_inner());
                }
                Err(status) => Error::from_status(server.address(), status),
            };
            if !error.is_unavailable() {
                return Err(error);
            }
            if self.servers.advance(round, error.not_leader().as_ref()) == Step::Over {
                return Err(error);
            }
        }
    }
}
