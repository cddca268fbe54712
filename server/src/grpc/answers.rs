//! What the engine shows, as messages.

use breaker_core::{
    Attribution, Counts, Effective, Key, LastFailure, Level, Metrics, Override, Rates, Time,
    Totals, Violation,
};
use breaker_engine::{
    Acquired, BreakerOutline, BreakerStatus, BreakerView, Changed, Matched, TransitionRecord,
};
use breaker_proto::encoded::EncodedState;
use breaker_proto::v1;
use breaker_wire::{
    cause_to_message, config_to_message, duration_reason_to_message, duration_to_message,
    mode_to_message, on_unavailable_to_message, outcome_to_message, patch_to_message,
    source_to_message, state_to_message, threshold_reason_to_message, time_to_message,
};
use bytes::Bytes;

/// A status as watchers get it.
pub(crate) fn encode_status(status: &BreakerStatus) -> Bytes {
    EncodedState::new(&status_to_message(status)).into_bytes()
}

pub(crate) fn status_to_message(status: &BreakerStatus) -> v1::BreakerState {
    let config = Some(config_to_message(&status.config));
    v1::BreakerState { config, ..status_without_config(status) }
}

fn status_without_config(status: &BreakerStatus) -> v1::BreakerState {
    v1::BreakerState {
        name: status.name.to_string(),
        state: state_to_message(status.state).into(),
        mode: mode_to_message(status.mode).into(),
        generation: status.generation,
        revision: status.revision,
        since: Some(time_to_message(status.since)),
        retry_time: status.retry_at.map(time_to_message),
        override_expire_time: status.override_expires_at.map(time_to_message),
        config: None,
        effective: Some(effective_to_message(&status.effective)),
        admit_percent: status.admit_percent,
        level: status.level().map(|level| level_to_message(level, status.level_number)),
    }
}

fn effective_to_message(effective: &Effective) -> v1::EffectiveValues {
    v1::EffectiveValues {
        failure_threshold: effective.failure_threshold,
        threshold_reason: threshold_reason_to_message(effective.threshold_reason).into(),
        open_duration: Some(duration_to_message(effective.open_duration)),
        duration_reason: duration_reason_to_message(effective.duration_reason).into(),
        success_threshold: effective.success_threshold,
        max_probes: effective.max_probes,
    }
}

fn level_to_message(level: &Level, number: usize) -> v1::CurrentLevel {
    v1::CurrentLevel {
        name: level.name.clone(),
        number: u32::try_from(number).unwrap_or(u32::MAX),
        serve: level.serve.clone(),
    }
}

pub(crate) fn acquired_to_message(acquired: &Acquired) -> v1::AcquireResponse {
    use breaker_core::{AllowReason, Decision, DenyReason};
    use v1::AcquireReason;
    let (reason, retry_after) = match acquired.decision {
        Decision::Allowed(reason) => {
            let reason = match reason {
                AllowReason::Closed => AcquireReason::Closed,
                AllowReason::Probe(_) => AcquireReason::Probe,
                AllowReason::Ramp => AcquireReason::Ramp,
                AllowReason::ForcedClosed => AcquireReason::ForcedClosed,
                AllowReason::Disabled => AcquireReason::Disabled,
                AllowReason::Shadow => AcquireReason::Shadow,
            };
            (reason, None)
        }
        Decision::Denied { reason, retry_after } => {
            let reason = match reason {
                DenyReason::Open => AcquireReason::Open,
                DenyReason::NoPermit => AcquireReason::NoPermit,
                DenyReason::Ramp => AcquireReason::RampFull,
                DenyReason::ForcedOpen => AcquireReason::ForcedOpen,
            };
            (reason, retry_after)
        }
    };
    v1::AcquireResponse {
        allowed: acquired.decision.is_allowed(),
        reason: reason.into(),
        state: state_to_message(acquired.state).into(),
        mode: mode_to_message(acquired.mode).into(),
        generation: acquired.generation,
        revision: acquired.revision,
        permit: acquired.decision.permit().map(|permit| v1::Permit {
            id: permit.id.as_u64(),
            time_left: Some(duration_to_message(permit.deadline.since(acquired.now))),
        }),
        retry_after: retry_after.map(duration_to_message),
        level: acquired.level.as_ref().and_then(|current| {
            current.level().map(|level| level_to_message(level, current.number))
        }),
        settings: Some(v1::ClientSettings {
            call_timeout: Some(duration_to_message(acquired.call_timeout)),
            on_unavailable: on_unavailable_to_message(acquired.on_unavailable).into(),
            slow_call_duration: acquired.slow_call_duration.map(duration_to_message),
        }),
    }
}

