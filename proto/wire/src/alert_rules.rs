//! The rules of alerts: as messages, and in files.

use std::time::Duration;

use breaker_core::{AlertKey, AlertPatch, AlertRules, Flapping, Violation};
use breaker_proto::v1;
use serde_json::{Map, Value, json};

use crate::config_value::{Reader, duration_text};
use crate::rule_messages;
use crate::rule_values::Table;
use crate::time::duration_to_message;

/// A message as a patch.
///
/// # Errors
/// Every value that was refused.
pub fn alerts_from_message(message: &v1::AlertRules) -> Result<AlertPatch, Vec<Violation>> {
    let mut reader = rule_messages::Reader::default();
    let mut rule = |field: &str, value: &Option<prost_types::Duration>| {
        reader.duration(field, value.as_ref()).map(on_unless_zero)
    };
    let patch = AlertPatch {
        state_change: message.state_change,
        prolonged_outage: rule("prolonged_outage", &message.prolonged_outage),
        forced_too_long: rule("forced_too_long", &message.forced_too_long),
        reporters_lost: rule("reporters_lost", &message.reporters_lost),
        repeat_after: rule("repeat_after", &message.repeat_after),
        flapping: message.flapping.as_ref().map(|flapping| {
            let within = reader.duration("flapping.within", flapping.within.as_ref());
            let within = within.unwrap_or_default();
            (flapping.count != 0).then_some(Flapping { count: flapping.count, within })
        }),
    };
    if reader.0.is_empty() { checked(patch) } else { Err(reader.0) }
}

/// A patch as a message: values that are not set stay unset.
pub fn alerts_to_message(patch: &AlertPatch) -> v1::AlertRules {
    let duration = |value: Option<Option<Duration>>| {
        value.map(|value| duration_to_message(value.unwrap_or_default()))
    };
    v1::AlertRules {
        state_change: patch.state_change,
        prolonged_outage: duration(patch.prolonged_outage),
        flapping: patch.flapping.map(|flapping| match flapping {
            Some(Flapping { count, within }) => {
                v1::Flapping { count, within: Some(duration_to_message(within)) }
            }
            None => v1::Flapping::default(),
        }),
        forced_too_long: duration(patch.forced_too_long),
        reporters_lost: duration(patch.reporters_lost),
        repeat_after: duration(patch.repeat_after),
    }
}

/// Reads rules from a tree. `null` leaves a value unset, as leaving out its key does; `false` turns a
/// rule off.
///
/// # Errors
/// Every key that was refused.
pub fn alerts_from_value(value: &Value) -> Result<AlertPatch, Vec<Violation>> {
    let Value::Object(table) = value else {
        return Err(vec![Violation::new("alerts", "must be a table of keys")]);
    };
    let mut reader = Reader::default();
    let mut patch = AlertPatch::default();
    for (name, value) in table.iter().filter(|(_, value)| !value.is_null()) {
        match AlertKey::from_name(name) {
            Some(AlertKey::StateChange) => match value.as_bool() {
                Some(is_on) => patch.state_change = Some(is_on),
                None => reader.refuse(name, format!("{value} is not true or false")),
            },
            Some(AlertKey::ProlongedOutage) => patch.prolonged_outage = reader.rule(name, value),
            Some(AlertKey::Flapping) => patch.flapping = reader.flapping(value),
            Some(AlertKey::ForcedTooLong) => patch.forced_too_long = reader.rule(name, value),
            Some(AlertKey::ReportersLost) => patch.reporters_lost = reader.rule(name, value),
            Some(AlertKey::RepeatAfter) => patch.repeat_after = reader.rule(name, value),
            None => {
                let known = AlertKey::ALL.map(AlertKey::as_str).join(", ");
                reader.refuse(name, format!("unknown key; the keys are {known}"));
            }
        }
    }
    if reader.violations.is_empty() { checked(patch) } else { Err(reader.violations) }
}

