//! What is refused: values out of their range, and values that contradict each other.

use std::ops::RangeInclusive;

use crate::config::check::Check;
use crate::config::limits::{
    MAX_ADAPTIVE_WINDOW, MAX_LEVEL_WORD_BYTES, MAX_LEVELS, MAX_MIN_REPORTERS, MAX_MULTIPLIER,
    MAX_PROBES, MAX_RAMP_STEPS, MAX_THRESHOLD, MAX_WINDOW_CALLS,
};
use crate::config::{
    Adaptive, Backoff, Config, ConfigPatch, FailureRate, Level, Levels, ProbeCalls, Ramp,
    SlowCallRate, Thousandths, Violation, WindowSize,
};

/// A share that means something.
const PERCENT: RangeInclusive<u32> = 1..=100;

impl Config {
    pub(super) fn checked(patch: &ConfigPatch) -> Result<Self, Vec<Violation>> {
        let default = Self::default();
        let mut check = Check::default();
        let mut number = |field: &str, value: Option<u32>, default: u32, range| {
            check.number(field, value.unwrap_or(default), range)
        };
        let thresholds = 0..=MAX_THRESHOLD;
        let failure_threshold = number(
            "failure_threshold",
            patch.failure_threshold,
            default.failure_threshold,
            thresholds.clone(),
        );
        let failure_decay =
            number("failure_decay", patch.failure_decay, default.failure_decay, thresholds.clone());
        let consecutive_failures = number(
            "consecutive_failures",
            patch.consecutive_failures,
            default.consecutive_failures,
            thresholds,
        );
        let min_reporters = number(
            "min_reporters",
            patch.min_reporters,
            default.min_reporters,
            1..=MAX_MIN_REPORTERS,
        );
        let success_threshold = number(
            "success_threshold",
            patch.success_threshold,
            default.success_threshold,
            1..=MAX_PROBES,
        );
        let max_probes =
            patch.max_probes.map(|probes| check.number("max_probes", probes, 1..=MAX_PROBES));
        let mut config = Self {
            failure_threshold,
            failure_decay,
            consecutive_failures,
            failure_rate: patch.failure_rate.flatten(),
            slow_call_rate: patch.slow_call_rate.flatten(),
            window: patch.window.unwrap_or(default.window),
            min_reporters,
            max_reporter_share: patch.max_reporter_share.flatten(),
            open_duration: check
                .duration("open_duration", patch.open_duration.unwrap_or(default.open_duration)),
            backoff: patch.backoff.flatten(),
            success_threshold,
            max_probes: None,
            probe_calls: patch.probe_calls.flatten(),
            expired_probe: patch.expired_probe.unwrap_or(default.expired_probe),
            ramp: patch.ramp.clone().flatten().map(Box::new),
            call_timeout: check
                .duration("call_timeout", patch.call_timeout.unwrap_or(default.call_timeout)),
            failure_errors: check.failure_errors(patch.failure_errors.as_deref()),
            ignored_errors: check
                .globs("ignored_errors", patch.ignored_errors.as_deref().unwrap_or_default()),
            on_unavailable: patch.on_unavailable.unwrap_or(default.on_unavailable),
            adaptive: patch.adaptive.flatten().map(Box::new),
            levels: patch.levels.clone().flatten().map(Box::new),
        };
        let says_something = |&most: &u32| config.levels.is_some() || most != config.max_probes();
        let max_probes = max_probes.filter(says_something);
        config.max_probes = max_probes;
        config.check_rules(&mut check);
        config.check_together(&mut check);
        check.passed(config)
    }

