//! What the monitor shows, as messages.

use breaker_core::{Mode, StateKind, Time};
use breaker_engine::{
    ActivitySample, BusyBreaker, CallRates, Engine, FleetCounts, HeardReporter, UnhealthyBreaker,
};
use breaker_proto::v1;
use breaker_wire::{duration_to_message, mode_to_message, state_to_message, time_to_message};

pub(super) fn summary_to_message(namespace: &str, counts: &FleetCounts) -> v1::HealthSummary {
    v1::HealthSummary {
        namespace: namespace.to_owned(),
        breakers: counts.breakers(),
        closed: counts.in_state(StateKind::Closed),
        open: counts.in_state(StateKind::Open),
        half_open: counts.in_state(StateKind::HalfOpen),
        normal: counts.in_mode(Mode::Normal),
        forced_open: counts.in_mode(Mode::ForcedOpen),
        forced_closed: counts.in_mode(Mode::ForcedClosed),
        disabled: counts.in_mode(Mode::Disabled),
        shadow: counts.in_mode(Mode::Shadow),
        health_percent: counts.health_percent(),
        unhealthy: counts.unhealthy(),
    }
}

pub(super) fn unhealthy_to_message(breaker: &UnhealthyBreaker) -> v1::UnhealthyBreaker {
    v1::UnhealthyBreaker {
        breaker: breaker.name.to_string(),
        state: state_to_message(breaker.state).into(),
        mode: mode_to_message(breaker.mode).into(),
        failure_rate: breaker.failure_rate,
        time_in_state: Some(duration_to_message(breaker.time_in_state)),
        retry_after: breaker.retry_after.map(duration_to_message),
        level: breaker.level.clone().unwrap_or_default(),
    }
}

pub(super) fn busy_to_message(breaker: &BusyBreaker) -> v1::BusyBreaker {
    v1::BusyBreaker {
        breaker: breaker.name.to_string(),
        state: state_to_message(breaker.state).into(),
        mode: mode_to_message(breaker.mode).into(),
        rates: Some(rates_to_message(&breaker.rates)),
        failure_rate: breaker.failure_rate,
        average_response_time_ms: breaker.average_response_time_ms,
    }
}

pub(super) const fn rates_to_message(rates: &CallRates) -> v1::Rates {
    v1::Rates { calls: rates.calls, failures: rates.failures, denied: rates.denied }
}

pub(super) fn sample_to_message(sample: &ActivitySample) -> v1::ActivitySample {
    v1::ActivitySample {
        time: Some(time_to_message(sample.at)),
        successes: sample.successes.into(),
        failures: sample.failures.into(),
        timeouts: sample.timeouts.into(),
        denied: sample.denied.into(),
        failure_rate: sample.failure_rate,
        slow_rate: sample.slow_rate,
        average_response_time_ms: sample.average_response_time_ms,
    }
}

pub(super) fn reporter_to_message(reporter: &HeardReporter, now: Time) -> v1::BreakerReporter {
    v1::BreakerReporter {
        reporter_id: reporter.id.to_string(),
        last_report_age: Some(duration_to_message(now.since(reporter.last_report))),
        calls: reporter.calls,
    }
}

/// How storage is doing.
pub(super) fn storage_of(engine: &Engine) -> v1::StorageHealth {
    let failing = engine.storage_status().borrow().failing.clone();
    v1::StorageHealth {
        degraded: failing.is_some(),
        failing_for: failing
            .as_ref()
            .map(|failing| duration_to_message(engine.now().since(failing.since))),
        error: failing.map(|failing| failing.error).unwrap_or_default(),
        waiting_breakers: engine.waiting_breakers() as u64,
        waiting_transitions: engine.waiting_transitions() as u64,
    }
}
