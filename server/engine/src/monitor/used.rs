//! How a breaker gets into the next sample: what it has counted before its first use since the last
//! one goes into a queue, and the sampler compares that with what it has counted by then.

use breaker_core::{BreakerName, Time, Totals};

use super::series::ActivitySample;
use crate::live::Live;
use crate::signals::Signals;

/// A breaker that was used since the last sample.
#[derive(Debug)]
pub(crate) struct Used {
    pub(crate) name: BreakerName,
    /// Its mark: a breaker that was deleted and made anew has another one.
    ticket: u64,
    before: Totals,
}

impl Live {
    /// What the breaker has counted, if a change of it is news to the sampler.
    pub(crate) fn totals_before(&self) -> Option<Totals> {
        (self.marks.ticket == 0).then(|| self.totals())
    }

    /// Tells the sampler that the breaker counts something, with what it had counted before.
    pub(crate) fn note_counted(
        &mut self,
        name: &BreakerName,
        signals: &Signals,
        before: Option<Totals>,
    ) {
        let Some(before) = before.filter(|before| *before != self.totals()) else { return };
        self.marks.ticket = signals.next_ticket();
        signals.used.push(Used { name: name.clone(), ticket: self.marks.ticket, before });
    }

    /// What the breaker has counted since it was marked.
    pub(super) fn take_sample(&mut self, used: &Used, now: Time) -> Option<ActivitySample> {
        if self.marks.ticket != used.ticket {
            return None;
        }
        self.marks.ticket = 0;
        let (before, after) = (&used.before, self.totals());
        let rates = self.breaker.metrics().map(|metrics| metrics.rates(now)).unwrap_or_default();
        let grown = |before: u64, after: u64| {
            u32::try_from(after.saturating_sub(before)).unwrap_or(u32::MAX)
        };
        Some(ActivitySample {
            at: now,
            successes: grown(before.successes, after.successes),
            failures: grown(before.failures, after.failures),
            timeouts: grown(before.timeouts, after.timeouts),
            denied: grown(before.denied, after.denied),
            failure_rate: rates.failure_rate,
            slow_rate: rates.slow_rate,
            average_response_time_ms: rates.average_response_time_ms,
        })
    }

    fn totals(&self) -> Totals {
        self.breaker.metrics().map(|metrics| *metrics.totals()).unwrap_or_default()
    }
}
