//! What `breakerctl simulate` says is what a server does: random calls under random
//! configurations, through both.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use breaker_core::{
    Adaptive, Backoff, Config, ConfigPatch, DurationReason, Effective, ExpiredProbe, FailureRate,
    Levels, Outcome, ProbeCalls, Ramp, SlowCallRate, Source, StateKind, Thousandths,
    ThresholdReason, Time, WindowSize,
};
use breaker_proto::v1;
use breaker_tests::Hosted;
use breaker_wire::{
    duration_from_message, duration_reason_from_message, duration_to_message, outcome_to_message,
    patch_to_message, state_from_message, threshold_reason_from_message,
};
use breakerctl::simulate::{Call, Replayed, replay};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};

const NAME: &str = "simulated/breaker";

fn patches() -> impl Strategy<Value = ConfigPatch> {
    let millis = |range: std::ops::Range<u64>| range.prop_map(Duration::from_millis);
    let counts = (
        (1..5_u32, 0..3_u32, 0..4_u32),
        (millis(1..400), 1..4_u32, option::of(1..4_u32), millis(5..200)),
    );
    (counts, windows(), recoveries(), moving()).prop_map(
        |(
            ((failures, decay, in_a_row), (open, successes, probes, timeout)),
            rates,
            back,
            moving,
        )| {
            let (window, failure_rate, slow_call_rate) = rates;
            let (backoff, probe_calls, ramp, expired_probe) = back;
            let (adaptive, levels) = moving;
            ConfigPatch {
                failure_threshold: Some(failures),
                failure_decay: Some(decay),
                consecutive_failures: Some(in_a_row),
                failure_rate: Some(failure_rate),
                slow_call_rate: Some(slow_call_rate),
                window: Some(window),
                open_duration: Some(open),
                backoff: Some(backoff),
                success_threshold: Some(successes),
                max_probes: probes,
                probe_calls: Some(probe_calls),
                expired_probe: Some(expired_probe),
                ramp: Some(ramp),
                call_timeout: Some(timeout),
                adaptive: Some(adaptive),
                levels: Some(levels),
                ..ConfigPatch::default()
            }
        },
    )
}

type Windows = (WindowSize, Option<FailureRate>, Option<SlowCallRate>);

fn windows() -> impl Strategy<Value = Windows> {
    let size = prop_oneof![
        (5..20_u32).prop_map(WindowSize::Calls),
        (100..2_000_u64).prop_map(|millis| WindowSize::Duration(Duration::from_millis(millis))),
    ];
    let rate = (1..=100_u32, 1..5_u32);
    (size, option::of(rate.clone()), option::of((rate, 1..100_u64))).prop_map(
        |(size, failed, slow)| {
            let failed =
                failed.map(|(percent, minimum_calls)| FailureRate { percent, minimum_calls });
            let slow = slow.map(|((percent, minimum_calls), millis)| SlowCallRate {
                percent,
                minimum_calls,
                duration: Duration::from_millis(millis),
            });
            (size, failed, slow)
        },
    )
}

type Recoveries = (Option<Backoff>, Option<ProbeCalls>, Option<Ramp>, ExpiredProbe);

fn recoveries() -> impl Strategy<Value = Recoveries> {
    let backoff = (1_000..3_000_u32, 0..500_u32).prop_map(|(multiplier, jitter)| Backoff {
        multiplier: Thousandths(multiplier),
        max: Duration::from_secs(2),
        jitter: Thousandths(jitter),
    });
    let probes = (1..5_u32, 1..=100_u32)
        .prop_map(|(calls, failure_percent)| ProbeCalls { calls, failure_percent });
    let ramp = (1..50_u32, 1..300_u64).prop_map(|(percent, step)| Ramp {
        percents: vec![percent, percent * 2 - 1 + percent % 2, 99],
        step: Duration::from_millis(step),
    });
    let ramp = ramp.prop_filter("rises", |ramp| ramp.percents.is_sorted_by(|a, b| a < b));
    let expired = prop_oneof![Just(ExpiredProbe::Timeout), Just(ExpiredProbe::Ignore)];
    (option::of(backoff), option::of(probes), option::of(ramp), expired)
}

/// Adaptive or with levels, or neither.
fn moving() -> impl Strategy<Value = (Option<Adaptive>, Option<Levels>)> {
    let adaptive = (2..12_u32).prop_map(|window| Adaptive {
        window,
        fast_response: Duration::from_millis(20),
        slow_response: Duration::from_millis(60),
        min_open_duration: Duration::from_millis(10),
        max_open_duration: Duration::from_millis(600),
        ..Adaptive::default()
    });
    let levels = (0..100_u32, 1..600_u64).prop_map(|(escalate_above, deescalate_after)| {
        let mut levels = Levels { escalate_above, ..Levels::default() };
        levels.deescalate_after = Duration::from_millis(deescalate_after);
        for (level, millis) in levels.levels.iter_mut().zip([50, 120, 300]) {
            level.open_duration = Duration::from_millis(millis);
        }
        levels
    });
    prop_oneof![
        Just((None, None)),
        adaptive.prop_map(|adaptive| (Some(adaptive), None)),
        levels.prop_map(|levels| (None, Some(levels))),
    ]
}

