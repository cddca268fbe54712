//! The breakers of a client by their names, and which the server is asked to tell of.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use breaker_core::{BreakerName, NameGlob};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use crate::cell::Cell;
use crate::common::Common;
use crate::state::ClientState;

/// Most selectors of a watch, by the protocol.
const MAX_SELECTORS: usize = 1_000;
/// Watched by a client that waits to be ready before it has asked for a breaker: no selector at all
/// would be every breaker.
const NOBODY: &str = "breakerd/nobody";

/// The breakers that the application has asked for, and those that the server has told of.
#[derive(Debug)]
pub(crate) struct Registry {
    common: Arc<Common>,
    cells: RwLock<HashMap<BreakerName, Arc<Cell>>>,
    /// Changes hands under the lock of `cells`, so that a new cell begins in it.
    client: Mutex<ClientState>,
    /// How often the application has asked for a name that it had not asked for before.
    wanted: watch::Sender<u64>,
    watches_anyway: AtomicBool,
}

impl Registry {
    pub(crate) fn new(common: Arc<Common>) -> Self {
        Self {
            common,
            cells: RwLock::default(),
            client: Mutex::new(ClientState::Fallback),
            wanted: watch::Sender::new(0),
            watches_anyway: AtomicBool::new(false),
        }
    }

    /// The breaker that the application asks for.
    pub(crate) fn want(&self, name: BreakerName) -> Arc<Cell> {
        let cell = self.find_or_add(name);
        if cell.want() {
            self.wanted.send_modify(|times| *times += 1);
        }
        cell
    }

    /// Has something watched even if the application has asked for no breaker.
    pub(crate) fn watch_anyway(&self) {
        if !self.watches_anyway.swap(true, Ordering::Relaxed) {
            self.wanted.send_modify(|times| *times += 1);
        }
    }

    /// Changes whenever the application asks for another name.
    pub(crate) fn wanted(&self) -> watch::Receiver<u64> {
        self.wanted.subscribe()
    }

    /// The breaker of this name, which the server has told of.
    pub(crate) fn told(&self, name: BreakerName) -> Arc<Cell> {
        let cell = self.find_or_add(name);
        cell.cover();
        cell
    }

    fn find_or_add(&self, name: BreakerName) -> Arc<Cell> {
        if let Some(cell) = self.cells.read().get(&name) {
            return Arc::clone(cell);
        }
        let mut cells = self.cells.write();
        let client = *self.client.lock();
        let cell = cells
            .entry(name.clone())
            .or_insert_with(|| Arc::new(Cell::new(name, Arc::clone(&self.common), client)));
        Arc::clone(cell)
    }

    /// The breaker of this name, if there is one.
    pub(crate) fn find(&self, name: &BreakerName) -> Option<Arc<Cell>> {
        self.cells.read().get(name).cloned()
    }

    /// Does something with each breaker, until told to stop.
    pub(crate) fn try_each(&self, mut with: impl FnMut(&Arc<Cell>) -> bool) {
        for cell in self.cells.read().values() {
            if !with(cell) {
                return;
            }
        }
    }

    /// Does something with each breaker, and forgets those for which it says so, if the
    /// application has not asked for them.
    pub(crate) fn sweep(&self, mut is_gone: impl FnMut(&Cell) -> bool) {
        self.cells.write().retain(|_, cell| !is_gone(cell) || cell.is_wanted());
    }

    /// Forgets a breaker, if the application has not asked for it.
    pub(crate) fn forget(&self, cell: &Cell) {
        let mut cells = self.cells.write();
        if !cell.is_wanted() {
            cells.remove(cell.name());
        }
    }

    /// All of them follow the state of the client.
    pub(crate) fn follow(&self, client: ClientState) {
        let cells = self.cells.write();
        *self.client.lock() = client;
        for cell in cells.values() {
            cell.follow(client);
        }
    }

    /// What to watch: what the client was built for, and the names that this does not cover. From
    /// now on all of them are taken for covered.
    pub(crate) fn selectors(&self, built_for: &[String]) -> Vec<String> {
        let globs: Vec<_> = built_for.iter().filter_map(|s| NameGlob::new(s).ok()).collect();
        let cells = self.cells.read();
        let wanted = cells.values().filter(|cell| cell.is_wanted());
        let wanted = wanted.inspect(|cell| cell.cover()).map(|cell| cell.name());
        let uncovered = wanted.filter(|name| !globs.iter().any(|glob| glob.matches(name.as_str())));
        let names = uncovered.map(BreakerName::as_str);
        let room = MAX_SELECTORS.saturating_sub(built_for.len());
        let gathered = gathered(names.collect(), room);
        let selectors: Vec<_> = built_for.iter().cloned().chain(gathered).collect();
        match selectors.is_empty() && self.watches_anyway.load(Ordering::Relaxed) {
            true => vec![NOBODY.to_owned()],
            false => selectors,
        }
    }
}

/// The names, or if there are too many what covers them.
fn gathered(names: BTreeSet<&str>, room: usize) -> Vec<String> {
    if names.len() <= room {
        return names.into_iter().map(str::to_owned).collect();
    }
    let parts: BTreeSet<_> = names.into_iter().filter_map(|name| name.split('/').next()).collect();
    match parts.len() <= room {
        true => parts.into_iter().map(|part| format!("{part}/**")).collect(),
        false => vec!["**".to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_names_are_gathered_by_their_first_part_and_too_many_parts_by_nothing() {
        let names = |count: usize, parts: usize| {
            let names = (0..count).map(move |n| format!("p{}/b{n}", n % parts));
            let names: Vec<_> = names.collect();
            gathered(names.iter().map(String::as_str).collect(), 1_000)
        };
        assert_eq!(names(2, 1), ["p0/b0", "p0/b1"]);
        assert_eq!(names(1_000, 1).len(), 1_000);
        assert_eq!(names(1_001, 2), ["p0/**", "p1/**"]);
        assert_eq!(names(1_001, 1_001), ["**"]);
    }
}
