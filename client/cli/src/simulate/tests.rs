use std::time::Duration;

use super::*;

fn config(patch: ConfigPatch) -> Config {
    Config::resolve(&[(Source::Breaker, &patch)]).unwrap().config
}

/// Opens after two failures for a second, closes after two probes, one at a time.
fn small() -> Config {
    config(ConfigPatch {
        failure_threshold: Some(2),
        open_duration: Some(Duration::from_secs(1)),
        success_threshold: Some(2),
        max_probes: Some(1),
        call_timeout: Some(Duration::from_millis(200)),
        ..ConfigPatch::default()
    })
}

/// The lines of JSON for calls `(at_ms, outcome, duration_ms)`.
fn lines(config: &Config, calls: &[(u64, &str, f64)]) -> Vec<String> {
    let trace: String = calls
        .iter()
        .map(|(at, outcome, duration)| {
            format!("{{\"at_ms\":{at},\"outcome\":\"{outcome}\",\"duration_ms\":{duration}}}\n")
        })
        .collect();
    let trace = parse_trace(trace.as_bytes()).unwrap();
    let mut out = Vec::new();
    output::write_json(&mut out, config, &trace, &replay(config, &trace)).unwrap();
    String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
}

#[track_caller]
fn check(config: &Config, calls: &[(u64, &str, f64)], expected: &[(bool, &str, u32, u32)]) {
    let lines = lines(config, calls);
    assert_eq!(lines.len(), expected.len() + 1);
    for (index, (allowed, state, failures, successes)) in expected.iter().enumerate() {
        let at = calls[index].0;
        let expected = format!(
            "{{\"at_ms\":{at},\"allowed\":{allowed},\"state\":\"{state}\",\
             \"failure_count\":{failures},\"success_count\":{successes},"
        );
        assert!(lines[index].starts_with(&expected), "call {index}: {}", lines[index]);
    }
}

#[test]
fn a_breaker_opens_probes_and_closes_under_the_clock_of_the_trace() {
    check(
        &small(),
        &[
            (0, "failure", 10.0),
            (100, "timeout", 10.0),
            (200, "success", 10.0),
            (1_109, "success", 10.0),
            (1_110, "success", 10.0),
            (1_130, "ignored", 10.0),
            (1_150, "success", 10.0),
            (1_170, "success", 10.0),
        ],
        &[
            (true, "closed", 1, 0),
            (true, "open", 2, 0),
            (false, "open", 2, 0),
            (false, "open", 2, 0),
            (true, "half_open", 2, 1),
            (true, "half_open", 2, 1),
            (true, "closed", 0, 0),
            (true, "closed", 0, 0),
        ],
    );
}

#[test]
fn overlapping_calls_are_recorded_when_they_end() {
    check(
        &small(),
        &[
            (0, "failure", 100.0),
            (10, "failure", 20.0),
            (50, "success", 10.0),
            (150, "success", 1.0),
        ],
        &[
            // The slow failure ends last and finds the count lowered by the success.
            (true, "closed", 1, 0),
            (true, "closed", 1, 0),
            (true, "closed", 0, 0),
            (true, "closed", 0, 0),
        ],
    );
}

#[test]
fn what_ends_at_an_instant_ends_before_what_starts_at_it() {
    check(
        &small(),
        &[(0, "failure", 50.0), (0, "failure", 50.0), (50, "success", 0.0)],
        &[(true, "closed", 1, 0), (true, "open", 2, 0), (false, "open", 2, 0)],
    );
    check(
        &small(),
        &[(0, "failure", 0.0), (0, "failure", 0.0), (0, "success", 0.0)],
        &[(true, "closed", 1, 0), (true, "open", 2, 0), (false, "open", 2, 0)],
    );
}

#[test]
fn a_probe_that_does_not_come_back_reopens_from_its_deadline() {
    check(
        &small(),
        &[
            (0, "failure", 0.0),
            (0, "failure", 0.0),
            (1_000, "success", 500.0),
            (1_100, "success", 0.0),
            (1_300, "success", 0.0),
            (2_199, "success", 0.0),
            (2_201, "success", 0.0),
        ],
        &[
            (true, "closed", 1, 0),
            (true, "open", 2, 0),
            (true, "open", 2, 0),
            (false, "half_open", 2, 0),
            (false, "open", 2, 0),
            (false, "open", 2, 0),
            (true, "half_open", 2, 1),
        ],
    );
}

