//! What a breaker that nobody calls takes: a million of them have to fit.

use std::mem::size_of;

use crate::counters::Counters;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::overrides::Override;
use crate::state::State;
use crate::{Breaker, BreakerName, Time};

#[test]
fn an_idle_breaker_is_small_and_owns_nothing_beyond_itself() {
    println!(
        "Breaker {} B: state {}, counters {}, pointers {}; name {} B",
        size_of::<Breaker>(),
        size_of::<State>(),
        size_of::<Counters>(),
        size_of::<Option<Box<Override>>>()
            + size_of::<Option<Box<Metrics>>>()
            + size_of::<Option<Box<Memory>>>(),
        size_of::<BreakerName>(),
    );
    println!(
        "on demand: Metrics {} B, Memory {} B, Quorum {} B, Override {} B",
        size_of::<Metrics>(),
        size_of::<Memory>(),
        size_of::<crate::quorum::Quorum>(),
        size_of::<Override>(),
    );
    let breaker = Breaker::new(Time::EPOCH);
    assert!(breaker.metrics.is_none() && breaker.memory.is_none() && breaker.override_.is_none());
    assert!(size_of::<Breaker>() <= 96);
    // A name of the longest kind that people use, with the counts of its `Arc`.
    let name = size_of::<BreakerName>() + 2 * size_of::<usize>() + 64;
    assert!(size_of::<Breaker>() + name <= 400);
}
