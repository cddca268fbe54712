//! The description of the JSON API: made of the table of its routes and the comments of the protocol,
//! so that it can say nothing else than what is served.

mod schemas;

use prost_reflect::MethodDescriptor;
use serde_json::{Map, Value, json};

use self::schemas::{Schemas, comment, reference};
use super::api::{Fields, PREFIX, Route, Rpc};

/// What is said of the whole.
const ABOUT: &str = "The RPCs of `breaker.v1` as JSON: proto3's JSON with the names of the proto \
     fields. `uint64` and `int64` are strings, durations are such as `\"0.250s\"`, times are RFC \
     3339, bytes are base64. Fields with default values are written, what is not set is left out.\n\n\
     A request that is not a GET needs `content-type: application/json`; where a browser sends an \
     `Origin`, it must be this server. With `http_access = \"read\"` the server answers requests that \
     would change something with 403.";

/// The whole description, of these requests.
pub(crate) fn describe(table: &[(&Route, Rpc)]) -> Value {
    let mut schemas = Schemas::default();
    for (route, rpc) in table {
        if route.fields() != Fields::Query {
            schemas.add_request(&rpc.method().input());
        }
    }
    let mut paths = Map::new();
    for (route, rpc) in table {
        let path = paths.entry(format!("{PREFIX}{}", route.template));
        let path = path.or_insert_with(|| json!({}));
        path[route.verb.word().to_ascii_lowercase()] = operation(route, rpc.method(), &mut schemas);
    }
    paths.insert(format!("{PREFIX}server"), server());
    paths.insert(format!("{PREFIX}events"), events());
    paths.insert(format!("{PREFIX}openapi.json"), itself());
    schemas.insert("Error", error());
    schemas.insert("Server", server_schema());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "breakerd",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas.finish(),
            "responses": { "Error": {
                "description": "What was wrong, with the details of the gRPC status. With \
                    `Retry-After` where asking again can help.",
                "content": { "application/json": { "schema": reference("Error") } },
            }},
        },
    })
}

fn operation(route: &Route, method: &MethodDescriptor, schemas: &mut Schemas) -> Value {
    let description =
        comment(method.parent_service().parent_file().file_descriptor_proto(), method.path());
    let (service, name) = route.rpc.split_once('.').unwrap_or((route.rpc, route.rpc));
    let mut operation = json!({
        "operationId": name,
        "tags": [service],
        "summary": first_sentence(&description),
        "description": description,
        "responses": { "200": answer(method, schemas), "default": error_response() },
    });
    let parameters = parameters(route, method, schemas);
    if !parameters.is_empty() {
        operation["parameters"] = Value::Array(parameters);
    }
    if route.fields() != Fields::Query {
        operation["requestBody"] = json!({
            "required": true,
            "content": {
                "application/json": { "schema": schemas.message(&method.input()) },
            },
        });
    }
    operation
}

fn answer(method: &MethodDescriptor, schemas: &mut Schemas) -> Value {
    let output = method.output();
    let schema = schemas.message(&output);
    if method.is_server_streaming() {
        return json!({
            "description": "Server-sent events: the data of each is one message. One named \
                `error`, with the body of an error, is the last.",
            "content": { "text/event-stream": { "schema": { "type": "string" } } },
            "x-event-schema": schema,
        });
    }
    let description = comment(output.parent_file_descriptor_proto(), output.path());
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}

/// What stands in the path and in the query.
fn parameters(route: &Route, method: &MethodDescriptor, schemas: &mut Schemas) -> Vec<Value> {
    let (fields, in_path) = (route.fields(), route.path_field());
    let input = method.input();
    let is_parameter = |name: &str| {
        in_path == Some(name)
            || fields == Fields::Query
            || fields == Fields::BodyAndMask && name == "update_mask"
    };
    let wanted = input.fields().filter(|field| is_parameter(field.name()));
    wanted
        .map(|field| {
            let is_in_path = in_path == Some(field.name());
            json!({
                "name": field.name(),
                "in": if is_in_path { "path" } else { "query" },
                "required": is_in_path,
                "description": comment(input.parent_file_descriptor_proto(), field.path()),
                "schema": schemas.field(&field),
            })
        })
        .collect()
}

fn error_response() -> Value {
    json!({ "$ref": "#/components/responses/Error" })
}

