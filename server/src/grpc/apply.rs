//! Apply: policies and breakers' own configurations, as a file says they are to be.

use std::collections::btree_map::{BTreeMap, Entry};
use std::sync::Arc;

use breaker_core::{AlertKey, AlertPatch, BreakerName, ConfigPatch, Key};
use breaker_engine::{
    Change, Changed, Engine, EngineError, MAX_POLICIES, Others, PolicyName, PolicySpec, Selector,
    Wanted,
};
use breaker_proto::v1;
use breaker_wire::{alerts_to_value, patch_from_message, patch_to_value};
use serde_json::Value;
use tonic::Status;

use super::answers::warnings_to_messages;
use super::configs::alerts;
use super::error::to_status;
use super::requests::{Check, attribution, durability};

const MAX_BREAKERS: usize = 10_000;

pub(crate) async fn apply(
    engine: &Arc<Engine>,
    request: v1::ApplyRequest,
) -> Result<v1::ApplyResponse, Status> {
    let mut check = Check::default();
    let fields = ["actor", "reason"];
    let by = attribution(&mut check, fields, &request.actor, &request.reason);
    let wanted = wanted(&mut check, &request);
    if !check.is_passed() {
        // What can be understood is checked too, so that the answer names everything.
        let plan = engine.plan(Wanted { others: Others::Keep, ..wanted.clone() }).await;
        if let Err(EngineError::Invalid(more)) = plan {
            check.extend(more);
        }
    }
    let by = check.finish(by)?;
    if request.validate_only {
        let (changes, warnings) = engine.plan(wanted).await.map_err(to_status)?;
        return Ok(to_message(Changed { result: changes, is_durable: false, warnings }));
    }
    tracing::info!(
        policies = wanted.policies.len(),
        breakers = wanted.breakers.len(),
        others = ?wanted.others,
        actor = by.actor(),
        reason = by.reason(),
        "an admin applies a configuration"
    );
    let applied = engine.reconcile(wanted, durability(request.require_durable)).await;
    applied.map(to_message).map_err(to_status)
}

fn wanted(check: &mut Check, request: &v1::ApplyRequest) -> Wanted {
    let (policies, breakers) = (&request.policies, &request.breakers);
    check.at_most("policies", "policies", policies.len(), MAX_POLICIES);
    check.at_most("breakers", "breakers", breakers.len(), MAX_BREAKERS);
    let others = if request.prune { Others::Prune } else { Others::Keep };
    let mut wanted = Wanted { others, ..Wanted::default() };
    for (index, message) in policies.iter().enumerate().take(MAX_POLICIES) {
        let place = format!("policies[{index}]");
        let name = check.value(|| format!("{place}.name"), PolicyName::new(&message.name));
        let spec = policy(check, &place, message);
        if let Some((name, spec)) = name.zip(spec) {
            put(check, &mut wanted.policies, name, spec, place);
        }
    }
    for (index, message) in breakers.iter().enumerate().take(MAX_BREAKERS) {
        let place = format!("breakers[{index}]");
        let name = check.value(|| format!("{place}.name"), BreakerName::new(&message.name));
        let own = config(check, &place, message.config.as_ref());
        if let Some((name, own)) = name.zip(own) {
            put(check, &mut wanted.breakers, name, own, place);
        }
    }
    wanted
}

fn policy(check: &mut Check, place: &str, message: &v1::PolicySpec) -> Option<PolicySpec> {
    let selector = check.value(|| format!("{place}.selector"), Selector::parse(&message.selector));
    let config = config(check, place, message.config.as_ref());
    let alerts = alerts(check, &format!("{place}.alerts"), message.alerts.as_ref());
    let priority = message.priority;
    Some(PolicySpec { selector: selector?, priority, config: config?, alerts: alerts? })
}

fn config(
    check: &mut Check,
    place: &str,
    message: Option<&v1::BreakerConfig>,
) -> Option<ConfigPatch> {
    let Some(message) = message else { return Some(ConfigPatch::default()) };
    let within = format!("{place}.config");
    patch_from_message(message)
        .map_err(|violations| check.extend(violations.into_iter().map(|v| v.within(&within))))
        .ok()
}

/// Takes in what a name is to be, which only one place may say.
fn put<K: Ord, V>(
    check: &mut Check,
    all: &mut BTreeMap<K, (V, String)>,
    name: K,
    value: V,
    place: String,
) {
    match all.entry(name) {
        Entry::Vacant(entry) => drop(entry.insert((value, place))),
        Entry::Occupied(entry) => {
            let (_, first) = entry.get();
            let description = format!("{first} has the same name; name it once");
            check.refuse(format!("{place}.name"), description);
        }
    }
}

fn to_message(applied: Changed<Vec<Change>>) -> v1::ApplyResponse {
    v1::ApplyResponse {
        changes: applied.result.iter().map(change_to_message).collect(),
        warnings: warnings_to_messages(applied.warnings),
        durable: applied.is_durable,
    }
}

fn change_to_message(change: &Change) -> v1::AppliedChange {
    let (kind, name, old, new) = match change {
        Change::Policy(name, old, new) => {
            let [old, new] = [old, new].map(|spec| spec.as_ref().map(policy_values));
            (v1::AppliedKind::Policy, name.to_string(), old, new)
        }
        Change::Breaker(name, old, new) => {
            let old = old.as_ref().map(config_values);
            (v1::AppliedKind::Breaker, name.to_string(), old, Some(config_values(new)))
        }
    };
    let action = match (&old, &new) {
        (None, _) => v1::AppliedAction::Created,
        (_, None) => v1::AppliedAction::Deleted,
        (old, new) if old == new => v1::AppliedAction::Unchanged,
        _ => v1::AppliedAction::Updated,
    };
    let values = differing(&old.unwrap_or_default(), &new.unwrap_or_default());
    v1::AppliedChange { kind: kind.into(), name, action: action.into(), values }
}

/// Values by their fields, in the order in which people read them.
type Values = Vec<(String, Value)>;

fn policy_values(spec: &PolicySpec) -> Values {
    let mut values = vec![
        ("selector".to_owned(), Value::from(spec.selector.as_str())),
        ("priority".to_owned(), Value::from(spec.priority)),
    ];
    values.extend(config_values(&spec.config));
    values.extend(alert_values(&spec.alerts));
    values
}

fn alert_values(alerts: &AlertPatch) -> Values {
    let values = alerts_to_value(alerts);
    let value =
        |key: AlertKey| Some((format!("alerts.{}", key.as_str()), values.get(key.as_str())?));
    AlertKey::ALL.into_iter().filter_map(value).map(|(key, value)| (key, value.clone())).collect()
}

fn config_values(config: &ConfigPatch) -> Values {
    let values = patch_to_value(config);
    let value = |key: Key| Some((format!("config.{}", key.as_str()), values.get(key.as_str())?));
    Key::ALL.into_iter().filter_map(value).map(|(key, value)| (key, value.clone())).collect()
}

fn differing(old: &Values, new: &Values) -> Vec<v1::ChangedValue> {
    let value_in = |values: &Values, key: &str| {
        values.iter().find(|(field, _)| field == key).map(|(_, value)| value.to_string())
    };
    let gone = old.iter().filter(|(key, _)| value_in(new, key).is_none());
    let fields = new.iter().chain(gone).map(|(key, _)| v1::ChangedValue {
        key: key.clone(),
        old_value: value_in(old, key),
        new_value: value_in(new, key),
    });
    fields.filter(|value| value.old_value != value.new_value).collect()
}
