//! The words in which a table tells the story of a breaker.

mod check;
mod seen;

use std::time::Duration;

pub(super) use self::check::check;
pub(super) use self::seen::Seen;

use crate::{
    AllowReason, Attribution, Cause, Config, ConfigPatch, DenyReason, ErrorKind, Outcome,
    OverrideKind, Run, Source, StateKind, Time, WindowSize,
};

/// Where the stories begin, so that something can have happened before.
const BEGINNING_MS: u64 = 1_000_000;

/// An instant of a story.
pub(super) fn ms(millis: u64) -> Time {
    Time::from_millis(BEGINNING_MS + millis)
}

/// Milliseconds into the story. Stories happen on whole ones, so that nothing hides in a fraction.
fn millis(at: Time) -> u64 {
    let millis = whole_millis(at.since(ms(0)));
    assert_eq!(ms(millis), at, "an instant before the story");
    millis
}

fn whole_millis(duration: Duration) -> u64 {
    let millis = duration.as_millis() as u64;
    assert_eq!(Duration::from_millis(millis), duration, "a fraction of a millisecond");
    millis
}

/// A configuration that sets these values over the defaults.
pub(super) fn config(patch: &ConfigPatch) -> Config {
    Config::resolve(&[(Source::Breaker, patch)]).unwrap().config
}

/// A window over so many calls.
pub(super) const fn last_calls(calls: u32) -> Option<WindowSize> {
    Some(WindowSize::Calls(calls))
}

/// A window over so many milliseconds.
pub(super) const fn last_millis(millis: u64) -> Option<WindowSize> {
    Some(WindowSize::Duration(Duration::from_millis(millis)))
}

pub(super) fn admin() -> Attribution {
    Attribution::new("ada", "because").unwrap()
}

#[derive(Clone, Debug)]
enum Event {
    Asks,
    Records {
        run: Run<'static>,
        generation: Option<u64>,
        probe: Option<&'static str>,
        reporter: &'static str,
    },
    Passes,
    Overrides(OverrideKind, Option<u64>),
    Releases,
    Trips,
    Resets,
    Reconfigures(Box<ConfigPatch>),
}

/// The decision a step expects.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    Allowed(AllowReason),
    /// A permit, under a name by which later steps know it, with its deadline.
    Probe(&'static str, u64),
    Denied(DenyReason, Option<u64>),
}

/// One line of a story: at a time something happens, and this is what becomes of it.
#[derive(Clone, Debug)]
pub(super) struct Step {
    at_ms: u64,
    event: Event,
    answer: Option<Answer>,
    transitions: Vec<(u64, StateKind, Cause)>,
    seen: Vec<Seen>,
}

/// Nothing but time passes until then; unless the line says what else happens.
pub(super) fn at(at_ms: u64) -> Step {
    Step { at_ms, event: Event::Passes, answer: None, transitions: Vec::new(), seen: Vec::new() }
}

/// What happens.
impl Step {
    fn happens(mut self, event: Event) -> Self {
        self.event = event;
        self
    }

    fn ends(self, outcome: Outcome, count: u32) -> Self {
        self.happens(Event::Records {
            run: Run::new(outcome, count),
            generation: None,
            probe: None,
            reporter: "",
        })
    }

    pub(super) fn asks(self) -> Self {
        self.happens(Event::Asks)
    }

    pub(super) fn succeeds(self, count: u32) -> Self {
        self.ends(Outcome::Success, count)
    }

    pub(super) fn fails(self, count: u32) -> Self {
        self.ends(Outcome::Failure, count)
    }

    pub(super) fn times_out(self, count: u32) -> Self {
        self.ends(Outcome::Timeout, count)
    }

    pub(super) fn ends_ignored(self, count: u32) -> Self {
        self.ends(Outcome::Ignored, count)
    }

    pub(super) fn overrides(self, kind: OverrideKind) -> Self {
        self.happens(Event::Overrides(kind, None))
    }

    pub(super) fn overrides_for(self, kind: OverrideKind, ttl_ms: u64) -> Self {
        self.happens(Event::Overrides(kind, Some(ttl_ms)))
    }

    pub(super) fn releases(self) -> Self {
        self.happens(Event::Releases)
    }

    pub(super) fn trips(self) -> Self {
        self.happens(Event::Trips)
    }

    pub(super) fn resets(self) -> Self {
        self.happens(Event::Resets)
    }

    pub(super) fn reconfigures(self, patch: ConfigPatch) -> Self {
        self.happens(Event::Reconfigures(Box::new(patch)))
    }
}

/// What more there is to say of calls that ended.
impl Step {
    fn with_run(mut self, change: impl FnOnce(&mut Run)) -> Self {
        if let Event::Records { run, .. } = &mut self.event {
            change(run);
        }
        self
    }

    /// The durations of the calls added up.
    pub(super) fn lasting(self, total: Duration) -> Self {
        self.with_run(|run| run.total_duration = total)
    }

    pub(super) fn slow(self, slow_count: u32) -> Self {
        self.with_run(|run| run.slow_count = slow_count)
    }

    pub(super) fn of_kind(self, kind: &'static str) -> Self {
        self.with_run(|run| run.error_kind = ErrorKind::parse(kind).unwrap())
    }

    pub(super) fn ago(self, age_ms: u64) -> Self {
        self.with_run(|run| run.age = Duration::from_millis(age_ms))
    }

    pub(super) fn of_generation(mut self, of: u64) -> Self {
        if let Event::Records { generation, .. } = &mut self.event {
            *generation = Some(of);
        }
        self
    }

    /// Told by this reporter, where it matters who tells.
    pub(super) fn told_by(mut self, name: &'static str) -> Self {
        if let Event::Records { reporter, .. } = &mut self.event {
            *reporter = name;
        }
        self
    }

    /// As the probe whose permit an earlier line gave this name.
    pub(super) fn of_probe(mut self, name: &'static str) -> Self {
        if let Event::Records { probe, .. } = &mut self.event {
            *probe = Some(name);
        }
        self
    }
}

/// What becomes of it.
impl Step {
    pub(super) fn allowed(mut self, reason: AllowReason) -> Self {
        self.answer = Some(Answer::Allowed(reason));
        self
    }

    pub(super) fn gets_probe(mut self, name: &'static str, deadline_ms: u64) -> Self {
        self.answer = Some(Answer::Probe(name, deadline_ms));
        self
    }

    pub(super) fn denied(mut self, reason: DenyReason, retry_after_ms: Option<u64>) -> Self {
        self.answer = Some(Answer::Denied(reason, retry_after_ms));
        self
    }

    /// A transition at the time of the line.
    pub(super) fn enters(self, to: StateKind, cause: Cause) -> Self {
        let at_ms = self.at_ms;
        self.entered(at_ms, to, cause)
    }

    /// A transition that was due earlier.
    pub(super) fn entered(mut self, at_ms: u64, to: StateKind, cause: Cause) -> Self {
        self.transitions.push((at_ms, to, cause));
        self
    }

    pub(super) fn sees(mut self, seen: &[Seen]) -> Self {
        self.seen.extend_from_slice(seen);
        self
    }
}
