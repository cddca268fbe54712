//! Messages as JSON: proto3's own, with the names of the proto fields.

use breaker_core::Violation;
use prost_reflect::{DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions};
use serde::Deserializer;
use serde_json::Value;
use serde_path_to_error::{Deserializer as Tracked, Track};

/// How an error begins that is about a field which the message does not have.
const UNKNOWN: &str = "unrecognized field name '";

/// A message as it is answered: fields with default values are written, what is not set is not.
pub(crate) fn to_json(message: &DynamicMessage) -> Result<Vec<u8>, serde_json::Error> {
    let mut json = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut json);
    let options = SerializeOptions::new().use_proto_field_name(true).skip_default_fields(false);
    message.serialize_with_options(&mut serializer, &options)?;
    Ok(json)
}

/// A message without its default values.
pub(crate) fn compact(message: &DynamicMessage) -> Result<Value, serde_json::Error> {
    let options = SerializeOptions::new().use_proto_field_name(true);
    message.serialize_with_options(serde_json::value::Serializer, &options)
}

/// Reads the body of a request.
pub(crate) fn from_bytes(
    kind: &MessageDescriptor,
    body: &[u8],
) -> Result<DynamicMessage, Violation> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let message = read(kind, &mut deserializer)?;
    let rest = deserializer.end();
    rest.map_err(|error| Violation::new("body", format!("after the message: {error}")))?;
    Ok(message)
}

/// Reads a message from a value.
pub(crate) fn from_value(
    kind: &MessageDescriptor,
    value: Value,
) -> Result<DynamicMessage, Violation> {
    read(kind, value)
}

fn read<'de, D>(kind: &MessageDescriptor, deserializer: D) -> Result<DynamicMessage, Violation>
where
    D: Deserializer<'de, Error = serde_json::Error>,
{
    let mut track = Track::new();
    let tracked = Tracked::new(deserializer, &mut track);
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let read = DynamicMessage::deserialize_with_options(kind.clone(), tracked, &options);
    read.map_err(|error| {
        let (place, description) = (track.path().to_string(), error.to_string());
        Violation::new(field_of(&place, &description), description)
    })
}

/// The field that an error is about. Of one that is not known the place is that of its message.
fn field_of(place: &str, description: &str) -> String {
    let unknown = description.strip_prefix(UNKNOWN).and_then(|rest| rest.split_once('\''));
    match (place, unknown) {
        (".", None) => "body".to_owned(),
        (".", Some((field, _))) => field.to_owned(),
        (place, None) => place.to_owned(),
        (place, Some((field, _))) => format!("{}.{field}", place.trim_end_matches(".?")),
    }
}
