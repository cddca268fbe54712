//! The one place where errors become a `Status` with `google.rpc` details.

use std::time::Duration;

use breaker_core::Violation;
use breaker_engine::{EngineError, StoreError};
use breaker_proto::leader::{self, DOMAIN};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::seat::{NotLeading, Seat};

/// Details travel in trailers, which peers bound to some kilobytes.
const MAX_VIOLATIONS: usize = 24;
const MAX_DESCRIPTION_CHARS: usize = 240;
const MAX_MESSAGE_VIOLATIONS: usize = 4;

/// When to try again while the database is away.
const RETRY_STORAGE: Duration = Duration::from_secs(1);
/// When to try again while there is no room: somebody has to make some.
const RETRY_FULL: Duration = Duration::from_secs(60);
/// When to try again while nobody leads, or elsewhere if another server does.
const RETRY_NOT_LEADING: Duration = Duration::from_millis(250);
/// When to try again elsewhere while the server is going down.
const RETRY_DRAINING: Duration = Duration::from_millis(100);

/// When to try again while the server has more calls than it can serve.
const RETRY_OVERLOADED: Duration = Duration::from_secs(1);

/// Tells a client of gRPC that retries by itself when to do so, in milliseconds.
const RETRY_PUSHBACK: &str = "grpc-retry-pushback-ms";

/// An error of the engine as the caller gets to see it.
pub(crate) fn to_status(error: EngineError) -> Status {
    let message = error.to_string();
    let mut details = ErrorDetails::new();
    let code = match error {
        EngineError::Invalid(violations) => return invalid(violations),
        EngineError::UnknownAlert(id) => {
            details.set_resource_info("alert", id.to_string(), "", &message);
            Code::NotFound
        }
        EngineError::UnknownBreaker(name) => {
            details.set_resource_info("breaker", name.as_str(), "", &message);
            Code::NotFound
        }
        EngineError::AlreadyExists(name) => {
            details.set_resource_info("breaker", name.as_str(), "", &message);
            Code::AlreadyExists
        }
        EngineError::TooManyBreakers { .. } => {
            details.add_quota_failure_violation("max_breakers", &message);
            return exhausted(&message, details, RETRY_FULL);
        }
        EngineError::Held(name) => {
            details.add_precondition_failure_violation("OVERRIDE", name.as_str(), &message);
            Code::FailedPrecondition
        }
        EngineError::UnknownPolicy(name) => {
            details.set_resource_info("policy", name.as_str(), "", &message);
            Code::NotFound
        }
        EngineError::PolicyExists(name) => {
            details.set_resource_info("policy", name.as_str(), "", &message);
            Code::AlreadyExists
        }
        EngineError::TooManyPolicies(_) => {
            details.add_quota_failure_violation("policies", &message);
            details.set_retry_info(Some(RETRY_FULL));
            Code::ResourceExhausted
        }
        EngineError::EtagMismatch { .. } | EngineError::PolicyEtagMismatch { .. } => {
            details.set_error_info("ETAG_MISMATCH", DOMAIN, []);
            Code::Aborted
        }
        EngineError::HistoryGone { .. } | EngineError::HistoryAhead { .. } => {
            details.set_error_info("NOT_KEPT", DOMAIN, []);
            Code::OutOfRange
        }
        EngineError::Restoring => {
            details.set_error_info("RESTORING", DOMAIN, []);
            details.set_retry_info(Some(RETRY_STORAGE));
            Code::Unavailable
        }
        EngineError::HalfRestored => {
            details.set_error_info("RESTORE_FAILED", DOMAIN, []);
            Code::FailedPrecondition
        }
        EngineError::NotEmpty(_) => {
            details.add_precondition_failure_violation("NOT_EMPTY", "server", &message);
            Code::FailedPrecondition
        }
        EngineError::BadBackup { .. } => return invalid(vec![Violation::new("data", message)]),
        EngineError::RestoreFailed { cause, .. } => {
            details.set_error_info("RESTORE_FAILED", DOMAIN, []);
            to_status(*cause).code()
        }
        EngineError::Store(StoreError::Superseded) => {
            return not_leading(NotLeading { leader: None });
        }
        EngineError::Store(_) => {
            details.set_error_info("STORAGE_UNAVAILABLE", DOMAIN, []);
            details.set_retry_info(Some(RETRY_STORAGE));
            Code::Unavailable
        }
        EngineError::ShuttingDown => return draining(),
    };
    Status::with_error_details(code, message, details)
}

/// Refuses a request for each of its bad fields.
pub(crate) fn invalid(violations: Vec<Violation>) -> Status {
    let message = summary(&violations);
    let fields: Vec<_> = violations
        .into_iter()
        .take(MAX_VIOLATIONS)
        .map(|violation| FieldViolation::new(violation.field, shortened(&violation.description)))
        .collect();
    let details = ErrorDetails::with_bad_request(fields);
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// The end of a stream, or of a request, on a server that is going down.
pub(crate) fn draining() -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info("DRAINING", DOMAIN, []);
    details.set_retry_info(Some(RETRY_DRAINING));
    let message = "the server is shutting down; go on at another one, or here after its restart";
    Status::with_error_details(Code::Unavailable, message, details)
}