    /// Each rule by itself.
    fn check_rules(&self, check: &mut Check) {
        match self.window {
            WindowSize::Calls(calls) => {
                check.number("window.calls", calls, 1..=MAX_WINDOW_CALLS);
            }
            WindowSize::Duration(duration) => {
                check.duration("window.duration", duration);
            }
        }
        if let Some(FailureRate { percent, minimum_calls }) = self.failure_rate {
            check_rate(check, "failure_rate", percent, minimum_calls, self.window);
        }
        if let Some(SlowCallRate { percent, minimum_calls, duration }) = self.slow_call_rate {
            check_rate(check, "slow_call_rate", percent, minimum_calls, self.window);
            check.duration("slow_call_rate.duration", duration);
        }
        if let Some(share) = self.max_reporter_share {
            check.number("max_reporter_share", share, PERCENT);
        }
        if let Some(ProbeCalls { calls, failure_percent }) = self.probe_calls {
            check.number("probe_calls.calls", calls, 1..=MAX_PROBES);
            check.number("probe_calls.failure_percent", failure_percent, PERCENT);
        }
        if let Some(backoff) = self.backoff {
            check_backoff(check, backoff);
        }
        if let Some(ramp) = self.ramp() {
            check_ramp(check, ramp);
        }
        if let Some(adaptive) = self.adaptive() {
            check_adaptive(check, adaptive);
        }
        if let Some(levels) = self.levels() {
            check_levels(check, levels);
        }
    }

    /// What contradicts something else.
    fn check_together(&self, check: &mut Check) {
        let counts_nothing = match self.levels() {
            Some(levels) => levels.levels.iter().any(|level| level.failure_threshold == 0),
            None => self.failure_threshold == 0,
        };
        if counts_nothing && self.consecutive_failures == 0 && !self.has_rates() {
            check.refuse(
                "failure_threshold",
                "nothing can trip the breaker: failure_threshold and consecutive_failures are both \
                 0, and failure_rate and slow_call_rate are off; set one of them",
            );
        }
        if let Some(Backoff { max, .. }) = self.backoff {
            let levels = self.levels().map_or(&[][..], |levels| &levels.levels);
            let of_levels = levels.iter().map(|level| level.open_duration);
            let longest = of_levels.max().unwrap_or(self.open_duration);
            if max < longest {
                check.refuse(
                    "backoff.max",
                    format!(
                        "{max:?} is shorter than the open_duration of {longest:?} that it starts \
                         from; raise it, or lower open_duration"
                    ),
                );
            }
        }
        if self.adaptive.is_some() && self.levels.is_some() {
            check.refuse(
                "adaptive",
                "adaptive and levels both say what failure_threshold and open_duration are; turn \
                 one of them off",
            );
        }
    }
}

fn check_rate(
    check: &mut Check,
    field: &str,
    percent: u32,
    minimum_calls: u32,
    window: WindowSize,
) {
    check.number(&format!("{field}.percent"), percent, PERCENT);
    let minimum_field = format!("{field}.minimum_calls");
    check.number(&minimum_field, minimum_calls, 1..=MAX_THRESHOLD);
    if let WindowSize::Calls(calls) = window
        && minimum_calls > calls
    {
        check.refuse(
            &minimum_field,
            format!(
                "{minimum_calls} calls are never in a window of {calls}, so the rate could never \
                 trip; lower it, or raise window.calls"
            ),
        );
    }
}

fn check_backoff(check: &mut Check, Backoff { multiplier, max, jitter }: Backoff) {
    if !(Thousandths::ONE..=Thousandths(MAX_MULTIPLIER)).contains(&multiplier) {
        let most = Thousandths(MAX_MULTIPLIER);
        check.refuse(
            "backoff.multiplier",
            format!("{multiplier} is out of range; it must be 1 to {most}"),
        );
    }
    check.duration("backoff.max", max);
    if jitter > Thousandths::ONE {
        check.refuse("backoff.jitter", format!("{jitter} is out of range; it must be 0 to 1"));
    }
}

fn check_ramp(check: &mut Check, Ramp { percents, step }: &Ramp) {
    if percents.is_empty() || percents.len() > MAX_RAMP_STEPS {
        check.refuse(
            "ramp.percents",
            format!("{} shares; it must be 1 to {MAX_RAMP_STEPS}", percents.len()),
        );
    }
    for (index, &percent) in percents.iter().enumerate().take(MAX_RAMP_STEPS) {
        check.number(&format!("ramp.percents[{index}]"), percent, 1..=99);
    }
    if let Some(pair) = percents.windows(2).find(|pair| pair[0] >= pair[1]) {
        check.refuse(
            "ramp.percents",
            format!("{} follows {}, but a ramp must rise", pair[1], pair[0]),
        );
    }
    check.duration("ramp.step", *step);
}

