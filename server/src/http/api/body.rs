//! The bytes of a request.

use axum::body::Body;
use axum::http::StatusCode;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use tonic::Code;

use crate::grpc::MAX_MESSAGE_BYTES;
use crate::http::problem::Problem;

/// So much of what is too large is read and thrown away: whoever is still sending would not read the
/// answer. What is larger yet is cut off.
const MAX_DISCARDED_BYTES: usize = 16 * MAX_MESSAGE_BYTES;

/// Reads a body that is as large as a message may be.
pub(super) async fn read(body: Body) -> Result<Bytes, Problem> {
    let (mut bytes, mut total) = (BytesMut::new(), 0_usize);
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| {
            let message = format!("the body cannot be read: {error}");
            Problem::new(StatusCode::BAD_REQUEST, Code::InvalidArgument, message)
        })?;
        total = total.saturating_add(chunk.len());
        if total <= MAX_MESSAGE_BYTES {
            bytes.extend_from_slice(&chunk);
        } else if total > MAX_DISCARDED_BYTES {
            break;
        }
    }
    if total > MAX_MESSAGE_BYTES {
        let message = "the body has more than 4 MiB, the limit; send less at a time";
        let http = StatusCode::PAYLOAD_TOO_LARGE;
        return Err(Problem::new(http, Code::ResourceExhausted, message));
    }
    Ok(bytes.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_has_a_limit_and_what_is_beyond_it_is_not_kept() {
        for (size, is_taken) in
            [(0, true), (MAX_MESSAGE_BYTES, true), (MAX_MESSAGE_BYTES + 1, false)]
        {
            let read = read(Body::from(vec![b' '; size])).await;
            assert_eq!(read.as_ref().map(Bytes::len).ok(), is_taken.then_some(size));
        }
    }
}
