//! A breakerd that answers as a test tells it to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use std::vec::IntoIter;

use breaker_client::servers::Address;
use breaker_proto::encoded::EncodedWatchResponse;
use breaker_proto::leader::not_leader;
use breaker_proto::reported::ReportRequest;
use breaker_proto::server::breaker_monitor_server::{BreakerMonitor, BreakerMonitorServer};
use breaker_proto::server::breaker_service_server::{BreakerService, BreakerServiceServer};
use breaker_proto::v1;
use tokio::net::TcpListener;
use tokio_stream::Iter;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use crate::Context;
use crate::connection::Connection;
use crate::output::Format;

/// A server on the test's runtime; it ends with it.
pub(crate) struct TestServer {
    pub(crate) address: Address,
    world: Arc<Mutex<World>>,
}

/// What the test sets and looks at.
#[derive(Default)]
pub(crate) struct World {
    /// How many requests came.
    pub(crate) asked: u32,
    /// Answers of the next requests.
    pub(crate) refusals: VecDeque<Status>,
    /// The answer of all after those; without it the server leads.
    pub(crate) refusal: Option<Status>,
    /// What the next watches say.
    pub(crate) streams: VecDeque<Messages>,
    /// Every watch that began.
    pub(crate) watches: Vec<v1::WatchRequest>,
    /// How the fleet is doing; without it the server is one that cannot tell.
    pub(crate) dashboard: Option<v1::GetDashboardResponse>,
    /// Every report that was taken.
    pub(crate) reports: Vec<v1::ReportRequest>,
}

type Messages = Vec<Result<EncodedWatchResponse, Status>>;

impl TestServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::parse(&listener.local_addr().unwrap().to_string()).unwrap();
        let world = Arc::<Mutex<World>>::default();
        let service = BreakerServiceServer::new(Service(Arc::clone(&world)));
        let monitor = BreakerMonitorServer::new(Service(Arc::clone(&world)));
        tokio::spawn(
            tonic::transport::Server::builder()
                .add_service(service)
                .add_service(monitor)
                .serve_with_incoming(TcpListenerStream::new(listener)),
        );
        Self { address, world }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Lets it stand by, and name this leader.
    pub(crate) fn stand_by(&self, leader: Option<&Self>) {
        self.world().refusal = Some(stands_by(leader));
    }
}

/// What a server that stands by answers.
pub(crate) fn stands_by(leader: Option<&TestServer>) -> Status {
    not_leader(leader.map(|leader| leader.address.as_str()), Duration::from_millis(100))
}

/// An address at which nobody listens.
pub(crate) async fn nobody() -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Address::parse(&listener.local_addr().unwrap().to_string()).unwrap()
}

/// What a command gets that knows these addresses.
pub(crate) fn context(addresses: &[&Address], timeout: Duration) -> Context {
    let addresses: Vec<_> = addresses.iter().copied().cloned().collect();
    let connection = Connection::new(&addresses, timeout).unwrap();
    Context { connection, format: Format::Json }
}

/// How often each was asked since this was last called.
pub(crate) fn asked<const N: usize>(servers: [&TestServer; N]) -> [u32; N] {
    servers.map(|server| std::mem::take(&mut server.world().asked))
}

struct Service(Arc<Mutex<World>>);

impl Service {
    /// Counts a request; refuses it or hands out the world.
    fn lead(&self) -> Result<MutexGuard<'_, World>, Status> {
        let mut world = self.0.lock().unwrap();
        world.asked += 1;
        let refusal = world.refusals.pop_front().or_else(|| world.refusal.clone());
        refusal.map_or(Ok(world), Err)
    }
}

#[tonic::async_trait]
impl BreakerService for Service {
    type WatchStream = Iter<IntoIter<Result<EncodedWatchResponse, Status>>>;

    async fn acquire(
        &self,
        _: Request<v1::AcquireRequest>,
    ) -> Result<Response<v1::AcquireResponse>, Status> {
        let _world = self.lead()?;
        Ok(Response::new(v1::AcquireResponse { allowed: true, ..Default::default() }))
    }

    async fn report(
        &self,
        request: Request<ReportRequest>,
    ) -> Result<Response<v1::ReportResponse>, Status> {
        self.lead()?.reports.push(request.into_inner().to_generated().unwrap());
        Ok(Response::new(v1::ReportResponse::default()))
    }

    async fn watch(
        &self,
        request: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let mut world = self.lead()?;
        world.watches.push(request.into_inner());
        let messages = world.streams.pop_front().unwrap_or_default();
        Ok(Response::new(tokio_stream::iter(messages)))
    }
}

/// Nothing but the dashboard, and that only if the test has set it.
#[tonic::async_trait]
impl BreakerMonitor for Service {
    type WatchAlertsStream = Iter<IntoIter<Result<v1::WatchAlertsResponse, Status>>>;

    async fn get_health_summary(
        &self,
        _: Request<v1::GetHealthSummaryRequest>,
    ) -> Result<Response<v1::GetHealthSummaryResponse>, Status> {
        Err(Status::unimplemented("an older server"))
    }

    async fn get_dashboard(
        &self,
        _: Request<v1::GetDashboardRequest>,
    ) -> Result<Response<v1::GetDashboardResponse>, Status> {
        let dashboard = self.lead()?.dashboard.clone();
        dashboard.map(Response::new).ok_or_else(|| Status::unimplemented("an older server"))
    }

    async fn get_breaker_activity(
        &self,
        _: Request<v1::GetBreakerActivityRequest>,
    ) -> Result<Response<v1::GetBreakerActivityResponse>, Status> {
        Err(Status::unimplemented("an older server"))
    }

    async fn list_alerts(
        &self,
        _: Request<v1::ListAlertsRequest>,
    ) -> Result<Response<v1::ListAlertsResponse>, Status> {
        Err(Status::unimplemented("an older server"))
    }

    async fn watch_alerts(
        &self,
        _: Request<v1::WatchAlertsRequest>,
    ) -> Result<Response<Self::WatchAlertsStream>, Status> {
        Err(Status::unimplemented("an older server"))
    }

    async fn acknowledge_alert(
        &self,
        _: Request<v1::AcknowledgeAlertRequest>,
    ) -> Result<Response<v1::AcknowledgeAlertResponse>, Status> {
        Err(Status::unimplemented("an older server"))
    }
}
