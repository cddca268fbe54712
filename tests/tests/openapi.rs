//! The description of the JSON API against what a running server answers.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use breaker_tests::Daemon;
use breaker_tests::web::{Web, answer};
use jsonschema::Validator;
use reqwest::Method;
use serde_json::{Map, Value, json};

/// The description, and which of its operations were checked.
struct Described {
    whole: Value,
    components: Value,
    checked: BTreeSet<String>,
}

impl Described {
    fn new(whole: Value) -> Self {
        let mut components = whole["components"].clone();
        forbid_more(&mut components["schemas"]);
        Self { whole, components, checked: BTreeSet::new() }
    }

    /// The operation of a request: its path in the description, and what is said of it.
    fn operation(&self, method: &str, path: &str) -> anyhow::Result<&Value> {
        let path = path.split('?').next().unwrap_or_default();
        let paths = self.whole["paths"].as_object().context("there are paths")?;
        let exact = paths.get(&format!("/api/v1/{path}"));
        let found = exact.or_else(|| {
            let matching = paths.iter().find(|(template, described)| {
                described.get(method).is_some() && is_of(template, &format!("/api/v1/{path}"))
            });
            matching.map(|(_, described)| described)
        });
        let found = found.and_then(|described| described.get(method));
        found.with_context(|| format!("{method} {path} is not described"))
    }

    /// A validator for a schema that may refer to all others.
    fn validator(&self, schema: &Value) -> anyhow::Result<Validator> {
        let whole = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "allOf": [schema],
            "components": self.components,
        });
        Ok(jsonschema::validator_for(&whole)?)
    }

    fn check(&mut self, method: &str, path: &str, code: u16, got: &Value) -> anyhow::Result<()> {
        let operation = self.operation(method, path)?.clone();
        let name = operation["operationId"].as_str().unwrap_or_default().to_owned();
        let schema = match code {
            200 if operation["responses"]["200"].get("x-event-schema").is_some() => {
                operation["responses"]["200"]["x-event-schema"].clone()
            }
            200 => operation["responses"]["200"]["content"]["application/json"]["schema"].clone(),
            _ => json!({ "$ref": "#/components/schemas/Error" }),
        };
        let validator = self.validator(&schema)?;
        let wrong: Vec<_> = validator
            .iter_errors(got)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        ensure!(wrong.is_empty(), "{method} {path} ({code}): {wrong:?}\n{got:#}");
        self.checked.insert(name);
        Ok(())
    }

    fn operations(&self) -> BTreeSet<String> {
        let paths = self.whole["paths"].as_object().into_iter().flat_map(Map::values);
        let operations = paths.filter_map(Value::as_object).flat_map(Map::values);
        operations.filter_map(|one| one["operationId"].as_str().map(str::to_owned)).collect()
    }
}

/// Lets nothing through that is not described, as the description itself does only for requests.
fn forbid_more(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.values_mut().for_each(forbid_more);
            if fields.contains_key("properties") && fields.get("type") == Some(&json!("object")) {
                // The details of an error are messages of every kind.
                let is_detail = fields["properties"].get("@type").is_some();
                fields.entry("additionalProperties").or_insert(Value::Bool(is_detail));
            }
        }
        Value::Array(values) => values.iter_mut().for_each(forbid_more),
        _ => {}
    }
}

/// Whether a path is one of a template.
fn is_of(template: &str, path: &str) -> bool {
    let Some((before, rest)) = template.split_once('{') else { return false };
    let after = rest.split_once('}').map_or("", |(_, after)| after);
    path.strip_prefix(before)
        .and_then(|rest| rest.strip_suffix(after))
        .is_some_and(|middle| !middle.is_empty() && !middle.contains(':'))
}

