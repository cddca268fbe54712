//! How a call is remembered, and what is summed up over calls.

use crate::outcome::Outcome;
use crate::window::Sums;

/// One call in eight bytes: outcome in bits 0 and 1, slow in bit 2, nanoseconds above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PackedCall(pub(crate) u64);

const SLOW_BIT: u64 = 1 << 2;
const DURATION_SHIFT: u32 = 3;

impl PackedCall {
    pub(crate) fn new(outcome: Outcome, nanos: u64, is_slow: bool) -> Self {
        let nanos = nanos.min(u64::MAX >> DURATION_SHIFT);
        let slow = if is_slow { SLOW_BIT } else { 0 };
        Self(nanos << DURATION_SHIFT | slow | u64::from(code(outcome)))
    }

    pub(crate) const fn is_success(self) -> bool {
        self.0 & 3 == code(Outcome::Success) as u64
    }

    pub(crate) const fn is_slow(self) -> bool {
        self.0 & SLOW_BIT != 0
    }

    const fn nanos(self) -> u64 {
        self.0 >> DURATION_SHIFT
    }

    pub(crate) const fn is_valid(self) -> bool {
        self.0 & 3 != 0
    }
}

/// An outcome in two bits; 0 is no call at all.
pub(crate) const fn code(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Ignored => 0,
        Outcome::Success => 1,
        Outcome::Failure => 2,
        Outcome::Timeout => 3,
    }
}

/// Sums over calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallSums {
    /// Calls.
    pub calls: u32,
    /// Failures and timeouts among them.
    pub failures: u32,
    /// Slow ones among them.
    pub slow: u32,
    /// The durations of the successes, in nanoseconds.
    pub success_nanos: u64,
}

impl CallSums {
    /// Successes.
    pub const fn successes(&self) -> u32 {
        self.calls.saturating_sub(self.failures)
    }
}

impl Sums for CallSums {
    type Call = PackedCall;

    fn add(&mut self, call: PackedCall, count: u32) {
        self.calls = self.calls.saturating_add(count);
        if call.is_success() {
            let nanos = call.nanos().saturating_mul(u64::from(count));
            self.success_nanos = self.success_nanos.saturating_add(nanos);
        } else {
            self.failures = self.failures.saturating_add(count);
        }
        if call.is_slow() {
            self.slow = self.slow.saturating_add(count);
        }
    }

    fn remove(&mut self, call: PackedCall) {
        let mut one = Self::default();
        one.add(call, 1);
        self.subtract(&one);
    }

    fn join(&mut self, others: &Self) {
        self.calls = self.calls.saturating_add(others.calls);
        self.failures = self.failures.saturating_add(others.failures);
        self.slow = self.slow.saturating_add(others.slow);
        self.success_nanos = self.success_nanos.saturating_add(others.success_nanos);
    }

    fn subtract(&mut self, others: &Self) {
        self.calls = self.calls.saturating_sub(others.calls);
        self.failures = self.failures.saturating_sub(others.failures);
        self.slow = self.slow.saturating_sub(others.slow);
        self.success_nanos = self.success_nanos.saturating_sub(others.success_nanos);
    }
}
