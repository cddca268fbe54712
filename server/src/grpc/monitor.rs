//! BreakerMonitor: how the fleet is doing.

use std::sync::Arc;
use std::time::Duration;

use breaker_core::{BreakerName, Time};
use breaker_engine::{AlertFilter, AlertRow, Engine, SAMPLE_INTERVAL, SAMPLES_KEPT_FOR, Selector};
use breaker_proto::server::breaker_monitor_server::BreakerMonitor;
use breaker_proto::v1;
use breaker_wire::duration_to_message;
use tonic::{Request, Response, Status};

use super::alerts::{self, AlertStream};
use super::error::{not_leading, to_status, too_many_streams};
use super::monitor_answers::{
    busy_to_message, rates_to_message, reporter_to_message, sample_to_message, storage_of,
    summary_to_message, unhealthy_to_message,
};
use super::now_to_message;
use super::requests::{Check, name};
use crate::http::StreamGauge;
use crate::seat::Seat;

/// Entries of each list of a dashboard, unless told otherwise, and at most.
const DEFAULT_LISTED: usize = 10;
const MAX_LISTED: u32 = 100;

/// Alerts of a dashboard: so many at most, of the last while.
const LATEST_ALERTS: usize = 10;
const LATELY: Duration = Duration::from_hours(1);

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
        let selector =
            wanted.and_then(|namespace| Selector::parse(&format!("{namespace}/**")).ok());
        let alerts_about = AlertFilter { selector, ..AlertFilter::default() };
        Ok(Response::new(v1::GetDashboardResponse {
            summary: Some(summary_to_message(&namespace, &dashboard.counts)),
            unhealthy: dashboard.unhealthy.iter().map(unhealthy_to_message).collect(),
            alerts: latest_alerts(&engine, &alerts_about),
            alert_counts: Some(alert_counts(&engine, &alerts_about)),
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

    async fn list_alerts(
        &self,
        request: Request<v1::ListAlertsRequest>,
    ) -> Result<Response<v1::ListAlertsResponse>, Status> {
        Ok(Response::new(alerts::list(&*self.engine()?, request.get_ref())?))
    }

    type WatchAlertsStream = AlertStream;

    async fn watch_alerts(
        &self,
        request: Request<v1::WatchAlertsRequest>,
    ) -> Result<Response<AlertStream>, Status> {
        let leading = self.seat.leading().map_err(not_leading)?;
        let guard = self.streams.enter();
        let guard = guard.ok_or_else(|| too_many_streams(self.streams.limit()))?;
        let seat = Arc::clone(&self.seat);
        Ok(Response::new(alerts::stream(seat, leading, request.get_ref(), guard)?))
    }

    async fn acknowledge_alert(
        &self,
        request: Request<v1::AcknowledgeAlertRequest>,
    ) -> Result<Response<v1::AcknowledgeAlertResponse>, Status> {
        let acknowledged = alerts::acknowledge(&*self.engine()?, request.into_inner())?;
        Ok(Response::new(acknowledged))
    }
}

/// How many alerts there were in the last while, or still are.
fn alert_counts(engine: &Engine, about: &AlertFilter) -> v1::AlertCounts {
    let counts = engine.alert_counts(about, lately(engine));
    let [medium, high, critical] = counts.by_severity;
    v1::AlertCounts { medium, high, critical, firing: counts.firing }
}

/// The alerts of the last while, those that changed last first.
fn latest_alerts(engine: &Engine, about: &AlertFilter) -> Vec<v1::Alert> {
    let since = lately(engine);
    let (rows, _) = engine.list_alerts(about, u64::MAX, LATEST_ALERTS);
    let is_late = |row: &Arc<AlertRow>| row.is_firing() || row.notified_at >= since;
    rows.iter().filter(|row| is_late(row)).map(|row| alerts::row_to_message(row)).collect()
}

fn lately(engine: &Engine) -> Time {
    Time::EPOCH + engine.now().since(Time::EPOCH + LATELY)
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
