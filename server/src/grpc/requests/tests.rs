//! What a Report may hold, and what it allocates from its bytes to its calls in the counts.

use std::alloc::System;
use std::sync::Arc;

use breaker_core::ConfigPatch;
use breaker_engine::{Defaults, Engine, ManualClock, Options, Reported, UnknownBreakers};
use breaker_store::MemoryStore;
use bytes::Bytes;
use prost::Message;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use super::*;
use crate::grpc::encode_status;

/// It counts what all threads do. Whoever measures does so often, and believes the least.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const TIMES: usize = 50;
const BREAKERS: usize = 10;
/// The runs of a breaker that a list has room for when it is first allocated.
const FIRST_RUNS: usize = 4;

/// Each failure has another kind than the one before, and never opens the breaker.
fn run_number(number: usize) -> v1::Run {
    let duration = Some(prost_types::Duration { seconds: 0, nanos: 30_000_000 });
    let mut run = v1::Run {
        outcome: v1::Outcome::Success.into(),
        count: 1,
        total_duration: duration,
        max_duration: duration,
        age: duration,
        ..v1::Run::default()
    };
    if number.is_multiple_of(2) {
        run.outcome = v1::Outcome::Failure.into();
        let kinds = ["http.503", "", "org.postgresql.util.PSQLException", &"long".repeat(32)];
        run.error_kind = kinds[number / 2 % kinds.len()].to_owned();
    }
    run
}

fn encoded(runs: usize) -> Bytes {
    let report = |number| v1::BreakerReport {
        breaker: format!("bench/breaker-{number}"),
        runs: (0..runs).map(run_number).collect(),
        ..v1::BreakerReport::default()
    };
    let reports = (0..BREAKERS).map(report).collect();
    v1::ReportRequest { reports, ..v1::ReportRequest::default() }.encode_to_vec().into()
}

fn take_in(engine: &Engine, bytes: &Bytes) {
    let request = reported::ReportRequest::decode(bytes.clone()).unwrap();
    let unpacked = unpacked(&request).unwrap();
    let reports = reports_of("", 0, &unpacked).unwrap();
    let counted = engine.report("", 0, &reports).unwrap();
    assert_eq!(counted, Reported::Counted(Vec::new()), "no breaker opened");
}

/// How many allocations taking in a report of so many runs a breaker needs, and how many times one
/// of them grows.
fn allocations(engine: &Engine, runs: usize) -> (usize, usize) {
    let bytes = encoded(runs);
    let measure = || {
        let region = Region::new(ALLOCATOR);
        take_in(engine, &bytes);
        let change = region.change();
        (change.allocations, change.reallocations)
    };
    let all: Vec<_> = (0..TIMES).map(|_| measure()).collect();
    let least = |part: fn(&(usize, usize)) -> usize| all.iter().map(part).min().unwrap();
    (least(|change| change.0), least(|change| change.1))
}

#[tokio::test]
async fn a_report_allocates_for_its_breakers_and_for_none_of_its_runs() {
    let options = Options {
        defaults: Defaults::new(ConfigPatch::default()).unwrap(),
        max_breakers: BREAKERS,
        unknown_breakers: UnknownBreakers::Create,
        idle_ttl: None,
        history_retention: Duration::from_secs(60),
        storage_degraded: None,
        monitor_series: 0,
        life: || 1,
        encode: encode_status,
    };
    let clock = Arc::new(ManualClock::at(Time::from_millis(1_000_000)));
    let (engine, tasks) =
        Engine::start(options, Arc::new(MemoryStore::default()), clock).await.unwrap();
    // What a breaker allocates once, for its window and its longest error kind.
    take_in(&engine, &encoded(FIRST_RUNS << 6));

    let (for_few, _) = allocations(&engine, FIRST_RUNS);
    for doublings in [1, 6] {
        let (for_many, grown) = allocations(&engine, FIRST_RUNS << doublings);
        assert_eq!(for_many, for_few, "{doublings}");
        // What is left: prost doubles the list of a breaker's runs as they come, and once or twice
        // that of the breakers.
        assert_eq!(grown, BREAKERS * doublings + 2, "{doublings}");
    }
    assert!(
        for_few <= 4 * BREAKERS + 8,
        "name as it came, runs as they came, both checked: {for_few}"
    );
    tasks.shut_down().await.unwrap();
}

#[test]
fn an_error_kind_that_is_no_text_is_refused_by_its_field() {
    let run = reported::Run {
        outcome: v1::Outcome::Failure.into(),
        count: 1,
        error_kind: Bytes::from_static(b"http.\xff"),
        ..reported::Run::default()
    };
    let report =
        reported::BreakerReport { breaker: "a/b".into(), runs: vec![run], ..Default::default() };
    let refused = reports_of("", 0, &[report]).unwrap_err();
    assert!(refused.message().starts_with("reports[0].runs[0].error_kind: "), "{refused:?}");
}
