//! The rules of a configuration in a file, each a table of keys.

use std::time::Duration;

use breaker_core::{
    Adaptive, Backoff, FailureRate, Level, Levels, ProbeCalls, Ramp, SlowCallRate, Thousandths,
    WindowSize,
};
use serde_json::{Map, Value, json};

use crate::config_value::{Reader, duration_text};

/// A table within a configuration. Keys are taken out as they are read; what is left is unknown.
pub(crate) struct Table<'r> {
    reader: &'r mut Reader,
    field: String,
    entries: Map<String, Value>,
    known: Vec<&'static str>,
}

impl<'r> Table<'r> {
    pub(crate) fn open(
        reader: &'r mut Reader,
        field: &str,
        value: &Value,
        example: &str,
    ) -> Option<Self> {
        let Value::Object(entries) = value else {
            reader.refuse(field, format!("{value} is not a table such as {example}"));
            return None;
        };
        let entries = entries.clone();
        Some(Self { reader, field: field.to_owned(), entries, known: Vec::new() })
    }

    fn take(&mut self, key: &'static str) -> (String, Option<Value>) {
        self.known.push(key);
        let value = self.entries.remove(key).filter(|value| !value.is_null());
        (format!("{}.{key}", self.field), value)
    }

    /// A value that may be left out; one that cannot be read is refused and left out.
    fn optional<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Reader, &str, &Value) -> Option<T>,
    ) -> Option<T> {
        let (field, value) = self.take(key);
        read(self.reader, &field, &value?)
    }

    /// A value that must be there.
    fn needed<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Reader, &str, &Value) -> Option<T>,
    ) -> Option<T> {
        let (field, value) = self.take(key);
        if value.is_none() {
            self.reader.refuse(&field, "it is missing; the rule needs it");
        }
        read(self.reader, &field, &value?)
    }

    pub(crate) fn number(&mut self, key: &'static str) -> Option<u32> {
        self.needed(key, |reader, field, value| reader.number(field, value))
    }

    fn number_or(&mut self, key: &'static str, default: u32) -> u32 {
        self.optional(key, |reader, field, value| reader.number(field, value)).unwrap_or(default)
    }

    pub(crate) fn duration(&mut self, key: &'static str) -> Option<Duration> {
        self.needed(key, |reader, field, value| reader.duration(field, value))
    }

    fn duration_or(&mut self, key: &'static str, default: Duration) -> Duration {
        self.optional(key, |reader, field, value| reader.duration(field, value)).unwrap_or(default)
    }

    fn factor(&mut self, key: &'static str) -> Option<Thousandths> {
        self.needed(key, read_factor)
    }

    fn factor_or(&mut self, key: &'static str, default: Thousandths) -> Thousandths {
        self.optional(key, read_factor).unwrap_or(default)
    }

    fn text(&mut self, key: &'static str) -> Option<String> {
        self.needed(key, read_text)
    }

    /// Refuses what was not read.
    pub(crate) fn close(self) {
        for unknown in self.entries.keys() {
            let field = format!("{}.{unknown}", self.field);
            let known = self.known.join(", ");
            self.reader.refuse(&field, format!("unknown key; the keys are {known}"));
        }
    }
}

fn read_factor(reader: &mut Reader, field: &str, value: &Value) -> Option<Thousandths> {
    let factor = value.as_f64().and_then(Thousandths::from_f64);
    if factor.is_none() {
        reader.refuse(field, format!("{value} is not a number in steps of a thousandth"));
    }
    factor
}

fn read_text(reader: &mut Reader, field: &str, value: &Value) -> Option<String> {
    if !value.is_string() {
        reader.refuse(field, format!("{value} is not a text in quotes"));
    }
    value.as_str().map(str::to_owned)
}

impl Reader {
    pub(crate) fn failure_rate(&mut self, value: &Value) -> Option<FailureRate> {
        let example = "{ percent = 50, minimum_calls = 20 }";
        let mut table = Table::open(self, "failure_rate", value, example)?;
        let (percent, minimum_calls) = (table.number("percent"), table.number("minimum_calls"));
        table.close();
        Some(FailureRate { percent: percent?, minimum_calls: minimum_calls? })
    }

    pub(crate) fn slow_call_rate(&mut self, value: &Value) -> Option<SlowCallRate> {
        let example = "{ percent = 50, minimum_calls = 20, duration = \"2s\" }";
        let mut table = Table::open(self, "slow_call_rate", value, example)?;
        let (percent, minimum_calls) = (table.number("percent"), table.number("minimum_calls"));
        let duration = table.duration("duration");
        table.close();
        Some(SlowCallRate { percent: percent?, minimum_calls: minimum_calls?, duration: duration? })
    }

