//! What receivers of each kind are sent.

use breaker_core::Time;
use breaker_proto::v1;
use breaker_wire::time_to_message;
use serde_json::{Value, json};

use super::{Event, Notice};

/// The alert as it is in the protocol, as JSON, with what has happened to it.
pub(super) fn webhook(notice: &Notice) -> Value {
    let Notice { alert, event, at } = notice;
    let acknowledgement = alert.acknowledgement.as_ref().map(|seen| {
        json!({ "actor": seen.actor, "comment": seen.comment, "time": time(seen.time.as_ref()) })
    });
    json!({
        "event": event.as_str(),
        "time": time_to_message(*at).to_string(),
        "alert": {
            "id": alert.id.to_string(),
            "revision": alert.revision.to_string(),
            "rule": alert.rule().as_str_name(),
            "severity": alert.severity().as_str_name(),
            "state": alert.state().as_str_name(),
            "breaker": alert.breaker,
            "summary": alert.summary,
            "start_time": time(alert.start_time.as_ref()),
            "end_time": time(alert.end_time.as_ref()),
            "repeat_count": alert.repeat_count,
            "acknowledgement": acknowledgement,
        },
    })
}

/// A line of text, with a word for what has happened.
pub(super) fn slack(notice: &Notice) -> Value {
    let Notice { alert, event, .. } = notice;
    let what = match event {
        Event::Fired => format!("*{}*", severity_word(alert).to_uppercase()),
        Event::Repeated(_) => format!("*{}* (still)", severity_word(alert).to_uppercase()),
        Event::Resolved => "*RESOLVED*".to_owned(),
    };
    json!({ "text": format!("{what} {}", escaped(&alert.summary)) })
}

/// Alerts as the API of an Alertmanager takes them.
pub(super) fn alertmanager<'a>(alerts: impl IntoIterator<Item = &'a v1::Alert>) -> Value {
    alerts.into_iter().map(posted).collect()
}

fn posted(alert: &v1::Alert) -> Value {
    let mut posted = json!({
        "labels": {
            "alertname": alert_name(alert),
            "severity": severity_word(alert),
            // Two alerts of one rule about a breaker are one after the other, and so one to it.
            "breaker": alert.breaker,
            "namespace": alert.breaker.split('/').next().unwrap_or_default(),
        },
        "annotations": { "summary": alert.summary, "id": alert.id.to_string() },
        "startsAt": time(alert.start_time.as_ref()),
    });
    if alert.end_time.is_some() {
        posted["endsAt"] = time(alert.end_time.as_ref());
    }
    posted
}

/// `BreakerProlongedOutage`, as names of alerts are written there.
fn alert_name(alert: &v1::Alert) -> String {
    let words = alert.rule().as_str_name().trim_start_matches("ALERT_RULE_").split('_');
    let capitalized = words.map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        format!("{first}{}", rest.to_lowercase())
    });
    format!("Breaker{}", capitalized.collect::<String>())
}

fn severity_word(alert: &v1::Alert) -> String {
    alert.severity().as_str_name().trim_start_matches("ALERT_SEVERITY_").to_lowercase()
}

/// The three characters that mean something in the texts of Slack.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn time(time: Option<&prost_types::Timestamp>) -> Value {
    time.map_or(Value::Null, |time| time.to_string().into())
}

/// Seconds since the Unix epoch.
pub(super) const fn seconds(time: Time) -> u64 {
    time.as_nanos() / 1_000_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(event: Event) -> Notice {
        let alert = v1::Alert {
            id: 7,
            revision: 9,
            rule: v1::AlertRule::ProlongedOutage.into(),
            severity: v1::AlertSeverity::Critical.into(),
            state: v1::AlertState::Firing.into(),
            breaker: "payments/stripe".into(),
            summary: "payments/stripe is OPEN & <nobody> acts".into(),
            start_time: Some(prost_types::Timestamp { seconds: 60, nanos: 0 }),
            repeat_count: 2,
            ..Default::default()
        };
        Notice { alert, event, at: Time::from_millis(61_000) }
    }

    #[test]
    fn each_kind_gets_what_it_understands() {
        let webhook = webhook(&notice(Event::Repeated(2)));
        assert_eq!(webhook["event"], "repeated");
        assert_eq!(webhook["time"], "1970-01-01T00:01:01Z");
        assert_eq!(webhook["alert"]["rule"], "ALERT_RULE_PROLONGED_OUTAGE");
        assert_eq!(webhook["alert"]["id"], "7");
        assert_eq!(webhook["alert"]["end_time"], Value::Null);

        let slack = slack(&notice(Event::Fired));
        assert_eq!(slack["text"], "*CRITICAL* payments/stripe is OPEN &amp; &lt;nobody&gt; acts");

        let mut over = notice(Event::Resolved).alert;
        over.end_time = Some(prost_types::Timestamp { seconds: 62, nanos: 0 });
        let posted = alertmanager([&notice(Event::Fired).alert, &over]);
        assert_eq!(posted[0]["labels"]["alertname"], "BreakerProlongedOutage");
        assert_eq!(posted[0]["labels"]["namespace"], "payments");
        assert_eq!(posted[0]["startsAt"], "1970-01-01T00:01:00Z");
        assert!(posted[0].get("endsAt").is_none());
        assert_eq!(posted[1]["endsAt"], "1970-01-01T00:01:02Z");
    }
}
