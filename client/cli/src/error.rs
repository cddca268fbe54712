use std::error::Error as StdError;

use breaker_client::servers::Address;
use breaker_core::Violation;
use breaker_proto::leader::{DOMAIN, NotLeader};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::words::printable;

/// What a command of breakerctl can fail with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server refused a request.
    #[error("{}", describe(.0))]
    Refused(Box<Status>),
    /// There is no such breaker, or no such policy.
    #[error("{}", describe(.0))]
    NotFound(Box<Status>),
    /// No server answered, or none leads. Holds what the last one that was tried said.
    #[error("the server at {address} is unavailable: {}", describe_away(.status))]
    Unavailable {
        /// Who was asked.
        address: String,
        /// What came back.
        status: Box<Status>,
    },
    /// Values of a configuration were refused before anything was sent.
    #[error("the configuration is refused{}", list(.0.iter().map(Violation::to_string)))]
    Configuration(Vec<Violation>),
    /// Arguments that do not fit together.
    #[error("{0}")]
    Usage(String),
    /// An answer without a part that it must have.
    #[error("the server answered without `{0}`")]
    Incomplete(&'static str),
}

impl Error {
    pub(crate) fn from_status(address: &Address, status: Status) -> Self {
        let status = Box::new(status);
        match status.code() {
            Code::Unavailable | Code::DeadlineExceeded => {
                Self::Unavailable { address: address.to_string(), status }
            }
            Code::NotFound => Self::NotFound(status),
            _ => Self::Refused(status),
        }
    }

    /// What the server that was asked last said if it stands by.
    pub(crate) fn not_leader(&self) -> Option<NotLeader> {
        match self {
            Self::Unavailable { status, .. } => NotLeader::of(status),
            _ => None,
        }
    }

    /// Whether the server that leads has spoken, so that there is no use in asking another one. All
    /// of them have the same database.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Unavailable { status, .. } => {
                let info = status.get_details_error_info();
                info.is_some_and(|info| info.domain == DOMAIN && info.reason == STORAGE_UNAVAILABLE)
            }
            _ => true,
        }
    }

    /// Whether the same request can fare better later, or with another server.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable { .. } => true,
            Self::Refused(status) => is_transient(status.code()),
            _ => false,
        }
    }

    /// The code that the process exits with.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(_) | Self::Incomplete(_) => exit::FAILED,
            Self::Configuration(_) | Self::Usage(_) => exit::USAGE,
            Self::NotFound(_) => exit::NOT_FOUND,
            Self::Unavailable { .. } => exit::UNAVAILABLE,
        }
    }
}

/// The reason that a leader gives while its database is away.
const STORAGE_UNAVAILABLE: &str = "STORAGE_UNAVAILABLE";

/// Besides the server's own words for being away, the codes that tonic gives to a connection that
/// is cut in the middle of an answer.
pub(crate) const fn is_transient(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Unknown
            | Code::Internal
    )
}

/// The codes that breakerctl exits with. Those beyond the shell's own are from `sysexits.h`, and
/// 124 is that of `timeout`.
pub mod exit {
    /// All went well.
    pub const OK: u8 = 0;
    /// The server refused the request, or something else failed.
    pub const FAILED: u8 = 1;
    /// The command line makes no sense.
    pub const USAGE: u8 = 2;
    /// There is no such breaker, or no such policy.
    pub const NOT_FOUND: u8 = 4;
    /// `EX_UNAVAILABLE`: no server answered.
    pub const UNAVAILABLE: u8 = 69;
    /// `EX_TEMPFAIL`: the breaker denied the call.
    pub const DENIED: u8 = 75;
    /// The guarded command took too long and was ended.
    pub const TIMED_OUT: u8 = 124;
    /// The guarded command could not be started.
    pub const NOT_EXECUTABLE: u8 = 126;
    /// The guarded command was not found.
    pub const COMMAND_NOT_FOUND: u8 = 127;
    /// A guarded command that a signal ended exits with this and the signal's number.
    pub const SIGNAL_BASE: u8 = 128;
}

/// The code for whatever a command failed with.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Error>())
        .map_or(exit::FAILED, Error::exit_code)
}

/// The message, then a line for each field that was refused. A message that only sums the fields up
/// is left out.
fn describe(status: &Status) -> String {
    let details = status.get_error_details();
    let fields = details.bad_request().map(|bad| bad.field_violations.as_slice());
    let lines: Vec<_> = fields
        .unwrap_or_default()
        .iter()
        .map(|field| format!("{}: {}", field.field, field.description))
        .collect();
    let message = match status.message() {
        "" => status.code().description(),
        message if lines.first().is_some_and(|line| message.contains(line)) => {
            "the server refused the request"
        }
        message => message,
    };
    let lines = lines.iter().map(|line| printable(line).into_owned());
    format!("{}{}", printable(message), list(lines))
}

/// What tonic says of a connection that cannot be made hides why in the sources of the error.
fn describe_away(status: &Status) -> String {
    let mut text = describe(status);
    let mut cause = status.source().and_then(StdError::source);
    while let Some(error) = cause {
        let error_text = error.to_string();
        if !text.contains(&error_text) {
            text.push_str(": ");
            text.push_str(&printable(&error_text));
        }
        cause = error.source();
    }
    text
}

fn list(lines: impl Iterator<Item = String>) -> String {
    lines.map(|line| format!("\n  {line}")).collect()
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    fn code_of(code: Code) -> u8 {
        let address = Address::parse("127.0.0.1:7420").unwrap();
        let error = anyhow::Error::from(Error::from_status(&address, Status::new(code, "so")));
        exit_code(&error.context("while listing"))
    }

    #[test]
    fn each_kind_of_failure_has_its_exit_code() {
        let cases = [
            (Code::NotFound, 4),
            (Code::Unavailable, 69),
            (Code::DeadlineExceeded, 69),
            (Code::InvalidArgument, 1),
            (Code::Aborted, 1),
            (Code::AlreadyExists, 1),
            (Code::FailedPrecondition, 1),
        ];
        for (code, expected) in cases {
            assert_eq!(code_of(code), expected, "{code:?}");
        }
        assert_eq!(Error::Usage("what".into()).exit_code(), 2);
        assert_eq!(exit_code(&anyhow::anyhow!("the disk is full")), 1);
    }

    #[test]
    fn every_refused_field_has_a_line() {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation("config.failure_decay", "too large");
        details.add_bad_request_violation("name", "a\u{1b}[31m");
        let status =
            Status::with_error_details(Code::InvalidArgument, "2 fields are refused", details);
        let address = Address::parse("127.0.0.1:7420").unwrap();
        assert_eq!(
            Error::from_status(&address, status).to_string(),
            "2 fields are refused\n  config.failure_decay: too large\n  name: a\\u{1b}[31m"
        );
    }

    #[test]
    fn what_a_message_sums_up_is_not_said_twice() {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation("name", "is empty");
        let status = Status::with_error_details(Code::InvalidArgument, "name: is empty", details);
        let expected = "the server refused the request\n  name: is empty";
        assert_eq!(describe(&status), expected);
    }
}
