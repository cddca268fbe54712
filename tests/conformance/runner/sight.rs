//! What the server shows of a breaker.

use breaker_proto::v1;
use breaker_tests::Clients;
use serde_json::{Map, Value, json};
use tonic::Code;

/// The names of what is shown.
pub(crate) const SHOWN: &[&str] = &[
    "exists",
    "state",
    "mode",
    "generation",
    "level",
    "failure_count",
    "consecutive_failures",
    "success_count",
    "permits_out",
    "total_calls",
    "successes",
    "failures",
    "timeouts",
    "ignored",
    "late",
    "denied",
    "last_failure_kind",
];

/// What the server shows of a breaker; of one that is not there, only that.
///
/// # Errors
/// If the server does not answer.
pub(crate) async fn of(clients: Clients, breaker: &str) -> anyhow::Result<Map<String, Value>> {
    let mut admin = clients.admin;
    match admin.get_breaker(v1::GetBreakerRequest { name: breaker.to_owned() }).await {
        Ok(answer) => Ok(shown(&answer.into_inner().breaker.unwrap_or_default())),
        Err(status) if status.code() == Code::NotFound => {
            Ok(Map::from_iter([("exists".to_owned(), json!(false))]))
        }
        Err(status) => Err(status.into()),
    }
}

/// The word of an enum's value, as clients write it.
pub(crate) fn word(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_lowercase()
}

fn shown(breaker: &v1::Breaker) -> Map<String, Value> {
    let state = breaker.state.clone().unwrap_or_default();
    let counts = breaker.counts.unwrap_or_default();
    let metrics = breaker.metrics.clone().unwrap_or_default();
    let facts = json!({
        "exists": true,
        "state": word(state.state().as_str_name(), "STATE_"),
        "mode": word(state.mode().as_str_name(), "MODE_"),
        "generation": state.generation,
        "level": state.level.map(|level| level.number),
        "failure_count": counts.failure_count,
        "consecutive_failures": counts.consecutive_failures,
        "success_count": counts.success_count,
        "permits_out": breaker.permits_out,
        "total_calls": metrics.total_calls,
        "successes": metrics.successes,
        "failures": metrics.failures,
        "timeouts": metrics.timeouts,
        "ignored": metrics.ignored,
        "late": metrics.late,
        "denied": metrics.denied,
        "last_failure_kind": metrics.last_failure_kind,
    });
    match facts {
        Value::Object(facts) => facts,
        _ => Map::new(),
    }
}