    pub(crate) fn window(&mut self, value: &Value) -> Option<WindowSize> {
        let example = "{ calls = 100 } or { duration = \"60s\" }";
        let mut table = Table::open(self, "window", value, example)?;
        let calls = table.optional("calls", |reader, field, value| reader.number(field, value));
        let duration =
            table.optional("duration", |reader, field, value| reader.duration(field, value));
        table.close();
        let is_given = |key| value.get(key).is_some_and(|value: &Value| !value.is_null());
        match (is_given("calls"), is_given("duration")) {
            (true, false) => calls.map(WindowSize::Calls),
            (false, true) => duration.map(WindowSize::Duration),
            (true, true) => {
                self.refuse("window", "calls and duration are both set; set one of them");
                None
            }
            (false, false) => {
                self.refuse("window", format!("calls or duration is missing: write {example}"));
                None
            }
        }
    }

    pub(crate) fn backoff(&mut self, value: &Value) -> Option<Backoff> {
        let example = "{ multiplier = 2, max = \"10m\", jitter = 0.1 }";
        let mut table = Table::open(self, "backoff", value, example)?;
        let (multiplier, max) = (table.factor("multiplier"), table.duration("max"));
        let jitter = table.factor_or("jitter", Thousandths(0));
        table.close();
        Some(Backoff { multiplier: multiplier?, max: max?, jitter })
    }

    pub(crate) fn probe_calls(&mut self, value: &Value) -> Option<ProbeCalls> {
        let example = "{ calls = 10, failure_percent = 50 }";
        let mut table = Table::open(self, "probe_calls", value, example)?;
        let (calls, failure_percent) = (table.number("calls"), table.number("failure_percent"));
        table.close();
        Some(ProbeCalls { calls: calls?, failure_percent: failure_percent? })
    }

    pub(crate) fn ramp(&mut self, value: &Value) -> Option<Ramp> {
        let example = "{ percents = [5, 25, 50], step = \"10s\" }";
        let mut table = Table::open(self, "ramp", value, example)?;
        let percents = table.needed("percents", |reader, field, value| {
            let Value::Array(items) = value else {
                reader.refuse(field, format!("{value} is not a list such as [5, 25, 50]"));
                return None;
            };
            let number =
                |(index, item): (usize, &Value)| reader.number(&format!("{field}[{index}]"), item);
            items.iter().enumerate().map(number).collect::<Option<Vec<_>>>()
        });
        let step = table.duration("step");
        table.close();
        Some(Ramp { percents: percents?, step: step? })
    }

    /// `true` is the rule with its defaults.
    pub(crate) fn adaptive(&mut self, value: &Value) -> Option<Adaptive> {
        let default = Adaptive::default();
        if *value == Value::Bool(true) {
            return Some(default);
        }
        let mut table = Table::open(self, "adaptive", value, "{ window = 50 }")?;
        let adaptive = Adaptive {
            window: table.number_or("window", default.window),
            high_failure_percent: table
                .number_or("high_failure_percent", default.high_failure_percent),
            low_failure_percent: table
                .number_or("low_failure_percent", default.low_failure_percent),
            threshold_step: table.number_or("threshold_step", default.threshold_step),
            min_failure_threshold: table
                .number_or("min_failure_threshold", default.min_failure_threshold),
            max_failure_threshold: table
                .number_or("max_failure_threshold", default.max_failure_threshold),
            slow_response: table.duration_or("slow_response", default.slow_response),
            fast_response: table.duration_or("fast_response", default.fast_response),
            slow_multiplier: table.factor_or("slow_multiplier", default.slow_multiplier),
            fast_multiplier: table.factor_or("fast_multiplier", default.fast_multiplier),
            max_open_duration: table.duration_or("max_open_duration", default.max_open_duration),
            min_open_duration: table.duration_or("min_open_duration", default.min_open_duration),
        };
        table.close();
        Some(adaptive)
    }

    /// `true` is the rule with its defaults, and a list the levels alone.
    pub(crate) fn levels(&mut self, value: &Value) -> Option<Levels> {
        let default = Levels::default();
        if *value == Value::Bool(true) {
            return Some(default);
        }
        if value.is_array() {
            let levels = self.list_of_levels("levels", value)?;
            return Some(Levels { levels, ..default });
        }
        let example = "{ escalate_above = 60, deescalate_after = \"5m\" }";
        let mut table = Table::open(self, "levels", value, example)?;
        let escalate_above = table.number_or("escalate_above", default.escalate_above);
        let deescalate_after = table.duration_or("deescalate_after", default.deescalate_after);
        let levels =
            table.optional("levels", |reader, field, value| reader.list_of_levels(field, value));
        table.close();
        let levels = levels.unwrap_or(default.levels);
        Some(Levels { levels, escalate_above, deescalate_after })
    }

