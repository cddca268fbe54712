//! Servers that serve nobody: one that refuses everybody, and one that stands by and names the leader.
//! Both note the tokens of those who ask.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use breaker_proto::leader::not_leader;
use breaker_proto::v1;
use breaker_proto::v1::breaker_service_server::{BreakerService, BreakerServiceServer};
use futures::stream::Stream;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// When to ask a server again that stands by, as breakerd says it.
const RETRY_NOT_LEADING: Duration = Duration::from_millis(250);

/// A request and what stood in its `authorization`.
type Heard = Arc<Mutex<BTreeSet<(&'static str, String)>>>;

/// A server that answers every request with the same refusal.
#[derive(Debug)]
pub(crate) struct Recorder {
    /// Where it listens.
    pub(crate) address: String,
    heard: Heard,
    task: JoinHandle<()>,
}

impl Recorder {
    /// Starts one that knows nobody, on a free port.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        Self::refusing(Status::unauthenticated("this server knows nobody")).await
    }

    /// Starts one that stands by, on a free port.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) async fn standing_by(leader: &str) -> anyhow::Result<Self> {
        Self::refusing(not_leader(Some(leader), RETRY_NOT_LEADING)).await
    }

    async fn refusing(refusal: Status) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let heard = Heard::default();
        let service = BreakerServiceServer::new(Desk { heard: Arc::clone(&heard), refusal });
        let server = tonic::transport::Server::builder().add_service(service);
        let task = tokio::spawn(async move {
            // A scenario notices by itself that nobody answers.
            let _ = server.serve_with_incoming(TcpIncoming::from(listener)).await;
        });
        Ok(Self { address, heard, task })
    }

    /// What it has heard: for each kind of request, the tokens.
    pub(crate) fn shown(&self) -> Map<String, Value> {
        let heard = self.heard.lock();
        let of = |kind: &str| {
            let tokens: Vec<_> =
                heard.iter().filter(|(is, _)| *is == kind).map(|(_, token)| token).collect();
            json!(tokens)
        };
        SHOWN.iter().map(|kind| ((*kind).to_owned(), of(kind))).collect()
    }
}

/// What the recorder shows.
pub(crate) const SHOWN: &[&str] = &["acquire", "report", "watch"];

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Desk {
    heard: Heard,
    refusal: Status,
}

impl Desk {
    fn note<T>(&self, kind: &'static str, request: &Request<T>) -> Status {
        let token = request.metadata().get("authorization");
        let token = token.map_or("none", |token| token.to_str().unwrap_or("no text"));
        self.heard.lock().insert((kind, token.to_owned()));
        self.refusal.clone()
    }
}

#[tonic::async_trait]
impl BreakerService for Desk {
    async fn acquire(
        &self,
        request: Request<v1::AcquireRequest>,
    ) -> Result<Response<v1::AcquireResponse>, Status> {
        Err(self.note("acquire", &request))
    }

    async fn report(
        &self,
        request: Request<v1::ReportRequest>,
    ) -> Result<Response<v1::ReportResponse>, Status> {
        Err(self.note("report", &request))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::WatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(self.note("watch", &request))
    }
}
