//! What a breaker remembers beyond its counters, for the rules that need it. Allocated at the first
//! call that one of them has to remember, so that breakers without such rules stay small.

use crate::adapted::Adapted;
use crate::calls::CallSums;
use crate::config::Config;
use crate::outcome::Calls;
use crate::quorum::Quorum;
use crate::time::Time;
use crate::window::Window;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// The calls that count towards the rates, since CLOSED.
    pub(crate) window: Option<Window<CallSums>>,
    pub(crate) quorum: Option<Box<Quorum>>,
    pub(crate) adapted: Option<Box<Adapted>>,
    /// The level, from 0.
    pub(crate) level: usize,
    /// Since when the breaker has been CLOSED at this level.
    pub(crate) level_since: Time,
    /// How many times it opened again since it was CLOSED.
    pub(crate) reopens: u32,
}

impl Memory {
    pub(crate) const fn new(now: Time) -> Self {
        Self { window: None, quorum: None, adapted: None, level: 0, level_since: now, reopens: 0 }
    }

    /// Whether a configuration has a rule that remembers calls.
    pub(crate) const fn is_needed(config: &Config) -> bool {
        config.has_rates() || config.needs_quorum() || config.has_adaptive()
    }

    /// Remembers calls for the conditions; a success took so much off the failure count.
    pub(crate) fn count(&mut self, config: &Config, calls: &Calls<'_>, taken: u32, now: Time) {
        if config.has_rates() {
            let window = self.window.get_or_insert_with(|| Window::new(config.window()));
            window.push(calls.packed(), calls.count, calls.ended_at, now);
        }
        if config.needs_quorum() {
            let quorum = self.quorum.get_or_insert_with(|| Box::new(Quorum::new()));
            // A bad call that nobody reported counts, but vouches for nobody.
            let is_told = calls.reporter.is_some();
            let reporter = calls.reporter.unwrap_or_default();
            let is_failure = calls.outcome.is_failure();
            let (has_failed, was_slow) = (is_told && is_failure, is_told && calls.is_slow);
            if !is_failure {
                quorum.succeed(reporter, taken);
            }
            let is_bad = has_failed || (was_slow && config.has_rates());
            let slot = if is_bad { quorum.slot_of(reporter, now) } else { 0 };
            if has_failed {
                quorum.fail(slot, calls.count);
            }
            if config.has_rates() {
                quorum.push(
                    config.window(),
                    (has_failed, was_slow),
                    (slot, calls.count),
                    (calls.ended_at, now),
                );
            }
        }
    }

    /// Remembers calls for what adapts to them.
    pub(crate) fn learn(&mut self, config: &Config, calls: &Calls<'_>, now: Time) {
        if let Some(adaptive) = config.adaptive() {
            let base = config.open_duration();
            let adapted =
                self.adapted.get_or_insert_with(|| Box::new(Adapted::new(adaptive, base)));
            adapted.record(calls.packed(), calls.count, now);
        }
    }

    /// Forgets what counts towards the conditions.
    pub(crate) fn restart_conditions(&mut self) {
        self.window = None;
        self.quorum = None;
    }

    /// Takes over a changed configuration, dropping what no rule needs any more.
    pub(crate) fn reconfigure(&mut self, config: &Config) {
        let size = config.window();
        match &mut self.window {
            Some(window) if config.has_rates() => window.resize(size),
            window => *window = None,
        }
        match &mut self.quorum {
            Some(quorum) if config.needs_quorum() => match &mut quorum.window {
                Some(window) if config.has_rates() => window.resize(size),
                window => *window = None,
            },
            quorum => *quorum = None,
        }
        match (&mut self.adapted, config.adaptive()) {
            (Some(adapted), Some(adaptive)) => {
                adapted.reconfigure(adaptive, config.open_duration())
            }
            (adapted, _) => *adapted = None,
        }
        let highest = config.levels().map_or(0, |levels| levels.levels.len() - 1);
        self.level = self.level.min(highest);
    }
}
