//! Breakers by number, and engines full of them.

use std::sync::Arc;
use std::time::Duration;

use breaker_core::ConfigPatch;
use breaker_engine::{Defaults, Engine, Options, SystemClock, Tasks, UnknownBreakers};
use breaker_store::MemoryStore;
use breaker_tests::Chance;
use bytes::Bytes;

use crate::cpu::Core;

/// The name of a breaker; all are of one length.
pub(crate) fn name(number: u64) -> String {
    format!("bench/breaker-{number:07}")
}

/// Names of breakers below `breakers`, one by chance after the other.
pub(crate) struct Asked {
    names: String,
    each: usize,
}

impl Asked {
    pub(crate) fn by_chance(breakers: u64, count: usize, chance: &mut Chance) -> Self {
        let names = (0..count).map(|_| name(chance.below(breakers))).collect();
        Self { names, each: name(0).len() }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.names.len()).step_by(self.each).map(|at| &self.names[at..at + self.each])
    }
}

/// An engine without a server around it, and what works behind it.
pub(crate) struct Alone {
    pub(crate) engine: Arc<Engine>,
    _tasks: Tasks,
    _core: Core,
}

/// An engine that has so many breakers, all of them written.
pub(crate) fn engine_with(breakers: u64) -> anyhow::Result<Alone> {
    let core = Core::start()?;
    let options = Options {
        defaults: Defaults::new(ConfigPatch::default())
            .map_err(|refused| anyhow::anyhow!("{refused:?}"))?,
        max_breakers: breakers as usize,
        unknown_breakers: UnknownBreakers::Create,
        history_retention: Duration::from_secs(3_600),
        storage_degraded: None,
        monitor_series: 0,
        idle_ttl: None,
        life: || 1,
        encode: |_| Bytes::new(),
    };
    let store = Arc::new(MemoryStore::default());
    let started = Engine::start(options, store, Arc::new(SystemClock::start()));
    let (engine, tasks) = core.runtime.block_on(started)?;
    for number in 0..breakers {
        engine.acquire(&name(number))?;
    }
    core.settle()?;
    Ok(Alone { engine, _tasks: tasks, _core: core })
}