/// The answer of a server that stands by.
pub(crate) fn not_leading(error: NotLeading) -> Status {
    leader::not_leader(error.leader.as_deref(), RETRY_NOT_LEADING)
}

/// The end of a stream of a server that goes down, or leads no more.
pub(crate) fn ended(seat: &Seat) -> Status {
    if seat.is_draining() { draining() } else { not_leading(seat.not_leading()) }
}

/// The answer to a call that is one too many for the server.
pub(crate) fn overloaded() -> Status {
    let message = "the server has more calls than it can serve; decide by `on_unavailable`, and try \
                   again in a second";
    let mut details = ErrorDetails::new();
    details.set_error_info("OVERLOADED", DOMAIN, []);
    exhausted(message, details, RETRY_OVERLOADED)
}

/// The answer to a call that is one too many for its client.
pub(crate) fn over_client_rate(limit: u32, retry_after: Duration) -> Status {
    let message = format!(
        "more than {limit} calls of Acquire and Report in a second on one connection, the limit for a \
         client (`client_rate`); wait {} ms, and gather what is reported",
        retry_after.as_millis()
    );
    let mut details = ErrorDetails::new();
    details.add_quota_failure_violation("client_rate", &message);
    exhausted(&message, details, retry_after)
}

/// The answer to a stream that is one too many.
pub(crate) fn too_many_streams(limit: usize) -> Status {
    let message = format!(
        "there are {limit} watch streams, the limit (`max_watch_streams`); select several breakers \
         with one stream, or let the operator raise it"
    );
    let mut details = ErrorDetails::new();
    details.add_quota_failure_violation("max_watch_streams", &message);
    exhausted(&message, details, RETRY_FULL)
}

/// The answer to whatever comes on a connection that is one too many.
pub(crate) fn too_many_connections(limit: usize) -> Status {
    let message = format!(
        "there are {limit} connections, the limit (`max_connections`); go to another server, share a \
         connection between callers, or let the operator raise it"
    );
    let mut details = ErrorDetails::new();
    details.add_quota_failure_violation("max_connections", &message);
    exhausted(&message, details, RETRY_OVERLOADED)
}

fn exhausted(message: &str, mut details: ErrorDetails, retry_after: Duration) -> Status {
    details.set_retry_info(Some(retry_after));
    let mut status = Status::with_error_details(Code::ResourceExhausted, message, details);
    // Rounded up: whoever comes a little early is refused again.
    let millis = retry_after.as_nanos().div_ceil(1_000_000) as u64;
    status.metadata_mut().insert(RETRY_PUSHBACK, millis.into());
    status
}

fn summary(violations: &[Violation]) -> String {
    let shown: Vec<_> = violations
        .iter()
        .take(MAX_MESSAGE_VIOLATIONS)
        .map(|violation| shortened(&violation.to_string()))
        .collect();
    match violations.len().saturating_sub(MAX_MESSAGE_VIOLATIONS) {
        0 => shown.join("; "),
        more => format!("{}; and {more} more", shown.join("; ")),
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_DESCRIPTION_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_finds_no_room_is_told_when_to_try_again() {
        for error in [EngineError::TooManyBreakers { limit: 1 }, EngineError::TooManyPolicies(1)] {
            let details = to_status(error).get_error_details();
            assert!(details.quota_failure().is_some());
            assert_eq!(details.retry_info().unwrap().retry_delay, Some(RETRY_FULL));
        }
    }

    #[test]
    fn whoever_is_one_too_many_is_told_when_to_come_again() {
        let wait = Duration::from_micros(1_500);
        let cases = [
            (overloaded(), RETRY_OVERLOADED, "1000"),
            (over_client_rate(7, wait), wait, "2"),
            (too_many_streams(9), RETRY_FULL, "60000"),
            (too_many_connections(9), RETRY_OVERLOADED, "1000"),
        ];
        for (status, delay, pushback) in cases {
            assert_eq!(status.code(), Code::ResourceExhausted);
            let details = status.get_error_details();
            assert_eq!(details.retry_info().unwrap().retry_delay, Some(delay));
            assert_eq!(status.metadata().get(RETRY_PUSHBACK).unwrap(), pushback);
        }
    }

    #[test]
    fn every_bad_field_is_named_and_the_answer_stays_small() {
        let few: Vec<_> = (0..6).map(|i| Violation::new(format!("f{i}"), "bad")).collect();
        let status = invalid(few);
        assert_eq!(status.message(), "f0: bad; f1: bad; f2: bad; f3: bad; and 2 more");
        let details = status.get_error_details();
        assert_eq!(details.bad_request().unwrap().field_violations.len(), 6);

        let many = vec![Violation::new("reports[12345].breaker", "ä".repeat(5_000)); 10_000];
        assert!(invalid(many).details().len() < 16_000);
    }
}
