//! Messages as JSON, one object for each. The keys are those of the protocol; a value that is not
//! there is `null`, so that every object of a kind has the same keys.

use std::collections::BTreeMap;

use breaker_proto::v1;
use breaker_wire::{alerts_from_message, alerts_to_value, patch_from_message, patch_to_value};
use serde_json::{Map, Value, json};

use crate::time::{duration_text, time_text};
use crate::words::word;

/// A breaker: the keys of its state, and more beside them.
pub(crate) fn breaker(breaker: &v1::Breaker) -> Value {
    let sources: BTreeMap<_, _> = breaker
        .config_sources
        .iter()
        .map(|(key, &source)| (key, word::<v1::ConfigSource>(source)))
        .collect();
    let more = json!({
        "name": breaker.name,
        "time_in_state": breaker.time_in_state.as_ref().and_then(duration_text),
        "retry_after": breaker.retry_after.as_ref().and_then(duration_text),
        "override": breaker.r#override.as_ref().map(override_in_force),
        "counts": breaker.counts.as_ref().map(counts),
        "permits_out": breaker.permits_out,
        "metrics": breaker.metrics.as_ref().map(metrics),
        "policy": breaker.policy,
        "own_config": breaker.own_config.as_ref().map(config),
        "config_sources": sources,
        "etag": breaker.etag,
        "create_time": breaker.create_time.as_ref().and_then(time_text),
    });
    merged(state(&breaker.state.clone().unwrap_or_default()), more)
}

/// A policy.
pub(crate) fn policy(policy: &v1::Policy) -> Value {
    json!({
        "name": policy.name,
        "selector": policy.selector,
        "priority": policy.priority,
        "config": policy.config.as_ref().map(config),
        "alerts": policy.alerts.as_ref().and_then(alerts),
        "etag": policy.etag,
        "create_time": policy.create_time.as_ref().and_then(time_text),
        "update_time": policy.update_time.as_ref().and_then(time_text),
        "breaker_count": policy.breaker_count,
    })
}

/// An alert.
pub(crate) fn alert(alert: &v1::Alert) -> Value {
    let seen = |seen: &v1::Acknowledgement| {
        json!({
            "actor": seen.actor,
            "comment": seen.comment,
            "time": seen.time.as_ref().and_then(time_text),
        })
    };
    json!({
        "id": alert.id,
        "revision": alert.revision,
        "rule": word::<v1::AlertRule>(alert.rule),
        "severity": word::<v1::AlertSeverity>(alert.severity),
        "state": word::<v1::AlertState>(alert.state),
        "breaker": alert.breaker,
        "summary": alert.summary,
        "start_time": alert.start_time.as_ref().and_then(time_text),
        "end_time": alert.end_time.as_ref().and_then(time_text),
        "notify_time": alert.notify_time.as_ref().and_then(time_text),
        "repeat_count": alert.repeat_count,
        "acknowledgement": alert.acknowledgement.as_ref().map(seen),
    })
}

fn alerts(message: &v1::AlertRules) -> Option<Value> {
    alerts_from_message(message).ok().map(|rules| alerts_to_value(&rules))
}

/// How the configuration of a breaker comes about.
pub(crate) fn explanation(message: &v1::ExplainConfigResponse) -> Value {
    let value = |explained: &v1::ExplainedValue| {
        json!({
            "key": explained.key,
            "value": value_of(Some(&explained.value)),
            "source": word::<v1::ConfigSource>(explained.source),
            "policy": explained.policy,
        })
    };
    json!({
        "name": message.name,
        "exists": message.exists,
        "policies": message.policies.iter().map(policy).collect::<Vec<_>>(),
        "policy": message.policy,
        "config": message.config.as_ref().map(config),
        "values": message.values.iter().map(value).collect::<Vec<_>>(),
    })
}

/// What was applied, or would be.
pub(crate) fn applied(message: &v1::ApplyResponse) -> Value {
    let value = |changed: &v1::ChangedValue| {
        let [old, new] = [&changed.old_value, &changed.new_value].map(|v| value_of(v.as_ref()));
        json!({ "key": changed.key, "old": old, "new": new })
    };
    let change = |change: &v1::AppliedChange| {
        json!({
            "kind": word::<v1::AppliedKind>(change.kind),
            "name": change.name,
            "action": word::<v1::AppliedAction>(change.action),
            "values": change.values.iter().map(value).collect::<Vec<_>>(),
        })
    };
    let warning = |warning: &v1::Warning| json!({ "field": warning.field, "description": warning.description });
    json!({
        "changes": message.changes.iter().map(change).collect::<Vec<_>>(),
        "warnings": message.warnings.iter().map(warning).collect::<Vec<_>>(),
        "durable": message.durable,
    })
}

