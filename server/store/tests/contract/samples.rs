//! Rows and transitions to store.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use breaker_core::{
    Adaptive, Attribution, Backoff, Breaker, BreakerName, Cause, Config, ConfigPatch, Counts,
    ErrorKind, ExpiredProbe, FailureRate, Levels, Mode, OnUnavailable, Outcome, OverrideKind,
    ProbeCalls, Ramp, Report, ReporterId, Run, StateKind, Thousandths, Time, Transition,
    WindowSize,
};
use breaker_engine::{Batch, BreakerRow, Loaded, Store, TransitionPage, TransitionRecord};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};

pub(crate) fn name(name: &str) -> Result<BreakerName> {
    Ok(BreakerName::new(name)?)
}

/// A CLOSED breaker that nothing has happened to.
pub(crate) fn row(name_text: &str, revision: u64) -> Result<BreakerRow> {
    Ok(BreakerRow {
        name: name(name_text)?,
        snapshot: Breaker::new(Time::from_millis(revision)).snapshot(),
        own_config: ConfigPatch::default(),
        revision,
        config_revision: 1,
        created_at: Time::from_millis(7),
        used_at: None,
    })
}

/// A configuration with a value for every key.
pub(crate) fn full_config() -> ConfigPatch {
    ConfigPatch {
        failure_threshold: Some(3),
        failure_decay: Some(0),
        consecutive_failures: Some(4),
        failure_rate: Some(Some(FailureRate { percent: 60, minimum_calls: 15 })),
        slow_call_rate: Some(None),
        window: Some(WindowSize::Calls(20)),
        min_reporters: Some(2),
        max_reporter_share: Some(Some(80)),
        backoff: Some(Some(Backoff {
            multiplier: Thousandths(1_500),
            max: Duration::from_secs(600),
            jitter: Thousandths(200),
        })),
        probe_calls: Some(Some(ProbeCalls { calls: 4, failure_percent: 50 })),
        expired_probe: Some(ExpiredProbe::Ignore),
        ramp: Some(Some(Ramp { percents: vec![10, 50], step: Duration::from_millis(300) })),
        adaptive: Some(None),
        levels: Some(Some(Levels::default())),
        open_duration: Some(Duration::from_nanos(1_500_000_001)),
        success_threshold: Some(2),
        max_probes: Some(5),
        call_timeout: Some(Duration::from_millis(250)),
        failure_errors: Some(vec!["http.5*".into(), "Zeitüberschreitung \"x\"".into()]),
        ignored_errors: Some(Vec::new()),
        on_unavailable: Some(OnUnavailable::Deny),
    }
}

/// Lets a breaker live for a while and hands every snapshot of it to `see`.
pub(crate) fn lead_a_life(
    random: &mut impl Rng,
    steps: usize,
    mut see: impl FnMut(&Breaker),
) -> Result<()> {
    for patch in [full_config(), adaptive_config()] {
        live_under(&patch, random, steps, &mut see)?;
    }
    Ok(())
}

/// What [`full_config`] cannot hold beside the rest: an adaptive breaker, and windows over time.
fn adaptive_config() -> ConfigPatch {
    ConfigPatch {
        window: Some(WindowSize::Duration(Duration::from_secs(5))),
        adaptive: Some(Some(Adaptive { window: 20, ..Adaptive::default() })),
        levels: Some(None),
        ..full_config()
    }
}

fn live_under(
    patch: &ConfigPatch,
    random: &mut impl Rng,
    steps: usize,
    see: &mut impl FnMut(&Breaker),
) -> Result<()> {
    let layers = [(breaker_core::Source::Breaker, patch)];
    let resolved = Config::resolve(&layers).map_err(|refused| anyhow::anyhow!("{refused:?}"))?;
    let config = resolved.config;
    let mut now = Time::from_millis(1_700_000_000_000);
    let mut breaker = Breaker::new(now);
    for _ in 0..steps {
        now = now + Duration::from_millis(random.random_range(0..400));
        step(random, &mut breaker, &config, now)?;
        see(&breaker);
    }
    Ok(())
}

