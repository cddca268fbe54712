//! Any configuration that resolves, under any events and any clock: no panic, no overflow, no
//! endless loop, and a breaker that comes back from storage as it was.

#![no_main]

use std::time::Duration;

use arbitrary::Arbitrary;
use breaker_core::{
    Adaptive, Attribution, Backoff, Breaker, Config, ConfigPatch, ErrorKind, ExpiredProbe,
    FailureRate, Levels, Outcome, OverrideKind, PermitId, ProbeCalls, Ramp, Report, ReporterId,
    Run, SlowCallRate, Source, StateKind, Thousandths, Time, WindowSize,
};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Life {
    configuration: Configuration,
    begins_at: u64,
    steps: Vec<(u32, bool, Step)>,
}

/// Milliseconds and plain numbers; most of what is out of range is refused, which is a test too.
#[derive(Arbitrary, Debug)]
struct Configuration {
    counts: (u8, u8, u8),
    failure_rate: Option<(u8, u8)>,
    slow_call_rate: Option<(u8, u8, u16)>,
    window: Result<u16, u32>,
    quorum: (u8, Option<u8>),
    open_ms: u16,
    backoff: Option<(u16, u32, u16)>,
    probes: (u8, Option<u8>, Option<(u8, u8)>, bool),
    ramp: Option<(Vec<u8>, u16)>,
    timeout_ms: u16,
    globs: (Option<Vec<String>>, Option<Vec<String>>),
    adaptive: Option<u8>,
    levels: Option<u8>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Acquires,
    Records { outcome: u8, count: u32, nanos: u64, slow: u32, kind: String, age: u64, of: Of },
    Overrides(u8, Option<u32>),
    Releases,
    Trips,
    Resets,
    Reconfigures(Box<Configuration>),
    Restarts,
}

#[derive(Arbitrary, Debug)]
struct Of {
    generation: Option<u8>,
    permit: Option<u8>,
    reporter: u8,
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn resolve(asked: &Configuration) -> Option<Config> {
    let (successes, max_probes, probe_calls, ignores) = asked.probes;
    let rate = |(percent, minimum): (u8, u8)| FailureRate {
        percent: percent.into(),
        minimum_calls: minimum.into(),
    };
    let patch = ConfigPatch {
        failure_threshold: Some(asked.counts.0.into()),
        failure_decay: Some(asked.counts.1.into()),
        consecutive_failures: Some(asked.counts.2.into()),
        failure_rate: Some(asked.failure_rate.map(rate)),
        slow_call_rate: Some(asked.slow_call_rate.map(|(percent, minimum, limit)| SlowCallRate {
            percent: percent.into(),
            minimum_calls: minimum.into(),
            duration: ms(limit.into()),
        })),
        window: Some(match asked.window {
            Ok(calls) => WindowSize::Calls(calls.into()),
            Err(millis) => WindowSize::Duration(ms(millis.into())),
        }),
        min_reporters: Some(asked.quorum.0.into()),
        max_reporter_share: Some(asked.quorum.1.map(u32::from)),
        open_duration: Some(ms(asked.open_ms.into())),
        backoff: Some(asked.backoff.map(|(multiplier, max, jitter)| Backoff {
            multiplier: Thousandths(multiplier.into()),
            max: ms(max.into()),
            jitter: Thousandths(jitter.into()),
        })),
        success_threshold: Some(successes.into()),
        max_probes: max_probes.map(u32::from),
        probe_calls: Some(probe_calls.map(|(calls, percent)| ProbeCalls {
            calls: calls.into(),
            failure_percent: percent.into(),
        })),
        expired_probe: Some(if ignores { ExpiredProbe::Ignore } else { ExpiredProbe::Timeout }),
        ramp: Some(asked.ramp.as_ref().map(|(percents, step)| Ramp {
            percents: percents.iter().copied().map(u32::from).collect(),
            step: ms((*step).into()),
        })),
        call_timeout: Some(ms(asked.timeout_ms.into())),
        failure_errors: asked.globs.0.clone(),
        ignored_errors: asked.globs.1.clone(),
        on_unavailable: None,
        adaptive: Some(
            asked.adaptive.map(|window| Adaptive { window: window.into(), ..Adaptive::default() }),
        ),
        levels: Some(asked.levels.map(|escalate_above| Levels {
            escalate_above: escalate_above.into(),
            ..Levels::default()
        })),
    };
    Config::resolve(&[(Source::Breaker, &patch)]).ok().map(|resolved| resolved.config)
}

fn report<'s>(breaker: &Breaker, step: &'s Step, permits: &[PermitId]) -> Option<Report<'s>> {
    let Step::Records { outcome, count, nanos, slow, kind, age, of } = step else { return None };
    let outcomes = [Outcome::Success, Outcome::Failure, Outcome::Timeout, Outcome::Ignored];
    let run = Run {
        outcome: outcomes[usize::from(outcome % 4)],
        // The largest runs are for the tests: here they would only cost time.
        count: count % 5_000,
        total_duration: Duration::from_nanos(*nanos),
        slow_count: slow % (count % 5_000 + 1),
        error_kind: ErrorKind::parse(kind).ok()?,
        age: Duration::from_nanos(*age),
    };
    let known = of.permit.and_then(|index| permits.get(usize::from(index)));
    let generation = of.generation.map(|back| breaker.generation().saturating_sub(back.into()));
    let reporter = ReporterId::of(&of.reporter.to_string());
    Some(Report { permit: known.copied(), generation, ..Report::current(run) }.by(reporter))
}

