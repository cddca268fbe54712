//! What a page of the history costs among two million transitions, and what keeping them does.
//!
//! `cargo bench -p breaker-store`

#![allow(missing_docs, reason = "the macros of criterion make functions without any")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be set up fails")]

use std::sync::Arc;
use std::time::Duration;

use breaker_core::{Attribution, BreakerName, Cause, Counts, Mode, StateKind, Time, Transition};
use breaker_engine::{Batch, HistoryRange, HistoryScope, Moment, Store, TransitionRecord};
use breaker_store::{MigrationMode, SqliteStore};
use criterion::{Criterion, criterion_group, criterion_main};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::runtime::Runtime;

const ROWS: u64 = 2_000_000;
const BREAKERS: u32 = 1_000;
/// Between one transition and the next.
const STEP: Duration = Duration::from_millis(1);
/// One in so many is made by somebody.
const BY_HAND_EACH: u32 = 100;
const BATCH: u64 = 5_000;

fn at(id: u64) -> Time {
    Time::from_millis(1_700_000_000_000) + STEP * u32::try_from(id).unwrap()
}

fn record(random: &mut StdRng, id: u64) -> Arc<TransitionRecord> {
    let (cause, actor) = if random.random_range(0..BY_HAND_EACH) == 0 {
        let causes = [Cause::ForcedOpen, Cause::Released, Cause::Reset];
        (causes[random.random_range(0..3)], ["anna", "bert"][random.random_range(0..2)])
    } else {
        let causes = [Cause::FailureThreshold, Cause::OpenElapsed, Cause::ProbesSucceeded];
        (causes[random.random_range(0..3)], "")
    };
    Arc::new(TransitionRecord {
        id,
        breaker: BreakerName::new(&format!("team/{}", random.random_range(0..BREAKERS))).unwrap(),
        revision: id,
        transition: Transition {
            from: StateKind::Closed,
            to: StateKind::Open,
            from_mode: Mode::Normal,
            to_mode: Mode::Normal,
            from_level: None,
            to_level: None,
            generation: id,
            cause,
            by: Attribution::new(actor, "").unwrap(),
            at: at(id) + Duration::from_micros(random.random_range(0..20_000)),
            counts: Counts::default(),
        },
    })
}

fn batch(random: &mut StdRng, first: u64) -> Batch {
    let transitions = (first..first + BATCH).map(|id| record(random, id)).collect();
    Batch { transitions, ..Batch::default() }
}

fn pages(criterion: &mut Criterion, runtime: &Runtime, store: &SqliteStore) {
    let everything = HistoryRange::everything();
    let breaker = HistoryScope::Breaker(BreakerName::new("team/7").unwrap());
    let anna = HistoryScope::Actor("anna".into());
    let often = HistoryScope::Causes(vec![Cause::OpenElapsed]);
    let by_hand = HistoryScope::Causes(vec![Cause::ForcedOpen, Cause::Released, Cause::Reset]);
    let of = |scope| HistoryRange { scope, ..everything.clone() };
    let middle = Moment { at: at(ROWS / 2), id: ROWS / 2 };
    let deep = |scope| HistoryRange { before: middle, ..of(scope) };
    // The hundred or so of a minute in the middle that nothing narrower than time selects.
    let minute = |scope| HistoryRange { from: at(ROWS / 2 - 60_000), ..deep(scope) };
    let ranges = [
        ("all, the latest", everything.clone()),
        ("all, deep", deep(HistoryScope::All)),
        ("all, a minute in the middle", minute(HistoryScope::All)),
        ("breaker, the latest", of(breaker.clone())),
        ("breaker, deep", deep(breaker.clone())),
        ("breaker, a minute in the middle", minute(breaker)),
        ("actor, the latest", of(anna.clone())),
        ("actor, deep", deep(anna.clone())),
        ("actor, a minute in the middle", minute(anna)),
        ("cause, the latest", of(often.clone())),
        ("cause, deep", deep(often)),
        ("three causes, deep", deep(by_hand)),
    ];
    let mut group = criterion.benchmark_group("a page of the history");
    for (name, range) in &ranges {
        for limit in [100, 1_000] {
            group.bench_function(format!("{name}, {limit}"), |bencher| {
                bencher.iter(|| runtime.block_on(store.history(range, limit)).unwrap());
            });
        }
    }
    group.finish();
}

fn history(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("breakerd.db").display());
    let store = runtime.block_on(SqliteStore::connect(&url, MigrationMode::Apply)).unwrap();
    let mut random = StdRng::seed_from_u64(1);
    let mut next = 1;
    while next < ROWS {
        runtime.block_on(store.commit(&batch(&mut random, next))).unwrap();
        next += BATCH;
    }
    pages(criterion, &runtime, &store);

    let mut group = criterion.benchmark_group("keeping the history");
    group.sample_size(20);
    let name = format!("a commit of {BATCH} transitions");
    group.bench_function(name, |bencher| {
        bencher.iter_batched(
            || {
                next += BATCH;
                batch(&mut random, next)
            },
            |batch| runtime.block_on(store.commit(&batch)).unwrap(),
            criterion::BatchSize::PerIteration,
        );
    });
    group.bench_function("a step of trimming, 1000", |bencher| {
        bencher.iter(|| {
            let trimmed = runtime.block_on(store.trim(at(ROWS), 1_000)).unwrap();
            assert_eq!(trimmed.count, 1_000, "there is always something left to trim");
        });
    });
    group.finish();
    runtime.block_on(store.close()).unwrap();
}

criterion_group!(benches, history);
criterion_main!(benches);
