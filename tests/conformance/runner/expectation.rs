//! What an answer is expected to be: some of its fields, each equal to a value or within bounds.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::{Map, Value};

/// How long an answer that is expected `eventually` may take, unless the step says otherwise.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is expected of the answer to one step.
#[derive(Clone, Debug)]
pub(crate) struct Expectation {
    fields: BTreeMap<String, Pattern>,
    /// How long the step is repeated until its answer is the one expected; not set where the first
    /// answer has to be.
    pub(crate) patience: Option<Duration>,
}

/// What one value is expected to be.
#[derive(Clone, Debug)]
enum Pattern {
    /// Not there, or null.
    Nothing,
    Equal(Value),
    Between {
        min: f64,
        max: f64,
    },
    OneOf(Vec<Value>),
    /// A text with this in it.
    Containing(String),
    /// As many values, each as expected.
    List(Vec<Self>),
    /// A table in which these fields are as expected; it may have others.
    Table(BTreeMap<String, Self>),
}

impl Expectation {
    /// The expectation that a step's keys `expect`, `eventually` and `within` say; takes them out.
    ///
    /// # Errors
    /// Whatever makes no sense in them.
    pub(crate) fn taken_from(step: &mut Map<String, Value>) -> anyhow::Result<Option<Self>> {
        let (now, later) = (step.remove("expect"), step.remove("eventually"));
        let within = step.remove("within");
        let (key, fields, patience) = match (now, later) {
            (None, None) => {
                ensure!(within.is_none(), "`within` belongs to `eventually`");
                return Ok(None);
            }
            (Some(_), Some(_)) => bail!("a step has either `expect` or `eventually`"),
            (Some(fields), None) => {
                ensure!(within.is_none(), "`within` belongs to `eventually`");
                ("expect", fields, None)
            }
            (None, Some(fields)) => ("eventually", fields, Some(patience(within)?)),
        };
        let Value::Object(fields) = fields else { bail!("`{key}` is no table") };
        ensure!(!fields.is_empty(), "`{key}` expects nothing");
        let fields = patterns(&fields).with_context(|| format!("`{key}`"))?;
        Ok(Some(Self { fields, patience }))
    }

    /// Expects one field to be true at once.
    pub(crate) fn is_true(field: &str) -> Self {
        let fields = BTreeMap::from([(field.to_owned(), Pattern::Equal(Value::Bool(true)))]);
        Self { fields, patience: None }
    }

    /// Looks whether an answer can have the fields that are expected of it.
    ///
    /// # Errors
    /// If it cannot.
    pub(crate) fn check_names(&self, possible: &[&str]) -> anyhow::Result<()> {
        for name in self.fields.keys() {
            ensure!(
                possible.contains(&name.as_str()),
                "nothing shows `{name}` here; there are: {}",
                possible.join(", ")
            );
        }
        Ok(())
    }

    /// What is otherwise than expected in an answer.
    pub(crate) fn problems(&self, answer: &Map<String, Value>) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(error) = answer.get("error")
            && !self.fields.contains_key("error")
        {
            problems.push(format!("an error: {error}"));
        }
        let fields = self.fields.iter();
        problems.extend(
            fields.filter_map(|(name, pattern)| pattern.problem(name, answer.get(name.as_str()))),
        );
        problems
    }
}

fn patience(within: Option<Value>) -> anyhow::Result<Duration> {
    within.map_or(Ok(PATIENCE), |within| {
        let millis = within.as_u64().context("`within` is no number of milliseconds")?;
        Ok(Duration::from_millis(millis))
    })
}

fn patterns(fields: &Map<String, Value>) -> anyhow::Result<BTreeMap<String, Pattern>> {
    let read = |(name, value): (&String, &Value)| {
        let pattern = Pattern::read(value).with_context(|| format!("`{name}`"))?;
        Ok((name.clone(), pattern))
    };
    fields.iter().map(read).collect()
}