pub(crate) fn view_to_message(view: &BreakerView) -> v1::Breaker {
    let BreakerView { status, breaker, now, .. } = view;
    v1::Breaker {
        name: status.name.to_string(),
        state: Some(status_to_message(status)),
        time_in_state: Some(duration_to_message(now.since(status.since))),
        retry_after: status.retry_at.map(|at| duration_to_message(at.since(*now))),
        r#override: breaker.override_in_force().map(override_to_message),
        counts: Some(counts_to_message(&breaker.counts(*now))),
        permits_out: breaker.probes().map_or(0, |probes| probes.out().len() as u32),
        metrics: Some(
            breaker.metrics().map(|metrics| metrics_to_message(metrics, *now)).unwrap_or_default(),
        ),
        own_config: Some(patch_to_message(&view.own_config)),
        config_sources: Key::ALL
            .into_iter()
            .map(|key| (key.as_str().to_owned(), source_to_message(view.sources.of(key)).into()))
            .collect(),
        etag: view.config_revision.to_string(),
        create_time: Some(time_to_message(view.created_at)),
        policy: view.policy.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
}

/// A breaker in `BREAKER_VIEW_BASIC`.
pub(crate) fn outline_to_message(outline: &BreakerOutline) -> v1::Breaker {
    let BreakerOutline { status, now, .. } = outline;
    let (rates, totals) = (&outline.rates, &outline.totals);
    v1::Breaker {
        name: status.name.to_string(),
        state: Some(status_without_config(status)),
        time_in_state: Some(duration_to_message(now.since(status.since))),
        retry_after: status.retry_at.map(|at| duration_to_message(at.since(*now))),
        r#override: outline.override_in_force.as_ref().map(override_to_message),
        permits_out: u32::try_from(outline.permits_out).unwrap_or(u32::MAX),
        metrics: Some(numbers_to_message(rates, totals, outline.last_failure.as_ref())),
        etag: outline.config_revision.to_string(),
        create_time: Some(time_to_message(outline.created_at)),
        policy: outline.policy.as_ref().map(ToString::to_string).unwrap_or_default(),
        ..v1::Breaker::default()
    }
}

pub(crate) fn warnings_to_messages(
    warnings: impl IntoIterator<Item = Violation>,
) -> Vec<v1::Warning> {
    let to_message =
        |Violation { field, description }: Violation| v1::Warning { field, description };
    warnings.into_iter().map(to_message).collect()
}

pub(crate) fn changed_to_message(changed: &Changed<Matched>) -> v1::ChangeResult {
    v1::ChangeResult {
        breakers: changed.result.breakers.iter().map(view_to_message).collect(),
        matched_count: u32::try_from(changed.result.count).unwrap_or(u32::MAX),
        durable: changed.is_durable,
    }
}

pub(crate) fn transition_to_message(record: &TransitionRecord) -> v1::Transition {
    let transition = &record.transition;
    let text = |part: fn(&Attribution) -> &str| part(&transition.by).to_owned();
    v1::Transition {
        id: record.id,
        breaker: record.breaker.to_string(),
        revision: record.revision,
        generation: transition.generation,
        from_state: state_to_message(transition.from).into(),
        to_state: state_to_message(transition.to).into(),
        from_mode: mode_to_message(transition.from_mode).into(),
        to_mode: mode_to_message(transition.to_mode).into(),
        cause: cause_to_message(transition.cause).into(),
        actor: text(Attribution::actor),
        reason: text(Attribution::reason),
        time: Some(time_to_message(transition.at)),
        counts: Some(counts_to_message(&transition.counts)),
        from_level: transition.from_level.as_deref().unwrap_or_default().to_owned(),
        to_level: transition.to_level.as_deref().unwrap_or_default().to_owned(),
    }
}

pub(crate) fn now_to_message(now: Time) -> Option<prost_types::Timestamp> {
    Some(time_to_message(now))
}

fn override_to_message(set: &Override) -> v1::Override {
    v1::Override {
        mode: mode_to_message(set.kind.mode()).into(),
        actor: set.by.actor().to_owned(),
        reason: set.by.reason().to_owned(),
        set_time: Some(time_to_message(set.set_at)),
        expire_time: set.expires_at.map(time_to_message),
    }
}

const fn counts_to_message(counts: &Counts) -> v1::Counts {
    v1::Counts {
        failure_count: counts.failure_count,
        consecutive_failures: counts.consecutive_failures,
        success_count: counts.success_count,
        window_calls: counts.window_calls,
        window_failures: counts.window_failures,
    }
}

fn metrics_to_message(metrics: &Metrics, now: Time) -> v1::Metrics {
    let numbers = numbers_to_message(&metrics.rates(now), metrics.totals(), metrics.last_failure());
    let last_outcomes =
        metrics.recent_calls().map(|call| outcome_to_message(call).into()).collect();
    v1::Metrics { last_outcomes, ..numbers }
}

/// The metrics without the last outcomes.
fn numbers_to_message(
    rates: &Rates,
    totals: &Totals,
    last_failure: Option<&LastFailure>,
) -> v1::Metrics {
    let kind = last_failure.and_then(LastFailure::error_kind);
    v1::Metrics {
        failure_rate: rates.failure_rate,
        success_rate: rates.success_rate,
        slow_rate: rates.slow_rate,
        average_response_time_ms: rates.average_response_time_ms,
        last_outcomes: Vec::new(),
        total_calls: totals.calls(),
        successes: totals.successes,
        failures: totals.failures,
        timeouts: totals.timeouts,
        ignored: totals.ignored,
        late: totals.late,
        denied: totals.denied,
        last_failure_time: last_failure.map(|failure| time_to_message(failure.at)),
        last_failure_kind: kind.unwrap_or_default().to_owned(),
    }
}
