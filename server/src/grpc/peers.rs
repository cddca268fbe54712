//! BreakerPeer: what servers that share a database ask one another.

use std::sync::Arc;

use breaker_proto::server::breaker_peer_server::BreakerPeer;
use breaker_proto::v1::{ConfirmLeadRequest, ConfirmLeadResponse};
use tonic::{Request, Response, Status};

use super::requests::{Check, check_id};
use crate::seat::Seat;

/// The service of a server that leads, or will.
pub(crate) struct Peers {
    seat: Arc<Seat>,
}

impl Peers {
    pub(crate) const fn new(seat: Arc<Seat>) -> Self {
        Self { seat }
    }
}

#[tonic::async_trait]
impl BreakerPeer for Peers {
    async fn confirm_lead(
        &self,
        request: Request<ConfirmLeadRequest>,
    ) -> Result<Response<ConfirmLeadResponse>, Status> {
        let ConfirmLeadRequest { server_id, fence } = request.into_inner();
        let mut check = Check::default();
        check_id(&mut check, "server_id", &server_id);
        check.finish(Some(()))?;
        Ok(Response::new(ConfirmLeadResponse { leading: self.seat.asked_by(&server_id, fence) }))
    }
}
