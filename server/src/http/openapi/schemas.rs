//! Messages and enums of the protocol as JSON schemas.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::prost_types::FileDescriptorProto;
use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

/// The schemas that were needed so far, by name.
#[derive(Default)]
pub(super) struct Schemas {
    known: BTreeMap<String, Value>,
    /// Messages that requests hold: of these nothing has to be there, and nothing unknown may be.
    requests: BTreeSet<String>,
}

impl Schemas {
    /// Notes that a message is a request, with all that it holds. To be done before any is used.
    pub(super) fn add_request(&mut self, message: &MessageDescriptor) {
        if !self.requests.insert(message.full_name().to_owned()) {
            return;
        }
        for field in message.fields() {
            if let Kind::Message(inner) = field.kind() {
                self.add_request(&inner);
            }
        }
    }

    /// Adds a schema that is no message.
    pub(super) fn insert(&mut self, name: &str, schema: Value) {
        self.known.insert(name.to_owned(), schema);
    }

    /// All of them.
    pub(super) fn finish(self) -> BTreeMap<String, Value> {
        self.known
    }

    /// The schema of a message.
    pub(super) fn message(&mut self, message: &MessageDescriptor) -> Value {
        match message.full_name() {
            "google.protobuf.Duration" => json!({
                "type": "string",
                "pattern": "^-?[0-9]+(\\.[0-9]+)?s$",
                "examples": ["0.250s"],
            }),
            "google.protobuf.Timestamp" => json!({ "type": "string", "format": "date-time" }),
            "google.protobuf.FieldMask" => json!({
                "type": "string",
                "description": "Paths of fields, with commas between them.",
            }),
            _ => {
                self.define_message(message);
                reference(message.name())
            }
        }
    }

    fn define_message(&mut self, message: &MessageDescriptor) {
        if self.known.contains_key(message.name()) {
            return;
        }
        // A message that holds one of its own kind finds itself known.
        self.known.insert(message.name().to_owned(), Value::Null);
        let file = message.parent_file_descriptor_proto();
        let is_request = self.requests.contains(message.full_name());
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for field in message.fields() {
            let mut schema = self.field(&field);
            schema["description"] = comment(file, field.path()).into();
            properties.insert(field.name().to_owned(), schema);
            if !field.supports_presence() {
                required.push(field.name().to_owned());
            }
        }
        let mut schema = json!({
            "type": "object",
            "description": comment(file, message.path()),
            "properties": properties,
        });
        if is_request {
            schema["additionalProperties"] = false.into();
        } else if !required.is_empty() {
            schema["required"] = required.into();
        }
        self.known.insert(message.name().to_owned(), schema);
    }

    /// The schema of a field, of a message or of its own in a path or a query.
    pub(super) fn field(&mut self, field: &FieldDescriptor) -> Value {
        if field.is_map()
            && let Kind::Message(entry) = field.kind()
        {
            let values = self.kind(&entry.map_entry_value_field().kind());
            return json!({ "type": "object", "additionalProperties": values });
        }
        let schema = self.kind(&field.kind());
        if field.is_list() { json!({ "type": "array", "items": schema }) } else { schema }
    }

    fn kind(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::String => json!({ "type": "string" }),
            Kind::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
            Kind::Double | Kind::Float => json!({ "type": "number" }),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
                json!({ "type": "integer", "format": "int32" })
            }
            Kind::Uint32 | Kind::Fixed32 => {
                json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX })
            }
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
                json!({ "type": "string", "pattern": "^-?[0-9]+$" })
            }
            Kind::Uint64 | Kind::Fixed64 => json!({ "type": "string", "pattern": "^[0-9]+$" }),
            Kind::Enum(words) => {
                self.define_enum(words);
                reference(words.name())
            }
            Kind::Message(message) => self.message(message),
        }
    }

    fn define_enum(&mut self, words: &EnumDescriptor) {
        if self.known.contains_key(words.name()) {
            return;
        }
        let file = words.parent_file_descriptor_proto();
        let names: Vec<_> = words.values().map(|word| word.name().to_owned()).collect();
        let lines = words
            .values()
            .map(|word| format!("- `{}`: {}", word.name(), comment(file, word.path())))
            .collect::<Vec<_>>();
        let description = format!("{}\n\n{}", comment(file, words.path()), lines.join("\n"));
        let schema = json!({ "type": "string", "enum": names, "description": description });
        self.known.insert(words.name().to_owned(), schema);
    }
}

/// A schema by its name. In OpenAPI 3.1 a description may stand beside it.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// The comment on a part of a file, as Markdown: its lines are joined, its paragraphs are not.
pub(super) fn comment(file: &FileDescriptorProto, path: &[i32]) -> String {
    let locations = file.source_code_info.as_ref().map(|info| info.location.as_slice());
    let location = locations.unwrap_or_default().iter().find(|location| location.path == path);
    let comment = location.map(|location| location.leading_comments()).unwrap_or_default();
    let lines = comment.lines().map(str::trim).filter(|line| !line.starts_with("buf:lint"));
    let mut text = String::with_capacity(comment.len());
    for line in lines {
        match line {
            "" => text.push_str("\n\n"),
            line => {
                if !text.is_empty() && !text.ends_with('\n') {
                    text.push(' ');
                }
                text.push_str(line);
            }
        }
    }
    text.trim().to_owned()
}
