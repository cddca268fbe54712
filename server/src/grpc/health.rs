//! The standard health service. A server that stands by is alive and does not serve: what it says
//! is looked up when it is asked for, so that it is never older than the lead.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use breaker_proto::server::breaker_admin_server::BreakerAdminServer;
use breaker_proto::server::breaker_monitor_server::BreakerMonitorServer;
use breaker_proto::server::breaker_peer_server::BreakerPeerServer;
use breaker_proto::server::breaker_service_server::BreakerServiceServer;
use futures::{Stream, stream};
use tokio::time::timeout;
use tonic::server::NamedService;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health as Service;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::{Admin, Breakers, Monitor, Peers};
use crate::seat::Seat;

/// How soon those who watch learn that a lead has run out, which nobody tells.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The service of a server that leads, or will.
pub(crate) struct Health {
    seat: Arc<Seat>,
}

impl Health {
    pub(crate) const fn new(seat: Arc<Seat>) -> Self {
        Self { seat }
    }
}

fn status(seat: &Seat, service: &str) -> Option<ServingStatus> {
    let is_serving = if service == BreakerPeerServer::<Peers>::NAME {
        !seat.is_draining()
    } else if [
        "",
        BreakerServiceServer::<Breakers>::NAME,
        BreakerAdminServer::<Admin>::NAME,
        BreakerMonitorServer::<Monitor>::NAME,
    ]
    .contains(&service)
    {
        seat.is_serving()
    } else {
        return None;
    };
    Some(if is_serving { ServingStatus::Serving } else { ServingStatus::NotServing })
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[tonic::async_trait]
impl Service for Health {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let service = request.into_inner().service;
        status(&self.seat, &service)
            .map(|status| Response::new(response(status)))
            .ok_or_else(|| Status::not_found(format!("no service `{service}` is served here")))
    }

    type WatchStream =
        Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send + 'static>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let service = request.into_inner().service;
        let seat = Arc::clone(&self.seat);
        let news = seat.news();
        let changes = stream::unfold((None, news), move |(told, mut news)| {
            let (seat, service) = (Arc::clone(&seat), service.clone());
            async move {
                loop {
                    // By the protocol a service that is not known may become so.
                    let now = status(&seat, &service).unwrap_or(ServingStatus::ServiceUnknown);
                    if told != Some(now) {
                        return Some((Ok(response(now)), (Some(now), news)));
                    }
                    // A server that is going down has said so, and waits for nobody.
                    if seat.is_draining() {
                        return None;
                    }
                    // Whether there was news or not: look again.
                    let _ = timeout(LOOK_EVERY, news.changed()).await;
                }
            }
        });
        Ok(Response::new(Box::pin(changes)))
    }
}