#[tokio::test]
async fn every_answer_is_as_it_is_described() -> anyhow::Result<()> {
    let server = Daemon::start_on("memory:", [] as [&str; 0])?;
    let web = Web::of(&server.http);
    let (code, whole) = web.get("openapi.json").await?;
    assert_eq!((code, &whole["openapi"]), (200, &json!("3.1.0")));
    let kept = include_str!("../../proto/openapi.json");
    assert_eq!(whole, serde_json::from_str::<Value>(kept)?, "the file in the tree is another one");
    let mut described = Described::new(whole);

    let levels = json!({
        "name": "pay/levels",
        "config": { "failure_threshold": 1, "levels": {}, "ramp": { "percents": [5], "step": "1s" } },
    });
    let target = |selector: &str| json!({ "target": { "selector": selector, "actor": "ann" } });
    let failures = json!([{ "outcome": "OUTCOME_FAILURE", "count": 9, "error_kind": "http.503" }]);
    let requests = [
        ("post", "breakers", levels),
        ("post", "breakers", json!({ "name": "pay/own", "config": { "max_probes": 1_000 } })),
        ("post", "breakers", json!({ "name": "pay/own" })),
        ("post", "acquire", json!({ "breaker": "pay/levels" })),
        ("post", "report", json!({ "reports": [{ "breaker": "pay/levels", "runs": failures }] })),
        ("post", "report", json!({ "reports": [{ "breaker": "pay/levels", "runs": [{}] }] })),
        ("post", "acquire", json!({ "breaker": "pay/levels" })),
        ("get", "breakers", Value::Null),
        ("get", "breakers?view=basic&order=failure_rate", Value::Null),
        ("get", "breakers/pay/levels", Value::Null),
        ("get", "breakers/pay/nobody", Value::Null),
        ("patch", "breakers/pay/own?update_mask=*", json!({ "config": {} })),
        ("post", "breakers:batchGet", json!({ "names": ["pay/own", "pay/levels"] })),
        ("post", "breakers:forceOpen", {
            let mut force = target("pay/*");
            force["time_to_live"] = "60s".into();
            force
        }),
        ("post", "breakers:forceClose", target("pay/*")),
        ("post", "breakers:disable", target("pay/*")),
        ("post", "breakers:shadow", target("pay/*")),
        ("post", "breakers:trip", target("pay/own")),
        ("post", "breakers:release", target("pay/*")),
        ("post", "breakers:reset", target("pay/*")),
        ("post", "policies", json!({ "name": "pay", "selector": "pay/*", "config": {} })),
        ("get", "policies", Value::Null),
        ("get", "policies/pay", Value::Null),
        ("patch", "policies/pay", json!({ "priority": 3 })),
        ("get", "config/pay/own", Value::Null),
        (
            "post",
            "apply",
            json!({ "policies": [{ "name": "all", "selector": "**" }], "prune": true }),
        ),
        ("get", "transitions", Value::Null),
        ("get", "transitions?page_size=0&causes=tripped", Value::Null),
        ("get", "health", Value::Null),
        ("get", "dashboard?limit=5", Value::Null),
        ("get", "activity/pay/own", Value::Null),
        ("get", "alerts", Value::Null),
        ("post", "alerts/7:acknowledge", json!({ "actor": "ann", "comment": "seen" })),
        ("delete", "policies/all", Value::Null),
        ("delete", "breakers/pay/own", Value::Null),
        ("get", "server", Value::Null),
        ("get", "openapi.json", Value::Null),
    ];
    for (method, path, body) in requests {
        let verb: Method = method.to_uppercase().parse()?;
        let (code, got) = match body {
            Value::Null => answer(web.request(verb, path)).await?,
            body => web.send(verb, path, &body).await?,
        };
        assert!(code < 500, "{method} {path} was answered with {code}: {got}");
        described.check(method, path, code, &got)?;
    }
    for path in ["watch", "transitions:watch?after=0", "alerts:watch?after=0"] {
        let first = web.events(path).await?.named("message").await?;
        described.check("get", path, 200, &first)?;
    }
    described.operation("get", "events")?;
    described.checked.insert("Events".to_owned());
    let missing: Vec<_> = described.operations().difference(&described.checked).cloned().collect();
    assert!(missing.is_empty(), "nobody has asked for {missing:?}");
    Ok(())
}

#[test]
fn what_is_not_described_does_not_pass() -> anyhow::Result<()> {
    let whole: Value = serde_json::from_str(include_str!("../../proto/openapi.json"))?;
    let mut described = Described::new(whole);
    let good = json!({ "durable": true });
    described.check("delete", "breakers/a/b", 200, &good)?;
    for bad in [json!({}), json!({ "durable": 1 }), json!({ "durable": true, "more": 1 })] {
        assert!(described.check("delete", "breakers/a/b", 200, &bad).is_err(), "{bad}");
    }
    Ok(())
}
