//! BreakerService: what the replicas of a fleet call.

use std::sync::Arc;

use breaker_engine::{Phase, Reported};
use breaker_proto::reported::ReportRequest;
use breaker_proto::server::breaker_service_server::BreakerService;
use breaker_proto::v1::{AcquireRequest, AcquireResponse, ReportResponse, WatchRequest};
use tonic::{Request, Response, Status};

use super::answers::{acquired_to_message, now_to_message, status_to_message};
use super::error::{not_leading, to_status, too_many_streams};
use super::requests::{Check, check_id, reports_of, selectors, unpacked};
use super::watch::{WatchStream, stream};
use crate::http::StreamGauge;
use crate::seat::Seat;

/// The service on top of the engine.
pub(crate) struct Breakers {
    seat: Arc<Seat>,
    streams: StreamGauge,
}

impl Breakers {
    /// The service of a server that leads, or will.
    pub(crate) const fn new(seat: Arc<Seat>, streams: StreamGauge) -> Self {
        Self { seat, streams }
    }
}

#[tonic::async_trait]
impl BreakerService for Breakers {
    async fn acquire(
        &self,
        request: Request<AcquireRequest>,
    ) -> Result<Response<AcquireResponse>, Status> {
        let request = request.into_inner();
        let mut check = Check::default();
        check_id(&mut check, "client_id", &request.client_id);
        check.finish(Some(()))?;
        let acquired = self.seat.serve(|engine| engine.acquire(&request.breaker));
        let acquired = acquired.map_err(not_leading)?.map_err(to_status)?;
        tracing::trace!(
            breaker = request.breaker,
            client = request.client_id,
            decision = ?acquired.decision,
            "acquire"
        );
        Ok(Response::new(acquired_to_message(&acquired)))
    }

    async fn report(
        &self,
        request: Request<ReportRequest>,
    ) -> Result<Response<ReportResponse>, Status> {
        let request = request.into_inner();
        let reports = unpacked(&request)?;
        let ReportRequest { reporter_id, sequence, .. } = request;
        let reports = reports_of(&reporter_id, sequence, &reports)?;
        let report = self.seat.serve(|engine| {
            engine.report(&reporter_id, sequence, &reports).map(|reported| (reported, engine.now()))
        });
        let (reported, now) = report.map_err(not_leading)?.map_err(to_status)?;
        let (states, duplicate) = match &reported {
            Reported::Counted(moved) => (moved.iter().map(status_to_message).collect(), false),
            Reported::Duplicate => (Vec::new(), true),
        };
        let server_time = now_to_message(now);
        Ok(Response::new(ReportResponse { states, duplicate, server_time }))
    }

    type WatchStream = WatchStream;

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<WatchStream>, Status> {
        let phase = request.extensions().get::<Phase>().copied().unwrap_or_default();
        let request = request.into_inner();
        let selectors = selectors(&request.selectors)?;
        let leading = self.seat.leading().map_err(not_leading)?;
        let guard = self.streams.enter();
        let guard = guard.ok_or_else(|| too_many_streams(self.streams.limit()))?;
        let subscription = leading.engine.watch(selectors, &request.resume_token, phase);
        let seat = Arc::clone(&self.seat);
        Ok(Response::new(stream(seat, leading, subscription, guard)))
    }
}
