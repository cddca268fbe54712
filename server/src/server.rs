//! A running server: its listeners, its engine, and how both begin and end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use breaker_engine::{Clock, Member, Options, StoreError};
use breaker_proto::server::breaker_admin_server::BreakerAdminServer;
use breaker_proto::server::breaker_monitor_server::BreakerMonitorServer;
use breaker_proto::server::breaker_peer_server::BreakerPeerServer;
use breaker_proto::server::breaker_service_server::BreakerServiceServer;
use breaker_store::Connected;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;

use crate::chance;
use crate::grpc::{
    Admin, Breakers, ClientRate, Front, Health, MAX_MESSAGE_BYTES, Monitor, Peers, encode_status,
};
use crate::http::{Pages, StreamGauge, router};
use crate::identity;
use crate::node::{Database, Node, NodeError};
use crate::overload::{self, Overload};
use crate::seat::{NotLeading, Seat};
use crate::settings::Settings;
use crate::transport::{Connections, serve};

/// How long calls and streams may take to end at shutdown before they are cut.
const DRAIN: Duration = Duration::from_secs(10);

/// A server that runs until it is told to stop.
pub struct Server {
    seat: Arc<Seat>,
    node: JoinHandle<Result<(), NodeError>>,
    stop_node: CancellationToken,
    grpc: JoinHandle<io::Result<()>>,
    http: JoinHandle<io::Result<()>>,
    overload_watch: Option<JoinHandle<()>>,
    grpc_address: SocketAddr,
    http_address: SocketAddr,
    drain: CancellationToken,
}

