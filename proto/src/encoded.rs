//! `WatchResponse` with states that were encoded before.
//!
//! A change goes to every watcher of a breaker. On the wire a nested message is a length and
//! bytes, just as a `bytes` field is, so the state is encoded once and only copied per stream.

use bytes::Bytes;
use prost::Message;

use crate::v1::BreakerState;

/// A `breaker.v1.BreakerState` in its encoded form; cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedState(Bytes);

impl EncodedState {
    /// Encodes a state.
    pub fn new(state: &BreakerState) -> Self {
        Self(state.encode_to_vec().into())
    }

    /// Takes bytes that [`into_bytes`](Self::into_bytes) gave.
    pub const fn from_bytes(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The encoded state, for those who only carry it.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

/// The same message on the wire as [`crate::v1::WatchResponse`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct EncodedWatchResponse {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    changed: Vec<Bytes>,
    /// The names of breakers that are gone.
    #[prost(string, repeated, tag = "2")]
    pub deleted: Vec<String>,
    /// The copy is now equal to the server's.
    #[prost(bool, tag = "3")]
    pub snapshot_complete: bool,
    /// A new snapshot begins with this message.
    #[prost(bool, tag = "4")]
    pub reset: bool,
    /// Covers all that came on the stream up to here.
    #[prost(bytes = "vec", tag = "5")]
    pub resume_token: Vec<u8>,
    /// The server's clock.
    #[prost(message, optional, tag = "6")]
    pub server_time: Option<prost_types::Timestamp>,
}

impl EncodedWatchResponse {
    /// Adds the state of a breaker that is new or has changed.
    pub fn push_changed(&mut self, state: EncodedState) {
        self.changed.push(state.0);
    }

    /// Whether any breaker is named.
    pub fn has_changes(&self) -> bool {
        !self.changed.is_empty() || !self.deleted.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::v1;

    #[test]
    fn an_encoded_response_is_the_same_message_on_the_wire() {
        let state = BreakerState { name: "a/b".into(), revision: 7, ..Default::default() };
        let mut encoded = EncodedWatchResponse {
            deleted: vec!["a/c".into()],
            snapshot_complete: true,
            reset: true,
            resume_token: vec![1, 2],
            server_time: Some(prost_types::Timestamp { seconds: 3, nanos: 4 }),
            ..Default::default()
        };
        encoded.push_changed(EncodedState::new(&state));
        let decoded = v1::WatchResponse::decode(encoded.encode_to_vec().as_slice());
        let expected = v1::WatchResponse {
            changed: vec![state],
            deleted: vec!["a/c".into()],
            snapshot_complete: true,
            reset: true,
            resume_token: vec![1, 2],
            server_time: Some(prost_types::Timestamp { seconds: 3, nanos: 4 }),
        };
        assert_eq!(decoded.as_ref(), Ok(&expected));
    }
}
