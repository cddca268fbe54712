//! The rules of a configuration as messages, and back. A rule that is turned off is a message whose
//! first field says so, which differs from one that is not set.

use std::time::Duration;

use breaker_core::limits::MAX_LEVELS;
use breaker_core::{
    Adaptive, Backoff, FailureRate, Level, Levels, ProbeCalls, Ramp, SlowCallRate, Thousandths,
    Violation, WindowSize,
};
use breaker_proto::v1;

use crate::time::{duration_from_message, duration_to_message};

/// Collects what a patch cannot hold.
#[derive(Default)]
pub(crate) struct Reader(pub(crate) Vec<Violation>);

impl Reader {
    pub(crate) fn refuse(&mut self, field: &str, description: impl Into<String>) {
        self.0.push(Violation::new(field, description));
    }

    /// A duration that may be left out.
    pub(crate) fn duration(
        &mut self,
        field: &str,
        message: Option<&prost_types::Duration>,
    ) -> Option<Duration> {
        duration_from_message(field, message?).map_err(|violation| self.0.push(violation)).ok()
    }

    /// A duration that must be there.
    fn needed(&mut self, field: &str, message: Option<&prost_types::Duration>) -> Duration {
        if message.is_none() {
            self.refuse(field, "it is missing; the rule needs it");
        }
        self.duration(field, message).unwrap_or_default()
    }

    fn factor(&mut self, field: &str, number: f64) -> Thousandths {
        Thousandths::from_f64(number).unwrap_or_else(|| {
            let description =
                format!("{number} is not a number from 0 to 1000000 in steps of a thousandth");
            self.refuse(field, description);
            Thousandths::ONE
        })
    }

    pub(crate) fn window(&mut self, message: Option<&v1::Window>) -> Option<WindowSize> {
        let v1::Window { calls, duration } = message?;
        match (calls, duration) {
            (calls, None) => Some(WindowSize::Calls(*calls)),
            (0, Some(_)) => {
                self.duration("window.duration", duration.as_ref()).map(WindowSize::Duration)
            }
            (_, Some(_)) => {
                self.refuse("window", "calls and duration are both set; set one of them");
                None
            }
        }
    }

    pub(crate) fn failure_rate(
        &mut self,
        message: Option<&v1::FailureRate>,
    ) -> Option<Option<FailureRate>> {
        let &v1::FailureRate { percent, minimum_calls } = message?;
        Some((percent != 0).then_some(FailureRate { percent, minimum_calls }))
    }

    pub(crate) fn slow_call_rate(
        &mut self,
        message: Option<&v1::SlowCallRate>,
    ) -> Option<Option<SlowCallRate>> {
        let v1::SlowCallRate { percent, minimum_calls, duration } = message?;
        Some((*percent != 0).then(|| SlowCallRate {
            percent: *percent,
            minimum_calls: *minimum_calls,
            duration: self.needed("slow_call_rate.duration", duration.as_ref()),
        }))
    }

    pub(crate) fn backoff(&mut self, message: Option<&v1::Backoff>) -> Option<Option<Backoff>> {
        let v1::Backoff { multiplier, max, jitter } = message?;
        Some((*multiplier != 0.0).then(|| Backoff {
            multiplier: self.factor("backoff.multiplier", *multiplier),
            max: self.needed("backoff.max", max.as_ref()),
            jitter: self.factor("backoff.jitter", *jitter),
        }))
    }

    pub(crate) fn probe_calls(
        &mut self,
        message: Option<&v1::ProbeCalls>,
    ) -> Option<Option<ProbeCalls>> {
        let &v1::ProbeCalls { calls, failure_percent } = message?;
        Some((calls != 0).then_some(ProbeCalls { calls, failure_percent }))
    }

    pub(crate) fn ramp(&mut self, message: Option<&v1::Ramp>) -> Option<Option<Ramp>> {
        let v1::Ramp { percents, step } = message?;
        Some((!percents.is_empty()).then(|| Ramp {
            percents: percents.clone(),
            step: self.needed("ramp.step", step.as_ref()),
        }))
    }

    pub(crate) fn adaptive(&mut self, message: Option<&v1::Adaptive>) -> Option<Option<Adaptive>> {
        let message = message?;
        if message.off {
            return Some(None);
        }
        let default = Adaptive::default();
        let mut duration = |name: &str, message: &Option<prost_types::Duration>, default| {
            self.duration(&format!("adaptive.{name}"), message.as_ref()).unwrap_or(default)
        };
        let slow_response =
            duration("slow_response", &message.slow_response, default.slow_response);
        let fast_response =
            duration("fast_response", &message.fast_response, default.fast_response);
        let max_open_duration =
            duration("max_open_duration", &message.max_open_duration, default.max_open_duration);
        let min_open_duration =
            duration("min_open_duration", &message.min_open_duration, default.min_open_duration);
        let mut factor = |name: &str, number: Option<f64>, default| {
            number.map_or(default, |number| self.factor(&format!("adaptive.{name}"), number))
        };
        Some(Some(Adaptive {
            window: message.window.unwrap_or(default.window),
            high_failure_percent: message
                .high_failure_percent
                .unwrap_or(default.high_failure_percent),
            low_failure_percent: message.low_failure_percent.unwrap_or(default.low_failure_percent),
            threshold_step: message.threshold_step.unwrap_or(default.threshold_step),
            min_failure_threshold: message
                .min_failure_threshold
                .unwrap_or(default.min_failure_threshold),
            max_failure_threshold: message
                .max_failure_threshold
                .unwrap_or(default.max_failure_threshold),
            slow_response,
            fast_response,
            slow_multiplier: factor(
                "slow_multiplier",
                message.slow_multiplier,
                default.slow_multiplier,
            ),
            fast_multiplier: factor(
                "fast_multiplier",
                message.fast_multiplier,
                default.fast_multiplier,
            ),
            max_open_duration,
            min_open_duration,
        }))
    }