fn check_adaptive(check: &mut Check, adaptive: &Adaptive) {
    let mut number = |name: &str, value, range| {
        check.number(&format!("adaptive.{name}"), value, range);
    };
    number("window", adaptive.window, 1..=MAX_ADAPTIVE_WINDOW);
    number("high_failure_percent", adaptive.high_failure_percent, 0..=100);
    number("low_failure_percent", adaptive.low_failure_percent, 0..=100);
    number("threshold_step", adaptive.threshold_step, 0..=MAX_THRESHOLD);
    number("min_failure_threshold", adaptive.min_failure_threshold, 1..=MAX_THRESHOLD);
    number("max_failure_threshold", adaptive.max_failure_threshold, 1..=MAX_THRESHOLD);
    check.duration("adaptive.slow_response", adaptive.slow_response);
    check.duration("adaptive.fast_response", adaptive.fast_response);
    check.duration("adaptive.min_open_duration", adaptive.min_open_duration);
    check.duration("adaptive.max_open_duration", adaptive.max_open_duration);
    let mut rises = |low: &str, high: &str, is_right: bool| {
        if !is_right {
            check.refuse(&format!("adaptive.{low}"), format!("it must not be more than {high}"));
        }
    };
    rises(
        "low_failure_percent",
        "high_failure_percent",
        adaptive.low_failure_percent <= adaptive.high_failure_percent,
    );
    rises(
        "min_failure_threshold",
        "max_failure_threshold",
        adaptive.min_failure_threshold <= adaptive.max_failure_threshold,
    );
    rises("fast_response", "slow_response", adaptive.fast_response <= adaptive.slow_response);
    rises(
        "min_open_duration",
        "max_open_duration",
        adaptive.min_open_duration <= adaptive.max_open_duration,
    );
    let (slow, fast) = (adaptive.slow_multiplier, adaptive.fast_multiplier);
    if !(Thousandths::ONE..=Thousandths(MAX_MULTIPLIER)).contains(&slow) {
        let description = format!("{slow} is out of range; it must be 1 to 1000");
        check.refuse("adaptive.slow_multiplier", description);
    }
    if !(Thousandths(1)..=Thousandths::ONE).contains(&fast) {
        let description = format!("{fast} is out of range; it must be 0.001 to 1");
        check.refuse("adaptive.fast_multiplier", description);
    }
}

fn check_levels(check: &mut Check, levels: &Levels) {
    let count = levels.levels.len();
    if !(1..=MAX_LEVELS).contains(&count) {
        check.refuse("levels.levels", format!("{count} levels; it must be 1 to {MAX_LEVELS}"));
    }
    for (index, level) in levels.levels.iter().enumerate().take(MAX_LEVELS) {
        let field = |name: &str| format!("levels.levels[{index}].{name}");
        let Level { name, failure_threshold, open_duration, success_threshold, serve } = level;
        check.word(&field("name"), name, MAX_LEVEL_WORD_BYTES);
        check.word(&field("serve"), serve, MAX_LEVEL_WORD_BYTES);
        check.number(&field("failure_threshold"), *failure_threshold, 0..=MAX_THRESHOLD);
        check.duration(&field("open_duration"), *open_duration);
        check.number(&field("success_threshold"), *success_threshold, 1..=MAX_PROBES);
        if levels.levels[..index].iter().any(|other| other.name == *name) {
            check.refuse(&field("name"), format!("`{name}` is the name of another level"));
        }
    }
    check.number("levels.escalate_above", levels.escalate_above, 0..=100);
    check.duration("levels.deescalate_after", levels.deescalate_after);
}
