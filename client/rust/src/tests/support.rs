use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use breaker_core::{
    Breaker, Config, ConfigPatch, Decision, DenyReason, PermitId, Report, Run, Source, Time,
};
use breaker_proto::encoded::EncodedWatchResponse;
use breaker_proto::leader::not_leader;
use breaker_proto::server::breaker_service_server::{BreakerService, BreakerServiceServer};
use breaker_proto::v1;
use breaker_wire::{
    duration_from_message, duration_to_message, mode_to_message, on_unavailable_to_message,
    outcome_from_message, state_to_message,
};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::{Client, ClientBuilder};

/// A breaker whose reports the test server refuses.
pub(crate) const REFUSED: &str = "test/refused";

/// More messages than any test lets wait.
const ROOM: usize = 64;

/// A server on a runtime of its own, so that dropping it cuts every connection.
pub(crate) struct TestServer {
    pub(crate) address: String,
    /// Every report that was counted, in order.
    pub(crate) reports: mpsc::Receiver<v1::ReportRequest>,
    /// Every watch that began.
    pub(crate) watches: mpsc::Receiver<TestWatch>,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

/// One stream of a watch, which the test writes.
pub(crate) struct TestWatch {
    pub(crate) request: v1::WatchRequest,
    pub(crate) responses: mpsc::Sender<Result<EncodedWatchResponse, Status>>,
}

struct Shared {
    world: Mutex<World>,
    /// Reports are answered while this is true, and requests refused while standing by.
    answers_flow: watch::Sender<bool>,
}

/// What the test sets and looks at.
pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) config: Config,
    pub(crate) breakers: HashMap<String, Breaker>,
    /// Answers to reports that get lost after the reports have counted.
    pub(crate) lost_answers: u32,
    /// What Acquire answers in place of a decision.
    pub(crate) acquire_fails_with: Option<Status>,
    /// What the server answers to everything while it stands by.
    pub(crate) stands_by: Option<Status>,
    /// How many requests it was asked to serve, while it stood by or not.
    pub(crate) asked: u32,
    /// Acquire never answers.
    pub(crate) is_stuck: bool,
    seen: HashSet<(String, u64)>,
}

impl TestServer {
    pub(crate) fn start(patch: &ConfigPatch) -> Self {
        Self::start_at("127.0.0.1:0", patch)
    }

    pub(crate) fn start_at(address: &str, patch: &ConfigPatch) -> Self {
        let config = Config::resolve(&[(Source::Server, patch)]).unwrap().config;
        let world = World {
            now: Time::from_millis(1_000_000),
            config,
            breakers: HashMap::new(),
            lost_answers: 0,
            acquire_fails_with: None,
            stands_by: None,
            asked: 0,
            is_stuck: false,
            seen: HashSet::new(),
        };
        let answers_flow = watch::Sender::new(true);
        let shared = Arc::new(Shared { world: Mutex::new(world), answers_flow });
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
        runtime.spawn(async move {
            let incoming = TcpListenerStream::new(TcpListener::from_std(listener).unwrap());
            tonic::transport::Server::builder()
                .add_service(BreakerServiceServer::new(service))
                .serve_with_incoming(incoming)
                .await
                .unwrap();
        });
        Self { address, reports, watches, shared, runtime: Some(runtime) }
    }

    /// A client that loses no time between two attempts.
    pub(crate) fn client(&self) -> Client {
        builder().address(&self.address).build().unwrap()
    }