#[test]
fn the_last_line_tells_the_rates_over_the_window() {
    let calls =
        [(0, "success", 10.0), (1, "success", 20.0), (2, "failure", 5.0), (3, "ignored", 1.0)];
    assert_eq!(
        lines(&small(), &calls).last().unwrap(),
        "{\"end\":{\"failure_rate\":0.3333333333333333,\"success_rate\":0.6666666666666666,\
         \"average_response_time_ms\":15.0,\"total_calls\":3,\"state\":\"closed\"}}"
    );
    let nothing = "{\"end\":{\"failure_rate\":0.0,\"success_rate\":0.0,\
                   \"average_response_time_ms\":0.0,\"total_calls\":0,\"state\":\"closed\"}}";
    assert_eq!(lines(&small(), &[]), [nothing]);
}

#[test]
fn a_trace_is_put_into_order_and_times_are_given_back_as_written() {
    let text = "{\"at_ms\":5.5,\"outcome\":\"success\"}\n\n{\"at_ms\":1,\"outcome\":\"failure\",\"duration_ms\":3}\n";
    let trace = parse_trace(text.as_bytes()).unwrap();
    let times: Vec<_> = trace.iter().map(|call| call.at_ms.to_string()).collect();
    assert_eq!(times, ["1", "5.5"]);
    assert_eq!(trace[1].at, Time::from_nanos(5_500_000));
}

#[test]
fn times_since_1970_are_as_exact_as_others_and_fractions_come_back_as_written() {
    let at = 1_700_000_000_000;
    for offset in 0..50 {
        let calls = [(at + offset, "failure", 3.0), (at + offset + 3, "success", 0.0)];
        let one = config(ConfigPatch { failure_threshold: Some(1), ..ConfigPatch::default() });
        // The failure ends at the instant at which the other call starts, and so before it.
        check(&one, &calls, &[(true, "open", 1, 0), (false, "open", 1, 0)]);
    }
    for written in ["13.809999999999999", "12.72", "1700000000052.2485"] {
        let line = format!("{{\"at_ms\":{written},\"outcome\":\"success\"}}");
        assert_eq!(parse_trace(line.as_bytes()).unwrap()[0].at_ms.to_string(), written);
    }
}

#[test]
fn a_bad_configuration_is_refused_with_every_bad_key_at_once() {
    let bad = "failure_treshold = 3\nopen_duration = 60\nwindow = { calls = 0 }\nmax_probes = 0";
    let json =
        r#"{"failure_treshold": 3, "open_duration": 60, "window": {"calls": 0}, "max_probes": 0}"#;
    for text in [bad, json] {
        let error = format!("{:#}", settled(text).unwrap_err());
        for key in ["failure_treshold: ", "open_duration: ", "window.calls: ", "max_probes: "] {
            assert!(error.contains(key), "{error}");
        }
    }
    assert_eq!(settled("").unwrap().config, Config::default());
}

#[test]
fn a_line_that_is_no_call_is_named() {
    for (text, expected) in [
        ("{}", "line 1: missing field `at_ms`"),
        ("{\"at_ms\":0,\"outcome\":\"success\"}\nnonsense", "line 2: expected"),
        ("{\"at_ms\":0,\"outcome\":\"maybe\"}", "unknown variant `maybe`"),
        ("{\"at_ms\":-1,\"outcome\":\"success\"}", "at_ms is -1"),
        ("{\"at_ms\":0,\"outcome\":\"success\",\"duration_ms\":-2}", "duration_ms is -2"),
        ("{\"at_ms\":1e300,\"outcome\":\"success\"}", "at_ms is"),
        ("{\"at_ms\":0,\"outcome\":\"success\",\"durationms\":2}", "durationms"),
    ] {
        let error = parse_trace(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{text:?} gave {error:?}");
    }
}