/// Calls whose starts and durations often fall together.
fn traces() -> impl Strategy<Value = Vec<Call>> {
    let outcome = prop_oneof![
        3 => Just(Outcome::Success),
        3 => Just(Outcome::Failure),
        1 => Just(Outcome::Timeout),
        1 => Just(Outcome::Ignored),
    ];
    let call = (0..60_u64, outcome, prop_oneof![0..10_u64, 0..300_u64]);
    vec(call, 0..60).prop_map(|steps| {
        let mut at = 0;
        let mut trace = Vec::with_capacity(steps.len());
        for (step, outcome, duration) in steps {
            at += step / 4 * 5;
            trace.push(Call {
                at: Time::from_millis(at),
                at_ms: at.into(),
                outcome,
                duration: Duration::from_millis(duration / 5 * 5),
                error_kind: None,
            });
        }
        trace
    })
}

/// The same calls through a server, one request after another.
async fn through_server(patch: &ConfigPatch, trace: &[Call]) -> anyhow::Result<Vec<Replayed>> {
    let begin = trace.first().map_or(Time::EPOCH, |call| call.at);
    let mut hosted = Hosted::start(begin).await?;
    let create = v1::CreateBreakerRequest {
        name: NAME.into(),
        config: Some(patch_to_message(patch)),
        require_durable: false,
    };
    hosted.clients.admin.create_breaker(create).await?;
    let mut seen: Vec<Replayed> = Vec::new();
    let mut admitted = Vec::new();
    let mut in_flight = BinaryHeap::new();
    for call in trace.iter().map(Some).chain([None]) {
        while let Some(&Reverse((at, index))) = in_flight.peek()
            && call.is_none_or(|call| at <= call.at)
        {
            in_flight.pop();
            hosted.clock.advance_to(at);
            report(&mut hosted, &trace[index], &admitted[index]).await?;
            seen[index] = look(&mut hosted, true).await?;
        }
        let Some(call) = call else { break };
        hosted.clock.advance_to(call.at);
        let request = v1::AcquireRequest { breaker: NAME.into(), client_id: String::new() };
        let answer = hosted.clients.breakers.acquire(request).await?.into_inner();
        if answer.allowed {
            in_flight.push(Reverse((call.at + call.duration, seen.len())));
        }
        seen.push(look(&mut hosted, answer.allowed).await?);
        admitted.push(answer);
    }
    hosted.stop().await?;
    Ok(seen)
}

async fn report(
    hosted: &mut Hosted,
    call: &Call,
    admitted: &v1::AcquireResponse,
) -> anyhow::Result<()> {
    let run = v1::Run {
        outcome: outcome_to_message(call.outcome).into(),
        count: 1,
        total_duration: Some(duration_to_message(call.duration)),
        permit_id: admitted.permit.map_or(0, |permit| permit.id),
        ..v1::Run::default()
    };
    let report = v1::BreakerReport {
        breaker: NAME.into(),
        generation: admitted.generation,
        runs: vec![run],
        late: false,
    };
    let request = v1::ReportRequest { reports: vec![report], ..v1::ReportRequest::default() };
    hosted.clients.breakers.report(request).await?;
    Ok(())
}

async fn look(hosted: &mut Hosted, is_allowed: bool) -> anyhow::Result<Replayed> {
    let request = v1::GetBreakerRequest { name: NAME.into() };
    let breaker = hosted.clients.admin.get_breaker(request).await?.into_inner().breaker;
    let breaker = breaker.unwrap_or_default();
    let counts = breaker.counts.unwrap_or_default();
    let state = breaker.state.unwrap_or_default();
    Ok(Replayed {
        is_allowed,
        state: state_from_message(state.state).unwrap_or(StateKind::Closed),
        failure_count: counts.failure_count,
        success_count: counts.success_count,
        effective: effective(&state.effective.unwrap_or_default()),
        level_number: state.level.map_or(0, |level| level.number as usize),
    })
}

fn effective(message: &v1::EffectiveValues) -> Effective {
    let open_duration = message.open_duration.unwrap_or_default();
    Effective {
        failure_threshold: message.failure_threshold,
        threshold_reason: threshold_reason_from_message(message.threshold_reason)
            .unwrap_or(ThresholdReason::Configured),
        open_duration: duration_from_message("open_duration", &open_duration).unwrap_or_default(),
        duration_reason: duration_reason_from_message(message.duration_reason)
            .unwrap_or(DurationReason::Configured),
        success_threshold: message.success_threshold,
        max_probes: message.max_probes,
    }
}

#[test]
fn a_server_decides_as_the_simulation_says() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = TestRunner::new(Cases { cases: 48, ..Cases::default() });
    let outcome = runner.run(&(patches(), traces()), |(patch, trace)| {
        let config = Config::resolve(&[(Source::Breaker, &patch)]).unwrap().config;
        let simulated = replay(&config, &trace).calls;
        let served = runtime.block_on(through_server(&patch, &trace)).unwrap();
        prop_assert_eq!(simulated, served);
        Ok(())
    });
    outcome.unwrap();
}
