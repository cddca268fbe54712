//! Tests of the whole crate: stories told as tables, and random walks against invariants.

mod globs;
mod size;
mod story;
mod tables;
mod times;
mod walks;

pub(crate) use self::walks::config;
use proptest::test_runner::{Config, RngSeed};

/// Random tests take the same way each time, unless `PROPTEST_RNG_SEED` and `PROPTEST_CASES` say
/// otherwise: what fails once fails again.
pub(crate) fn deterministic(cases: u32) -> Config {
    let asked = Config::default();
    let rng_seed = match asked.rng_seed {
        RngSeed::Random => RngSeed::Fixed(7_420),
        fixed => fixed,
    };
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { asked.cases } else { cases };
    Config { cases, rng_seed, failure_persistence: None, ..asked }
}
