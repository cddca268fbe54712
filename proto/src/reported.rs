//! `ReportRequest` whose error kinds lie in the bytes that came.
//!
//! A report has a run for each change of outcome, and a text of its own for each run would be an
//! allocation. On the wire a `string` is a length and bytes, just as a `bytes` field is, so the
//! kind is taken as a part of the message; whoever reads it sees to it that it is text.

use bytes::Bytes;
use prost::{DecodeError, Message};

use crate::v1;

/// The same message on the wire as [`v1::ReportRequest`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct ReportRequest {
    /// Which client process reports.
    #[prost(string, tag = "1")]
    pub reporter_id: String,
    /// The number of the report, or 0.
    #[prost(uint64, tag = "2")]
    pub sequence: u64,
    /// What is reported.
    #[prost(message, repeated, tag = "3")]
    pub reports: Vec<BreakerReport>,
}

impl ReportRequest {
    /// The generated message, for those who keep it: it copies everything.
    ///
    /// # Errors
    /// If an error kind is no text.
    pub fn to_generated(&self) -> Result<v1::ReportRequest, DecodeError> {
        v1::ReportRequest::decode(self.encode_to_vec().as_slice())
    }
}

/// The same message on the wire as [`v1::BreakerReport`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct BreakerReport {
    /// The name of the breaker.
    #[prost(string, tag = "1")]
    pub breaker: String,
    /// The generation under which the calls were admitted, or 0.
    #[prost(uint64, tag = "2")]
    pub generation: u64,
    /// The calls.
    #[prost(message, repeated, tag = "3")]
    pub runs: Vec<Run>,
    /// The calls are history.
    #[prost(bool, tag = "4")]
    pub late: bool,
}

/// The same message on the wire as [`v1::Run`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct Run {
    /// What became of each of the calls, a [`v1::Outcome`].
    #[prost(enumeration = "v1::Outcome", tag = "1")]
    pub outcome: i32,
    /// How many calls.
    #[prost(uint32, tag = "2")]
    pub count: u32,
    /// The durations of the calls added up.
    #[prost(message, optional, tag = "3")]
    pub total_duration: Option<prost_types::Duration>,
    /// The duration of the longest call.
    #[prost(message, optional, tag = "4")]
    pub max_duration: Option<prost_types::Duration>,
    /// How many of the calls were slow.
    #[prost(uint32, tag = "5")]
    pub slow_count: u32,
    /// The kind of the error, as it came: not yet known to be text.
    #[prost(bytes = "bytes", tag = "6")]
    pub error_kind: Bytes,
    /// How long ago the calls ended.
    #[prost(message, optional, tag = "7")]
    pub age: Option<prost_types::Duration>,
    /// The permit of a probe, or 0.
    #[prost(uint64, tag = "8")]
    pub permit_id: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_the_same_message_on_the_wire() {
        let duration = |seconds| Some(prost_types::Duration { seconds, nanos: 1 });
        let run = v1::Run {
            outcome: v1::Outcome::Failure.into(),
            count: 2,
            total_duration: duration(3),
            max_duration: duration(4),
            slow_count: 5,
            error_kind: "http.503".into(),
            age: duration(6),
            permit_id: 7,
        };
        let request = v1::ReportRequest {
            reporter_id: "replica-1".into(),
            sequence: 8,
            reports: vec![v1::BreakerReport {
                breaker: "a/b".into(),
                generation: 9,
                runs: vec![run, v1::Run::default()],
                late: true,
            }],
        };
        let bytes = request.encode_to_vec();
        let taken = ReportRequest::decode(bytes.as_slice()).unwrap();
        assert_eq!(taken.reports[0].runs[0].error_kind, "http.503");
        assert_eq!(taken.encode_to_vec(), bytes);
        assert_eq!(taken.to_generated(), Ok(request));
    }
}
