//! A running server: its listeners, its engine, and how both begin and end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use breaker_engine::{Clock, Engine, EngineError, Options, StoreError, Tasks};
use breaker_proto::server::breaker_admin_server::BreakerAdminServer;
use breaker_proto::server::breaker_service_server::BreakerServiceServer;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;
use tonic_health::server::HealthReporter;

use crate::chance;
use crate::grpc::{Admin, Breakers, MAX_MESSAGE_BYTES, OversizeLayer, encode_status};
use crate::http::{Pages, StreamGauge, router};
use crate::settings::Settings;

/// The server asks connections for a sign of life so often, and waits so long for it.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

/// How long calls and streams may take to end at shutdown before they are cut.
const DRAIN: Duration = Duration::from_secs(10);

/// Most calls and streams at a time on one connection.
const MAX_STREAMS_PER_CONNECTION: u32 = 1_024;

type BreakersServer = BreakerServiceServer<Breakers>;
type AdminServer = BreakerAdminServer<Admin>;

/// A server that runs until it is told to stop.
pub struct Server {
    engine: Arc<Engine>,
    tasks: Tasks,
    grpc: JoinHandle<Result<(), tonic::transport::Error>>,
    http: JoinHandle<io::Result<()>>,
    grpc_address: SocketAddr,
    http_address: SocketAddr,
    health: HealthReporter,
    drain: CancellationToken,
}

/// Why a server did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address} ({option}): {source}; choose another address")]
    Listen {
        /// The option.
        option: &'static str,
        /// Its value.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The breakers cannot be loaded.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The descriptors of the protocol are malformed.
    #[error("cannot serve reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

impl Server {
    /// Opens the database, takes the ports and begins to serve.
    ///
    /// # Errors
    /// What kept it from starting.
    pub async fn start(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let grpc_listener = listen("--listen", settings.listen).await?;
        let http_listener = listen("--http-listen", settings.http_listen).await?;
        let grpc_address = address_of(&grpc_listener, settings.listen);
        let http_address = address_of(&http_listener, settings.http_listen);
        let options = Options {
            defaults: settings.defaults,
            max_breakers: settings.max_breakers,
            unknown_breakers: settings.unknown_breakers,
            history_retention: settings.history_retention,
            life: chance::life(),
            encode: encode_status,
        };
        let store = breaker_store::connect(&settings.database).await?;
        let (engine, tasks) = Engine::start(options, store, clock).await?;

        let (drain, streams) = (CancellationToken::new(), StreamGauge::default());
        let health = HealthReporter::new();
        let grpc = serve_grpc(grpc_listener, &engine, &health, (&drain, &streams)).await?;
        let pages = Pages { engine: Arc::clone(&engine), streams, drain: drain.clone() };
        let drained = drain.clone().cancelled_owned();
        let serving = axum::serve(http_listener, router(pages)).with_graceful_shutdown(drained);
        let http = tokio::spawn(async { serving.await });
        Ok(Self { engine, tasks, grpc, http, grpc_address, http_address, health, drain })
    }

    /// Where gRPC listens.
    pub const fn grpc_address(&self) -> SocketAddr {
        self.grpc_address
    }

    /// Where HTTP listens.
    pub const fn http_address(&self) -> SocketAddr {
        self.http_address
    }

    /// How many breakers there are.
    pub fn breaker_count(&self) -> usize {
        self.engine.breaker_count()
    }

    /// Waits for a part of the server to end, which none does before it is told to. Returns its
    /// name.
    pub async fn failed(&mut self) -> &'static str {
        tokio::select! {
            task = self.tasks.failed() => task,
            _ = &mut self.grpc => "gRPC listener",
            _ = &mut self.http => "HTTP listener",
        }
    }

    /// Ends streams and calls, writes everything, and closes the database.
    ///
    /// # Errors
    /// If something could not be written.
    pub async fn shut_down(mut self) -> Result<(), StoreError> {
        self.health.set_not_serving::<BreakersServer>().await;
        self.health.set_not_serving::<AdminServer>().await;
        self.health.set_service_status("", tonic_health::ServingStatus::NotServing).await;
        self.drain.cancel();
        let drained = async { tokio::join!(&mut self.grpc, &mut self.http) };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::warn!("some calls did not end within {DRAIN:?} and are cut");
            self.grpc.abort();
            self.http.abort();
        }
        self.tasks.shut_down().await
    }
}

async fn listen(option: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen {
        option,
        address,
        source,
    })
}

/// The address with the port that was taken where any was asked for.
fn address_of(listener: &TcpListener, asked: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(asked)
}

async fn serve_grpc(
    listener: TcpListener,
    engine: &Arc<Engine>,
    health: &HealthReporter,
    (drain, streams): (&CancellationToken, &StreamGauge),
) -> Result<JoinHandle<Result<(), tonic::transport::Error>>, StartError> {
    let breakers = Breakers::new(Arc::clone(engine), drain.clone(), streams.clone());
    let admin = Admin::new(Arc::clone(engine), drain.clone());
    health.set_serving::<BreakersServer>().await;
    health.set_serving::<AdminServer>().await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(breaker_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let router = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE.0))
        .http2_keepalive_timeout(Some(KEEPALIVE.1))
        .max_concurrent_streams(Some(MAX_STREAMS_PER_CONNECTION))
        .layer(OversizeLayer)
        .add_service(BreakersServer::new(breakers).max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(AdminServer::new(admin).max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(tonic_health::pb::health_server::HealthServer::new(
            tonic_health::server::HealthService::from_health_reporter(health.clone()),
        ))
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let drained = drain.clone().cancelled_owned();
    Ok(tokio::spawn(router.serve_with_incoming_shutdown(incoming, drained)))
}