/// What keeps clients from asking too much, and counts whom it has kept.
#[derive(Clone)]
pub(crate) struct Limits {
    pub(crate) overload: Arc<Overload>,
    pub(crate) client_rate: ClientRate,
    pub(crate) connections: Arc<Connections>,
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
    Node(#[from] NodeError),
    /// It has ended before it served.
    #[error("the server has ended before it served; the log says why")]
    Ended,
    /// The descriptors of the protocol are malformed.
    #[error("cannot serve reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

impl Server {
    /// Takes the ports, opens the database and begins to serve, or to stand by.
    ///
    /// # Errors
    /// What kept it from starting.
    pub async fn start(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let grpc_listener = listen("--listen", settings.listen).await?;
        let http_listener = listen("--http-listen", settings.http_listen).await?;
        let grpc_address = address_of(&grpc_listener, settings.listen);
        let http_address = address_of(&http_listener, settings.http_listen);
        let database = open(&settings, grpc_address).await?;

        let drain = CancellationToken::new();
        let streams = StreamGauge::new(settings.max_watch_streams);
        let seat = Arc::new(Seat::new(Arc::clone(&clock), drain.clone()));
        let stop_node = CancellationToken::new();
        let (ready, is_ready) = oneshot::channel();
        let node = Node {
            seat: Arc::clone(&seat),
            options: Options {
                defaults: settings.defaults,
                max_breakers: settings.max_breakers,
                unknown_breakers: settings.unknown_breakers,
                idle_ttl: settings.idle_ttl,
                history_retention: settings.history_retention,
                monitor_series: settings.monitor_series,
                life: chance::life,
                encode: encode_status,
            },
            clock,
            stop: stop_node.clone(),
            ready: Some(ready),
        };
        let node = tokio::spawn(node.run(database));
        if is_ready.await.is_err() {
            return Err(match node.await {
                Ok(Err(error)) => error.into(),
                Ok(Ok(())) | Err(_) => StartError::Ended,
            });
        }
        let connections = Arc::new(Connections::new(settings.max_connections));
        let limits = Limits {
            overload: Arc::default(),
            client_rate: ClientRate::new(settings.client_rate),
            connections,
        };
        let overload_watch = settings
            .max_queue_delay
            .map(|delay| tokio::spawn(overload::watch(Arc::clone(&limits.overload), delay)));
        let grpc = serve_grpc(grpc_listener, &seat, &streams, &limits)?;
        let pages = Pages { seat: Arc::clone(&seat), streams, limits };
        let drained = drain.clone().cancelled_owned();
        let serving = axum::serve(http_listener, router(pages)).with_graceful_shutdown(drained);
        let http = tokio::spawn(async { serving.await });
        Ok(Self {
            seat,
            node,
            stop_node,
            grpc,
            http,
            overload_watch,
            grpc_address,
            http_address,
            drain,
        })
    }

    /// Where gRPC listens.
    pub const fn grpc_address(&self) -> SocketAddr {
        self.grpc_address
    }

    /// Where HTTP listens.
    pub const fn http_address(&self) -> SocketAddr {
        self.http_address
    }

    /// What the server does, in a few words: how many breakers it holds, or who leads.
    pub fn role(&self) -> String {
        match self.seat.engine() {
            Ok(engine) if engine.breaker_count() == 1 => "it holds 1 breaker".to_owned(),
            Ok(engine) => format!("it holds {} breakers", engine.breaker_count()),
            Err(NotLeading { leader: Some(leader) }) => {
                format!("this server stands by; the one at {leader} leads")
            }
            Err(NotLeading { leader: None }) => "this server stands by".to_owned(),
        }
    }

    /// Waits for a part of the server to end, which none does before it is told to. Returns what
    /// has happened.
    pub async fn failed(&mut self) -> String {
        tokio::select! {
            ended = &mut self.node => match ended {
                Ok(Err(error)) => error.to_string(),
                Ok(Ok(())) | Err(_) => NodeError::Task("engine").to_string(),
            },
            _ = &mut self.grpc => NodeError::Task("gRPC listener").to_string(),
            _ = &mut self.http => NodeError::Task("HTTP listener").to_string(),
        }
    }

    /// Ends streams and calls, writes everything, and closes the database.
    ///
    /// # Errors
    /// If something could not be written.
    pub async fn shut_down(mut self) -> Result<(), NodeError> {
        self.drain.cancel();
        let drained = async { tokio::join!(&mut self.grpc, &mut self.http) };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::warn!("some calls did not end within {DRAIN:?} and are cut");
            self.grpc.abort();
            self.http.abort();
        }
        if let Some(overload_watch) = &self.overload_watch {
            overload_watch.abort();
        }
        self.stop_node.cancel();
        self.node.await.unwrap_or(Err(NodeError::Task("engine")))
    }
}

async fn open(settings: &Settings, grpc_address: SocketAddr) -> Result<Database, StoreError> {
    let address = settings.advertised(grpc_address);
    let me = Member { id: identity::of(&address), address };
    Ok(match breaker_store::connect(&settings.database, me.clone(), settings.migrations).await? {
        Connected::Sole(store) => Database::Sole(store),
        Connected::Shared(database) => Database::Shared { database, me, lease: settings.lease },
    })
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

fn serve_grpc(
    listener: TcpListener,
    seat: &Arc<Seat>,
    streams: &StreamGauge,
    limits: &Limits,
) -> Result<JoinHandle<io::Result<()>>, StartError> {
    let breakers = BreakerServiceServer::new(Breakers::new(Arc::clone(seat), streams.clone()));
    let admin = BreakerAdminServer::new(Admin::new(Arc::clone(seat)));
    let monitor = BreakerMonitorServer::new(Monitor::new(Arc::clone(seat), streams.clone()));
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(breaker_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let others = Routes::new(admin.max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(monitor.max_decoding_message_size(MAX_MESSAGE_BYTES))
        .add_service(BreakerPeerServer::new(Peers::new(Arc::clone(seat))))
        .add_service(HealthServer::new(Health::new(Arc::clone(seat))))
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .prepare();
    let connections = Arc::clone(&limits.connections);
    let breakers = breakers.max_decoding_message_size(MAX_MESSAGE_BYTES);
    let front = Arc::new(Front::new(breakers, others, limits.clone()));
    let drain = seat.drain().clone();
    Ok(tokio::spawn(serve(listener, connections, drain, move |brake, room| {
        front.desk(brake, room)
    })))
}
