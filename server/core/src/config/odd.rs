//! What is allowed and makes no sense: told as warnings when a configuration is applied.

use crate::config::{Config, ConfigPatch, Key, Thousandths, Violation, WindowSize};

impl Config {
    /// Everything about this configuration that somebody probably did not mean. `asked` is what it
    /// was made from: a default is nobody's mistake.
    pub(super) fn oddities(&self, asked: &ConfigPatch) -> Vec<Violation> {
        let mut odd = Vec::new();
        let mut warn = |field: &str, description: String| {
            odd.push(Violation::new(field, description));
        };
        let (threshold, in_a_row) = (self.failure_threshold, self.consecutive_failures);
        if self.levels.is_none()
            && self.adaptive.is_none()
            && threshold != 0
            && in_a_row >= threshold
        {
            warn(
                "consecutive_failures",
                format!(
                    "{in_a_row} failures in a row reach failure_threshold = {threshold} first; \
                     lower it, or raise failure_threshold"
                ),
            );
        }
        if let WindowSize::Calls(calls) = self.window
            && self.has_rates()
            && self.min_reporters > calls
        {
            warn(
                "min_reporters",
                format!(
                    "{} reporters are never in a window of {calls} calls, so no rate can trip; \
                     lower it, or raise window.calls",
                    self.min_reporters
                ),
            );
        }
        if let Some(slow) = self.slow_call_rate
            && slow.duration >= self.call_timeout
        {
            warn(
                "slow_call_rate.duration",
                format!(
                    "a call longer than {:?} is a TIMEOUT before it is slow, because call_timeout \
                     is {:?}; lower it, or raise call_timeout",
                    slow.duration, self.call_timeout
                ),
            );
        }
        if let Some(backoff) = self.backoff
            && backoff.multiplier == Thousandths::ONE
            && backoff.jitter == Thousandths(0)
        {
            warn("backoff", "a multiplier of 1 without jitter changes nothing".to_owned());
        }
        if let Some(probes) = self.probe_calls {
            if asked.success_threshold.is_some() {
                warn(
                    "success_threshold",
                    "it means nothing beside probe_calls, which judges the probes".to_owned(),
                );
            }
            if let Some(most) = self.max_probes.filter(|&most| most > probes.calls) {
                warn(
                    "max_probes",
                    format!(
                        "{most} probes are never out, because probe_calls judges {}",
                        probes.calls
                    ),
                );
            }
        }
        self.odd_adaptive(&mut warn);
        self.odd_levels(asked, &mut warn);
        odd
    }

    fn odd_adaptive(&self, warn: &mut impl FnMut(&str, String)) {
        let Some(adaptive) = self.adaptive() else { return };
        let (least, most) = (adaptive.min_failure_threshold, adaptive.max_failure_threshold);
        match self.failure_threshold {
            0 => warn(
                "adaptive",
                "failure_threshold is off, so only the open duration adapts".to_owned(),
            ),
            base if !(least..=most).contains(&base) => warn(
                "failure_threshold",
                format!("{base} lies outside what adaptive keeps it in, {least} to {most}"),
            ),
            _ => {}
        }
        if let Some(backoff) =
            self.backoff.filter(|backoff| backoff.max < adaptive.max_open_duration)
        {
            warn(
                "backoff.max",
                format!(
                    "OPEN never lasts longer than {:?}, so adaptive.max_open_duration of {:?} is \
                     never reached",
                    backoff.max, adaptive.max_open_duration
                ),
            );
        }
        let (least, most) = (adaptive.min_open_duration, adaptive.max_open_duration);
        if !(least..=most).contains(&self.open_duration) {
            warn(
                "open_duration",
                format!(
                    "{:?} lies outside what adaptive keeps it in, {least:?} to {most:?}: the first \
                     trip that adapts it moves it there",
                    self.open_duration
                ),
            );
        }
    }

    fn odd_levels(&self, asked: &ConfigPatch, warn: &mut impl FnMut(&str, String)) {
        let Some(levels) = self.levels() else { return };
        for key in [Key::FailureThreshold, Key::OpenDuration, Key::SuccessThreshold] {
            if asked.is_set(key) {
                let description = "it means nothing beside levels, which set it for each level";
                warn(key.as_str(), description.to_owned());
            }
        }
        if levels.levels.len() > 1 && levels.escalate_above == 100 {
            let description = "no rate lies above 100 percent, so the breaker never escalates";
            warn("levels.escalate_above", description.to_owned());
        }
    }
}