fn error() -> Value {
    json!({
        "type": "object",
        "description": "Why a request was refused.",
        "required": ["error"],
        "properties": { "error": {
            "type": "object",
            "required": ["code", "status", "message", "details"],
            "properties": {
                "code": { "type": "integer", "description": "The status of HTTP." },
                "status": { "type": "string", "description": "The code of gRPC: `NOT_FOUND`." },
                "message": { "type": "string", "description": "What was wrong, and what to do." },
                "details": {
                    "type": "array",
                    "description": "Messages of `google.rpc`: BadRequest names every bad field, \
                        ErrorInfo says the reason (`NOT_LEADER`), RetryInfo when to ask again, \
                        QuotaFailure which limit was met.",
                    "items": {
                        "type": "object",
                        "required": ["@type"],
                        "properties": { "@type": { "type": "string" } },
                    },
                },
            },
        }},
    })
}

fn server_schema() -> Value {
    json!({
        "type": "object",
        "description": "What a page has to know of the server.",
        "required": ["version", "writable", "leading", "leader"],
        "properties": {
            "version": { "type": "string" },
            "writable": {
                "type": "boolean",
                "description": "Whether requests over HTTP may change anything.",
            },
            "leading": {
                "type": "boolean",
                "description": "Whether this server leads. One that stands by answers with 503.",
            },
            "leader": {
                "type": ["string", "null"],
                "description": "Where the server that leads listens for gRPC, if it is known.",
            },
        },
    })
}

fn server() -> Value {
    let content = json!({ "application/json": { "schema": reference("Server") } });
    get("GetServer", "Who this server is, and what may be done with it.", &content)
}

fn events() -> Value {
    let content = json!({ "text/event-stream": { "schema": { "type": "string" } } });
    get(
        "Events",
        "What has changed, for dashboards, as server-sent events: `hello`; `changes` with the \
         breakers that have changed (as BREAKER_VIEW_BASIC gives them) and the names of those that \
         are gone; `dashboard`, a GetDashboardResponse; `health`, a GetHealthSummaryResponse with 50 \
         namespaces at most and without the unhealthy; `alerts` with those that have changed; \
         `resync` when something was missed, and lists are to be loaded anew; `error` at the end.",
        &content,
    )
}

fn itself() -> Value {
    let content = json!({ "application/json": { "schema": { "type": "object" } } });
    get("GetOpenApi", "This description.", &content)
}

fn get(name: &str, description: &str, content: &Value) -> Value {
    json!({ "get": {
        "operationId": name,
        "tags": ["Server"],
        "summary": first_sentence(description),
        "description": description,
        "responses": {
            "200": { "description": description, "content": content },
            "default": error_response(),
        },
    }})
}

fn first_sentence(text: &str) -> &str {
    let end = text.find(". ").or_else(|| text.find(".\n"));
    end.map_or(text, |end| &text[..=end])
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::http::api::{protocol, table};

    fn described() -> Value {
        describe(&table(&protocol().unwrap()).unwrap())
    }

    #[test]
    fn the_file_in_the_tree_is_what_is_served() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto/openapi.json");
        let described = format!("{:#}\n", described());
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            fs::write(&path, &described).unwrap();
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == described,
            "proto/openapi.json is not up to date: run this test with UPDATE_OPENAPI=1"
        );
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn check(value: &Value, whole: &Value, count: &mut usize) {
            match value {
                Value::Object(fields) => {
                    if let Some(Value::String(target)) = fields.get("$ref") {
                        let pointer = target.trim_start_matches('#');
                        assert!(whole.pointer(pointer).is_some(), "{target} leads nowhere");
                        *count += 1;
                    }
                    fields.values().for_each(|value| check(value, whole, count));
                }
                Value::Array(values) => values.iter().for_each(|value| check(value, whole, count)),
                _ => {}
            }
        }
        let (described, mut count) = (described(), 0);
        check(&described, &described, &mut count);
        assert!(count > 100, "{count} references were looked at");
    }

    #[test]
    fn nothing_is_without_a_word_about_it() {
        let described = described();
        let paths = described["paths"].as_object().unwrap();
        for operation in paths.values().flat_map(|path| path.as_object().unwrap().values()) {
            assert_ne!(operation["summary"], "", "{operation}");
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert_ne!(parameter["description"], "", "{parameter}");
            }
        }
    }
}