fn step(random: &mut impl Rng, breaker: &mut Breaker, config: &Config, now: Time) -> Result<()> {
    let by = Attribution::new("anna", "drill, \"second\"\nline ✓")?;
    match random.random_range(0..40) {
        0 => drop(breaker.override_with(config, some_override(random)?, by, None, now)),
        1 => {
            let time_to_live = Some(Duration::from_millis(random.random_range(1..2_000)));
            drop(breaker.override_with(config, some_override(random)?, by, time_to_live, now));
        }
        2..5 => drop(breaker.release(config, by, now)),
        5 => drop(breaker.trip(config, by, now)),
        6 => drop(breaker.reset(config, by, now)),
        7..22 => {
            let (decision, _) = breaker.acquire(config, now);
            if let Some(permit) = decision.permit()
                && random.random_bool(0.5)
            {
                let run = Run::new(Outcome::Success, 1);
                let report = Report::current(run).with_permit(permit.id);
                drop(breaker.record(config, &report, now));
            }
        }
        _ => {
            let outcomes = [Outcome::Success, Outcome::Failure, Outcome::Timeout, Outcome::Ignored];
            let outcome = *outcomes.choose(random).ok_or_else(|| anyhow::anyhow!("outcomes"))?;
            let duration = Duration::from_micros(random.random_range(0..300_000));
            let mut run = Run::new(outcome, random.random_range(1..4)).lasting(duration);
            run.error_kind = ErrorKind::parse(["", "http.503"][random.random_range(0..2)])?;
            let reporter = ReporterId::of(["", "a", "b"][random.random_range(0..3)]);
            drop(breaker.record(config, &Report::current(run).by(reporter), now));
        }
    }
    Ok(())
}

fn some_override(random: &mut impl Rng) -> Result<OverrideKind> {
    let kinds = [
        OverrideKind::ForcedOpen,
        OverrideKind::ForcedClosed,
        OverrideKind::Disabled,
        OverrideKind::Shadow,
    ];
    kinds.choose(random).copied().ok_or_else(|| anyhow::anyhow!("kinds"))
}

/// A transition that took effect so many seconds after the epoch.
pub(crate) fn transition(id: u64, breaker: &str, at_s: u64) -> Result<Arc<TransitionRecord>> {
    Ok(Arc::new(TransitionRecord {
        id,
        breaker: name(breaker)?,
        revision: (3 << 40) + id,
        transition: Transition {
            from: StateKind::Closed,
            to: StateKind::Open,
            from_mode: Mode::Normal,
            to_mode: Mode::Normal,
            from_level: None,
            to_level: Some("critical".into()),
            generation: id,
            cause: Cause::FailureThreshold,
            by: Attribution::default(),
            at: Time::from_millis(at_s * 1_000),
            counts: Counts { failure_count: 5, ..Counts::default() },
        },
    }))
}

/// Every breaker of a store, by name.
pub(crate) async fn load(store: &dyn Store) -> Result<Vec<BreakerRow>> {
    let mut rows = Vec::new();
    let mut damaged = Vec::new();
    store
        .load(&mut |loaded| match loaded {
            Loaded::Breaker(row) => rows.push(row),
            Loaded::Damaged(row) => damaged.push(row),
        })
        .await?;
    anyhow::ensure!(damaged.is_empty(), "{damaged:?}");
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(rows)
}

/// The transitions of a page without damage, which goes on from the last of them.
pub(crate) fn undamaged(page: TransitionPage) -> Result<Vec<TransitionRecord>> {
    let TransitionPage { records, damaged, last } = page;
    anyhow::ensure!(damaged.is_empty(), "{damaged:?}");
    anyhow::ensure!(last == records.last().map(TransitionRecord::moment), "goes on from {last:?}");
    Ok(records)
}

pub(crate) fn rows_batch(rows: Vec<BreakerRow>) -> Batch {
    Batch { rows, ..Batch::default() }
}

pub(crate) fn transitions_batch(transitions: Vec<Arc<TransitionRecord>>) -> Batch {
    Batch { transitions, ..Batch::default() }
}

pub(crate) fn seeded(seed: u64) -> StdRng {
    rand::SeedableRng::seed_from_u64(seed)
}
