//! Streams as server-sent events.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{Stream, stream};
use prost_reflect::DynamicMessage;
use tokio::sync::OwnedSemaphorePermit;
use tonic::{Status, Streaming};

use super::json::to_json;
use crate::http::problem::{Problem, Problems};

/// The last event of a stream that ends for a reason.
pub(crate) const ERROR_EVENT: &str = "error";

/// The stream of an RPC: each message is an event without a name, and an error the last one. Nothing
/// is read for a reader that does not read.
pub(crate) fn of_rpc(
    messages: Streaming<DynamicMessage>,
    problems: Problems,
    permit: OwnedSemaphorePermit,
) -> Response {
    let frames = stream::unfold(Some((messages, permit)), move |following| {
        let problems = problems.clone();
        async move {
            let (mut messages, permit) = following?;
            let json = match messages.message().await {
                Ok(Some(message)) => to_json(&message).map_err(unwritable),
                Ok(None) => return None,
                Err(status) => Err(status),
            };
            Some(match json {
                Ok(json) => (frame(None, &json), Some((messages, permit))),
                Err(status) => (error_frame(&problems.of(&status)), None),
            })
        }
    });
    response(frames)
}

/// An answer that goes on for as long as there are frames.
pub(crate) fn response(frames: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    use futures::StreamExt as _;
    let body = Body::from_stream(frames.map(Ok::<_, Infallible>));
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // A proxy that gathers what comes would make it late.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// One event. JSON has no line breaks of its own, so that it is one line.
pub(crate) fn frame(event: Option<&str>, json: &[u8]) -> Bytes {
    let mut frame = Vec::with_capacity(json.len() + 32);
    if let Some(event) = event {
        frame.extend_from_slice(b"event: ");
        frame.extend_from_slice(event.as_bytes());
        frame.push(b'\n');
    }
    frame.extend_from_slice(b"data: ");
    frame.extend_from_slice(json);
    frame.extend_from_slice(b"\n\n");
    frame.into()
}

/// The end of a stream.
pub(crate) fn error_frame(problem: &Problem) -> Bytes {
    frame(Some(ERROR_EVENT), problem.to_json().to_string().as_bytes())
}

pub(crate) fn unwritable(error: serde_json::Error) -> Status {
    Status::internal(format!("the answer cannot be written as JSON: {error}"))
}
