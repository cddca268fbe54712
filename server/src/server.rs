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
use crate::http::{self, Api, Hosts, Pages, ProtocolError, Shown, StreamGauge, router};
use crate::identity;
use crate::node::{Database, Node, NodeError};
use crate::notify::Notifier;
use crate::otlp::{OtlpError, Teller, Traces};
use crate::overload::{self, Overload};
use crate::rpcs::{Measures, Rpcs};
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
    teller: Option<Teller>,
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
    /// Nobody can be told of alerts.
    #[error("cannot tell receivers of alerts: the certificates that this machine trusts: {0}")]
    Notifier(#[source] io::Error),
    /// The protocol lacks what is served of it over HTTP.
    #[error("cannot serve the JSON API: {0}")]
    Protocol(#[from] ProtocolError),
    /// Nothing can be sent to the collector.
    #[error("otlp_endpoint cannot be used: {0}")]
    Otlp(#[from] OtlpError),
}

impl Server {
    /// Takes the ports, opens the database and begins to serve, or to stand by.
    ///
    /// # Errors
    /// What kept it from starting.
    pub async fn start(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let grpc_listener = listen("--listen", settings.listen).await?;
        let http_listener = listen("--http-listen", settings.http_listen).await?;
        let hosts = hosts(&settings);
        let http_access = settings.http_access;
        let shown = Shown {
            breakers: settings.metrics_breakers.clone(),
            max_breakers: settings.metrics_max_breakers,
            started_at: clock.now(),
        };
        let grpc_address = address_of(&grpc_listener, settings.listen);
        let http_address = address_of(&http_listener, settings.http_listen);
        let database = open(&settings, grpc_address).await?;
        let (otlp, advertised) = (settings.otlp.clone(), settings.advertised(grpc_address));
        let told_by = Arc::clone(&clock);

        let drain = CancellationToken::new();
        let streams = StreamGauge::new(settings.max_watch_streams);
        let seat = Arc::new(Seat::new(Arc::clone(&clock), drain.clone()));
        let notifier = Notifier::new(settings.receivers, Arc::clone(&clock));
        let notifier = notifier.map_err(StartError::Notifier)?;
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
                storage_degraded: settings.storage_degraded,
                monitor_series: settings.monitor_series,
                life: chance::life,
                encode: encode_status,
            },
            clock,
            stop: stop_node.clone(),
            notifier: notifier.clone(),
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
        let trace = |otlp| Traces::start(otlp, advertised.clone()).map(Arc::new);
        let traces = otlp.as_ref().map(trace).transpose()?;
        let protocol = http::protocol()?;
        let measures = Measures { rpcs: Arc::new(Rpcs::new(&protocol)), traces };
        let services = Services::new(&seat, &streams)?;
        let inside = services.all();
        let overload = Arc::clone(&limits.overload);
        let seated = Arc::clone(&seat);
        let api = Api::new(&protocol, inside, overload, measures.clone(), seated, http_access)?;
        let grpc = serve_grpc(grpc_listener, services, &seat, &limits, measures.clone());
        let Measures { rpcs, traces } = measures;
        let pages = Pages::new(Arc::clone(&seat), streams, limits, rpcs, api, shown, notifier)?;
        let teller = match otlp.as_ref().zip(traces) {
            Some((otlp, traces)) => {
                Some(Teller::start(otlp, traces, pages.clone(), told_by, advertised)?)
            }
            None => None,
        };
        let http = tokio::spawn(http::serve(http_listener, router(pages, hosts), drain.clone()));
        Ok(Self {
            seat,
            node,
            stop_node,
            grpc,
            http,
            overload_watch,
            teller,
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
        if let Some(teller) = self.teller.take() {
            teller.finish().await;
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

/// The names that the server answers to over HTTP. Of one that other machines reach nobody knows
/// them all.
fn hosts(settings: &Settings) -> Hosts {
    if !settings.http_listen.ip().is_loopback() {
        return Hosts::Any;
    }
    let advertised = settings.advertise.as_deref().and_then(|address| address.rsplit_once(':'));
    let advertised = advertised.map(|(host, _)| host.to_owned());
    Hosts::Local(settings.http_hosts.iter().cloned().chain(advertised).collect())
}

/// What is served, over gRPC and over HTTP.
struct Services {
    breakers: BreakerServiceServer<Breakers>,
    others: Routes,
}

impl Services {
    fn new(seat: &Arc<Seat>, streams: &StreamGauge) -> Result<Self, StartError> {
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
            .add_service(reflection().build_v1alpha()?);
        let breakers = breakers.max_decoding_message_size(MAX_MESSAGE_BYTES);
        Ok(Self { breakers, others })
    }

    /// All of them by their paths, for calls from within.
    fn all(&self) -> Routes {
        self.others.clone().add_service(self.breakers.clone()).prepare()
    }
}

fn serve_grpc(
    listener: TcpListener,
    services: Services,
    seat: &Seat,
    limits: &Limits,
    measures: Measures,
) -> JoinHandle<io::Result<()>> {
    let Services { breakers, others } = services;
    let connections = Arc::clone(&limits.connections);
    let front = Arc::new(Front::new(breakers, others.prepare(), limits.clone(), measures));
    let drain = seat.drain().clone();
    tokio::spawn(serve(listener, connections, drain, move |brake, room| front.desk(brake, room)))
}
