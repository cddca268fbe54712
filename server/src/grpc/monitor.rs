//! BreakerMonitor: how the fleet is doing.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use breaker_core::BreakerName;
use breaker_engine::{Engine, SAMPLE_INTERVAL, SAMPLES_KEPT_FOR};
use breaker_proto::server::breaker_monitor_server::BreakerMonitor;
use breaker_proto::v1;
use breaker_wire::duration_to_message;
use futures::{Stream, stream};
use tonic::{Request, Response, Status};

use super::error::{ended, not_leading, to_status};
use super::monitor_answers::{
    busy_to_message, rates_to_message, reporter_to_message, sample_to_message, storage_of,
    summary_to_message, unhealthy_to_message,
};
use super::now_to_message;
use super::requests::{Check, name, page_size, selector};
use crate::http::StreamGauge;
use crate::seat::{Leading, Seat};

/// Entries of each list of a dashboard, unless told otherwise, and at most.
const DEFAULT_LISTED: usize = 10;
const MAX_LISTED: u32 = 100;

/// A follower hears something at least this often; the protocol promises 5 s.
const HEARTBEAT: Duration = Duration::from_secs(4);

/// The service on top of the engine.
pub(crate) struct Monitor {
    seat: Arc<Seat>,
    streams: StreamGauge,
}

impl Monitor {
    /// The service of a server that leads, or will.
    pub(crate) const fn new(seat: Arc<Seat>, streams: StreamGauge) -> Self {
        Self { seat, streams }
    }

    fn engine(&self) -> Result<Arc<Engine>, Status> {
        self.seat.engine().map_err(not_leading)
    }
}

type AlertStream = Pin<Box<dyn Stream<Item = Result<v1::WatchAlertsResponse, Status>> + Send>>;

#[tonic::async_trait]
impl BreakerMonitor for Monitor {
    async fn get_health_summary(
        &self,
        request: Request<v1::GetHealthSummaryRequest>,
    ) -> Result<Response<v1::GetHealthSummaryResponse>, Status> {
        let namespace = request.into_inner().namespace;
        let mut check = Check::default();
        let wanted = namespace_of(&mut check, &namespace);
        let wanted = check.finish(Some(wanted))?;
        let engine = self.engine()?;
        let health = engine.health(wanted);
        Ok(Response::new(v1::GetHealthSummaryResponse {
            summary: Some(summary_to_message(&namespace, &health.counts)),
            namespaces: health
                .namespaces
                .iter()
                .map(|of| summary_to_message(of.name(), &of.counts))
                .collect(),
            namespace_count: u32::try_from(health.namespace_count).unwrap_or(u32::MAX),
            unhealthy: health.unhealthy.iter().map(unhealthy_to_message).collect(),
            server_time: now_to_message(engine.now()),
        }))
    }

    async fn get_dashboard(
        &self,
        request: Request<v1::GetDashboardRequest>,
    ) -> Result<Response<v1::GetDashboardResponse>, Status> {
        let v1::GetDashboardRequest { namespace, limit } = request.into_inner();
        let mut check = Check::default();
        let wanted = namespace_of(&mut check, &namespace);
        let limit = listed(&mut check, limit);
        let (wanted, limit) = check.finish(Some((wanted, limit)))?;
        let engine = self.engine()?;
        let dashboard = engine.dashboard(wanted, limit);
        Ok(Response::new(v1::GetDashboardResponse {
            summary: Some(summary_to_message(&namespace, &dashboard.counts)),
            unhealthy: dashboard.unhealthy.iter().map(unhealthy_to_message).collect(),
            // The alert book is read here once there is one.
            alerts: Vec::new(),
            alert_counts: Some(v1::AlertCounts::default()),
            busiest: dashboard.busiest.iter().map(busy_to_message).collect(),
            slowest: dashboard.slowest.iter().map(busy_to_message).collect(),
            most_denied: dashboard.most_denied.iter().map(busy_to_message).collect(),
            rates: Some(rates_to_message(&dashboard.rates)),
            storage: Some(storage_of(&engine)),
            watch_streams: u32::try_from(self.streams.count()).unwrap_or(u32::MAX),
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime: Some(duration_to_message(engine.uptime())),
            server_time: now_to_message(engine.now()),
        }))
    }

