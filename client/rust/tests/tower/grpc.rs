use std::pin::Pin;
use std::time::Duration;

use breaker_client::tower::{GrpcLayer, GrpcService, code_verdict};
use breaker_client::{Breaker, Verdict};
use breaker_proto::encoded::EncodedWatchResponse;
use breaker_proto::reported::ReportRequest;
use breaker_proto::server::breaker_service_server::{BreakerService, BreakerServiceServer};
use breaker_proto::v1;
use breaker_proto::v1::breaker_service_client::BreakerServiceClient;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::{Channel, Server};
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt;
use tower::Layer;

use super::{guarded, opened, reported};

/// A service that ends as it is asked to: the name of a breaker is the number of a code.
struct AsAsked;

impl AsAsked {
    fn end(text: &str) -> Status {
        Status::new(Code::from_i32(text.parse().unwrap()), "as asked")
    }
}

#[tonic::async_trait]
impl BreakerService for AsAsked {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<EncodedWatchResponse, Status>> + Send>>;

    async fn acquire(
        &self,
        request: Request<v1::AcquireRequest>,
    ) -> Result<Response<v1::AcquireResponse>, Status> {
        match request.into_inner().breaker.as_str() {
            "0" => Ok(Response::new(Default::default())),
            "hang" => std::future::pending().await,
            code => Err(Self::end(code)),
        }
    }

    async fn report(
        &self,
        _: Request<ReportRequest>,
    ) -> Result<Response<v1::ReportResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    /// Two messages, and then the end that was asked for, or none.
    async fn watch(
        &self,
        request: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let selector = request.into_inner().selectors.remove(0);
        let messages = tokio_stream::iter([
            Ok(EncodedWatchResponse::default()),
            Ok(EncodedWatchResponse::default()),
        ]);
        let stream: Self::WatchStream = match selector.as_str() {
            "0" => Box::pin(messages),
            "hang" => Box::pin(messages.chain(tokio_stream::pending())),
            code => Box::pin(messages.chain(tokio_stream::once(Err(Self::end(code))))),
        };
        Ok(Response::new(stream))
    }
}

/// Where such a service listens.
async fn service() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder().add_service(BreakerServiceServer::new(AsAsked));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    format!("http://{address}")
}

type Client = BreakerServiceClient<GrpcService<Channel>>;

async fn client(breaker: &Breaker) -> Client {
    let channel = Channel::from_shared(service().await).unwrap().connect().await.unwrap();
    BreakerServiceClient::new(GrpcLayer::new(breaker.clone()).layer(channel))
}

async fn acquire(client: &mut Client, breaker: &str) -> Result<(), Status> {
    let request = v1::AcquireRequest { breaker: breaker.into(), ..Default::default() };
    client.acquire(request).await.map(drop)
}

async fn watch(client: &mut Client, selector: &str) -> tonic::Streaming<v1::WatchResponse> {
    let request = v1::WatchRequest { selectors: vec![selector.into()], ..Default::default() };
    client.watch(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_call_ends_with_its_code() {
    for (code, expected) in [
        (Code::Ok, "SUCCESS"),
        (Code::NotFound, "SUCCESS"),
        (Code::Unavailable, "FAILURE grpc.UNAVAILABLE"),
        (Code::Internal, "FAILURE grpc.INTERNAL"),
        (Code::DeadlineExceeded, "TIMEOUT"),
        (Code::Cancelled, "IGNORED"),
    ] {
        let (mut server, breaker) = guarded().await;
        let mut client = client(&breaker).await;
        let result = acquire(&mut client, &(code as i32).to_string()).await;
        assert_eq!(result.map_or_else(|status| status.code(), |()| Code::Ok), code);
        assert_eq!(reported(&mut server).await, expected, "{code:?}");
    }
}

#[test]
fn codes_tell_whose_fault_it_was() {
    for bad in ["UNAVAILABLE", "INTERNAL", "UNKNOWN", "DATA_LOSS", "RESOURCE_EXHAUSTED"] {
        let code = (0..17)
            .map(Code::from_i32)
            .find(|code| format!("{code:?}").to_uppercase() == bad.replace('_', ""));
        assert_eq!(code_verdict(code.unwrap()), Verdict::failure(&format!("grpc.{bad}")));
    }
    for good in [Code::Ok, Code::InvalidArgument, Code::NotFound, Code::PermissionDenied] {
        assert_eq!(code_verdict(good), Verdict::Success);
    }
}

#[tokio::test]
async fn a_denied_call_is_unavailable_and_says_when_to_ask_again() {
    let (server, breaker) = guarded().await;
    let mut client = client(&breaker).await;
    opened(&server, &breaker).await;
    let status = acquire(&mut client, "0").await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("open"), "{status}");
    let retry_delay = status.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!(retry_delay > Duration::from_secs(20), "{retry_delay:?}");
}

#[tokio::test]
async fn a_stream_ends_with_its_trailers() {
    for (code, expected) in [("0", "SUCCESS"), ("14", "FAILURE grpc.UNAVAILABLE")] {
        let (mut server, breaker) = guarded().await;
        let mut client = client(&breaker).await;
        let mut stream = watch(&mut client, code).await;
        for _ in 0..2 {
            assert!(stream.message().await.unwrap().is_some());
        }
        assert!(server.reports.try_recv().is_err(), "it is not over");
        let last = stream.message().await;
        assert_eq!(last.is_err(), code != "0");
        assert_eq!(reported(&mut server).await, expected);
    }
}

#[tokio::test]
async fn a_stream_that_is_dropped_counts_for_nothing() {
    let (mut server, breaker) = guarded().await;
    let mut client = client(&breaker).await;
    let mut stream = watch(&mut client, "hang").await;
    assert!(stream.message().await.unwrap().is_some());
    drop(stream);
    assert_eq!(reported(&mut server).await, "IGNORED");
}

#[tokio::test]
async fn a_call_that_takes_longer_than_it_may_is_given_up() {
    let (mut server, breaker) = guarded().await;
    let patch = breaker_core::ConfigPatch {
        call_timeout: Some(Duration::from_millis(50)),
        ..Default::default()
    };
    server.configure(super::NAME, &patch);
    while breaker.status().unwrap().revision < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut client = client(&breaker).await;
    let status = acquire(&mut client, "hang").await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(reported(&mut server).await, "TIMEOUT");
}

#[tokio::test]
async fn a_server_is_guarded_as_a_client_is() {
    let (mut server, breaker) = guarded().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = Server::builder()
        .layer(GrpcLayer::new(breaker.clone()))
        .add_service(BreakerServiceServer::new(AsAsked));
    tokio::spawn(service.serve_with_incoming(TcpListenerStream::new(listener)));
    let mut client = BreakerServiceClient::connect(format!("http://{address}")).await.unwrap();
    let request = v1::AcquireRequest { breaker: "13".into(), ..Default::default() };
    client.acquire(request.clone()).await.unwrap_err();
    assert_eq!(reported(&mut server).await, "FAILURE grpc.INTERNAL");
    opened(&server, &breaker).await;
    let status = client.acquire(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.get_details_retry_info().is_some());
}
