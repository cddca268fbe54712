use std::sync::Arc;

use breaker_core::Config;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::clock;
use crate::common::Common;
use crate::connection::Connection;
use crate::copy::Held;
use crate::listeners::Event;
use crate::metrics;
use crate::registry::Registry;
use crate::state::{ClientState, Phase};
use crate::status::BreakerStatus;

/// What the handles and the tasks of a client share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) common: Arc<Common>,
    pub(crate) connection: Arc<Connection>,
    pub(crate) registry: Registry,
    pub(crate) runtime: Handle,
    phase: watch::Sender<Phase>,
    configs: Mutex<Configs>,
}

impl Shared {
    pub(crate) fn new(common: Common, connection: Connection, runtime: Handle) -> Self {
        let common = Arc::new(common);
        let phase = Phase { state: ClientState::Fallback, since: clock::now() };
        Self {
            registry: Registry::new(Arc::clone(&common)),
            common,
            connection: Arc::new(connection),
            runtime,
            phase: watch::Sender::new(phase),
            configs: Mutex::default(),
        }
    }

    /// The state of the client.
    pub(crate) fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Enters a state of the client, if it is not in it.
    pub(crate) fn enter(&self, state: ClientState) {
        let is_over = self.common.is_closed() && state != ClientState::Fallback;
        if is_over || self.phase.borrow().state == state {
            return;
        }
        // Whoever sees the state finds the breakers in it.
        self.registry.follow(state);
        self.phase.send_replace(Phase { state, since: clock::now() });
        metrics::entered(state);
        self.common.listeners.enqueue(Event::Client(state));
    }

    /// Takes the state of a breaker into the copy, told by the stream since this snapshot began, or
    /// by the answer to a report, which is heard only of breakers that the copy holds.
    pub(crate) fn take_in(&self, status: &BreakerStatus, snapshot: Option<u64>) {
        let cell = match snapshot {
            Some(_) => self.registry.told(status.name.clone()),
            None => match self.registry.find(&status.name) {
                Some(cell) => cell,
                None => return,
            },
        };
        let mut cold = cell.lock();
        let is_older = cold.held.known().is_some_and(|known| status.revision < known.revision);
        // A snapshot is the whole truth, even that of a server which has lost what it knew.
        let is_first_of_snapshot = snapshot.is_some_and(|number| cold.told_in != number);
        if snapshot.is_none() && cold.held.known().is_none() || is_older && !is_first_of_snapshot {
            return;
        }
        if let Some(number) = snapshot {
            cold.told_in = number;
        }
        let config = self.configs.lock().shared(&status.config);
        let transition = cell.hold(&mut cold, Held::of(status, config, clock::now()));
        drop(cold);
        if let Some(transition) = transition {
            self.common.listeners.enqueue(Event::Breaker(transition));
        }
    }
}

/// Configurations that were told lately: most breakers have the same few.
#[derive(Debug, Default)]
struct Configs(Vec<Arc<Config>>);

impl Configs {
    /// How many are remembered.
    const MOST: usize = 16;

    fn shared(&mut self, config: &Config) -> Arc<Config> {
        if let Some(known) = self.0.iter().find(|known| ***known == *config) {
            return Arc::clone(known);
        }
        let config = Arc::new(config.clone());
        if self.0.len() == Self::MOST {
            self.0.remove(0);
        }
        self.0.push(Arc::clone(&config));
        config
    }
}
