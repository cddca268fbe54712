//! Making the breakers of storage live again, as far as they can be understood.
//!
//! A damaged breaker starts afresh. What it was is lost, but not that it was: whoever knows it from
//! before must not take it for older than what they know.

use std::sync::Arc;

use breaker_core::{Breaker, BreakerName, ConfigPatch, Time};

use crate::breakers::{Breakers, first_of_incarnation};
use crate::damage::{Damage, DamagedRow, Loaded, LoadedReporter};
use crate::defaults::{Configured, Defaults};
use crate::idle::LastUse;
use crate::live::Live;
use crate::policy::Ranked;
use crate::reporters::{MAX_REPORTERS, Reporters};
use crate::stats::Stats;
use crate::store::{BreakerRow, MAX_NUMBER, Opened, Store, StoreError};

/// By how much a revision that cannot be read is put above all that can: more changes than one
/// breaker sees, and few enough to stay below the next crash's.
const REVISION_MARGIN: u64 = 1 << 32;
/// The same of a generation, whose lower 32 bits are part of every permit.
const GENERATION_MARGIN: u64 = 1 << 20;

/// Makes every breaker of the store live.
pub(crate) async fn load(
    store: &dyn Store,
    breakers: &Breakers,
    opened: &Opened,
    now: Time,
) -> Result<(), StoreError> {
    let mut loading = Loading::new(breakers, opened, now);
    store.load(&mut |loaded| loading.take(loaded)).await?;
    loading.finish();
    Ok(())
}

/// The reporters that the store knows, and which of their reports were counted.
pub(crate) async fn reporters(
    store: &dyn Store,
    stats: &Stats,
    now: Time,
) -> Result<Reporters, StoreError> {
    let reporters = Reporters::new();
    let take = &mut |loaded: LoadedReporter| match loaded {
        Ok(row) => reporters.load(row, now),
        Err((reporter, Damage { column, problem })) => {
            stats.count_damaged_rows(1);
            tracing::error!(
                reporter,
                column,
                problem,
                "the row of a reporter in storage is damaged; it is left out, and a report that was \
                 counted counts again if it is repeated"
            );
        }
    };
    store.reporters(MAX_REPORTERS, take).await?;
    Ok(reporters)
}

/// What makes breakers live that were written down.
pub(crate) struct Revival<'r> {
    pub(crate) defaults: &'r Defaults,
    /// The policies that they follow.
    pub(crate) ranked: Arc<Ranked>,
    /// No breaker lives on below. At a start however the last life ended: it showed this revision
    /// too, if it began with a crash, and need not have written the breaker.
    pub(crate) first_revision: u64,
    pub(crate) now: Time,
}

/// A breaker that lives again.
pub(crate) struct Revived {
    pub(crate) name: BreakerName,
    pub(crate) live: Box<Live>,
    /// Something of it lay in the future, or further than its configuration lets it.
    pub(crate) is_bounded: bool,
}

impl Revival<'_> {
    /// A breaker as it was stored, or what is legible of it.
    pub(crate) fn revive(&self, row: BreakerRow) -> Result<Revived, Box<DamagedRow>> {
        let damage = row.damage();
        let BreakerRow { name, mut snapshot, own_config, revision, config_revision, .. } = row;
        let (created_at, used_at) = (row.created_at, row.used_at);
        let generation = snapshot.generation;
        let damaged = |damage, name, own_config| {
            Box::new(DamagedRow {
                damage,
                name: Some(name),
                own_config: Some(own_config),
                revision: Some(revision),
                config_revision: Some(config_revision),
                generation: Some(generation),
                created_at: Some(created_at),
                used_at,
            })
        };
        if let Some(damage) = damage {
            return Err(damaged(damage, name, own_config));
        }
        let configured = self.configured(&name, own_config);
        let is_bounded = snapshot.bound(&configured.config, self.now);
        let breaker = match Breaker::restore(snapshot, &configured.config, self.now) {
            Ok(breaker) => breaker,
            Err(error) => {
                let own_config = configured.own.map(|own| own.patch).unwrap_or_default();
                return Err(damaged(Damage::of_snapshot(&error), name, own_config));
            }
        };
        let revision = revision.max(self.first_revision);
        let mut live = Box::new(Live::new(breaker, revision, created_at.min(self.now), configured));
        live.config_revision = config_revision;
        live.last_use = used_at.map(|used_at| LastUse::at(used_at.min(self.now)));
        if is_bounded {
            // It is not what was stored, and shown, under this revision.
            live.revision += 1;
        } else {
            (live.marks.recorded, live.marks.durable) = (revision, revision);
        }
        Ok(Revived { name, live, is_bounded })
    }

    /// The configuration of a stored breaker. Own values that the server's defaults have made
    /// invalid since are kept and left out, not the breaker.
    fn configured(&self, name: &BreakerName, own_config: ConfigPatch) -> Configured {
        let policy = self.ranked.best(name);
        let (configured, violations) = self.defaults.with_accepted(policy, own_config);
        if configured.own.as_deref().is_some_and(|own| !own.is_in_force) {
            tracing::warn!(
                breaker = %name,
                ?violations,
                "the breaker's own configuration does not fit its policy and the server's defaults \
                 any more; it is kept, and the breaker runs without"
            );
        }
        configured
    }
}

