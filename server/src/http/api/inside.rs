//! The services of gRPC, called from within the process: HTTP has no rules of its own.

use std::str::FromStr as _;
use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::uri::PathAndQuery;
use bytes::Buf as _;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::service::Routes;
use tonic::{Code, Request, Status, Streaming};

use super::ProtocolError;
use crate::grpc::overloaded;
use crate::otlp::CallSpan;
use crate::overload::{Call, Overload};
use crate::rpcs::{Measures, Method, Shard};

/// One RPC.
#[derive(Clone, Debug)]
pub(crate) struct Rpc {
    path: PathAndQuery,
    method: MethodDescriptor,
    /// What of the server's limits it falls under.
    limited: Option<Call>,
}

impl Rpc {
    /// Looks up `SERVICE.METHOD`.
    pub(crate) fn find(pool: &DescriptorPool, name: &str) -> Result<Self, ProtocolError> {
        let missing = || ProtocolError::Missing(name.to_owned());
        let (service, method) = name.split_once('.').ok_or_else(missing)?;
        let full_name = format!("breaker.v1.{service}");
        let found = pool.get_service_by_name(&full_name).ok_or_else(missing)?;
        let found = found.methods().find(|of_service| of_service.name() == method);
        let limited = match name {
            "BreakerService.Acquire" => Some(Call::Acquire),
            "BreakerService.Report" => Some(Call::Report),
            _ => None,
        };
        let path = PathAndQuery::from_str(&format!("/{full_name}/{method}"));
        let path = path.map_err(|_| missing())?;
        Ok(Self { path, method: found.ok_or_else(missing)?, limited })
    }

    /// Its descriptor.
    pub(crate) const fn method(&self) -> &MethodDescriptor {
        &self.method
    }
}

/// The services.
#[derive(Clone)]
pub(crate) struct Inside {
    services: Routes,
    overload: Arc<Overload>,
    measures: Measures,
    shard: Arc<Shard>,
}

impl Inside {
    pub(crate) fn new(services: Routes, overload: Arc<Overload>, measures: Measures) -> Self {
        let shard = measures.rpcs.shard();
        Self { services, overload, measures, shard }
    }

    /// Begins to trace a call that came with these headers, if it is one that is traced.
    pub(crate) fn trace(&self, rpc: &Rpc, headers: &HeaderMap) -> Option<CallSpan> {
        self.measures.trace(self.method(rpc), headers)
    }

    /// Asks for one answer.
    pub(crate) async fn call(
        &self,
        rpc: &Rpc,
        request: DynamicMessage,
        span: Option<CallSpan>,
    ) -> Result<DynamicMessage, Status> {
        self.measured(rpc, span, async {
            if rpc.limited.is_some_and(|call| self.overload.refuses(call)) {
                return Err(overloaded());
            }
            self.ask(rpc, request).await
        })
        .await
    }

    /// Asks for a stream of answers.
    pub(crate) async fn stream(
        &self,
        rpc: &Rpc,
        request: DynamicMessage,
        span: Option<CallSpan>,
    ) -> Result<Streaming<DynamicMessage>, Status> {
        self.measured(rpc, span, async {
            let mut client = self.client().await?;
            let (request, codec) = (Request::new(request), Reflected(rpc.method.output()));
            let answer = client.server_streaming(request, rpc.path.clone(), codec).await?;
            Ok(answer.into_inner())
        })
        .await
    }

    async fn ask(&self, rpc: &Rpc, request: DynamicMessage) -> Result<DynamicMessage, Status> {
        let mut client = self.client().await?;
        let codec = Reflected(rpc.method.output());
        let answer = client.unary(Request::new(request), rpc.path.clone(), codec).await?;
        Ok(answer.into_inner())
    }

    fn method(&self, rpc: &Rpc) -> Method {
        self.measures.rpcs.method(rpc.path.as_str())
    }

    /// Counts a call as those that come by gRPC are counted.
    async fn measured<R>(
        &self,
        rpc: &Rpc,
        span: Option<CallSpan>,
        call: impl Future<Output = Result<R, Status>>,
    ) -> Result<R, Status> {
        let began = self.shard.now();
        let answer = call.await;
        let code = answer.as_ref().map_or_else(Status::code, |_| Code::Ok);
        let took = self.shard.now().since(began);
        self.shard.count(self.method(rpc), code, took);
        if let Some(span) = span {
            span.end(code);
        }
        answer
    }

    async fn client(&self) -> Result<Grpc<Routes>, Status> {
        // What the server says of itself it has in memory already.
        let client = Grpc::new(self.services.clone());
        let mut client = client.max_decoding_message_size(usize::MAX);
        client.ready().await.map_err(|never| Status::internal(never.to_string()))?;
        Ok(client)
    }
}

/// Encodes whatever message it is given, and decodes those of one kind.
#[derive(Clone, Debug)]
struct Reflected(MessageDescriptor);

impl Codec for Reflected {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self::Encoder {
        self.clone()
    }

    fn decoder(&mut self) -> Self::Decoder {
        self.clone()
    }
}

impl Encoder for Reflected {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, item: DynamicMessage, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(into).map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for Reflected {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let bytes = from.copy_to_bytes(from.remaining());
        let message = DynamicMessage::decode(self.0.clone(), bytes);
        message.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
