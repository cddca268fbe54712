//! A server whose Acquire takes nothing and gives nothing: the speed of tonic itself.

use std::net::SocketAddr;
use std::pin::Pin;

use breaker_proto::v1::breaker_service_server::{BreakerService, BreakerServiceServer};
use breaker_proto::v1::{
    AcquireRequest, AcquireResponse, ReportRequest, ReportResponse, WatchRequest, WatchResponse,
};
use futures::stream::{self, Stream};
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

struct Empty;

#[tonic::async_trait]
impl BreakerService for Empty {
    async fn acquire(
        &self,
        _: Request<AcquireRequest>,
    ) -> Result<Response<AcquireResponse>, Status> {
        Ok(Response::new(AcquireResponse::default()))
    }

    async fn report(&self, _: Request<ReportRequest>) -> Result<Response<ReportResponse>, Status> {
        Ok(Response::new(ReportResponse::default()))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    async fn watch(&self, _: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Ok(Response::new(Box::pin(stream::empty())))
    }
}

/// Starts the server on a free port; it ends with the runtime.
pub(crate) async fn serve() -> anyhow::Result<SocketAddr> {
    serve_by_tonic(Empty).await
}

/// Starts a server on a free port, as tonic serves; it ends with the runtime.
pub(crate) async fn serve_by_tonic(service: impl BreakerService) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let server = Server::builder().add_service(BreakerServiceServer::new(service));
    tokio::spawn(server.serve_with_incoming(incoming));
    Ok(address)
}
