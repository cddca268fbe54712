//! The map of live breakers, in independently locked shards.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use breaker_core::{Breaker, BreakerName, Time};
use dashmap::DashMap;
use dashmap::mapref::entry::{Entry, VacantEntry};
use dashmap::mapref::one::RefMut;

use crate::defaults::Configured;
use crate::error::EngineError;
use crate::idle::LastUse;
use crate::live::Live;
use crate::monitor::Standing;
use crate::names::Names;
use crate::policies::Policies;
use crate::restore::Gate;
use crate::signals::Signals;
use crate::store::{Deletion, Opened};

/// Shards of the map: enough that two callers seldom meet in one, few enough that an empty map
/// stays small. A power of two.
const SHARDS: usize = 256;

/// The low bits of a revision count changes; the bits above count the crashes survived, so that a
/// change whose revision was lost with a crash never shares it with a later one.
const INCARNATION_SHIFT: u32 = 40;

pub(crate) struct Breakers {
    /// Boxed, because a table is half empty right after it has grown: what lies in it has to be small.
    map: DashMap<BreakerName, Box<Live>>,
    /// The keys of the map, in order.
    names: Names,
    /// Like `map.len()`, which would lock every shard.
    count: AtomicUsize,
    limit: usize,
    revision_floor: AtomicU64,
    generation_floor: AtomicU64,
    policies: Policies,
    /// Closed while a restore fills the server.
    pub(crate) gate: Gate,
    pub(crate) signals: Signals,
}

/// The smallest revision or id that a life of the server may give out, after so many crashes.
pub(crate) const fn first_of_incarnation(incarnation: u64) -> u64 {
    incarnation << INCARNATION_SHIFT
}

/// The incarnation that a revision or id was given out in.
pub(crate) const fn incarnation_of(number: u64) -> u64 {
    number >> INCARNATION_SHIFT
}

impl Breakers {
    pub(crate) fn new(policies: Policies, limit: usize, opened: &Opened) -> Self {
        let lost = first_of_incarnation(opened.incarnation);
        Self {
            map: DashMap::with_shard_amount(SHARDS),
            names: Names::default(),
            count: AtomicUsize::new(0),
            limit,
            revision_floor: AtomicU64::new(opened.revision_floor.max(lost)),
            generation_floor: AtomicU64::new(opened.generation_floor),
            policies,
            gate: Gate::default(),
            signals: Signals::default(),
        }
    }

    pub(crate) const fn policies(&self) -> &Policies {
        &self.policies
    }

    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// How many breakers there may be.
    pub(crate) const fn limit(&self) -> usize {
        self.limit
    }

    /// Refuses so many more breakers if there is no room for them, and any change while a restore
    /// fills the server.
    pub(crate) fn has_room_for(&self, more: usize) -> Result<(), EngineError> {
        self.gate.pass()?;
        if self.len().saturating_add(more) <= self.limit {
            Ok(())
        } else {
            Err(EngineError::TooManyBreakers { limit: self.limit })
        }
    }

    /// Runs `f` on the breaker of this name, if there is one.
    pub(crate) fn with<R>(
        &self,
        name: &str,
        f: impl FnOnce(&BreakerName, &mut Live) -> R,
    ) -> Option<R> {
        let mut entry = self.map.get_mut(name)?;
        let (name, live) = entry.pair_mut();
        Some(f(name, live))
    }

    /// Runs `f` on the breaker of this name. If there is none it is made, to go again when nobody has
    /// used it for long.
    pub(crate) fn with_or_create<R>(
        &self,
        name: BreakerName,
        now: Time,
        f: impl FnOnce(&BreakerName, &mut Live) -> R,
    ) -> Result<R, EngineError> {
        match self.map.entry(name.clone()) {
            Entry::Occupied(mut entry) => Ok(f(&name, entry.get_mut())),
            Entry::Vacant(entry) => {
                self.has_room_for(1)?;
                let mut entry = self.make(&name, entry, || {
                    let mut live = self.fresh(now, self.policies.configured(&name));
                    live.last_use = Some(LastUse::at(now));
                    live
                });
                Ok(f(&name, entry.value_mut()))
            }
        }
    }

    /// Gives a breaker another configuration of its own, and makes one if there is none of this
    /// name, for which the caller has seen to the room. Returns its revision.
    pub(crate) fn put(&self, name: BreakerName, now: Time, configured: Configured) -> u64 {
        match self.map.entry(name.clone()) {
            Entry::Occupied(mut entry) => {
                let live = entry.get_mut();
                live.reconfigure(&name, &self.signals, configured, now);
                live.revision
            }
            Entry::Vacant(entry) => {
                self.make(&name, entry, || self.fresh(now, configured)).revision
            }
        }
    }

    /// Refuses a name that is taken, and any name while there is no room.
    pub(crate) fn may_insert(&self, name: &BreakerName) -> Result<(), EngineError> {
        if self.contains(name) {
            return Err(EngineError::AlreadyExists(name.clone()));
        }
        self.has_room_for(1)
    }

