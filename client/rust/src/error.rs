use breaker_core::{NameError, Violation};
use breaker_proto::leader::NotLeader;
use thiserror::Error;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::address::Address;

/// What can go wrong in a client.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The client was given no address.
    #[error("no address; name at least one, such as `127.0.0.1:7420`")]
    NoAddress,
    /// A text is not the address of a server.
    #[error("`{address}` is not an address such as `127.0.0.1:7420`: {reason}")]
    Address {
        /// The text.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The client id is too long.
    #[error("the client id is {0} bytes long; at most {max} are allowed", max = crate::builder::MAX_CLIENT_ID_BYTES)]
    ClientId(usize),
    /// The client was built outside a Tokio runtime, which its connections need.
    #[error("the client was built outside a Tokio runtime; build it within one")]
    NoRuntime,
    /// The token cannot be sent.
    #[error(
        "the token is empty or has characters that cannot be sent; use visible ASCII characters"
    )]
    Token,
    /// A certificate or a key is none.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    /// A selector of breakers is none.
    #[error("`{selector}` is no selector such as `payments/*`: {reason}")]
    Selector {
        /// The text.
        selector: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The configuration of the local guard makes no sense.
    #[error("the local guard's configuration was refused: {0}")]
    LocalGuard(Violation),
    /// There can be no thread for a client that blocks.
    #[error("the client's thread could not be started: {0}")]
    NoThread(String),
    /// A text is not the name of a breaker.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No server answered: each is not there, cannot be reached, took too long, or stands by.
    #[error("{address} is away: {}", .status.message())]
    Unavailable {
        /// The address that was tried last.
        address: String,
        /// What the transport said.
        #[source]
        status: Status,
    },
    /// The server found the request to be wrong.
    #[error("the request was refused: {}", list(.violations, .status))]
    Invalid {
        /// Every field that was wrong.
        violations: Vec<Violation>,
        /// The answer as it came.
        #[source]
        status: Status,
    },
    /// The server refused the request for another reason.
    #[error("the server answered {:?}: {}", .0.code(), .0.message())]
    Refused(#[source] Status),
    /// The server's answer makes no sense.
    #[error("the answer makes no sense: {0}")]
    Malformed(Violation),
    /// Outcomes were given up when the client shut down.
    #[error("{0} outcomes were given up because the server did not take them in time")]
    Unflushed(u64),
}

impl Error {
    /// The status of a failed request. Only the transport leaves a source in one.
    pub(crate) fn from_status(address: &Address, status: Status) -> Self {
        let from_transport = std::error::Error::source(&status).is_some();
        match status.code() {
            Code::Unavailable | Code::DeadlineExceeded => Self::away(address, status),
            _ if from_transport => Self::away(address, status),
            Code::InvalidArgument => Self::Invalid { violations: violations(&status), status },
            _ => Self::Refused(status),
        }
    }

    pub(crate) fn away(address: &Address, status: Status) -> Self {
        Self::Unavailable { address: address.to_string(), status }
    }

    /// What the server said if it stands by.
    pub(crate) fn not_leader(&self) -> Option<NotLeader> {
        match self {
            Self::Unavailable { status, .. } => NotLeader::of(status),
            _ => None,
        }
    }

    /// Whether the server is away, so that asking again later can have another answer.
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

fn violations(status: &Status) -> Vec<Violation> {
    let details = status.get_details_bad_request().map(|details| details.field_violations);
    details.into_iter().flatten().map(|v| Violation::new(v.field, v.description)).collect()
}

fn list(violations: &[Violation], status: &Status) -> String {
    if violations.is_empty() {
        return status.message().to_owned();
    }
    violations.iter().map(Violation::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    fn here() -> Address {
        Address::parse("127.0.0.1:7420").unwrap()
    }

    #[test]
    fn every_field_violation_is_kept() {
        let details = ErrorDetails::with_bad_request(vec![
            tonic_types::FieldViolation::new("breaker", "is empty"),
            tonic_types::FieldViolation::new("client_id", "is too long"),
        ]);
        let status = Status::with_error_details(Code::InvalidArgument, "bad request", details);
        let error = Error::from_status(&here(), status);
        assert_eq!(
            error.to_string(),
            "the request was refused: breaker: is empty; client_id: is too long"
        );
        let Error::Invalid { violations, .. } = error else { panic!("{error}") };
        assert_eq!(violations.len(), 2);
    }

    #[test]
    fn only_a_server_that_did_not_answer_is_away() {
        let away = [Status::unavailable("draining"), Status::deadline_exceeded("late")];
        for status in away {
            assert!(Error::from_status(&here(), status).is_unavailable());
        }
        let broken = Status::from_error("connection reset".into());
        assert!(Error::from_status(&here(), broken).is_unavailable());
        for status in [Status::not_found("no"), Status::unknown("bug"), Status::internal("bug")] {
            assert!(!Error::from_status(&here(), status).is_unavailable());
        }
    }
}
