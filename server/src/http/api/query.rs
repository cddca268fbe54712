//! The fields of a request that its query holds.

use breaker_core::Violation;
use prost_reflect::{DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use prost_reflect::{ReflectMessage as _, Value as Field};
use serde_json::{Map, Value};

use super::json::from_value;

const FIELD_MASK: &str = "google.protobuf.FieldMask";

/// Reads a message off a query. `takes` says which fields it may hold. A field with several values
/// is given several times, each with one.
pub(crate) fn from_query(
    kind: &MessageDescriptor,
    query: &str,
    takes: impl Fn(&str) -> bool,
) -> Result<DynamicMessage, Vec<Violation>> {
    let (mut fields, mut mask) = (Map::new(), None);
    let mut violations = Vec::new();
    for (key, text) in form_urlencoded::parse(query.as_bytes()) {
        let Some(field) = kind.get_field_by_name(&key).filter(|field| takes(field.name())) else {
            violations.push(Violation::new(&*key, unknown(kind, &takes)));
            continue;
        };
        if is_mask(&field) {
            let paths = text.split(',').filter(|path| !path.is_empty());
            let paths = paths.map(|path| Field::String(path.to_owned())).collect();
            mask = Some((field, paths));
            continue;
        }
        let value = match value_of(&field.kind(), &text) {
            Ok(value) => value,
            Err(description) => {
                violations.push(Violation::new(&*key, description));
                continue;
            }
        };
        let values = fields.entry(key).or_insert(Value::Array(Vec::new()));
        let Value::Array(values) = values else { continue };
        values.push(value);
    }
    for (key, values) in &mut fields {
        let is_list = kind.get_field_by_name(key).is_some_and(|field| field.is_list());
        if let Value::Array(all) = values
            && !is_list
        {
            match all.pop() {
                Some(value) if all.is_empty() => *values = value,
                _ => violations.push(Violation::new(key, "it is given more than once")),
            }
        }
    }
    if !violations.is_empty() {
        return Err(violations);
    }
    let texts = fields.clone();
    let mut message = from_value(kind, Value::Object(fields)).map_err(|violation| {
        let given = texts.get(violation.field.split('[').next().unwrap_or_default());
        let given = given.map_or(String::new(), |given| format!("; it is {given}"));
        vec![Violation::new(&violation.field, format!("{}{given}", violation.description))]
    })?;
    if let Some((field, paths)) = mask {
        set_mask(&mut message, &field, paths);
    }
    Ok(message)
}

/// Sets the field that a path holds.
pub(crate) fn set_path_field(
    message: &mut DynamicMessage,
    name: &str,
    text: &str,
) -> Result<(), Violation> {
    let kind = message.descriptor();
    let Some(field) = kind.get_field_by_name(name) else { return Ok(()) };
    let single = Map::from_iter([(name.to_owned(), Value::String(text.to_owned()))]);
    let parsed = from_value(&kind, Value::Object(single)).map_err(|violation| {
        Violation::new(name, format!("{}; it is `{text}`", violation.description))
    })?;
    let value = parsed.get_field(&field).into_owned();
    let is_other = message.has_field(&field) && *message.get_field(&field) != value;
    if is_other {
        let description = format!("the path says `{text}`; leave it out of the body");
        return Err(Violation::new(name, description));
    }
    message.set_field(&field, value);
    Ok(())
}

fn is_mask(field: &FieldDescriptor) -> bool {
    matches!(field.kind(), Kind::Message(kind) if kind.full_name() == FIELD_MASK)
}

/// In JSON the paths of a mask are in camel case, and `*` is none: they are set as they are.
fn set_mask(message: &mut DynamicMessage, field: &FieldDescriptor, paths: Vec<Field>) {
    if let Kind::Message(kind) = field.kind() {
        let mut mask = DynamicMessage::new(kind);
        mask.set_field_by_name("paths", Field::List(paths));
        message.set_field(field, Field::Message(mask));
    }
}

/// A value of a query as it stands in JSON.
fn value_of(kind: &Kind, text: &str) -> Result<Value, String> {
    match kind {
        Kind::Bool => match text {
            "true" | "1" => Ok(Value::Bool(true)),
            "false" | "0" => Ok(Value::Bool(false)),
            _ => Err(format!("`{text}` is neither true nor false")),
        },
        Kind::Enum(words) => word_of(words, text).map(Value::String),
        // Numbers may stand in quotes, and durations and times do.
        _ => Ok(Value::String(text.to_owned())),
    }
}

/// A word of an enum by its whole name, or by what it has for its own: `STATE_HALF_OPEN`,
/// `half_open`.
fn word_of(words: &EnumDescriptor, text: &str) -> Result<String, String> {
    let prefix = prefix_of(words);
    let wanted = text.to_ascii_uppercase();
    let known = words.values().map(|word| word.name().to_owned()).find(|name| {
        *name == wanted || name.strip_prefix(&prefix).is_some_and(|own| own == wanted)
    });
    known.ok_or_else(|| {
        let own = words.values().filter(|word| word.number() != 0);
        let own = own.map(|word| own_part(word.name(), &prefix).to_ascii_lowercase());
        format!("`{text}` is not known; there is {}", own.collect::<Vec<_>>().join(", "))
    })
}

/// What all words of an enum begin with: its first one is `…_UNSPECIFIED`.
fn prefix_of(words: &EnumDescriptor) -> String {
    let zero = words.default_value();
    zero.name().strip_suffix("UNSPECIFIED").unwrap_or_default().to_owned()
}

fn own_part<'n>(name: &'n str, prefix: &str) -> &'n str {
    name.strip_prefix(prefix).unwrap_or(name)
}