/// A patch as a tree that [`alerts_from_value`] reads back.
pub fn alerts_to_value(patch: &AlertPatch) -> Value {
    let keys = AlertKey::ALL.into_iter().filter(|key| patch.sets(*key));
    let entry = |key: AlertKey| (key.as_str().to_owned(), alert_value(key, patch));
    Value::Object(keys.map(entry).collect::<Map<_, _>>())
}

/// One settled value of rules, as it stands in a file.
pub fn alert_rule_value(key: AlertKey, rules: &AlertRules) -> Value {
    alert_value(key, &rules.to_patch())
}

fn alert_value(key: AlertKey, patch: &AlertPatch) -> Value {
    let duration = |value: Option<Option<Duration>>| {
        value.map_or(Value::Null, |value| {
            value.map_or(Value::Bool(false), |value| duration_text(value).into())
        })
    };
    match key {
        AlertKey::StateChange => patch.state_change.into(),
        AlertKey::ProlongedOutage => duration(patch.prolonged_outage),
        AlertKey::Flapping => match patch.flapping {
            Some(Some(Flapping { count, within })) => {
                json!({ "count": count, "within": duration_text(within) })
            }
            Some(None) => Value::Bool(false),
            None => Value::Null,
        },
        AlertKey::ForcedTooLong => duration(patch.forced_too_long),
        AlertKey::ReportersLost => duration(patch.reporters_lost),
        AlertKey::RepeatAfter => duration(patch.repeat_after),
    }
}

fn on_unless_zero(duration: Duration) -> Option<Duration> {
    (!duration.is_zero()).then_some(duration)
}

fn checked(patch: AlertPatch) -> Result<AlertPatch, Vec<Violation>> {
    patch.check().map(|()| patch)
}

impl Reader {
    /// A duration, or `false` for a rule that is off.
    fn rule(&mut self, field: &str, value: &Value) -> Option<Option<Duration>> {
        if *value == Value::Bool(false) {
            return Some(None);
        }
        self.duration(field, value).map(on_unless_zero)
    }

    fn flapping(&mut self, value: &Value) -> Option<Option<Flapping>> {
        if *value == Value::Bool(false) {
            return Some(None);
        }
        let example = "{ count = 5, within = \"10m\" }";
        let mut table = Table::open(self, "flapping", value, example)?;
        let (count, within) = (table.number("count"), table.duration("within"));
        table.close();
        let (count, within) = (count?, within?);
        Some((count != 0).then_some(Flapping { count, within }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_survive_the_way_through_messages_and_files() {
        let all = AlertRules::default().to_patch();
        let off = AlertPatch {
            state_change: Some(false),
            prolonged_outage: Some(None),
            flapping: Some(None),
            forced_too_long: Some(None),
            reporters_lost: Some(None),
            repeat_after: Some(None),
        };
        for patch in [AlertPatch::default(), all, off] {
            assert_eq!(alerts_from_message(&alerts_to_message(&patch)), Ok(patch));
            assert_eq!(alerts_from_value(&alerts_to_value(&patch)), Ok(patch));
        }
        let text = alerts_to_value(&all).to_string();
        assert!(text.contains(r#""flapping":{"count":5,"within":"10m"}"#), "{text}");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let value = json!({
            "prolonged_outage": "soon",
            "flapping": { "count": 1, "within": "10m", "often": true },
            "state_change": "yes",
            "colour": 1,
        });
        let violations = alerts_from_value(&value).unwrap_err();
        let mut fields: Vec<_> = violations.into_iter().map(|violation| violation.field).collect();
        fields.sort_unstable();
        assert_eq!(fields, ["colour", "flapping.often", "prolonged_outage", "state_change"]);
        let out_of_range = json!({ "flapping": { "count": 1, "within": "10m" } });
        assert_eq!(alerts_from_value(&out_of_range).unwrap_err()[0].field, "flapping.count");
    }
}
