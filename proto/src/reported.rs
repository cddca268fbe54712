//! `ReportRequest` whose reports are unpacked when their runs are known to be few enough, and whose
//! error kinds lie in the bytes that came.
//!
//! A run can take two bytes on the wire and takes sixty times as many here. And a report has a run for
//! each change of outcome: a text of its own for each would be an allocation. On the wire a message
//! and a `string` are a length and bytes, just as a `bytes` field is, so both are taken as a part of
//! the message; whoever reads a kind sees to it that it is text.

use bytes::Bytes;
use prost::{DecodeError, Message};

use crate::codec::{FIELD_BYTES, count_fields};
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
    /// What is reported: a [`BreakerReport`] each, as it came.
    #[prost(bytes = "bytes", repeated, tag = "3")]
    pub reports: Vec<Bytes>,
}

/// Why reports were not unpacked.
#[derive(Clone, Debug, PartialEq)]
pub enum NotUnpacked {
    /// They have so many runs, which is more than there may be.
    TooManyRuns(usize),
    /// The report of this index cannot be understood.
    Malformed(usize, DecodeError),
}

impl ReportRequest {
    /// Unpacks the reports, unless they have more than so many runs in all.
    ///
    /// # Errors
    /// If they do, or one of them cannot be understood.
    pub fn unpack(&self, max_runs: usize) -> Result<Vec<BreakerReport>, NotUnpacked> {
        let bytes: usize = self.reports.iter().map(Bytes::len).sum();
        if bytes / FIELD_BYTES > max_runs {
            let mut runs = 0;
            for (index, report) in self.reports.iter().enumerate() {
                runs += runs_of(report).map_err(|error| NotUnpacked::Malformed(index, error))?;
            }
            if runs > max_runs {
                return Err(NotUnpacked::TooManyRuns(runs));
            }
        }
        let mut reports = Vec::with_capacity(self.reports.len());
        for (index, report) in self.reports.iter().enumerate() {
            let report = BreakerReport::decode(report.clone());
            reports.push(report.map_err(|error| NotUnpacked::Malformed(index, error))?);
        }
        Ok(reports)
    }

    /// The generated message, for those who keep it: it copies everything.
    ///
    /// # Errors
    /// If an error kind is no text.
    pub fn to_generated(&self) -> Result<v1::ReportRequest, DecodeError> {
        v1::ReportRequest::decode(self.encode_to_vec().as_slice())
    }
}

/// How many runs a [`BreakerReport`] has.
fn runs_of(report: &[u8]) -> Result<usize, DecodeError> {
    const RUNS: u32 = 3;
    count_fields(report, |tag| tag == RUNS)
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
        let unpacked = taken.unpack(2).unwrap();
        assert_eq!(unpacked[0].runs[0].error_kind, "http.503");
        assert_eq!(unpacked[0].encode_to_vec(), taken.reports[0]);
        assert_eq!(taken.encode_to_vec(), bytes);
        assert_eq!(taken.to_generated(), Ok(request));
    }

    #[test]
    fn too_many_runs_are_counted_and_not_unpacked() {
        let report =
            |runs| v1::BreakerReport { runs: vec![v1::Run::default(); runs], ..Default::default() };
        let request = |reports| v1::ReportRequest { reports, ..Default::default() };
        let taken =
            |reports| ReportRequest::decode(request(reports).encode_to_vec().as_slice()).unwrap();
        let runs = |unpacked: Vec<BreakerReport>| -> usize {
            unpacked.iter().map(|report| report.runs.len()).sum()
        };
        let fitting = taken(vec![report(60), report(40)]);
        assert_eq!(fitting.unpack(100).map(runs), Ok(100));
        let many = taken(vec![report(60), report(41)]);
        assert_eq!(many.unpack(100), Err(NotUnpacked::TooManyRuns(101)));
    }

    #[test]
    fn a_report_that_is_none_is_told_by_its_index() {
        let reports = vec![Bytes::new(), Bytes::from_static(b"\x1a\x05")];
        let request = ReportRequest { reports, ..Default::default() };
        for max_runs in [0, 100] {
            let refused = request.unpack(max_runs);
            assert!(matches!(refused, Err(NotUnpacked::Malformed(1, _))), "{refused:?}");
        }
    }
}