    pub(crate) fn world<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut self.shared.world.lock())
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

    /// Reports count but are not answered, and refusals of one that stands by are not either, until [`release_answers`](Self::release_answers).
    pub(crate) fn hold_answers(&self) {
        self.shared.answers_flow.send_replace(false);
    }

    pub(crate) fn release_answers(&self) {
        self.shared.answers_flow.send_replace(true);
    }

    pub(crate) fn pass(&self, duration: Duration) {
        self.world(|world| world.now = world.now + duration);
    }

    /// The only run of the next report, and the report.
    pub(crate) async fn next_run(&mut self) -> (v1::Run, v1::BreakerReport) {
        let request = self.reports.recv().await.unwrap();
        assert_eq!(request.reports.len(), 1, "{request:?}");
        let report = request.reports[0].clone();
        assert_eq!(report.runs.len(), 1, "{report:?}");
        (report.runs[0].clone(), report)
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

/// A client's builder whose attempts follow each other without delay.
pub(crate) fn builder() -> ClientBuilder {
    Client::builder().backoff(Duration::from_millis(1), Duration::from_millis(1))
}

/// An address at which nobody listens.
pub(crate) fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// What a server that stands by answers.
pub(crate) fn stands_by(leader: Option<&str>) -> Status {
    not_leader(leader, Duration::from_millis(100))
}

struct Service {
    shared: Arc<Shared>,
    reports: mpsc::Sender<v1::ReportRequest>,
    watches: mpsc::Sender<TestWatch>,
}

impl Shared {
    /// Counts a request, and refuses it while the server stands by.
    async fn lead(&self) -> Result<(), Status> {
        let refusal = self.world.lock().lead();
        if refusal.is_err() {
            self.answers_flow.subscribe().wait_for(|flow| *flow).await.unwrap();
        }
        refusal
    }
}

#[tonic::async_trait]
impl BreakerService for Service {
    type WatchStream = ReceiverStream<Result<EncodedWatchResponse, Status>>;

    async fn acquire(
        &self,
        request: Request<v1::AcquireRequest>,
    ) -> Result<Response<v1::AcquireResponse>, Status> {
        self.shared.lead().await?;
        if self.shared.world.lock().is_stuck {
            return std::future::pending().await;
        }
        self.shared.world.lock().acquire(&request.into_inner().breaker).map(Response::new)
    }

    async fn report(
        &self,
        request: Request<v1::ReportRequest>,
    ) -> Result<Response<v1::ReportResponse>, Status> {
        self.shared.lead().await?;
        let request = request.into_inner();
        let answer = self.shared.world.lock().report(request.clone());
        self.reports.send(request).await.unwrap();
        self.shared.answers_flow.subscribe().wait_for(|flow| *flow).await.unwrap();
        answer.map(Response::new)
    }

    async fn watch(
        &self,
        request: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        self.shared.lead().await?;
        let request = request.into_inner();
        if request.selectors.iter().any(String::is_empty) {
            return Err(invalid("selectors[0]", "is empty"));
        }
        let (responses, stream) = mpsc::channel(ROOM);
        self.watches.send(TestWatch { request, responses }).await.unwrap();
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

impl World {
    pub(crate) fn breaker(&mut self, name: &str) -> &mut Breaker {
        let now = self.now;
        self.breakers.entry(name.to_owned()).or_insert_with(|| Breaker::new(now))
    }

    fn lead(&mut self) -> Result<(), Status> {
        self.asked += 1;
        self.stands_by.clone().map_or(Ok(()), Err)
    }

    fn acquire(&mut self, name: &str) -> Result<v1::AcquireResponse, Status> {
        if let Some(status) = &self.acquire_fails_with {
            return Err(status.clone());
        }
        let (config, now) = (self.config.clone(), self.now);
        let breaker = self.breaker(name);
        let (decision, _) = breaker.acquire(&config, now);
        let (reason, retry_after) = match decision {
            Decision::Allowed(_) => (v1::AcquireReason::Closed, None),
            Decision::Denied { reason: DenyReason::Open, retry_after } => {
                (v1::AcquireReason::Open, retry_after)
            }
            Decision::Denied { reason: DenyReason::NoPermit, retry_after } => {
                (v1::AcquireReason::NoPermit, retry_after)
            }
            Decision::Denied { reason: DenyReason::Ramp, retry_after } => {
                (v1::AcquireReason::RampFull, retry_after)
            }
            Decision::Denied { reason: DenyReason::ForcedOpen, retry_after } => {
                (v1::AcquireReason::ForcedOpen, retry_after)
            }
        };
        Ok(v1::AcquireResponse {
            allowed: decision.is_allowed(),
            reason: reason.into(),
            state: state_to_message(breaker.state()).into(),
            mode: mode_to_message(breaker.mode()).into(),
            generation: breaker.generation(),
            revision: 1,
            permit: decision.permit().map(|permit| v1::Permit {
                id: permit.id.as_u64(),
                time_left: Some(duration_to_message(permit.deadline.since(now))),
            }),
            retry_after: retry_after.map(duration_to_message),
            settings: Some(v1::ClientSettings {
                call_timeout: Some(duration_to_message(config.call_timeout())),
                on_unavailable: on_unavailable_to_message(config.on_unavailable()).into(),
                slow_call_duration: None,
            }),
            level: None,
        })
    }

    fn report(&mut self, request: v1::ReportRequest) -> Result<v1::ReportResponse, Status> {
        if request.reports.iter().any(|report| report.breaker == REFUSED) {
            return Err(invalid("reports[0].breaker", "is refused"));
        }
        let duplicate = !self.seen.insert((request.reporter_id, request.sequence));
        if !duplicate {
            request.reports.iter().for_each(|report| self.record(report));
        }
        if self.lost_answers > 0 {
            self.lost_answers -= 1;
            return Err(Status::unavailable("the answer was lost"));
        }
        Ok(v1::ReportResponse { states: Vec::new(), duplicate, server_time: None })
    }

    fn record(&mut self, report: &v1::BreakerReport) {
        let (config, now) = (self.config.clone(), self.now);
        let breaker = self.breaker(&report.breaker);
        for run in &report.runs {
            let total = duration_from_message("total", &run.total_duration.unwrap()).unwrap();
            let outcome = outcome_from_message(run.outcome).unwrap();
            let calls = Run::new(outcome, run.count).lasting(total);
            let permit = (run.permit_id != 0).then(|| PermitId::from_u64(run.permit_id));
            let counted = Report { permit, ..Report::admitted(calls, report.generation) };
            breaker.record(&config, &counted, now);
        }
    }
}

fn invalid(field: &str, description: &str) -> Status {
    let details = ErrorDetails::with_bad_request(vec![FieldViolation::new(field, description)]);
    Status::with_error_details(Code::InvalidArgument, "the request is wrong", details)
}
