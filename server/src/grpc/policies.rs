//! Policies: what requests say of them, and what they look like in answers.

use std::sync::Arc;

use breaker_core::{AlertKey, BreakerName, Key, Source};
use breaker_engine::{
    Engine, Explanation, PolicyName, PolicyRow, PolicySpec, PolicyUpdate, PolicyView, Selector,
};
use breaker_proto::v1;
use breaker_wire::{
    alert_rule_value, alerts_to_message, config_to_message, patch_to_message, patch_to_value,
    source_to_message, time_to_message,
};
use tonic::Status;

use super::answers::warnings_to_messages;
use super::configs::{alerts, etag, key_names, patch, set_keys};
use super::error::{draining, to_status};
use super::page_token;
use super::requests::{Check, durability, name, page_size};

pub(crate) async fn get(
    engine: &Arc<Engine>,
    request: &v1::GetPolicyRequest,
) -> Result<v1::GetPolicyResponse, Status> {
    let mut check = Check::default();
    let name = policy_name(&mut check, &request.name);
    let name = check.finish(name)?;
    let policy = off_the_workers(engine, move |engine| engine.policy(&name)).await?;
    let policy = policy.map_err(to_status)?;
    Ok(v1::GetPolicyResponse { policy: Some(view_to_message(&policy)) })
}

pub(crate) async fn list(
    engine: &Arc<Engine>,
    request: &v1::ListPoliciesRequest,
) -> Result<v1::ListPoliciesResponse, Status> {
    let mut check = Check::default();
    let limit = page_size(&mut check, request.page_size);
    let after = check.checked(page_token::to_policy(&request.page_token)).flatten();
    check.finish(Some(()))?;
    let look = move |engine: &Engine| engine.list_policies(after.as_ref(), limit);
    let page = off_the_workers(engine, look).await?;
    Ok(v1::ListPoliciesResponse {
        policies: page.policies.iter().map(view_to_message).collect(),
        next_page_token: page.next.as_ref().map(page_token::from_policy).unwrap_or_default(),
    })
}

pub(crate) async fn create(
    engine: &Arc<Engine>,
    request: v1::CreatePolicyRequest,
) -> Result<v1::CreatePolicyResponse, Status> {
    let mut check = Check::default();
    let name = policy_name(&mut check, &request.name);
    let selector = selector(&mut check, &request.selector);
    let config = patch(&mut check, &request.config.unwrap_or_default());
    if let Some(Err(violations)) = config.as_ref().map(|c| engine.check_policy_config(c)) {
        check.extend(violations.into_iter().map(|violation| violation.within("config")));
    }
    let alerts = alerts(&mut check, "alerts", request.alerts.as_ref());
    let said = selector.zip(config).zip(alerts);
    let (name, ((selector, config), alerts)) = check.finish(name.zip(said))?;
    let spec = PolicySpec { selector, priority: request.priority, config, alerts };
    let created = engine.create_policy(name, spec, durability(request.require_durable)).await;
    let created = created.map_err(to_status)?;
    Ok(v1::CreatePolicyResponse {
        policy: Some(view_to_message(&created.result)),
        durable: created.is_durable,
        warnings: warnings_to_messages(created.warnings),
    })
}

pub(crate) async fn update(
    engine: &Arc<Engine>,
    request: v1::UpdatePolicyRequest,
) -> Result<v1::UpdatePolicyResponse, Status> {
    let mut check = Check::default();
    let name = policy_name(&mut check, &request.name);
    let etag = etag(&mut check, &request.etag);
    let durability = durability(request.require_durable);
    let update = policy_update(&mut check, request);
    let name = check.finish(name)?;
    let updated = engine.update_policy(&name, update, etag, durability).await;
    let updated = updated.map_err(to_status)?;
    Ok(v1::UpdatePolicyResponse {
        policy: Some(view_to_message(&updated.result)),
        durable: updated.is_durable,
        warnings: warnings_to_messages(updated.warnings),
    })
}

pub(crate) async fn delete(
    engine: &Arc<Engine>,
    request: &v1::DeletePolicyRequest,
) -> Result<v1::DeletePolicyResponse, Status> {
    let mut check = Check::default();
    let name = policy_name(&mut check, &request.name);
    let etag = etag(&mut check, &request.etag);
    let name = check.finish(name)?;
    let deleted = engine.delete_policy(&name, etag, durability(request.require_durable)).await;
    Ok(v1::DeletePolicyResponse { durable: deleted.map_err(to_status)?.is_durable })
}

pub(crate) fn explain(
    engine: &Engine,
    request: &v1::ExplainConfigRequest,
) -> Result<v1::ExplainConfigResponse, Status> {
    let name = name("name", &request.name)?;
    Ok(explanation_to_message(&name, &engine.explain(&name)))
}