fn live(life: &Life) -> Option<()> {
    let mut config = resolve(&life.configuration)?;
    let mut now = Time::from_nanos(life.begins_at);
    let mut breaker = Breaker::new(now);
    let mut permits = Vec::new();
    let by = Attribution::default;
    for (micros, is_back, step) in life.steps.iter().take(300) {
        let jump = Duration::from_micros((*micros).into());
        now = if *is_back { now - jump } else { now + jump };
        let generation = breaker.generation();
        let transitions = match step {
            Step::Acquires => {
                let (decision, transitions) = breaker.acquire(&config, now);
                permits.extend(decision.permit().map(|permit| permit.id));
                transitions
            }
            Step::Records { .. } => match report(&breaker, step, &permits) {
                Some(report) => breaker.record(&config, &report, now),
                None => Vec::new(),
            },
            Step::Overrides(kind, ttl) => {
                let kinds = [
                    OverrideKind::ForcedOpen,
                    OverrideKind::ForcedClosed,
                    OverrideKind::Disabled,
                    OverrideKind::Shadow,
                ];
                let ttl = ttl.map(|millis| ms(millis.into()));
                breaker.override_with(&config, kinds[usize::from(kind % 4)], by(), ttl, now)
            }
            Step::Releases => breaker.release(&config, by(), now),
            Step::Trips => breaker.trip(&config, by(), now),
            Step::Resets => breaker.reset(&config, by(), now),
            Step::Reconfigures(new) => {
                let transitions = breaker.advance(&config, now);
                config = resolve(new).unwrap_or(config);
                breaker.reconfigure(&config);
                transitions
            }
            Step::Restarts => {
                let snapshot = breaker.snapshot();
                breaker = Breaker::restore(snapshot, &config, now).expect("its own snapshot");
                Vec::new()
            }
        };
        let changes = transitions.iter().filter(|change| change.from != change.to).count();
        assert_eq!(breaker.generation(), generation + changes as u64);
        assert!(breaker.retry_at().is_none() || breaker.state() == StateKind::Open);
        assert_eq!(config.to_patch(), resolved_again(&config).to_patch());
        breaker.metrics().map(|metrics| metrics.rates(now));
    }
    Some(())
}

fn resolved_again(config: &Config) -> Config {
    let patch = config.to_patch();
    Config::resolve(&[(Source::Breaker, &patch)]).expect("what was resolved").config
}

fuzz_target!(|life: Life| {
    live(&life);
});
