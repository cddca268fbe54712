//! A trace is read or refused, and one that is read is replayed call by call under any rules.
#![no_main]

use std::sync::LazyLock;

use breaker_core::{Config, Source};
use breaker_wire::parse_config;
use breakerctl::simulate::{parse_trace, replay};
use libfuzzer_sys::fuzz_target;

/// Longer traces find nothing that shorter ones do not.
const MAX_CALLS: usize = 2_000;

static CONFIGS: LazyLock<Vec<Config>> = LazyLock::new(|| {
    let texts = [
        "",
        "adaptive = true\nwindow = { duration = \"10s\" }\nfailure_rate = { percent = 50, minimum_calls = 5 }",
        "levels = true\nramp = { percents = [10, 50], step = \"5s\" }\nbackoff = { multiplier = 2, max = \"10m\", jitter = 0.5 }",
        "slow_call_rate = { percent = 30, minimum_calls = 3, duration = \"1s\" }\nprobe_calls = { calls = 4, failure_percent = 50 }\nexpired_probe = \"ignore\"",
    ];
    let config = |text: &str| {
        let patch = parse_config(text).expect("a configuration of the target");
        Config::resolve(&[(Source::Breaker, &patch)]).expect("a configuration of the target").config
    };
    texts.into_iter().map(config).collect()
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(trace) = parse_trace(bytes) else { return };
    if trace.len() > MAX_CALLS {
        return;
    }
    for config in &*CONFIGS {
        assert_eq!(replay(config, &trace).calls.len(), trace.len());
    }
});
