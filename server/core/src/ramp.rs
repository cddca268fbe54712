//! The ramp between the probes and CLOSED: a share of the calls flows, and grows step by step.

use crate::config::Ramp;
use crate::time::Time;

/// Where a breaker stands on its ramp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ramping {
    /// The step, from 0.
    pub step: u32,
    /// When the step ends.
    pub ends_at: Time,
    /// What of the share was not used yet, in hundredths of a call.
    pub credit: u32,
}

impl Ramping {
    /// The first step.
    pub(crate) fn begin(ramp: &Ramp, now: Time) -> Self {
        Self { step: 0, ends_at: now + ramp.step, credit: 0 }
    }

    /// A ramp as it was stored. A credit that no ramp leaves would let a crowd through.
    pub(crate) fn restored(self) -> Self {
        Self { credit: self.credit.min(99), ..self }
    }

    /// The step after this one, if there is one.
    pub(crate) fn next(self, ramp: Option<&Ramp>) -> Option<Self> {
        let ramp = ramp?;
        let step = self.step.saturating_add(1);
        ((step as usize) < ramp.percents.len()).then(|| Self {
            step,
            ends_at: self.ends_at + ramp.step,
            credit: self.credit,
        })
    }

    /// The share of the calls that flows, in percent. A ramp that a changed configuration has made
    /// shorter, or taken away, lets all flow until the step is over.
    pub(crate) fn admit_percent(&self, ramp: Option<&Ramp>) -> u32 {
        let percent = ramp.and_then(|ramp| ramp.percents.get(self.step as usize));
        percent.copied().unwrap_or(100)
    }

    /// Whether the next call is of the share. Every so-manyth call is, so that the share is exact
    /// for any number of calls and needs no chance.
    pub(crate) const fn admits(&mut self, percent: u32) -> bool {
        self.credit += percent;
        if self.credit < 100 {
            return false;
        }
        self.credit -= 100;
        true
    }
}