/// Runs what goes to every breaker, to count those of each policy, where it keeps no call waiting.
async fn off_the_workers<R: Send + 'static>(
    engine: &Arc<Engine>,
    look: impl FnOnce(&Engine) -> R + Send + 'static,
) -> Result<R, Status> {
    let engine = Arc::clone(engine);
    tokio::task::spawn_blocking(move || look(&engine)).await.map_err(|_| draining())
}

fn policy_name(check: &mut Check, text: &str) -> Option<PolicyName> {
    check.value(|| "name".to_owned(), PolicyName::new(text))
}

fn selector(check: &mut Check, text: &str) -> Option<Selector> {
    check.value(|| "selector".to_owned(), Selector::parse(text))
}

/// What an update is about: the paths of its mask, or without one the fields that are set.
fn policy_update(check: &mut Check, request: v1::UpdatePolicyRequest) -> PolicyUpdate {
    let values = patch(check, &request.config.unwrap_or_default()).unwrap_or_default();
    let mask = request.update_mask.map(|mask| mask.paths).unwrap_or_default();
    let alerts = alerts(check, "alerts", request.alerts.as_ref()).unwrap_or_default();
    let mut update = PolicyUpdate { values, alerts, ..PolicyUpdate::default() };
    let mut takes_selector = mask.is_empty() && !request.selector.is_empty();
    let mut takes_priority = mask.is_empty() && request.priority.is_some();
    if mask.is_empty() {
        update.keys = set_keys(&update.values);
        update.alert_keys = AlertKey::ALL.into_iter().filter(|key| alerts.sets(*key)).collect();
    }
    for (index, path) in mask.iter().enumerate() {
        let key = path.strip_prefix("config.").and_then(Key::from_name);
        let alert_key = path.strip_prefix("alerts.").and_then(AlertKey::from_name);
        match (path.as_str(), key, alert_key) {
            ("selector", ..) => takes_selector = true,
            ("priority", ..) => takes_priority = true,
            ("config", ..) => update.keys.extend(Key::ALL),
            ("alerts", ..) => update.alert_keys.extend(AlertKey::ALL),
            (_, Some(key), _) => update.keys.push(key),
            (_, _, Some(key)) => update.alert_keys.push(key),
            ("*", ..) => {
                (takes_selector, takes_priority) = (true, true);
                update.keys.extend(Key::ALL);
                update.alert_keys.extend(AlertKey::ALL);
            }
            _ => {
                let description = format!(
                    "{path:?} is not a field; the fields are selector, priority, config, alerts, \
                     `*`, `config.` with a key, which are {}, and `alerts.` with one of {}",
                    key_names(),
                    AlertKey::ALL.map(AlertKey::as_str).join(", ")
                );
                check.refuse(format!("update_mask.paths[{index}]"), description);
            }
        }
    }
    if takes_selector {
        update.selector = selector(check, &request.selector);
    }
    if takes_priority {
        update.priority = Some(request.priority.unwrap_or_default());
    }
    update
}

fn view_to_message(view: &PolicyView) -> v1::Policy {
    let breaker_count = u32::try_from(view.breaker_count).unwrap_or(u32::MAX);
    v1::Policy { breaker_count, ..row_to_message(&view.row) }
}

fn row_to_message(row: &PolicyRow) -> v1::Policy {
    v1::Policy {
        name: row.name.to_string(),
        selector: row.spec.selector.as_str().to_owned(),
        priority: row.spec.priority,
        config: Some(patch_to_message(&row.spec.config)),
        etag: row.revision.to_string(),
        create_time: Some(time_to_message(row.created_at)),
        update_time: row.updated_at.map(time_to_message),
        breaker_count: 0,
        alerts: Some(alerts_to_message(&row.spec.alerts)),
    }
}

fn explanation_to_message(
    name: &BreakerName,
    explanation: &Explanation,
) -> v1::ExplainConfigResponse {
    let policies = &explanation.policies;
    let policy = policies.first().map(|best| best.name.to_string()).unwrap_or_default();
    let values = patch_to_value(&explanation.config.to_patch());
    let explained = |key: String, value: String, source: Source| v1::ExplainedValue {
        key,
        value,
        source: source_to_message(source).into(),
        policy: if source == Source::Policy { policy.clone() } else { String::new() },
    };
    let value = |key: Key| {
        let value = values.get(key.as_str()).map(ToString::to_string).unwrap_or_default();
        explained(key.as_str().to_owned(), value, explanation.sources.of(key))
    };
    let alert_value = |(key, source): &(AlertKey, Source)| {
        let value = alert_rule_value(*key, &explanation.alerts).to_string();
        explained(format!("alerts.{}", key.as_str()), value, *source)
    };
    let alert_values = explanation.alert_sources.iter().map(alert_value);
    v1::ExplainConfigResponse {
        name: name.to_string(),
        exists: explanation.exists,
        policies: policies.iter().map(row_to_message).collect(),
        config: Some(config_to_message(&explanation.config)),
        values: Key::ALL.into_iter().map(value).chain(alert_values).collect(),
        alerts: Some(alerts_to_message(&explanation.alerts.to_patch())),
        policy,
    }
}
