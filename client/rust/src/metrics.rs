//! What the client tells the `metrics` facade, where the feature is on.
//!
//! Nothing here is on the path of a CLOSED breaker's calls: successes are counted when they are
//! taken to be reported.

use crate::admission::DenyReason;
use crate::runs::Run;
use crate::state::ClientState;

/// A call was denied.
#[cfg_attr(not(feature = "metrics"), allow(unused_variables, clippy::missing_const_for_fn))]
pub(crate) fn denied(breaker: &str, reason: DenyReason) {
    #[cfg(feature = "metrics")]
    metrics::counter!("breaker_client_denied_calls_total", "breaker" => breaker.to_owned(), "reason" => reason.as_str())
        .increment(1);
}

/// Calls have ended.
#[cfg_attr(not(feature = "metrics"), allow(unused_variables, clippy::missing_const_for_fn))]
pub(crate) fn ended(breaker: &str, run: &Run) {
    #[cfg(feature = "metrics")]
    {
        use breaker_core::Outcome;

        let outcome = match run.outcome {
            Outcome::Success => "success",
            Outcome::Failure => "failure",
            Outcome::Timeout => "timeout",
            Outcome::Ignored => "ignored",
        };
        metrics::counter!("breaker_client_calls_total", "breaker" => breaker.to_owned(), "outcome" => outcome)
            .increment(run.count.into());
    }
}

/// Outcomes were given up.
#[cfg_attr(not(feature = "metrics"), allow(unused_variables, clippy::missing_const_for_fn))]
pub(crate) fn given_up(calls: u64) {
    #[cfg(feature = "metrics")]
    metrics::counter!("breaker_client_outcomes_given_up_total").increment(calls);
}

/// The client is in this state.
#[cfg_attr(not(feature = "metrics"), allow(unused_variables, clippy::missing_const_for_fn))]
pub(crate) fn entered(state: ClientState) {
    #[cfg(feature = "metrics")]
    for other in [ClientState::Ready, ClientState::Stale, ClientState::Fallback] {
        let is_in = if other == state { 1.0 } else { 0.0 };
        metrics::gauge!("breaker_client_state", "state" => other.as_str()).set(is_in);
    }
}
