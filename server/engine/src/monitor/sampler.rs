//! The task that takes the samples. It looks at the breakers that were used since the last one, a few
//! at a time, and at no others.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use breaker_core::{BreakerName, Time};
use tokio::task::yield_now;

use super::sample::{Making, Taken};
use crate::engine::Engine;

/// How long a sample is.
pub const INTERVAL: Duration = Duration::from_secs(5);

/// Breakers looked at before other tasks get a turn.
const TURN: usize = 256;

/// How often it is looked for breakers whose reporters were silent for long.
const LOOK_EVERY: Duration = Duration::from_mins(1);

/// Takes one sample after another.
pub(crate) struct Sampler {
    engine: Arc<Engine>,
    sampled_at: Time,
    /// The breakers that have reporters.
    heard: HashSet<BreakerName>,
    looked_at: Time,
}

impl Sampler {
    /// The first sample begins now.
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        let now = engine.now();
        Self { engine, sampled_at: now, heard: HashSet::new(), looked_at: now }
    }

    /// Goes on for ever.
    pub(crate) async fn run(mut self) {
        loop {
            self.engine.clock().sleep_until(self.sampled_at + INTERVAL).await;
            self.sample().await;
            self.forget_silent().await;
        }
    }

    async fn sample(&mut self) {
        let now = self.engine.now();
        let interval = now.since(self.sampled_at);
        self.sampled_at = now;
        let mut making = Making::new();
        let all = self.take(&mut making, now).await;
        making.choose_namespaces();
        for some in all.chunks(TURN) {
            some.iter().for_each(|taken| making.list(taken));
            yield_now().await;
        }
        *self.engine.monitor().last.write() = Arc::new(making.finish(interval));
        self.go_on_with_series(all, now).await;
    }

    /// Takes the breakers that were used.
    async fn take(&self, making: &mut Making, now: Time) -> Vec<Taken> {
        let signals = self.engine.signals();
        let mut all = Vec::new();
        // What is used meanwhile belongs to the next sample.
        for turn in 1..=signals.used.len() {
            let Some(used) = signals.used.pop() else { break };
            let sample = self.engine.breakers().with(used.name.as_str(), |_, live| {
                // Of a breaker that was deleted since nobody asks.
                live.take_sample(&used, now)
            });
            if let Some(sample) = sample.flatten() {
                let taken = Taken { name: used.name, sample };
                making.add(&taken);
                all.push(taken);
            }
            if turn % TURN == 0 {
                yield_now().await;
            }
        }
        all
    }

    async fn go_on_with_series(&self, all: Vec<Taken>, now: Time) {
        let series = &self.engine.monitor().series;
        let limit = series.lock().limit();
        let mut others = Vec::new();
        for some in all.chunks(TURN) {
            {
                let mut series = series.lock();
                for Taken { name, sample } in some {
                    if !series.go_on(name, *sample) && others.len() < limit {
                        others.push((name.clone(), *sample));
                    }
                }
            }
            yield_now().await;
        }
        series.lock().begin(others, now);
    }

    async fn forget_silent(&mut self) {
        let signals = self.engine.signals();
        while let Some(name) = signals.heard.pop() {
            self.heard.insert(name);
        }
        let now = self.engine.now();
        if now.since(self.looked_at) < LOOK_EVERY {
            return;
        }
        self.looked_at = now;
        let names: Vec<_> = self.heard.drain().collect();
        for some in names.chunks(TURN) {
            let breakers = self.engine.breakers();
            let has_reporters = |name: &&BreakerName| {
                breakers.with(name.as_str(), |_, live| live.forget_silent(now)) == Some(true)
            };
            self.heard.extend(some.iter().filter(has_reporters).cloned());
            yield_now().await;
        }
    }
}