    pub(crate) fn levels(&mut self, message: Option<&v1::Levels>) -> Option<Option<Levels>> {
        let message = message?;
        if message.off {
            return Some(None);
        }
        let default = Levels::default();
        let of_message = |(index, level): (usize, &v1::Level)| Level {
            name: level.name.clone(),
            failure_threshold: level.failure_threshold,
            open_duration: self.needed(
                &format!("levels.levels[{index}].open_duration"),
                level.open_duration.as_ref(),
            ),
            success_threshold: level.success_threshold,
            serve: level.serve.clone(),
        };
        // One more than may be is enough to be refused.
        let given = message.levels.iter().enumerate().take(MAX_LEVELS + 1);
        let levels: Vec<_> = given.map(of_message).collect();
        let deescalate_after =
            self.duration("levels.deescalate_after", message.deescalate_after.as_ref());
        Some(Some(Levels {
            levels: if levels.is_empty() { default.levels } else { levels },
            escalate_above: message.escalate_above.unwrap_or(default.escalate_above),
            deescalate_after: deescalate_after.unwrap_or(default.deescalate_after),
        }))
    }
}

pub(crate) fn window_to_message(window: WindowSize) -> v1::Window {
    match window {
        WindowSize::Calls(calls) => v1::Window { calls, duration: None },
        WindowSize::Duration(duration) => {
            v1::Window { calls: 0, duration: Some(duration_to_message(duration)) }
        }
    }
}

pub(crate) fn failure_rate_to_message(rate: Option<FailureRate>) -> v1::FailureRate {
    rate.map_or_else(v1::FailureRate::default, |FailureRate { percent, minimum_calls }| {
        v1::FailureRate { percent, minimum_calls }
    })
}

pub(crate) fn slow_call_rate_to_message(rate: Option<SlowCallRate>) -> v1::SlowCallRate {
    rate.map_or_else(v1::SlowCallRate::default, |rate| v1::SlowCallRate {
        percent: rate.percent,
        minimum_calls: rate.minimum_calls,
        duration: Some(duration_to_message(rate.duration)),
    })
}

pub(crate) fn backoff_to_message(backoff: Option<Backoff>) -> v1::Backoff {
    backoff.map_or_else(v1::Backoff::default, |backoff| v1::Backoff {
        multiplier: backoff.multiplier.as_f64(),
        max: Some(duration_to_message(backoff.max)),
        jitter: backoff.jitter.as_f64(),
    })
}

pub(crate) fn probe_calls_to_message(probes: Option<ProbeCalls>) -> v1::ProbeCalls {
    probes.map_or_else(v1::ProbeCalls::default, |ProbeCalls { calls, failure_percent }| {
        v1::ProbeCalls { calls, failure_percent }
    })
}

pub(crate) fn ramp_to_message(ramp: Option<&Ramp>) -> v1::Ramp {
    ramp.map_or_else(v1::Ramp::default, |ramp| v1::Ramp {
        percents: ramp.percents.clone(),
        step: Some(duration_to_message(ramp.step)),
    })
}

pub(crate) fn adaptive_to_message(adaptive: Option<&Adaptive>) -> v1::Adaptive {
    let Some(adaptive) = adaptive else { return v1::Adaptive { off: true, ..Default::default() } };
    v1::Adaptive {
        off: false,
        window: Some(adaptive.window),
        high_failure_percent: Some(adaptive.high_failure_percent),
        low_failure_percent: Some(adaptive.low_failure_percent),
        threshold_step: Some(adaptive.threshold_step),
        min_failure_threshold: Some(adaptive.min_failure_threshold),
        max_failure_threshold: Some(adaptive.max_failure_threshold),
        slow_response: Some(duration_to_message(adaptive.slow_response)),
        fast_response: Some(duration_to_message(adaptive.fast_response)),
        slow_multiplier: Some(adaptive.slow_multiplier.as_f64()),
        fast_multiplier: Some(adaptive.fast_multiplier.as_f64()),
        max_open_duration: Some(duration_to_message(adaptive.max_open_duration)),
        min_open_duration: Some(duration_to_message(adaptive.min_open_duration)),
    }
}

pub(crate) fn levels_to_message(levels: Option<&Levels>) -> v1::Levels {
    let Some(levels) = levels else { return v1::Levels { off: true, ..Default::default() } };
    let to_message = |level: &Level| v1::Level {
        name: level.name.clone(),
        failure_threshold: level.failure_threshold,
        open_duration: Some(duration_to_message(level.open_duration)),
        success_threshold: level.success_threshold,
        serve: level.serve.clone(),
    };
    v1::Levels {
        off: false,
        levels: levels.levels.iter().map(to_message).collect(),
        escalate_above: Some(levels.escalate_above),
        deescalate_after: Some(duration_to_message(levels.deescalate_after)),
    }
}