struct Loading<'l> {
    breakers: &'l Breakers,
    revival: Revival<'l>,
    highest_revision: u64,
    highest_generation: u64,
    /// They wait until the highest revision and generation are known.
    damaged: Vec<DamagedRow>,
    names: Vec<BreakerName>,
    /// How many breakers had something in the future, and one of them.
    bounded: (usize, Option<BreakerName>),
}

impl<'l> Loading<'l> {
    fn new(breakers: &'l Breakers, opened: &Opened, now: Time) -> Self {
        let first_revision = first_of_incarnation(opened.incarnation);
        let policies = breakers.policies();
        let (defaults, ranked) = (policies.defaults(), policies.ranked());
        Self {
            breakers,
            revival: Revival { defaults, ranked, first_revision, now },
            highest_revision: first_revision.max(opened.revision_floor),
            highest_generation: opened.generation_floor,
            damaged: Vec::new(),
            names: Vec::new(),
            bounded: (0, None),
        }
    }

    fn take(&mut self, loaded: Loaded) {
        let revived = match loaded {
            Loaded::Breaker(row) => self.revival.revive(row),
            Loaded::Damaged(row) => Err(Box::new(row)),
        };
        match revived {
            Ok(Revived { name, live, is_bounded }) => {
                self.note_highest(live.revision, live.breaker.generation());
                if is_bounded {
                    self.bounded.0 += 1;
                    self.bounded.1.get_or_insert_with(|| name.clone());
                }
                self.insert(name, live);
            }
            Err(mut row) => {
                let is_number = |number: &u64| *number < MAX_NUMBER;
                row.revision = row.revision.filter(is_number);
                row.generation = row.generation.filter(is_number).filter(|number| *number > 0);
                self.note_highest(row.revision.unwrap_or(0), row.generation.unwrap_or(0));
                self.damaged.push(*row);
            }
        }
    }

    fn finish(mut self) {
        if let (count, Some(breaker)) = &self.bounded {
            tracing::warn!(
                breakers = count,
                %breaker,
                "times of breakers lie in the future, as after a clock that was set back; they are \
                 taken back, and no breaker waits longer than its configuration lets it"
            );
        }
        self.breakers.signals.stats.count_damaged_rows(self.damaged.len());
        for row in std::mem::take(&mut self.damaged) {
            self.start_afresh(row);
        }
        self.breakers.know_names(self.names);
    }

    fn insert(&mut self, name: BreakerName, live: Box<Live>) {
        self.names.push(name.clone());
        self.breakers.insert_stored(name, live);
    }

    fn note_highest(&mut self, revision: u64, generation: u64) {
        self.highest_revision = self.highest_revision.max(revision);
        self.highest_generation = self.highest_generation.max(generation);
    }

    /// A damaged breaker as one that was just made. It is written like any that is new, and so its
    /// row heals.
    fn start_afresh(&mut self, row: DamagedRow) {
        let DamagedRow { damage: Damage { column, problem }, name, .. } = row;
        let Some(name) = name else {
            tracing::error!(
                column,
                problem,
                "the row of a breaker in storage is damaged and does not tell whose it is; it is \
                 left as it is, and the breaker starts afresh at its next use"
            );
            return;
        };
        let revision = match row.revision {
            Some(revision) => revision.max(self.revival.first_revision) + 1,
            None => self.highest_revision + REVISION_MARGIN,
        };
        let generation = match row.generation {
            Some(generation) => generation + 1,
            None => self.highest_generation + GENERATION_MARGIN,
        };
        let own_config_is_kept = row.own_config.is_some();
        let config_revision =
            row.config_revision.filter(|at| own_config_is_kept && *at <= revision);
        let configured = self.revival.configured(&name, row.own_config.unwrap_or_default());
        let created_at = row.created_at.unwrap_or(self.revival.now).min(self.revival.now);
        let breaker = Breaker::with_generation(self.revival.now, generation);
        let mut live = Live::new(breaker, revision, created_at, configured);
        live.config_revision = config_revision.unwrap_or(revision);
        live.last_use = row.used_at.map(|used_at| LastUse::at(used_at.min(self.revival.now)));
        tracing::error!(
            breaker = %name,
            column,
            problem,
            revision,
            generation,
            policy = live.policy_name().map(tracing::field::display),
            own_config_is_kept,
            "the row of the breaker in storage is damaged; it starts CLOSED and without an override, \
             on its policy and what is legible of its own configuration, and its row is written anew"
        );
        self.insert(name, Box::new(live));
    }
}
