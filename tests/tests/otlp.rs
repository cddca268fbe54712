//! What a collector of OpenTelemetry hears, and that nobody minds when it is away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use breaker_tests::web::Web;
use breaker_tests::{Daemon, acquire, eventually, free_port};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use parking_lot::Mutex;
use reqwest::Method;
use tokio::net::TcpListener;
use tonic::{Request, Response, Status};

const PATIENCE: Duration = Duration::from_secs(30);
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// A collector that keeps what it hears.
#[derive(Clone, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<Span>>>,
    metrics: Arc<Mutex<Vec<Metric>>>,
    refuses: Arc<AtomicBool>,
}

impl Collector {
    /// Listens on a port of its own, for as long as the test goes on.
    async fn start(&self) -> anyhow::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        let serving = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(self.clone()))
            .add_service(MetricsServiceServer::new(self.clone()))
            .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener));
        tokio::spawn(serving);
        Ok(address)
    }

    fn answer<T: Default>(&self) -> Result<Response<T>, Status> {
        if self.refuses.load(Ordering::Relaxed) {
            return Err(Status::unavailable("not today"));
        }
        Ok(Response::new(T::default()))
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let scopes = request.into_inner().resource_spans.into_iter().flat_map(|of| of.scope_spans);
        self.spans.lock().extend(scopes.flat_map(|scope| scope.spans));
        self.answer()
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let resources = request.into_inner().resource_metrics.into_iter();
        let scopes = resources.flat_map(|of| of.scope_metrics);
        *self.metrics.lock() = scopes.flat_map(|scope| scope.metrics).collect();
        self.answer()
    }
}

fn start(endpoint: &str, sample: &str) -> anyhow::Result<Daemon> {
    let (endpoint, sample) =
        (format!("--otlp-endpoint={endpoint}"), format!("--otlp-sample={sample}"));
    Daemon::start_on("memory:", [endpoint, sample])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_of_a_trace_is_a_span_of_it_and_the_numbers_come_too() -> anyhow::Result<()> {
    let collector = Collector::default();
    let server = start(&collector.start().await?, "0")?;
    let mut clients = server.clients()?;
    clients.breakers.acquire(acquire("a/untraced")).await?;
    let trace_parent = format!("00-{TRACE}-{PARENT}-01");
    let mut traced = Request::new(acquire("a/b"));
    traced.metadata_mut().insert("traceparent", trace_parent.parse()?);
    clients.breakers.acquire(traced).await?;
    let web = Web::of(&server.http);
    let asked = web.request(Method::GET, "breakers/a/nobody").header("traceparent", &trace_parent);
    assert_eq!(asked.send().await?.status(), 404);
    // All that was not sent yet is sent at the end.
    let ended = tokio::task::spawn_blocking(move || server.terminate()).await??;
    assert!(ended.success());

    let mut spans = collector.spans.lock().clone();
    spans.sort_by(|one, other| other.name.cmp(&one.name));
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    let expected = ["breaker.v1.BreakerService/Acquire", "breaker.v1.BreakerAdmin/GetBreaker"];
    assert_eq!(names, expected, "the others are not traced");
    for span in &spans {
        assert_eq!((hex(&span.trace_id), hex(&span.parent_span_id)), (TRACE.into(), PARENT.into()));
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
    }
    let metrics = collector.metrics.lock();
    let find = |name: &str| {
        let found = metrics.iter().find(|metric| metric.name == name);
        found.and_then(|metric| metric.data.clone()).with_context(|| format!("no {name}"))
    };
    let Data::Sum(acquires) = find("breakerd_acquires")? else { panic!("it is a sum") };
    assert!(acquires.is_monotonic);
    assert_eq!(acquires.data_points[0].value, Some(Value::AsInt(2)));
    let Data::Gauge(breakers) = find("breakerd_breakers")? else { panic!("it is a gauge") };
    assert_eq!(breakers.data_points[0].value, Some(Value::AsDouble(2.0)));
    let Data::Histogram(calls) = find("breakerd_rpc_duration_seconds")? else {
        panic!("it is a histogram")
    };
    let counts: Vec<_> = calls.data_points.iter().map(|point| point.count).collect();
    assert_eq!(counts, [2, 1], "Acquire and GetBreaker");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_nobody_says_anything_about_are_traced_by_their_share() -> anyhow::Result<()> {
    let collector = Collector::default();
    let server = start(&collector.start().await?, "0.1")?;
    let mut clients = server.clients()?;
    for _ in 0..200 {
        clients.breakers.acquire(acquire("a/b")).await?;
    }
    let ended = tokio::task::spawn_blocking(move || server.terminate()).await??;
    assert!(ended.success());
    assert_eq!(collector.spans.lock().len(), 20);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_or_refuses_harms_nobody() -> anyhow::Result<()> {
    let collector = Collector::default();
    collector.refuses.store(true, Ordering::Relaxed);
    let away = format!("http://127.0.0.1:{}", free_port()?);
    for endpoint in [away, collector.start().await?] {
        let server = start(&endpoint, "1")?;
        let mut clients = server.clients()?;
        // More than the queue of the spans holds.
        for _ in 0..3_000 {
            clients.breakers.acquire(acquire("a/b")).await?;
        }
        eventually("it is said once", PATIENCE, async || {
            Ok(server.log().contains("otlp_endpoint"))
        })
        .await?;
        let said = tokio::task::spawn_blocking(move || server.terminate_and_tell()).await??;
        assert_eq!(said.matches("otlp_endpoint").count(), 1, "{said}");
    }
    Ok(())
}