    fn list_of_levels(&mut self, field: &str, value: &Value) -> Option<Vec<Level>> {
        let Value::Array(items) = value else {
            self.refuse(field, format!("{value} is not a list of levels"));
            return None;
        };
        let level = |(index, item): (usize, &Value)| self.level(&format!("{field}[{index}]"), item);
        items.iter().enumerate().map(level).collect()
    }

    /// What a level serves is `degraded` where nothing else is said.
    fn level(&mut self, field: &str, value: &Value) -> Option<Level> {
        let example = "{ name = \"warning\", failure_threshold = 3, open_duration = \"30s\", \
                       success_threshold = 2, serve = \"degraded\" }";
        let mut table = Table::open(self, field, value, example)?;
        let name = table.text("name");
        let (failures, successes) =
            (table.number("failure_threshold"), table.number("success_threshold"));
        let open_duration = table.duration("open_duration");
        let serve = table.optional("serve", read_text);
        table.close();
        Some(Level {
            name: name?,
            failure_threshold: failures?,
            open_duration: open_duration?,
            success_threshold: successes?,
            serve: serve.unwrap_or_else(|| "degraded".to_owned()),
        })
    }
}

pub(crate) fn duration_value(duration: Duration) -> Value {
    json!(duration_text(duration))
}

/// A whole factor as a whole number, as people write it.
fn factor_value(factor: Thousandths) -> Value {
    match factor.0 % 1_000 {
        0 => json!(factor.0 / 1_000),
        _ => json!(factor.as_f64()),
    }
}

pub(crate) fn failure_rate_value(rate: &FailureRate) -> Value {
    json!({ "percent": rate.percent, "minimum_calls": rate.minimum_calls })
}

pub(crate) fn slow_call_rate_value(rate: &SlowCallRate) -> Value {
    json!({
        "percent": rate.percent,
        "minimum_calls": rate.minimum_calls,
        "duration": duration_value(rate.duration),
    })
}

pub(crate) fn window_value(window: WindowSize) -> Value {
    match window {
        WindowSize::Calls(calls) => json!({ "calls": calls }),
        WindowSize::Duration(duration) => json!({ "duration": duration_value(duration) }),
    }
}

pub(crate) fn backoff_value(backoff: &Backoff) -> Value {
    json!({
        "multiplier": factor_value(backoff.multiplier),
        "max": duration_value(backoff.max),
        "jitter": factor_value(backoff.jitter),
    })
}

pub(crate) fn probe_calls_value(probes: &ProbeCalls) -> Value {
    json!({ "calls": probes.calls, "failure_percent": probes.failure_percent })
}

pub(crate) fn ramp_value(ramp: &Ramp) -> Value {
    json!({ "percents": ramp.percents, "step": duration_value(ramp.step) })
}

pub(crate) fn adaptive_value(adaptive: &Adaptive) -> Value {
    json!({
        "window": adaptive.window,
        "high_failure_percent": adaptive.high_failure_percent,
        "low_failure_percent": adaptive.low_failure_percent,
        "threshold_step": adaptive.threshold_step,
        "min_failure_threshold": adaptive.min_failure_threshold,
        "max_failure_threshold": adaptive.max_failure_threshold,
        "slow_response": duration_value(adaptive.slow_response),
        "fast_response": duration_value(adaptive.fast_response),
        "slow_multiplier": factor_value(adaptive.slow_multiplier),
        "fast_multiplier": factor_value(adaptive.fast_multiplier),
        "max_open_duration": duration_value(adaptive.max_open_duration),
        "min_open_duration": duration_value(adaptive.min_open_duration),
    })
}

pub(crate) fn levels_value(levels: &Levels) -> Value {
    let level = |level: &Level| {
        json!({
            "name": level.name,
            "failure_threshold": level.failure_threshold,
            "open_duration": duration_value(level.open_duration),
            "success_threshold": level.success_threshold,
            "serve": level.serve,
        })
    };
    json!({
        "levels": levels.levels.iter().map(level).collect::<Vec<_>>(),
        "escalate_above": levels.escalate_above,
        "deescalate_after": duration_value(levels.deescalate_after),
    })
}
