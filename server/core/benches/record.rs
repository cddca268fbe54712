//! What one outcome costs under each kind of rule, and one call that asks, beside the least that
//! anything shared by threads can cost: `fetch_add` on an atomic.
//!
//! `cargo bench -p breaker-core`

#![allow(missing_docs, reason = "the macros of criterion make functions without any")]

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use breaker_core::{
    Adaptive, Breaker, Config, ConfigPatch, FailureRate, Levels, Outcome, Report, ReporterId, Run,
    SlowCallRate, Source, StateKind, Time, WindowSize,
};
use criterion::{Criterion, criterion_group, criterion_main};

/// One call in so many fails, by turns of as many reporters as have places of their own and more.
const FAILS_EACH: usize = 10;
/// One call each so long: a bucket of a minute's window takes 600 of them.
const BETWEEN_CALLS: Duration = Duration::from_millis(1);

/// Rules that are looked at for each call and never trip.
fn rules() -> Vec<(&'static str, ConfigPatch)> {
    let quiet = ConfigPatch { failure_threshold: Some(1_000_000), ..ConfigPatch::default() };
    let duration = Duration::from_secs(1);
    let rates = ConfigPatch {
        failure_rate: Some(Some(FailureRate { percent: 50, minimum_calls: 20 })),
        slow_call_rate: Some(Some(SlowCallRate { percent: 50, minimum_calls: 20, duration })),
        ..quiet.clone()
    };
    let minute = Some(WindowSize::Duration(Duration::from_secs(60)));
    let quorum = |patch: &ConfigPatch| ConfigPatch {
        min_reporters: Some(3),
        max_reporter_share: Some(Some(40)),
        ..patch.clone()
    };
    vec![
        ("counts, the defaults", ConfigPatch::default()),
        ("rates over 100 calls", rates.clone()),
        ("rates over a minute", ConfigPatch { window: minute, ..rates.clone() }),
        ("quorum over counts", quorum(&quiet)),
        ("quorum over rates of 100 calls", quorum(&rates)),
        ("quorum over rates of a minute", quorum(&ConfigPatch { window: minute, ..rates })),
        ("adaptive", ConfigPatch { adaptive: Some(Some(Adaptive::default())), ..quiet.clone() }),
        ("levels", ConfigPatch { levels: Some(Some(Levels::default())), ..quiet }),
    ]
}

fn resolve(patch: &ConfigPatch) -> Config {
    match Config::resolve(&[(Source::Breaker, patch)]) {
        Ok(resolved) => resolved.config,
        Err(violations) => unreachable!("{violations:?}"),
    }
}

fn reports() -> Vec<Report<'static>> {
    let report = |number: usize| {
        let outcome =
            if number.is_multiple_of(FAILS_EACH) { Outcome::Failure } else { Outcome::Success };
        let run = Run::new(outcome, 1).lasting(Duration::from_millis(30));
        Report::admitted(run, 1).by(ReporterId::of(&format!("reporter-{}", number / FAILS_EACH)))
    };
    (0..FAILS_EACH * 12).map(report).collect()
}

fn record(criterion: &mut Criterion) {
    let counter = AtomicU64::new(0);
    criterion.bench_function("atomic fetch_add", |bencher| {
        bencher.iter(|| counter.fetch_add(black_box(1), Ordering::Relaxed));
    });
    for (rule, patch) in rules() {
        let (config, reports) = (resolve(&patch), reports());
        let mut now = Time::from_millis(1_000_000_000);
        let mut breaker = Breaker::new(now);
        let mut next = reports.iter().cycle();
        criterion.bench_function(&format!("record: {rule}"), |bencher| {
            bencher.iter(|| {
                now = now + BETWEEN_CALLS;
                next.next().map(|report| breaker.record(&config, black_box(report), now))
            });
        });
        assert_eq!(breaker.state(), StateKind::Closed, "{rule}");
    }
}

fn acquire(criterion: &mut Criterion) {
    for (rule, patch) in rules() {
        let config = resolve(&patch);
        let now = Time::from_millis(1_000_000_000);
        let mut breaker = Breaker::new(now);
        breaker.record(&config, &Report::current(Run::new(Outcome::Success, 100)), now);
        criterion.bench_function(&format!("acquire, CLOSED: {rule}"), |bencher| {
            bencher.iter(|| breaker.acquire(&config, black_box(now)).0);
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(1));
    targets = record, acquire
}
criterion_main!(benches);