fn unknown(kind: &MessageDescriptor, takes: impl Fn(&str) -> bool) -> String {
    let known: Vec<_> =
        kind.fields().map(|field| field.name().to_owned()).filter(|name| takes(name)).collect();
    match known.as_slice() {
        [] => "there is no such parameter, and no other one".to_owned(),
        known => format!("there is no such parameter; there is {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use prost_reflect::DescriptorPool;

    use super::super::json::compact;
    use super::*;

    fn kind(name: &str) -> MessageDescriptor {
        let pool = DescriptorPool::decode(breaker_proto::FILE_DESCRIPTOR_SET).unwrap();
        pool.get_message_by_name(&format!("breaker.v1.{name}")).unwrap()
    }

    fn read(name: &str, query: &str) -> Result<Value, Vec<Violation>> {
        from_query(&kind(name), query, |_| true).map(|message| compact(&message).unwrap())
    }

    #[test]
    fn every_kind_of_field_can_be_given() {
        let list =
            "page_size=5&selector=pay%2F*&states=STATE_OPEN&states=half_open&order=latest_change";
        let expected = serde_json::json!({
            "page_size": 5,
            "selector": "pay/*",
            "states": ["STATE_OPEN", "STATE_HALF_OPEN"],
            "order": "BREAKER_ORDER_LATEST_CHANGE",
        });
        assert_eq!(read("ListBreakersRequest", list), Ok(expected));
        let delete = read("DeleteBreakerRequest", "etag=7&require_durable=true");
        assert_eq!(delete, Ok(serde_json::json!({ "etag": "7", "require_durable": true })));
        let history = read("ListTransitionsRequest", "start_time=2026-01-02T03:04:05Z");
        assert_eq!(history.unwrap()["start_time"], "2026-01-02T03:04:05Z");
        let watch = read("WatchTransitionsRequest", "after=18446744073709551615");
        assert_eq!(watch.unwrap()["after"], "18446744073709551615");
        let mask = from_query(
            &kind("UpdateBreakerRequest"),
            "update_mask=open_duration,failure_rate",
            |name| name == "update_mask",
        );
        let mask: prost_types::FieldMask = mask
            .unwrap()
            .get_field_by_name("update_mask")
            .and_then(|field| field.as_message()?.transcode_to().ok())
            .unwrap();
        assert_eq!(mask.paths, ["open_duration", "failure_rate"]);
    }

    #[test]
    fn what_cannot_be_understood_is_named_with_its_value() {
        for (query, field, said) in [
            ("page_sise=1", "page_sise", "page_size"),
            ("page_size=many", "page_size", "many"),
            ("page_size=-1", "page_size", "-1"),
            ("page_size=1&page_size=2", "page_size", "more than once"),
            ("states=opened", "states", "closed, open, half_open"),
            ("order=", "order", "latest_change"),
        ] {
            let violations = read("ListBreakersRequest", query).unwrap_err();
            assert_eq!(violations[0].field, field, "{violations:?}");
            assert!(violations[0].description.contains(said), "{violations:?}");
        }
        let time = read("ListTransitionsRequest", "start_time=yesterday").unwrap_err();
        assert!(time[0].description.contains("yesterday"), "{time:?}");
        let none = from_query(&kind("TripRequest"), "target=a", |_| false).unwrap_err();
        assert!(none[0].description.contains("no other one"), "{none:?}");
    }

    #[test]
    fn the_path_has_the_last_word_and_no_quarrel_with_the_body() {
        let request = kind("UpdateBreakerRequest");
        let mut message = DynamicMessage::new(request);
        set_path_field(&mut message, "name", "a/b").unwrap();
        set_path_field(&mut message, "name", "a/b").unwrap();
        assert_eq!(set_path_field(&mut message, "name", "a/c").unwrap_err().field, "name");
        let mut message = DynamicMessage::new(kind("AcknowledgeAlertRequest"));
        set_path_field(&mut message, "id", "12").unwrap();
        assert_eq!(compact(&message).unwrap()["id"], "12");
        let error = set_path_field(&mut message, "id", "twelve").unwrap_err();
        assert!(error.description.contains("twelve"), "{error}");
    }
}