/// A value that the protocol carries as JSON.
fn value_of(text: Option<&String>) -> Value {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null)
}

/// A state as clients see it.
pub(crate) fn state(state: &v1::BreakerState) -> Value {
    json!({
        "name": state.name,
        "state": word::<v1::State>(state.state),
        "mode": word::<v1::Mode>(state.mode),
        "generation": state.generation,
        "revision": state.revision,
        "since": state.since.as_ref().and_then(time_text),
        "retry_time": state.retry_time.as_ref().and_then(time_text),
        "override_expire_time": state.override_expire_time.as_ref().and_then(time_text),
        "config": state.config.as_ref().map(config),
        "effective": state.effective.as_ref().map(effective),
        "admit_percent": state.admit_percent,
        "level": state.level.as_ref().map(level),
    })
}

/// A transition.
pub(crate) fn transition(transition: &v1::Transition) -> Value {
    json!({
        "id": transition.id,
        "breaker": transition.breaker,
        "revision": transition.revision,
        "generation": transition.generation,
        "from_state": word::<v1::State>(transition.from_state),
        "to_state": word::<v1::State>(transition.to_state),
        "from_mode": word::<v1::Mode>(transition.from_mode),
        "to_mode": word::<v1::Mode>(transition.to_mode),
        "cause": word::<v1::Cause>(transition.cause),
        "actor": transition.actor,
        "reason": transition.reason,
        "time": transition.time.as_ref().and_then(time_text),
        "counts": transition.counts.as_ref().map(counts),
        "from_level": transition.from_level,
        "to_level": transition.to_level,
    })
}

/// One object with the keys of both.
pub(crate) fn merged(first: Value, second: Value) -> Value {
    let keys = [first, second].into_iter().flat_map(|value| match value {
        Value::Object(keys) => keys,
        _ => Map::new(),
    });
    Value::Object(keys.collect())
}

/// A configuration with the keys and values of a file; `null` for one of a newer server that this
/// breakerctl does not understand.
fn config(message: &v1::BreakerConfig) -> Value {
    patch_from_message(message).map_or(Value::Null, |patch| patch_to_value(&patch))
}

fn effective(effective: &v1::EffectiveValues) -> Value {
    json!({
        "failure_threshold": effective.failure_threshold,
        "threshold_reason": word::<v1::ThresholdReason>(effective.threshold_reason),
        "open_duration": effective.open_duration.as_ref().and_then(duration_text),
        "duration_reason": word::<v1::DurationReason>(effective.duration_reason),
        "success_threshold": effective.success_threshold,
        "max_probes": effective.max_probes,
    })
}

fn level(level: &v1::CurrentLevel) -> Value {
    json!({ "name": level.name, "number": level.number, "serve": level.serve })
}

fn override_in_force(message: &v1::Override) -> Value {
    json!({
        "mode": word::<v1::Mode>(message.mode),
        "actor": message.actor,
        "reason": message.reason,
        "set_time": message.set_time.as_ref().and_then(time_text),
        "expire_time": message.expire_time.as_ref().and_then(time_text),
    })
}

fn counts(counts: &v1::Counts) -> Value {
    json!({
        "failure_count": counts.failure_count,
        "consecutive_failures": counts.consecutive_failures,
        "success_count": counts.success_count,
        "window_calls": counts.window_calls,
        "window_failures": counts.window_failures,
    })
}

fn metrics(metrics: &v1::Metrics) -> Value {
    let last: Vec<_> = metrics.last_outcomes.iter().map(|&o| word::<v1::Outcome>(o)).collect();
    json!({
        "failure_rate": metrics.failure_rate,
        "success_rate": metrics.success_rate,
        "slow_rate": metrics.slow_rate,
        "average_response_time_ms": metrics.average_response_time_ms,
        "last_outcomes": last,
        "total_calls": metrics.total_calls,
        "successes": metrics.successes,
        "failures": metrics.failures,
        "timeouts": metrics.timeouts,
        "ignored": metrics.ignored,
        "late": metrics.late,
        "denied": metrics.denied,
        "last_failure_time": metrics.last_failure_time.as_ref().and_then(time_text),
        "last_failure_kind": metrics.last_failure_kind,
    })
}

#[cfg(test)]
mod tests;
