//! Messages as tables, for people.

use std::io;

use breaker_core::Key;
use breaker_proto::v1;
use serde_json::Value;

use crate::time::{Zone, rough_duration_text, rough_time_text, timestamp};
use crate::words::{printable, word};
use crate::{colour, json, output};

/// Breakers, a row for each.
pub(crate) fn breakers(breakers: &[v1::Breaker]) -> io::Result<()> {
    if breakers.is_empty() {
        output::notice("no breakers");
        return Ok(());
    }
    let header = ["name", "state", "mode", "for", "retry after", "calls", "failed", "average"];
    output::table(header, breakers.iter().map(row))
}

/// One breaker, a row for each thing that is known of it.
pub(crate) fn breaker(breaker: &v1::Breaker) -> io::Result<()> {
    output::table(["breaker", &*breaker.name], known(breaker))?;
    output::line("")?;
    output::table(["configuration", "value", "from"], config(breaker))
}

/// What is known of a breaker, with a word for each.
pub(crate) fn known(breaker: &v1::Breaker) -> Vec<[String; 2]> {
    let mut rows = about(breaker);
    rows.extend(breaker.r#override.iter().map(|held| ["override".into(), override_text(held)]));
    rows.extend(breaker.counts.iter().map(|counts| ["counts".into(), counts_text(counts)]));
    rows.extend(breaker.metrics.iter().flat_map(metrics));
    rows
}

/// Policies, a row for each.
pub(crate) fn policies(policies: &[v1::Policy]) -> io::Result<()> {
    if policies.is_empty() {
        output::notice("no policies");
        return Ok(());
    }
    let header = ["name", "match", "priority", "breakers", "configuration"];
    output::table(header, policies.iter().map(policy_row))
}

/// One policy, a row for each thing that is known of it.
pub(crate) fn policy(policy: &v1::Policy) -> io::Result<()> {
    let mut rows = vec![
        ["match".to_owned(), printable(&policy.selector).into_owned()],
        ["priority".into(), policy.priority.to_string()],
        ["breakers".into(), policy.breaker_count.to_string()],
        ["etag".into(), printable(&policy.etag).into_owned()],
    ];
    for (what, time) in [("created", &policy.create_time), ("changed", &policy.update_time)] {
        rows.extend(time.as_ref().and_then(rough_time_text).map(|time| [what.to_owned(), time]));
    }
    output::table(["policy", &*policy.name], rows)?;
    output::line("")?;
    output::table(["configuration", "value"], policy_values(policy))
}

/// How the configuration of a breaker comes about.
pub(crate) fn explanation(explanation: &v1::ExplainConfigResponse) -> io::Result<()> {
    if !explanation.exists {
        output::notice("there is no such breaker; this is what it would run on");
    }
    if explanation.policies.is_empty() {
        output::line("no policy matches")?;
    } else {
        let rows = explanation.policies.iter().enumerate().map(|(index, policy)| {
            let [name, selector, priority, _, config] = policy_row(policy);
            let standing = if index == 0 { "in force" } else { "" };
            [name, selector, priority, standing.to_owned(), config]
        });
        output::table(["policy", "match", "priority", "", "configuration"], rows)?;
    }
    output::line("")?;
    let rows = explanation.values.iter().map(|explained| {
        let value = serde_json::from_str(&explained.value).unwrap_or(Value::Null);
        let value = if value.is_null() { String::new() } else { value_text(&value) };
        [explained.key.clone(), value, source_text(explained.source, &explained.policy)]
    });
    output::table(["configuration", "value", "from"], rows)
}

/// Transitions, a row for each.
pub(crate) fn transitions(transitions: &[v1::Transition]) -> io::Result<()> {
    if transitions.is_empty() {
        output::notice("no transitions");
        return Ok(());
    }
    let header = ["time", "breaker", "from", "to", "cause", "actor", "reason"];
    output::table(header, transitions.iter().map(transition_cells))
}

/// A transition as one line of its own.
pub(crate) fn transition_line(transition: &v1::Transition) -> String {
    let [time, name, from, to, cause, actor, reason] = transition_cells(transition);
    format!("{time}  {name}  {from} -> {to}  {cause}  {actor}  {reason}").trim_end().to_owned()
}

/// Alerts, a row for each.
pub(crate) fn alerts(alerts: &[v1::Alert]) -> io::Result<()> {
    if alerts.is_empty() {
        output::notice("no alerts");
        return Ok(());
    }
    let header = ["id", "since", "state", "severity", "rule", "what", "seen by"];
    output::table(header, alerts.iter().map(alert_cells))
}

/// An alert as one line of its own.
pub(crate) fn alert_line(alert: &v1::Alert) -> String {
    let [id, time, state, severity, rule, summary, seen] = alert_cells(alert);
    format!("{time}  {id}  {state}  {severity}  {rule}  {summary}  {seen}").trim_end().to_owned()
}

fn alert_cells(alert: &v1::Alert) -> [String; 7] {
    let state = match alert.repeat_count {
        0 => word::<v1::AlertState>(alert.state),
        count => format!("{} ({count} times again)", word::<v1::AlertState>(alert.state)),
    };
    let seen = alert.acknowledgement.as_ref();
    let seen = seen.map_or_else(String::new, |seen| match seen.comment.as_str() {
        "" => printable(&seen.actor).into_owned(),
        comment => format!("{}: {}", printable(&seen.actor), printable(comment)),
    });
    [
        alert.id.to_string(),
        alert.start_time.as_ref().and_then(rough_time_text).unwrap_or_default(),
        state,
        word::<v1::AlertSeverity>(alert.severity),
        word::<v1::AlertRule>(alert.rule),
        printable(&alert.summary).into_owned(),
        seen,
    ]
}

/// A state as a part of a line, coloured.
pub(crate) fn state_line(state: &v1::BreakerState, zone: Zone) -> String {
    let [state_word, mode] = [word::<v1::State>(state.state), word::<v1::Mode>(state.mode)];
    let (name, style) = (printable(&state.name), colour::of(state.state, state.mode));
    let mut line = format!("{name}  {style}{state_word}  {mode}{style:#}");
    if let Some(since) = state.since.as_ref().and_then(timestamp) {
        line.push_str(&format!("  since {}", zone.text(since)));
    }
    line.push_str(&format!("  generation {}", state.generation));
    if let Some(percent) = state.admit_percent {
        line.push_str(&format!("  admits {percent} %"));
    }
    if let Some(level) = &state.level {
        line.push_str(&format!("  level {}", printable(&level.name)));
    }
    line
}

fn row(breaker: &v1::Breaker) -> [String; 8] {
    let state = breaker.state.clone().unwrap_or_default();
    let metrics = breaker.metrics.clone().unwrap_or_default();
    [
        printable(&breaker.name).into_owned(),
        word::<v1::State>(state.state),
        word::<v1::Mode>(state.mode),
        breaker.time_in_state.as_ref().and_then(rough_duration_text).unwrap_or_default(),
        breaker.retry_after.as_ref().and_then(rough_duration_text).unwrap_or_default(),
        metrics.total_calls.to_string(),
        percent(metrics.failure_rate),
        format!("{:.1} ms", metrics.average_response_time_ms),
    ]
}

fn about(breaker: &v1::Breaker) -> Vec<[String; 2]> {
    let state = breaker.state.clone().unwrap_or_default();
    let mut rows = vec![
        ["state".into(), word::<v1::State>(state.state)],
        ["mode".into(), word::<v1::Mode>(state.mode)],
        ["generation".into(), state.generation.to_string()],
        ["revision".into(), state.revision.to_string()],
        ["permits out".into(), breaker.permits_out.to_string()],
        ["etag".into(), printable(&breaker.etag).into_owned()],
    ];
    let mut add = |what: &str, text: Option<String>| {
        rows.extend(text.map(|text| [what.to_owned(), text]));
    };
    add("since", state.since.as_ref().and_then(rough_time_text));
    add("for", breaker.time_in_state.as_ref().and_then(rough_duration_text));
    add("retry after", breaker.retry_after.as_ref().and_then(rough_duration_text));
    add("policy", Some(printable(&breaker.policy).into_owned()).filter(|name| !name.is_empty()));
    add("created", breaker.create_time.as_ref().and_then(rough_time_text));
    add("admits", state.admit_percent.map(|percent| format!("{percent} % of the calls")));
    add("level", state.level.as_ref().map(level_text));
    add("in force", state.effective.as_ref().map(effective_text));
    rows
}

fn level_text(level: &v1::CurrentLevel) -> String {
    let (name, serve) = (printable(&level.name), printable(&level.serve));
    format!("{name}, number {} from 0; serves {serve} while open", level.number)
}

/// What of the configuration is in force, and why where that is another value.
fn effective_text(effective: &v1::EffectiveValues) -> String {
    let because = |reason: String| match reason.as_str() {
        "configured" => String::new(),
        _ => format!(" ({})", reason.replace('_', " ")),
    };
    let open = effective.open_duration.as_ref().and_then(rough_duration_text).unwrap_or_default();
    format!(
        "{} failures{} open it for {open}{}; {} successes close it, {} probes at once",
        effective.failure_threshold,
        because(word::<v1::ThresholdReason>(effective.threshold_reason)),
        because(word::<v1::DurationReason>(effective.duration_reason)),
        effective.success_threshold,
        effective.max_probes,
    )
}

fn override_text(held: &v1::Override) -> String {
    let until = held.expire_time.as_ref().and_then(rough_time_text);
    let until = until.unwrap_or_else(|| "released".to_owned());
    let mut text = format!("{} until {until}", word::<v1::Mode>(held.mode));
    for (what, said) in [("by", &held.actor), ("because", &held.reason)] {
        if !said.is_empty() {
            text.push_str(&format!(", {what}: {}", printable(said)));
        }
    }
    text
}

fn counts_text(counts: &v1::Counts) -> String {
    format!(
        "{} failures, {} in a row, {} probes succeeded; {} of {} calls in the window failed",
        counts.failure_count,
        counts.consecutive_failures,
        counts.success_count,
        counts.window_failures,
        counts.window_calls
    )
}

fn metrics(metrics: &v1::Metrics) -> Vec<[String; 2]> {
    let rates = format!(
        "{} failed, {} succeeded, {} slow, {:.1} ms on average",
        percent(metrics.failure_rate),
        percent(metrics.success_rate),
        percent(metrics.slow_rate),
        metrics.average_response_time_ms
    );
    let total = format!(
        "{}: {} succeeded, {} failed, {} timed out; {} ignored, {} late, {} denied",
        metrics.total_calls,
        metrics.successes,
        metrics.failures,
        metrics.timeouts,
        metrics.ignored,
        metrics.late,
        metrics.denied
    );
    let last: Vec<_> = metrics.last_outcomes.iter().map(|&o| word::<v1::Outcome>(o)).collect();
    let mut rows = vec![["window".into(), rates], ["calls".into(), total]];
    if !last.is_empty() {
        rows.push(["last calls".into(), last.join(" ")]);
    }
    if let Some(time) = metrics.last_failure_time.as_ref().and_then(rough_time_text) {
        let text = format!("{time} {}", printable(&metrics.last_failure_kind));
        rows.push(["last failure".into(), text.trim_end().to_owned()]);
    }
    rows
}

pub(crate) fn config(breaker: &v1::Breaker) -> Vec<[String; 3]> {
    let json = json::breaker(breaker);
    let Some(Value::Object(keys)) = json.get("config") else { return Vec::new() };
    let source = |key: &String| {
        let source = breaker.config_sources.get(key).copied().unwrap_or_default();
        source_text(source, &breaker.policy)
    };
    let named = Key::ALL.into_iter().map(|key| key.as_str().to_owned());
    named.filter_map(|key| Some([key.clone(), value_text(keys.get(&key)?), source(&key)])).collect()
}

fn policy_row(policy: &v1::Policy) -> [String; 5] {
    let values = policy_values(policy).into_iter().map(|[key, value]| format!("{key}={value}"));
    [
        printable(&policy.name).into_owned(),
        printable(&policy.selector).into_owned(),
        policy.priority.to_string(),
        policy.breaker_count.to_string(),
        values.collect::<Vec<_>>().join(" "),
    ]
}

fn policy_values(policy: &v1::Policy) -> Vec<[String; 2]> {
    let json = json::policy(policy);
    let Some(Value::Object(keys)) = json.get("config") else { return Vec::new() };
    let named = Key::ALL.into_iter().map(|key| key.as_str().to_owned());
    named.filter_map(|key| Some([key.clone(), value_text(keys.get(&key)?)])).collect()
}

/// Where a value comes from; of a policy, which one.
fn source_text(source: i32, policy: &str) -> String {
    let source_word = word::<v1::ConfigSource>(source);
    if source == v1::ConfigSource::Policy as i32 {
        format!("{source_word} {}", printable(policy))
    } else {
        source_word
    }
}

/// A value of a configuration much as it stands in a file, but short enough for a cell.
fn value_text(value: &Value) -> String {
    match value {
        Value::String(text) => printable(text).into_owned(),
        Value::Bool(false) => "off".to_owned(),
        Value::Object(keys) => {
            let keys = keys.iter().map(|(key, value)| match value {
                Value::Array(levels) if key == "levels" => level_texts(levels),
                value => format!("{key} = {}", value_text(value)),
            });
            format!("{{ {} }}", keys.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// Levels, each as its name and what it sets.
fn level_texts(levels: &[Value]) -> String {
    const KEYS: [&str; 4] = ["failure_threshold", "open_duration", "success_threshold", "serve"];
    let level = |level: &Value| {
        let values = KEYS.map(|key| value_text(&level[key]));
        format!("{} {{{}}}", value_text(&level["name"]), values.join(", "))
    };
    levels.iter().map(level).collect::<Vec<_>>().join(", ")
}

fn transition_cells(transition: &v1::Transition) -> [String; 7] {
    let time = transition.time.as_ref().and_then(rough_time_text).unwrap_or_default();
    [
        time,
        printable(&transition.breaker).into_owned(),
        side(transition.from_state, transition.from_mode, &transition.from_level),
        side(transition.to_state, transition.to_mode, &transition.to_level),
        word::<v1::Cause>(transition.cause),
        printable(&transition.actor).into_owned(),
        printable(&transition.reason).into_owned(),
    ]
}

/// A state, with the mode where it is not the usual one, and the level where there are levels.
pub(crate) fn side(state: i32, mode: i32, level: &str) -> String {
    let mut side = word::<v1::State>(state);
    if mode != v1::Mode::Normal as i32 {
        side.push_str(&format!(" ({})", word::<v1::Mode>(mode)));
    }
    if !level.is_empty() {
        side.push_str(&format!(" [{}]", printable(level)));
    }
    side
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
