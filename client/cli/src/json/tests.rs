use super::*;

fn open_breaker() -> v1::Breaker {
    let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let config = v1::BreakerConfig {
        failure_threshold: Some(3),
        open_duration: Some(prost_types::Duration { seconds: 90, nanos: 0 }),
        ..Default::default()
    };
    v1::Breaker {
        name: "payments/stripe-api".into(),
        state: Some(v1::BreakerState {
            name: "payments/stripe-api".into(),
            state: v1::State::Open.into(),
            mode: v1::Mode::ForcedOpen.into(),
            generation: 4,
            revision: 9,
            since: time(1_700_000_000),
            config: Some(config.clone()),
            ..Default::default()
        }),
        time_in_state: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
        r#override: Some(v1::Override {
            mode: v1::Mode::ForcedOpen.into(),
            actor: "ann".into(),
            reason: "maintenance".into(),
            set_time: time(1_700_000_000),
            expire_time: None,
        }),
        metrics: Some(v1::Metrics {
            failure_rate: 0.5,
            last_outcomes: vec![v1::Outcome::Success.into(), v1::Outcome::Timeout.into()],
            ..Default::default()
        }),
        own_config: Some(config),
        config_sources: [("failure_threshold".to_owned(), v1::ConfigSource::Breaker.into())].into(),
        etag: "e1".into(),
        ..Default::default()
    }
}

#[test]
fn a_breaker_has_the_keys_of_the_protocol_and_the_values_of_a_file() {
    let json = breaker(&open_breaker());
    let config = json!({"failure_threshold": 3, "open_duration": "1m 30s"});
    let expected = [
        ("/name", json!("payments/stripe-api")),
        ("/state", json!("open")),
        ("/mode", json!("forced_open")),
        ("/generation", json!(4)),
        ("/since", json!("2023-11-14T22:13:20Z")),
        ("/time_in_state", json!("1m")),
        ("/retry_after", Value::Null),
        ("/config", config.clone()),
        ("/own_config", config),
        ("/config_sources", json!({"failure_threshold": "breaker"})),
        ("/override/mode", json!("forced_open")),
        ("/override/actor", json!("ann")),
        ("/override/expire_time", Value::Null),
        ("/counts", Value::Null),
        ("/metrics/failure_rate", json!(0.5)),
        ("/metrics/last_outcomes", json!(["success", "timeout"])),
        ("/etag", json!("e1")),
    ];
    for (pointer, value) in expected {
        assert_eq!(json.pointer(pointer), Some(&value), "{pointer}");
    }
    assert!(!json.to_string().contains('\n'), "an object is one line");
}

#[test]
fn every_breaker_has_the_same_keys() {
    let keys = |value: Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(breaker(&v1::Breaker::default())), keys(breaker(&open_breaker())));
}

#[test]
fn a_transition_says_what_why_and_who() {
    let message = v1::Transition {
        id: 7,
        breaker: "a/b".into(),
        from_state: v1::State::Closed.into(),
        to_state: v1::State::Open.into(),
        from_mode: v1::Mode::Normal.into(),
        to_mode: v1::Mode::Normal.into(),
        cause: v1::Cause::FailureThreshold.into(),
        counts: Some(v1::Counts { failure_count: 5, ..Default::default() }),
        ..Default::default()
    };
    let json = transition(&message);
    assert_eq!(json["to_state"], "open");
    assert_eq!(json["cause"], "failure_threshold");
    assert_eq!(json["counts"]["failure_count"], 5);
    assert_eq!(json["time"], Value::Null);
}