    async fn get_breaker_activity(
        &self,
        request: Request<v1::GetBreakerActivityRequest>,
    ) -> Result<Response<v1::GetBreakerActivityResponse>, Status> {
        let name = name("name", &request.into_inner().name)?;
        let engine = self.engine()?;
        let activity = engine.activity(&name).map_err(to_status)?;
        let now = engine.now();
        let reporters = activity.reporters.iter();
        Ok(Response::new(v1::GetBreakerActivityResponse {
            samples: activity.samples.iter().map(sample_to_message).collect(),
            sample_interval: Some(duration_to_message(SAMPLE_INTERVAL)),
            kept_for: Some(duration_to_message(SAMPLES_KEPT_FOR)),
            reporters: reporters.map(|reporter| reporter_to_message(reporter, now)).collect(),
            server_time: now_to_message(now),
        }))
    }

    // The three below answer from the alert book once there is one. Nothing raises alerts until then.

    async fn list_alerts(
        &self,
        request: Request<v1::ListAlertsRequest>,
    ) -> Result<Response<v1::ListAlertsResponse>, Status> {
        let request = request.into_inner();
        let mut check = Check::default();
        let _ = selector(&mut check, &request.selector);
        let _ = page_size(&mut check, request.page_size);
        check.finish(Some(()))?;
        self.engine()?;
        Ok(Response::new(v1::ListAlertsResponse::default()))
    }

    type WatchAlertsStream = AlertStream;

    async fn watch_alerts(
        &self,
        request: Request<v1::WatchAlertsRequest>,
    ) -> Result<Response<AlertStream>, Status> {
        let request = request.into_inner();
        let mut check = Check::default();
        let _ = selector(&mut check, &request.selector);
        check.finish(Some(()))?;
        let leading = self.seat.leading().map_err(not_leading)?;
        let position = request.after.unwrap_or_default();
        Ok(Response::new(beats(Arc::clone(&self.seat), leading, position)))
    }

    async fn acknowledge_alert(
        &self,
        request: Request<v1::AcknowledgeAlertRequest>,
    ) -> Result<Response<v1::AcknowledgeAlertResponse>, Status> {
        self.engine()?;
        let id = request.into_inner().id;
        Err(Status::not_found(format!("there is no alert {id}; it is not kept any more")))
    }
}

/// Signs of life until the server drains or leads no more.
fn beats(seat: Arc<Seat>, leading: Arc<Leading>, position: u64) -> AlertStream {
    let beat = move |(seat, leading): (Arc<Seat>, Arc<Leading>)| async move {
        if leading.over.is_cancelled() {
            return None;
        }
        tokio::select! {
            () = leading.over.cancelled() => Some((Err(ended(&seat)), (seat, leading))),
            () = tokio::time::sleep(HEARTBEAT) => {
                let alerts = Vec::new();
                Some((Ok(v1::WatchAlertsResponse { alerts, position }), (seat, leading)))
            }
        }
    };
    Box::pin(stream::unfold((seat, leading), beat))
}

/// The namespace that is asked for; `None` for all.
fn namespace_of<'n>(check: &mut Check, namespace: &'n str) -> Option<&'n str> {
    if namespace.is_empty() {
        return None;
    }
    let is_one = !namespace.contains('/') && BreakerName::check(&format!("{namespace}/a")).is_ok();
    if !is_one {
        let description = format!(
            "`{}` is not the first part of a name; it holds lower-case letters, digits, `.`, `_` and \
             `-`, and is empty for all namespaces",
            namespace.escape_debug()
        );
        check.refuse("namespace", description);
    }
    Some(namespace)
}

/// How many entries a list of a dashboard may have.
fn listed(check: &mut Check, limit: u32) -> usize {
    match limit {
        0 => DEFAULT_LISTED,
        1..=MAX_LISTED => limit as usize,
        _ => {
            let description = format!("{limit} is out of range; it must be 1 to {MAX_LISTED}");
            check.refuse("limit", description);
            0
        }
    }
}
