use std::fs;

use breaker_core::ConfigPatch;
use parking_lot::Mutex;

use super::*;
use crate::defaults::Defaults;

const BREAKERS: usize = 1_000_000;

/// What one idle breaker may take in memory, its name and its place in the map included; and if it is
/// alone in its namespace.
const MAX_BYTES: usize = 380;
const MAX_BYTES_ALONE: usize = 490;

/// Bytes of this process that are in memory.
fn resident_bytes() -> usize {
    const PAGE: usize = 4096;
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * PAGE
}

#[test]
fn a_million_idle_breakers_stay_small() {
    check(MAX_BYTES, |number| format!("payments/provider-{number:07}"));
}

#[test]
fn a_million_idle_breakers_stay_small_in_a_namespace_each() {
    check(MAX_BYTES_ALONE, |number| format!("provider-{number:07}/payments"));
}

fn check(max_bytes: usize, name: impl Fn(usize) -> String) {
    // Two at a time would measure each other.
    static ONE: Mutex<()> = Mutex::new(());
    let _alone = ONE.lock();
    let defaults = Defaults::new(ConfigPatch::default()).unwrap();
    let policies = Policies::new(defaults, Vec::new(), &Opened::default());
    let breakers = Breakers::new(policies, BREAKERS, &Opened::default());
    let before = resident_bytes();
    for number in 0..BREAKERS {
        let name = BreakerName::new(&name(number)).unwrap();
        breakers.with_or_create(name, Time::from_millis(1), |_, _| ()).unwrap();
        // What the recorder would do at once.
        while breakers.signals.changes.pop().is_some() {}
    }
    let each = (resident_bytes() - before) / BREAKERS;
    println!(
        "an idle breaker takes {each} bytes with its name and its place in the map; of these {} are \
         the breaker, and {} of it the state machine",
        size_of::<Live>(),
        size_of::<breaker_core::Breaker>()
    );
    assert_eq!(breakers.len(), BREAKERS);
    assert!(each <= max_bytes, "{each} bytes");
}
