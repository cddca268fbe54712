//! The policies of one server: those in force, and those that storage does not know yet.
//!
//! A breaker asks for its policy once, when it is made, and keeps what it got; whoever changes
//! policies goes to every breaker that they match. Both must not miss each other: a new breaker
//! asks while its shard is locked and its name is known, and a change is published before it goes
//! through the names.

use std::collections::BTreeMap;
use std::sync::Arc;

use breaker_core::{BreakerName, ConfigPatch, Violation};
use parking_lot::{Mutex, MutexGuard, RwLock};

use crate::breakers::first_of_incarnation;
use crate::defaults::{Configured, Defaults};
use crate::policy::{PolicyDeletion, PolicyName, PolicyRow, Ranked};
use crate::store::{Batch, Opened};

/// Most policies at a time.
pub const MAX_POLICIES: usize = 1_000;

pub(crate) struct Policies {
    defaults: Defaults,
    in_force: RwLock<InForce>,
    /// Changes that are not on disk: the policy, or that there is none any more, and the revision.
    /// At most one for each name that an admin uses while the database is away.
    unwritten: Mutex<BTreeMap<PolicyName, u64>>,
    changing: Mutex<()>,
}

struct InForce {
    ranked: Arc<Ranked>,
    /// The last revision that was given out.
    revision: u64,
}

impl Policies {
    pub(crate) fn new(defaults: Defaults, stored: Vec<PolicyRow>, opened: &Opened) -> Self {
        // However the last life ended: what an earlier one gave out after a crash, and what storage
        // never saw, lies below.
        let first = first_of_incarnation(opened.incarnation);
        let last = stored.iter().map(|row| row.revision).max().unwrap_or(0);
        let policies = stored.into_iter().map(|row| Arc::new(defaults.stored_policy(row)));
        let in_force = InForce {
            ranked: Arc::new(Ranked::new(policies.collect())),
            revision: last.max(opened.policy_revision_floor).max(first),
        };
        Self {
            defaults,
            in_force: RwLock::new(in_force),
            unwritten: Mutex::default(),
            changing: Mutex::default(),
        }
    }

    pub(crate) const fn defaults(&self) -> &Defaults {
        &self.defaults
    }

    /// The policies in force.
    pub(crate) fn ranked(&self) -> Arc<Ranked> {
        Arc::clone(&self.in_force.read().ranked)
    }

    /// The last revision that was given out.
    pub(crate) fn revision(&self) -> u64 {
        self.in_force.read().revision
    }

    /// Keeps everybody else from changing policies and breakers' own configurations, so that what
    /// was checked against each other still goes together when it is made.
    pub(crate) fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock()
    }

    /// The configuration of a breaker without one of its own.
    pub(crate) fn configured(&self, name: &BreakerName) -> Configured {
        self.defaults.configured(self.in_force.read().ranked.best(name))
    }

    /// The configuration of a breaker with one of its own, and what is odd about it.
    ///
    /// # Errors
    /// Every value that was refused.
    pub(crate) fn with(
        &self,
        name: &BreakerName,
        own: ConfigPatch,
    ) -> Result<(Configured, Vec<Violation>), Vec<Violation>> {
        self.defaults.with(self.in_force.read().ranked.best(name), own)
    }

    /// The same for own values that were accepted once: those that do not fit are left out and kept.
    pub(crate) fn with_accepted(
        &self,
        name: &BreakerName,
        own: ConfigPatch,
    ) -> (Configured, Vec<Violation>) {
        self.defaults.with_accepted(self.in_force.read().ranked.best(name), own)
    }

    /// Puts policies into force, of which those of these names have changed.
    pub(crate) fn publish(&self, ranked: Arc<Ranked>, changed: &[(PolicyName, u64)]) {
        let last = changed.iter().map(|(_, revision)| *revision).max().unwrap_or(0);
        {
            let mut in_force = self.in_force.write();
            in_force.ranked = ranked;
            in_force.revision = in_force.revision.max(last);
        }
        // Only now: the writer must not take what was in force before for the change.
        self.unwritten.lock().extend(changed.iter().cloned());
    }

    /// Puts policies into force that storage knows already, and lets whatever changes from now on
    /// get a revision above `revision`. Only while there are no breakers.
    pub(crate) fn adopt(&self, ranked: Arc<Ranked>, revision: u64) {
        let mut in_force = self.in_force.write();
        in_force.ranked = ranked;
        in_force.revision = in_force.revision.max(revision);
    }

    /// Adds what storage does not know yet to a batch.
    pub(crate) fn gather(&self, batch: &mut Batch) {
        self.gather_those(batch, |_| true);
    }

    /// Adds what storage does not know yet of these policies to a batch.
    pub(crate) fn gather_those(&self, batch: &mut Batch, wanted: impl Fn(&PolicyName) -> bool) {
        let unwritten = self.unwritten.lock();
        if unwritten.is_empty() {
            return;
        }
        let ranked = self.ranked();
        for (name, &revision) in unwritten.iter().filter(|(name, _)| wanted(name)) {
            match ranked.get(name) {
                Some(policy) => batch.policies.push(policy.row.clone()),
                None => {
                    let name = name.clone();
                    batch.policy_deletions.push(PolicyDeletion { name, revision });
                }
            }
        }
    }

    /// The policies whose last change, be it that they were deleted, is not on disk.
    pub(crate) fn unwritten(&self) -> Vec<PolicyName> {
        self.unwritten.lock().keys().cloned().collect()
    }

    /// Notes that a batch is on disk.
    pub(crate) fn settle(&self, batch: &Batch) {
        let mut unwritten = self.unwritten.lock();
        let rows = batch.policies.iter().map(|row| (&row.name, row.revision));
        let deletions = batch.policy_deletions.iter();
        for (name, revision) in rows.chain(deletions.map(|gone| (&gone.name, gone.revision))) {
            if unwritten.get(name) == Some(&revision) {
                unwritten.remove(name);
            }
        }
    }

    /// Lets the policies of a batch be written as they are, whatever the batch has made of them.
    /// Its revisions count as given out: a policy that is not to be is deleted at the last of them,
    /// and whatever is made later lies above.
    pub(crate) fn write_again(&self, batch: &Batch) {
        let rows = batch.policies.iter().map(|row| (&row.name, row.revision));
        let deletions = batch.policy_deletions.iter().map(|gone| (&gone.name, gone.revision));
        let names: Vec<_> = rows.chain(deletions).collect();
        let last = names.iter().map(|(_, revision)| *revision).max().unwrap_or(0);
        let _nobody_else = self.changing();
        let (ranked, last) = {
            let mut in_force = self.in_force.write();
            in_force.revision = in_force.revision.max(last);
            (Arc::clone(&in_force.ranked), in_force.revision)
        };
        let mut unwritten = self.unwritten.lock();
        for (name, _) in names {
            let revision = ranked.get(name).map_or(last, |policy| policy.row.revision);
            unwritten.insert(name.clone(), revision);
        }
    }

    pub(crate) fn is_durable(&self, name: &PolicyName) -> bool {
        !self.unwritten.lock().contains_key(name)
    }
}