    /// Adds a breaker that must not be there yet; returns its revision.
    pub(crate) fn insert_new(
        &self,
        name: BreakerName,
        now: Time,
        configured: Configured,
    ) -> Result<u64, EngineError> {
        match self.map.entry(name.clone()) {
            Entry::Occupied(_) => Err(EngineError::AlreadyExists(name)),
            Entry::Vacant(entry) => {
                self.has_room_for(1)?;
                Ok(self.make(&name, entry, || self.fresh(now, configured)).revision)
            }
        }
    }

    /// A breaker that is not in the map yet. Revision and generation begin above those of any
    /// breaker that was deleted, whose calls and watchers may still be about.
    pub(crate) fn fresh(&self, now: Time, configured: Configured) -> Live {
        let generation = self.generation_floor.load(Ordering::Acquire) + 1;
        let revision = self.revision_floor.load(Ordering::Acquire) + 1;
        Live::new(Breaker::with_generation(now, generation), revision, now, configured)
    }

    /// Adds a breaker that was stored, where each has a name of its own, which the caller makes known
    /// by [`know_names`](Self::know_names). One that is as it was recorded is no news to the recorder;
    /// see [`place_unchanged`](Self::place_unchanged).
    pub(crate) fn insert_stored(&self, name: BreakerName, live: Box<Live>) {
        // Whoever hears of it looks for it, and waits while its shard is locked.
        let mut entry = self.map.entry(name.clone()).insert(live);
        let live = entry.value_mut();
        self.count.fetch_add(1, Ordering::Relaxed);
        self.signals.enter(&name, Standing::of(&live.breaker));
        if live.marks.recorded < live.revision {
            live.announce(&name, &self.signals);
        }
        live.schedule(&name, &self.signals);
    }

    /// Puts the names of stored breakers in order: all at once, because a million in any order one by
    /// one would take longer than all the rest of loading them. Before anybody can see the breakers.
    pub(crate) fn know_names(&self, names: Vec<BreakerName>) {
        self.names.extend(names);
    }

    /// Gives every breaker that is as it was stored its place in the watch log.
    pub(crate) fn place_unchanged(&self, place: &mut dyn FnMut(&BreakerName) -> u64) {
        for mut entry in self.map.iter_mut() {
            if !entry.marks.to_record && entry.marks.position == 0 {
                entry.marks.position = place(entry.key());
            }
        }
    }

    /// Takes the breaker of this name, if there is one, out of the map if `allowed` lets it go.
    pub(crate) fn remove<E>(
        &self,
        name: &BreakerName,
        allowed: impl FnOnce(&Live) -> Result<(), E>,
    ) -> Option<Result<Deletion, E>> {
        let Entry::Occupied(entry) = self.map.entry(name.clone()) else { return None };
        let live = entry.get();
        if let Err(refused) = allowed(live) {
            return Some(Err(refused));
        }
        let deletion = live.deletion(name);
        self.raise_floors(&deletion);
        self.signals.leave(name, Standing::of(&live.breaker));
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.signals.deleted(deletion.clone(), live.marks.position);
        // While the shard is locked: whoever makes the breaker anew adds its name after that.
        self.names.remove(name);
        entry.remove();
        Some(Ok(deletion))
    }

    /// Lets no breaker be made any more that a deletion would take for the one it is about.
    pub(crate) fn raise_floors(&self, deletion: &Deletion) {
        self.raise(deletion.revision, deletion.generation);
    }

    /// Lets every breaker that is made from now on begin above this revision and generation.
    pub(crate) fn raise(&self, revision: u64, generation: u64) {
        self.revision_floor.fetch_max(revision, Ordering::AcqRel);
        self.generation_floor.fetch_max(generation, Ordering::AcqRel);
    }

    /// The highest revision and generation that breakers made from now on lie above.
    pub(crate) fn floors(&self) -> (u64, u64) {
        let revision = self.revision_floor.load(Ordering::Acquire);
        (revision, self.generation_floor.load(Ordering::Acquire))
    }

    pub(crate) fn contains(&self, name: &BreakerName) -> bool {
        self.map.contains_key(name)
    }

    /// The names that begin with a text, after one of them, in order. A breaker can be gone when its
    /// name comes.
    pub(crate) fn names_beginning_with(
        &self,
        prefix: &str,
        after: Option<&BreakerName>,
    ) -> impl Iterator<Item = BreakerName> {
        self.names.beginning_with(prefix, after)
    }

    /// Looks at every breaker, one shard after another.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&BreakerName, &Live)) {
        for entry in &self.map {
            f(entry.key(), entry.value());
        }
    }

    /// Puts a breaker where there was none; its shard stays locked meanwhile.
    ///
    /// Its name is there before the breaker asks for its configuration. Whoever changes the policies
    /// publishes them and goes through the names then: a name that was not found yet is that of a
    /// breaker that asks the new policies, and one that was found can be looked at when the shard is
    /// free.
    fn make<'m>(
        &self,
        name: &BreakerName,
        place: VacantEntry<'m, BreakerName, Box<Live>>,
        live: impl FnOnce() -> Live,
    ) -> RefMut<'m, BreakerName, Box<Live>> {
        self.names.insert(name.clone());
        self.count.fetch_add(1, Ordering::Relaxed);
        let mut live = Box::new(live());
        self.signals.enter(name, Standing::of(&live.breaker));
        live.announce(name, &self.signals);
        place.insert(live)
    }
}

#[cfg(test)]
mod tests;
