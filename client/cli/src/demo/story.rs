//! What happens, chapter by chapter, and what each chapter promises.

use std::fmt;
use std::time::Duration;

use breaker_proto::v1::{self, Cause, State};

use super::upstream::Weather;
use crate::words::word;

const STRIPE: &str = "payments/stripe-api";
const FRAUD: &str = "payments/fraud-check";
const INDEX: &str = "search/index";
const RATES: &str = "shipping/rates";
const STOCK: &str = "inventory/stock";

/// A part of the story.
#[derive(Debug)]
pub(super) struct Chapter {
    /// What is told when it begins.
    pub(super) title: &'static str,
    /// How a dependency does from now on, if it does otherwise than before.
    pub(super) weather: Option<(&'static str, Weather)>,
    /// What an admin does.
    pub(super) force_open: Option<ForceOpen>,
    /// How long it lasts at the usual speed; longer if its promises are not kept by then.
    pub(super) lasts: Duration,
    /// What has happened when it ends.
    pub(super) promises: &'static [Promise],
}

/// An admin denies every call, for a while.
#[derive(Debug)]
pub(super) struct ForceOpen {
    pub(super) selector: &'static str,
    pub(super) reason: &'static str,
    /// At the usual speed.
    pub(super) time_to_live: Duration,
}

/// Something about a breaker that comes true.
#[derive(Clone, Copy, Debug)]
pub(super) struct Promise {
    /// Its name.
    pub(super) breaker: &'static str,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    /// There is a transition of this cause within the chapter.
    Happens(Cause),
    /// There is a transition to this level within the chapter.
    Reaches(&'static str),
    /// It is CLOSED, in NORMAL, and on its first level if it has any.
    IsWell,
    /// It is adaptive, and its threshold is lowered.
    IsStricter,
}

/// The whole story; it ends as it began, so that it can be told again and again.
pub(super) const STORY: [Chapter; 10] = [
    Chapter {
        promises: &[is_well(STRIPE), is_well(INDEX), is_well(RATES), is_well(FRAUD)],
        ..chapter("All is well: five replicas call fourteen dependencies.", 6)
    },
    Chapter {
        weather: weather(STRIPE, 100, 60),
        promises: &[happens(STRIPE, Cause::FailureThreshold), happens(STRIPE, Cause::ProbeFailed)],
        ..chapter("payments/stripe-api is down: five failures, whoever saw them, stop all.", 14)
    },
    Chapter {
        weather: weather(STRIPE, 1, 60),
        promises: &[happens(STRIPE, Cause::ProbesSucceeded), is_well(STRIPE)],
        ..chapter("payments/stripe-api is back: two probes of the whole fleet find out.", 12)
    },
    Chapter {
        weather: weather(INDEX, 0, 1_200),
        promises: &[happens(INDEX, Cause::SlowCallRate)],
        ..chapter("search/index drags on: nothing fails, but half of the calls are slow.", 12)
    },
    Chapter {
        weather: weather(INDEX, 0, 40),
        promises: &[is_well(INDEX)],
        ..chapter("search/index is quick again.", 12)
    },
    Chapter {
        weather: weather(RATES, 80, 600),
        promises: &[happens(RATES, Cause::FailureThreshold), is_stricter(RATES)],
        ..chapter("shipping/rates fails a lot: its adaptive breaker becomes stricter.", 12)
    },
    Chapter {
        weather: weather(RATES, 0, 50),
        promises: &[is_well(RATES)],
        ..chapter("shipping/rates recovers.", 10)
    },
    Chapter {
        weather: weather(FRAUD, 100, 30),
        promises: &[reaches(FRAUD, "critical"), reaches(FRAUD, "emergency")],
        ..chapter("payments/fraud-check is down: its breaker goes up, level by level.", 14)
    },
    Chapter {
        weather: weather(FRAUD, 0, 30),
        promises: &[happens(FRAUD, Cause::Deescalated), is_well(FRAUD)],
        ..chapter("payments/fraud-check is back: its breaker comes down, level by level.", 20)
    },
    Chapter {
        force_open: Some(ForceOpen {
            selector: "inventory/*",
            reason: "the warehouse moves",
            time_to_live: Duration::from_secs(8),
        }),
        promises: &[
            happens(STOCK, Cause::ForcedOpen),
            happens(STOCK, Cause::OverrideExpired),
            is_well(STOCK),
        ],
        ..chapter("An admin forces inventory/* open, and lets that end by itself.", 12)
    },
];

const fn chapter(title: &'static str, seconds: u64) -> Chapter {
    let lasts = Duration::from_secs(seconds);
    Chapter { title, weather: None, force_open: None, lasts, promises: &[] }
}

const fn weather(
    dependency: &'static str,
    failing_percent: u8,
    delay_ms: u64,
) -> Option<(&'static str, Weather)> {
    Some((dependency, Weather { failing_percent, delay: Duration::from_millis(delay_ms) }))
}

const fn happens(breaker: &'static str, cause: Cause) -> Promise {
    Promise { breaker, what: What::Happens(cause) }
}

const fn reaches(breaker: &'static str, level: &'static str) -> Promise {
    Promise { breaker, what: What::Reaches(level) }
}

const fn is_well(breaker: &'static str) -> Promise {
    Promise { breaker, what: What::IsWell }
}

const fn is_stricter(breaker: &'static str) -> Promise {
    Promise { breaker, what: What::IsStricter }
}

impl Promise {
    /// Whether it has come true, by the transitions of the chapter and the breaker as it is now.
    pub(super) fn is_kept(&self, seen: &[v1::Transition], now: &v1::BreakerState) -> bool {
        let mut of_breaker = seen.iter().filter(|seen| seen.breaker == self.breaker);
        match self.what {
            What::Happens(cause) => of_breaker.any(|seen| seen.cause == cause as i32),
            What::Reaches(level) => {
                of_breaker.any(|seen| seen.to_level == level && seen.from_level != level)
            }
            What::IsWell => {
                now.state == State::Closed as i32
                    && now.mode == v1::Mode::Normal as i32
                    && now.level.as_ref().is_none_or(|level| level.number == 0)
            }
            What::IsStricter => now.effective.as_ref().is_some_and(|effective| {
                effective.threshold_reason == v1::ThresholdReason::HighFailureRate as i32
            }),
        }
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let breaker = self.breaker;
        match self.what {
            What::Happens(cause) => {
                write!(f, "a transition of {breaker} for {}", word::<Cause>(cause as i32))
            }
            What::Reaches(level) => write!(f, "{breaker} on level {level}"),
            What::IsWell => write!(f, "{breaker} closed again"),
            What::IsStricter => write!(f, "a lowered threshold of {breaker}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::cast::DEPENDENCIES;

    #[test]
    fn the_story_is_about_its_cast_and_ends_as_it_began() {
        let fair = |name: &str| DEPENDENCIES.iter().find(|dependency| dependency.name == name);
        let mut last = std::collections::HashMap::new();
        for chapter in &STORY {
            assert!(!chapter.promises.is_empty(), "{}", chapter.title);
            assert!(chapter.promises.iter().all(|promise| fair(promise.breaker).is_some()));
            last.extend(chapter.weather);
        }
        for (name, weather) in last {
            let dependency = fair(name).unwrap();
            assert_eq!(weather.delay, dependency.delay, "{name}");
            assert!(weather.failing_percent <= dependency.failing_percent, "{name}");
        }
    }

    #[test]
    fn a_promise_is_kept_by_what_happened_or_by_what_is() {
        let seen = |cause: Cause, level: &str| v1::Transition {
            breaker: FRAUD.into(),
            cause: cause as i32,
            to_level: level.into(),
            ..Default::default()
        };
        let now = |state: State, number| v1::BreakerState {
            state: state as i32,
            mode: v1::Mode::Normal as i32,
            level: Some(v1::CurrentLevel { number, ..Default::default() }),
            ..Default::default()
        };
        let (well, nothing) = (now(State::Closed, 0), v1::BreakerState::default());
        let up = [seen(Cause::FailureThreshold, "critical")];
        assert!(happens(FRAUD, Cause::FailureThreshold).is_kept(&up, &nothing));
        assert!(!happens(FRAUD, Cause::ProbeFailed).is_kept(&up, &nothing));
        assert!(!happens(STRIPE, Cause::FailureThreshold).is_kept(&up, &nothing));
        assert!(reaches(FRAUD, "critical").is_kept(&up, &nothing));
        assert!(!reaches(FRAUD, "emergency").is_kept(&up, &nothing));
        assert!(is_well(FRAUD).is_kept(&[], &well));
        assert!(!is_well(FRAUD).is_kept(&[], &now(State::Closed, 1)));
        assert!(!is_well(FRAUD).is_kept(&[], &now(State::Open, 0)));
        assert!(!is_well(FRAUD).is_kept(&[], &nothing));
        assert!(!is_stricter(FRAUD).is_kept(&[], &well));
    }
}
