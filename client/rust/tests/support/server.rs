//! A server in the test's process, whose breakers are real and whose clock is set by hand.
#![allow(dead_code, unused_imports, reason = "each crate of tests uses a part of it")]

mod service;
mod world;

use std::sync::Arc;
use std::time::Duration;

use breaker_core::{Breaker, Config, ConfigPatch, Source};
use breaker_proto::encoded::EncodedWatchResponse;
use breaker_proto::leader::not_leader;
use breaker_proto::server::breaker_service_server::BreakerServiceServer;
use breaker_proto::v1;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Status;
use tonic::transport::ServerTlsConfig;

use self::service::{Service, Shared};
pub(crate) use self::world::{World, state_message};

/// A breaker whose reports the test server refuses as wrong, and one that it says it does not know.
pub(crate) const REFUSED: &str = "test/refused";
pub(crate) const NOT_FOUND: &str = "test/not-found";

/// More messages than any test lets wait.
const ROOM: usize = 256;

/// A server on a runtime of its own, so that dropping it cuts every connection.
pub(crate) struct TestServer {
    pub(crate) address: String,
    /// Every report that arrived and was not refused for standing by, in order.
    pub(crate) reports: mpsc::Receiver<v1::ReportRequest>,
    /// Every watch that began.
    pub(crate) watches: mpsc::Receiver<TestWatch>,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

/// One stream of a watch, which the test may write to, beside the world or alone.
pub(crate) struct TestWatch {
    pub(crate) request: v1::WatchRequest,
    pub(crate) responses: mpsc::Sender<Result<EncodedWatchResponse, Status>>,
}

impl TestServer {
    /// A server whose watches are served from its world.
    pub(crate) fn start(patch: &ConfigPatch) -> Self {
        Self::start_at("127.0.0.1:0", patch)
    }

    /// A server whose watches the test serves.
    pub(crate) fn by_hand() -> Self {
        let server = Self::start(&ConfigPatch::default());
        server.world(|world| world.serves_watches = false);
        server
    }

    pub(crate) fn start_at(address: &str, patch: &ConfigPatch) -> Self {
        Self::serve(address, patch, None)
    }

    /// A server that speaks TLS.
    pub(crate) fn start_secure(tls: ServerTlsConfig) -> Self {
        Self::serve("127.0.0.1:0", &ConfigPatch::default(), Some(tls))
    }

    fn serve(address: &str, patch: &ConfigPatch, tls: Option<ServerTlsConfig>) -> Self {
        let shared = Arc::new(Shared {
            world: Mutex::new(World::new(config(patch))),
            answers_flow: watch::Sender::new(true),
            permits_flow: watch::Sender::new(true),
            changes: watch::Sender::new(0),
            cuts: watch::Sender::new(0),
        });
        let (report_sender, reports) = mpsc::channel(ROOM);
        let (watch_sender, watches) = mpsc::channel(ROOM);
        let service =
            Service { shared: Arc::clone(&shared), reports: report_sender, watches: watch_sender };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut builder = tonic::transport::Server::builder();
        if let Some(tls) = tls {
            builder = builder.tls_config(tls).unwrap();
        }
        runtime.spawn(async move {
            let incoming = TcpListenerStream::new(TcpListener::from_std(listener).unwrap());
            let service = BreakerServiceServer::new(service);
            builder.add_service(service).serve_with_incoming(incoming).await.unwrap();
        });
        Self { address, reports, watches, shared, runtime: Some(runtime) }
    }

    /// Looks at the world or changes it; watches are told of what has changed.
    pub(crate) fn world<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        self.shared.change(change)
    }

    /// Changes a breaker, which is made if it is not there.
    pub(crate) fn change<T>(
        &self,
        name: &str,
        change: impl FnOnce(&mut Breaker, &Config, breaker_core::Time) -> T,
    ) -> T {
        self.world(|world| world.change(name, change))
    }

    /// Makes a breaker that is CLOSED.
    pub(crate) fn create(&self, name: &str) {
        self.change(name, |_, _, _| ());
    }

    /// Makes a breaker of this configuration, or gives it to the one that is there.
    pub(crate) fn configure(&self, name: &str, patch: &ConfigPatch) {
        self.world(|world| world.configure(name, config(patch)));
    }

    pub(crate) fn delete(&self, name: &str) {
        self.world(|world| world.delete(name));
    }

    /// Opens a breaker for its `open_duration`.
    pub(crate) fn trip(&self, name: &str) {
        self.change(name, |breaker, config, now| {
            breaker.trip(config, breaker_core::Attribution::default(), now);
        });
    }

    /// Lets the server's clock go on.
    pub(crate) fn pass(&self, duration: Duration) {
        self.world(|world| world.pass(duration));
    }

    /// Lets it stand by, and name this leader.
    pub(crate) fn stand_by(&self, leader: Option<&str>) {
        self.world(|world| world.stands_by = Some(stands_by(leader)));
    }

    /// Lets it lead.
    pub(crate) fn lead(&self) {
        self.world(|world| world.stands_by = None);
    }

    /// How many requests it was asked to serve since this was last called.
    pub(crate) fn asked(&self) -> u32 {
        self.world(|world| std::mem::take(&mut world.asked))
    }

    /// Reports count but are not answered, nor are requests while it stands by, until
    /// [`release_answers`](Self::release_answers).
    pub(crate) fn hold_answers(&self) {
        self.shared.answers_flow.send_replace(false);
    }

    pub(crate) fn release_answers(&self) {
        self.shared.answers_flow.send_replace(true);
    }

    /// Acquires are decided but not answered, until [`release_permits`](Self::release_permits).
    pub(crate) fn hold_permits(&self) {
        self.shared.permits_flow.send_replace(false);
    }

    pub(crate) fn release_permits(&self) {
        self.shared.permits_flow.send_replace(true);
    }

    /// Cuts every stream that the world serves.
    pub(crate) fn cut_streams(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// The only run of the next report, and the report.
    pub(crate) async fn next_run(&mut self) -> (v1::Run, v1::BreakerReport) {
        let request = self.reports.recv().await.unwrap();
        assert_eq!(request.reports.len(), 1, "{request:?}");
        let report = request.reports[0].clone();
        assert_eq!(report.runs.len(), 1, "{report:?}");
        (report.runs[0].clone(), report)
    }

    /// Stops, and leaves the address to another one.
    pub(crate) fn stop(self) -> String {
        self.address.clone()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // On a thread of its own, because it waits until the listener is gone.
            std::thread::spawn(move || drop(runtime)).join().unwrap();
        }
    }
}

/// What a server that stands by answers.
pub(crate) fn stands_by(leader: Option<&str>) -> Status {
    not_leader(leader, Duration::from_millis(100))
}

/// A configuration over the defaults.
pub(crate) fn config(patch: &ConfigPatch) -> Config {
    Config::resolve(&[(Source::Server, patch)]).unwrap().config
}
