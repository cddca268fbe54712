//! What the server in the test's process answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use breaker_core::NameGlob;
use breaker_proto::encoded::{EncodedState, EncodedWatchResponse};
use breaker_proto::reported::ReportRequest;
use breaker_proto::server::breaker_service_server::BreakerService;
use breaker_proto::v1;
use breaker_wire::time_to_message;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::world::{World, invalid, state_message};
use super::{ROOM, TestWatch};

pub(crate) struct Shared {
    pub(crate) world: Mutex<World>,
    /// Reports are answered while this is true, and requests refused while standing by.
    pub(crate) answers_flow: watch::Sender<bool>,
    /// Acquires are answered while this is true.
    pub(crate) permits_flow: watch::Sender<bool>,
    /// Changes with each change of the world.
    pub(crate) changes: watch::Sender<u64>,
    /// Changes when streams are to be cut.
    pub(crate) cuts: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.world.lock();
        let changed = change(&mut world);
        self.changes.send_replace(world.revision);
        changed
    }

    /// Counts a request, and refuses it while the server stands by.
    async fn lead<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let refusal = {
            let mut world = self.world.lock();
            let token = request.metadata().get("authorization");
            world.tokens.extend(token.and_then(|token| token.to_str().ok()).map(str::to_owned));
            world.lead()
        };
        if refusal.is_err() {
            self.answers_flow.subscribe().wait_for(|flow| *flow).await.unwrap();
        }
        refusal
    }
}

pub(crate) struct Service {
    pub(crate) shared: Arc<Shared>,
    pub(crate) reports: mpsc::Sender<v1::ReportRequest>,
    pub(crate) watches: mpsc::Sender<TestWatch>,
}

#[tonic::async_trait]
impl BreakerService for Service {
    type WatchStream = ReceiverStream<Result<EncodedWatchResponse, Status>>;

    async fn acquire(
        &self,
        request: Request<v1::AcquireRequest>,
    ) -> Result<Response<v1::AcquireResponse>, Status> {
        self.shared.lead(&request).await?;
        let name = request.into_inner().breaker;
        let answer = self.shared.change(|world| world.acquire(&name));
        self.shared.permits_flow.subscribe().wait_for(|flow| *flow).await.unwrap();
        answer.map(Response::new)
    }

    async fn report(
        &self,
        request: Request<ReportRequest>,
    ) -> Result<Response<v1::ReportResponse>, Status> {
        self.shared.lead(&request).await?;
        let request = request.into_inner().to_generated().unwrap();
        let answer = self.shared.change(|world| world.report(request.clone()));
        // Those that the test has no more interest in are not kept.
        let _ = self.reports.try_send(request);
        self.shared.answers_flow.subscribe().wait_for(|flow| *flow).await.unwrap();
        answer.map(Response::new)
    }

    async fn watch(
        &self,
        request: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        self.shared.lead(&request).await?;
        let request = request.into_inner();
        if request.selectors.iter().any(String::is_empty) {
            return Err(invalid("selectors[0]", "is empty"));
        }
        let (responses, stream) = mpsc::channel(ROOM);
        if self.shared.world.lock().serves_watches {
            let told = Told::begin(&self.shared, &request);
            tokio::spawn(told.serve(Arc::clone(&self.shared), responses.downgrade()));
            // The world's stream is alive as long as the test's server, or until it is cut.
            tokio::spawn(keep_until_cut(Arc::clone(&self.shared), responses.clone()));
        }
        let _ = self.watches.try_send(TestWatch { request, responses });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

async fn keep_until_cut(
    shared: Arc<Shared>,
    responses: mpsc::Sender<Result<EncodedWatchResponse, Status>>,
) {
    let mut cuts = shared.cuts.subscribe();
    tokio::select! {
        _ = cuts.changed() => {
            let _ = responses.send(Err(Status::unavailable("the stream was cut"))).await;
        }
        () = responses.closed() => {}
    }
}

/// What one watch was told of the world.
struct Told {
    globs: Vec<NameGlob>,
    /// The revision of each breaker that its copy holds.
    revisions: BTreeMap<String, u64>,
    /// All up to here was told.
    revision: u64,
    /// The first message is still to come.
    is_new: bool,
    resets: bool,
}

impl Told {
    fn begin(shared: &Shared, request: &v1::WatchRequest) -> Self {
        let globs = request.selectors.iter().map(|glob| NameGlob::new(glob).unwrap()).collect();
        let token = <[u8; 8]>::try_from(&*request.resume_token).ok().map(u64::from_be_bytes);
        let world = shared.world.lock();
        let resumed = token.filter(|_| world.resumes);
        Self {
            globs,
            revisions: resumed.map_or_else(BTreeMap::new, |token| world.revisions_at(token)),
            revision: resumed.unwrap_or(0),
            is_new: true,
            resets: token.is_some() && resumed.is_none(),
        }
    }

    async fn serve(
        mut self,
        shared: Arc<Shared>,
        responses: mpsc::WeakSender<Result<EncodedWatchResponse, Status>>,
    ) {
        let mut changes = shared.changes.subscribe();
        loop {
            let message = self.next(&shared.world.lock());
            let Some(responses) = responses.upgrade() else { return };
            if let Some(message) = message
                && responses.send(Ok(message)).await.is_err()
            {
                return;
            }
            drop(responses);
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// What has changed since the last message.
    fn next(&mut self, world: &World) -> Option<EncodedWatchResponse> {
        let mut message = EncodedWatchResponse::default();
        let is_watched =
            |name: &str| self.globs.is_empty() || self.globs.iter().any(|glob| glob.matches(name));
        self.revisions.retain(|name, _| {
            let is_there = world.breakers.contains_key(name);
            if !is_there && is_watched(name) {
                message.deleted.push(name.clone());
            }
            is_there
        });
        for (name, kept) in world.breakers.iter().filter(|(name, _)| is_watched(name)) {
            if self.revisions.insert(name.clone(), kept.revision) != Some(kept.revision) {
                message.push_changed(EncodedState::new(&state_message(name, kept)));
            }
        }
        self.revision = world.revision;
        message.resume_token = world.revision.to_be_bytes().to_vec();
        message.server_time = Some(time_to_message(world.now));
        message.snapshot_complete = std::mem::take(&mut self.is_new);
        message.reset = std::mem::take(&mut self.resets);
        (message.snapshot_complete || message.has_changes()).then_some(message)
    }
}
