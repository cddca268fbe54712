//! A configuration file is read or refused, and one that is read means the same in every form and
//! can be lived by.
#![no_main]

use std::time::Duration;

use breaker_core::{Breaker, Config, Outcome, Report, ReporterId, Run, Source, Time};
use breaker_wire::{
    parse_config, patch_from_message, patch_from_value, patch_to_message, patch_to_value,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(patch) = parse_config(text) else { return };
    assert_eq!(patch_from_value(&patch_to_value(&patch)).as_ref(), Ok(&patch));
    let Ok(resolved) = Config::resolve(&[(Source::Breaker, &patch)]) else { return };
    let config = resolved.config;
    let again = config.to_patch();
    assert_eq!(patch_from_message(&patch_to_message(&again)).as_ref(), Ok(&again));
    let again = Config::resolve(&[(Source::Server, &again)]);
    assert_eq!(again.map(|resolved| resolved.config).as_ref(), Ok(&config));
    live(&config);
});

/// A short life in which calls fail, are slow, and recover.
fn live(config: &Config) {
    let mut now = Time::from_millis(1_700_000_000_000);
    let mut breaker = Breaker::new(now);
    for step in 0..60_u32 {
        now = now + Duration::from_millis(u64::from(step) * 37);
        let (decision, _) = breaker.acquire(config, now);
        let outcome = if step % 20 < 12 { Outcome::Failure } else { Outcome::Success };
        let run = Run::new(outcome, if decision.permit().is_some() { 1 } else { 1 + step % 3 });
        let run = run.lasting(Duration::from_millis(u64::from(step) * 50));
        let reporter = ReporterId::of(["a", "b", "c"][step as usize % 3]);
        let mut report = Report::admitted(run, breaker.generation()).by(reporter);
        report.permit = decision.permit().map(|permit| permit.id);
        if decision.is_allowed() {
            let _ = breaker.record(config, &report, now);
        }
        let restored = Breaker::restore(breaker.snapshot(), config, now);
        assert_eq!(restored.map(|restored| restored.state()), Ok(breaker.state()));
    }
}
