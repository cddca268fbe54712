use tonic::Code;

use super::*;
use crate::bench::statistics::Ending;

const SECOND: Duration = Duration::from_secs(1);

fn about(rate: Option<&str>) -> About<'static> {
    About {
        scenario: "mixed",
        server: "127.0.0.1:7420",
        run_id: "ab",
        connections: 4,
        rate: rate.map(|rate| Rate::parse(rate).unwrap()),
        is_interrupted: false,
        left: Some(0),
    }
}

fn calls() -> Calls {
    let (mut acquire, mut report) = (Statistics::new().unwrap(), Statistics::new().unwrap());
    let millis = Duration::from_millis;
    acquire.record(Ending::Answered, millis(3), millis(1));
    acquire.record(Ending::Denied, millis(3), millis(1));
    acquire.late = 1;
    report.record(Ending::Answered, millis(2), millis(2));
    report.record(Ending::Failed(Code::ResourceExhausted), millis(2), millis(2));
    report.record(Ending::Failed(Code::Unavailable), millis(2), millis(2));
    Calls {
        in_flight: 64,
        breakers: 10,
        report_percent: 50,
        report: ReportShape { runs: 2, outcomes_per_run: 50, failure_percent: 0 },
        outcome: load::Outcome { acquire, report, unsent: Some(5), measured_time: 2 * SECOND },
        watched: Some(Watched { streams: 16, cut: 1, states: 3 }),
    }
}

fn changes() -> Changes {
    let mut latency = Latencies::new().unwrap();
    latency.record(Duration::from_micros(1_500));
    let mut failures = Failures::default();
    failures.record(Code::NotFound);
    let outcome = fan_out::Outcome {
        changes: 7,
        late: 2,
        failures,
        missed: 1,
        cut: 1,
        last: latency.clone(),
        latency,
        measured_time: SECOND,
    };
    Changes { streams: 3, layout: Layout::Apart, outcome }
}

/// Equal but for what the histogram rounds.
fn is_near(value: &Value, expected: f64) -> bool {
    value.as_f64().is_some_and(|value| (value - expected).abs() <= expected / 500.0)
}

#[test]
fn calls_become_an_object() {
    let json = about(Some("1000")).calls_json(&calls());
    assert_eq!((&json["loop"], &json["rate"]), (&json!("open"), &json!(1_000)));
    assert_eq!((&json["unsent"], &json["measured_seconds"]), (&json!(5), &json!(2.0)));
    let acquire = &json["acquire"];
    assert_eq!((&acquire["answered"], &acquire["denied"]), (&json!(2), &json!(1)));
    assert_eq!((&acquire["late"], &acquire["answered_per_second"]), (&json!(1), &json!(1.0)));
    assert!(is_near(&acquire["latency_ms"]["p99_9"], 3.0), "{acquire}");
    assert!(is_near(&acquire["answer_time_ms"]["max"], 1.0), "{acquire}");
    let report = &json["report"];
    assert_eq!((&report["outcomes"], &report["shed"]), (&json!(100), &json!(1)));
    assert_eq!(report["errors"], json!({ "UNAVAILABLE": 1 }));
    assert_eq!(json["watch"], json!({ "streams": 16, "cut": 1, "states": 3 }));
}

#[test]
fn an_object_has_the_same_keys_whatever_the_loop() {
    let keys = |json: Value| json.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let idle = Calls {
        outcome: load::Outcome {
            acquire: Statistics::new().unwrap(),
            report: Statistics::new().unwrap(),
            unsent: None,
            measured_time: Duration::ZERO,
        },
        watched: None,
        ..calls()
    };
    let closed = about(None).calls_json(&idle);
    assert_eq!(closed["acquire"]["latency_ms"], Value::Null);
    assert_eq!(closed["acquire"]["late"], Value::Null);
    assert_eq!(keys(closed), keys(about(Some("9")).calls_json(&calls())));
    let closed = about(None).changes_json(&changes());
    assert_eq!(closed["late"], Value::Null);
    assert_eq!(keys(closed), keys(about(Some("9")).changes_json(&changes())));
}

#[test]
fn changes_become_an_object() {
    let json = about(Some("10")).changes_json(&changes());
    assert_eq!((&json["spread"], &json["streams"]), (&json!(true), &json!(3)));
    assert_eq!(
        (&json["changes"], &json["late"], &json["received"]),
        (&json!(7), &json!(2), &json!(1))
    );
    assert_eq!((&json["missed"], &json["cut"]), (&json!(1), &json!(1)));
    assert_eq!(json["errors"], json!({ "NOT_FOUND": 1 }));
    assert!(is_near(&json["last_latency_ms"]["p50"], 1.5), "{json}");
}

#[test]
fn calls_read_as_a_table_with_what_went_wrong_below() {
    let text = about(Some("1000")).calls_text(&calls());
    let cells: Vec<Vec<_>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(text.starts_with(
        "mixed on 127.0.0.1:7420, open loop at 1000 a second: 4 connections x 64 in flight, 10 \
         breakers; measured for 2.00 s\n"
    ));
    assert!(cells.contains(&vec!["acquire", "2", "1", "1", "1", "0", "0"]), "{text}");
    assert!(cells.contains(&vec!["report", "1", "0", "0", "0", "1", "1"]), "{text}");
    for line in [
        "report failed: UNAVAILABLE 1",
        "100 outcomes reported, 50 a second",
        "5 calls were due and not made",
        "16 streams got 3 states, 1 of them were cut",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn a_closed_loop_has_nothing_late_and_no_second_latency() {
    let text = about(None).calls_text(&Calls { watched: None, ..calls() });
    assert!(text.contains("closed loop") && !text.contains("once sent"), "{text}");
    assert!(!text.contains("streams"), "{text}");
}

#[test]
fn a_duration_has_three_digits_and_a_unit_that_suits_it() {
    for (micros, text) in [
        (0, "0.00 us"),
        (812, "812 us"),
        (1_234, "1.23 ms"),
        (45_678, "45.7 ms"),
        (999_000, "999 ms"),
        (1_500_000, "1.50 s"),
        (3_600_000_000, "3600 s"),
    ] {
        assert_eq!(duration_text(Duration::from_micros(micros)), text);
    }
}