impl Pattern {
    fn read(value: &Value) -> anyhow::Result<Self> {
        Ok(match value {
            Value::String(word) if word == "none" => Self::Nothing,
            Value::Array(items) => {
                Self::List(items.iter().map(Self::read).collect::<Result<_, _>>()?)
            }
            Value::Object(table) if table.contains_key("one_of") => {
                ensure!(table.len() == 1, "`one_of` stands alone");
                Self::OneOf(table["one_of"].as_array().context("`one_of` is no list")?.clone())
            }
            Value::Object(table) if table.contains_key("contains") => {
                ensure!(table.len() == 1, "`contains` stands alone");
                let part = table["contains"].as_str().context("`contains` is no text")?;
                Self::Containing(part.to_owned())
            }
            Value::Object(table) if table.contains_key("min") || table.contains_key("max") => {
                Self::between(table)?
            }
            Value::Object(table) => Self::Table(patterns(table)?),
            value => Self::Equal(value.clone()),
        })
    }

    fn between(table: &Map<String, Value>) -> anyhow::Result<Self> {
        for name in table.keys() {
            ensure!(name == "min" || name == "max", "bounds are `min` and `max`, not `{name}`");
        }
        let bound = |name: &str, open: f64| match table.get(name) {
            None => Ok(open),
            Some(bound) => bound.as_f64().with_context(|| format!("`{name}` is no number")),
        };
        let (min, max) = (bound("min", f64::NEG_INFINITY)?, bound("max", f64::INFINITY)?);
        ensure!(min <= max, "`min` is above `max`");
        Ok(Self::Between { min, max })
    }

    fn problem(&self, name: &str, actual: Option<&Value>) -> Option<String> {
        let shown = actual.map_or_else(|| "missing".to_owned(), Value::to_string);
        let otherwise = |expected: String| Some(format!("{name} is {shown}, expected {expected}"));
        match (self, actual.unwrap_or(&Value::Null)) {
            (Self::Nothing, Value::Null) => None,
            (Self::Nothing, _) => otherwise("none".to_owned()),
            (Self::Equal(expected), actual) if is_same(expected, actual) => None,
            (Self::Equal(expected), _) => otherwise(expected.to_string()),
            (Self::Between { min, max }, actual) => match actual.as_f64() {
                Some(actual) if (*min..=*max).contains(&actual) => None,
                _ => otherwise(format!("{min} to {max}")),
            },
            (Self::OneOf(possible), actual) => {
                let is_one = possible.iter().any(|possible| is_same(possible, actual));
                if is_one {
                    None
                } else {
                    otherwise(format!("one of {}", Value::from(&possible[..])))
                }
            }
            (Self::Containing(part), actual) => {
                let has_it = actual.as_str().is_some_and(|text| text.contains(part.as_str()));
                if has_it { None } else { otherwise(format!("a text with {part:?}")) }
            }
            (Self::List(expected), Value::Array(items)) if expected.len() == items.len() => {
                expected
                    .iter()
                    .zip(items)
                    .enumerate()
                    .find_map(|(n, (pattern, item))| {
                        pattern.problem(&format!("{name}[{n}]"), Some(item))
                    })
                    .map(|problem| format!("{problem}, in {name} = {shown}"))
            }
            (Self::List(expected), _) => otherwise(format!("a list of {}", expected.len())),
            (Self::Table(fields), Value::Object(table)) => {
                fields.iter().find_map(|(field, pattern)| {
                    pattern.problem(&format!("{name}.{field}"), table.get(field.as_str()))
                })
            }
            (Self::Table(_), _) => otherwise("a table".to_owned()),
        }
    }
}

/// Numbers are the same whether or not they are written with a point.
fn is_same(expected: &Value, actual: &Value) -> bool {
    match (expected.as_f64(), actual.as_f64()) {
        (Some(expected), Some(actual)) => expected.to_bits() == actual.to_bits(),
        _ => expected == actual,
    }
}
