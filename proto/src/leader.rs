//! Who leads: what a server that stands by says in the details of its UNAVAILABLE.
//!
//! Server and clients take the words from here, so that they cannot drift apart. Clients in other
//! languages read them in the comments of `breaker/v1/service.proto`.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The `domain` of the ErrorInfo, as in every ErrorInfo of breakerd.
pub const DOMAIN: &str = "breakerd.dev";
/// The `reason` of the ErrorInfo.
pub const REASON: &str = "NOT_LEADER";
/// The key in the ErrorInfo's `metadata` under which the leader's address stands, `host:port`. It
/// is not there while nobody leads.
pub const KEY: &str = "leader";

/// What a server that stands by answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotLeader {
    /// Where the leader listens, `host:port`; `None` while nobody leads. It is a hint, and may be
    /// of a leader that has gone.
    pub leader: Option<String>,
    /// When to ask again, if nobody else is there to be asked.
    pub retry_delay: Option<Duration>,
}

impl NotLeader {
    /// Reads an answer; `None` if it is of another kind.
    pub fn of(status: &Status) -> Option<Self> {
        if status.code() != Code::Unavailable {
            return None;
        }
        let details = status.get_error_details();
        let info = details.error_info()?;
        if info.reason != REASON || info.domain != DOMAIN {
            return None;
        }
        let leader = info.metadata.get(KEY).filter(|leader| !leader.is_empty()).cloned();
        let retry_delay = details.retry_info().and_then(|info| info.retry_delay);
        Some(Self { leader, retry_delay })
    }
}

/// The answer of a server that stands by to every request, and the end of its streams.
pub fn not_leader(leader: Option<&str>, retry_delay: Duration) -> Status {
    let mut details = ErrorDetails::new();
    let metadata = leader.map(|leader| (KEY.to_owned(), leader.to_owned()));
    details.set_error_info(REASON, DOMAIN, metadata.into_iter().collect::<HashMap<_, _>>());
    details.set_retry_info(Some(retry_delay));
    let message = match leader {
        Some(leader) => format!("this server stands by; the one that leads is {leader}"),
        None => "this server stands by, and no server leads at the moment".to_owned(),
    };
    Status::with_error_details(Code::Unavailable, message, details)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Duration = Duration::from_millis(250);

    #[test]
    fn what_a_server_writes_a_client_reads() {
        for leader in [Some("breakerd-1:7420"), None] {
            let expected =
                NotLeader { leader: leader.map(str::to_owned), retry_delay: Some(RETRY) };
            assert_eq!(NotLeader::of(&not_leader(leader, RETRY)), Some(expected));
        }
    }

    #[test]
    fn another_answer_is_not_taken_for_it() {
        let with = |code, reason: &str, domain: &str| {
            let metadata = [(KEY.to_owned(), "a:1".to_owned())];
            let details = ErrorDetails::with_error_info(reason, domain, metadata);
            NotLeader::of(&Status::with_error_details(code, "so", details))
        };
        assert!(with(Code::Unavailable, REASON, DOMAIN).is_some());
        assert_eq!(with(Code::Unavailable, "DRAINING", DOMAIN), None);
        assert_eq!(with(Code::Unavailable, REASON, "example.com"), None);
        assert_eq!(with(Code::FailedPrecondition, REASON, DOMAIN), None);
        assert_eq!(NotLeader::of(&Status::unavailable("connection refused")), None);
    }

    #[test]
    fn an_empty_address_names_nobody() {
        let not_leader = NotLeader::of(&not_leader(Some(""), RETRY));
        assert_eq!(not_leader.and_then(|it| it.leader), None);
    }
}
