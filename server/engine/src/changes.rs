//! What admins do to breakers.

use std::sync::Arc;
use std::time::Duration;

use breaker_core::{Attribution, BreakerName, ConfigPatch, Key, OverrideKind, Time};
use tokio::sync::oneshot;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::live::Live;
use crate::selectors::Selector;
use crate::signals::Signals;
use crate::store::{Batch, Deletion, StoreError};
use crate::view::BreakerView;
use crate::writer::DurableChange;

/// Most breakers shown after a change of a glob.
const MAX_SHOWN: usize = 1_000;

/// How long a change waits to become durable before it is answered without.
const DURABLE_WITHIN: Duration = Duration::from_secs(5);

/// What an admin does to breakers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Sets an override.
    Override {
        /// Which.
        kind: OverrideKind,
        /// When it ends by itself.
        time_to_live: Option<Duration>,
    },
    /// Ends the override.
    Release,
    /// Opens now.
    Trip,
    /// Closes now.
    Reset,
}

/// What a change does if it cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// It is made nevertheless, and written later.
    Preferred,
    /// It is not made.
    Required,
}

/// What became of a change.
#[derive(Clone, Debug)]
pub struct Changed<T> {
    /// What was changed, as it is now.
    pub result: T,
    /// Whether it is on disk.
    pub is_durable: bool,
}

/// The breakers that a selector matched.
#[derive(Clone, Debug, Default)]
pub struct Matched {
    /// The first thousand by name, as they are now.
    pub breakers: Vec<BreakerView>,
    /// How many there are.
    pub count: usize,
}

/// Which values of its own configuration an update gives a breaker.
#[derive(Clone, Debug)]
pub struct ConfigUpdate {
    /// The values.
    pub values: ConfigPatch,
    /// The keys to take from `values`, set or not.
    pub keys: Vec<Key>,
}

/// A change that is durable once this much is on disk.
enum Written {
    Row(BreakerName, u64),
    Deletion(Deletion),
}

impl Engine {
    /// Does something to every breaker that the selector matches. Trip and Reset leave out the
    /// breakers of a glob that an override holds.
    ///
    /// # Errors
    /// If a named breaker does not exist or is held, or the change has to be durable and cannot.
    pub async fn apply(
        self: &Arc<Self>,
        selector: &Selector,
        action: Action,
        by: Attribution,
        durability: Durability,
    ) -> Result<Changed<Matched>, EngineError> {
        let targets = self.targets(selector, action)?;
        let change = {
            let (engine, targets, now) = (Arc::clone(self), targets.clone(), self.now());
            move |signals: Target<'_>| engine.act_on(&targets, action, &by, now, signals)
        };
        let written = self.make(durability, change).await??;
        let is_durable = self.wait_until_durable(&written).await;
        let shown = targets.iter().take(MAX_SHOWN).filter_map(|name| self.get(name).ok());
        let result = Matched { breakers: shown.collect(), count: targets.len() };
        Ok(Changed { result, is_durable })
    }

    /// Creates a breaker.
    ///
    /// # Errors
    /// If it exists, its configuration is refused, or it has to be durable and cannot.
    pub async fn create(
        self: &Arc<Self>,
        name: BreakerName,
        own_config: ConfigPatch,
        durability: Durability,
    ) -> Result<Changed<BreakerView>, EngineError> {
        let configured =
            self.breakers().defaults().with(own_config).map_err(EngineError::Invalid)?;
        if self.breakers().contains(&name) {
            return Err(EngineError::AlreadyExists(name));
        }
        self.breakers().has_room_for(1)?;
        let change = {
            let (engine, name, now) = (Arc::clone(self), name.clone(), self.now());
            move |target: Target<'_>| match target {
                Target::Draft(batch) => {
                    batch.rows.push(engine.breakers().fresh(now, configured.clone()).row(&name));
                    Ok(Vec::new())
                }
                Target::Live => {
                    let revision =
                        engine.breakers().insert_new(name.clone(), now, configured.clone())?;
                    Ok(vec![Written::Row(name.clone(), revision)])
                }
            }
        };
        self.finish(&name, durability, change).await
    }

    /// Changes a breaker's own configuration. Its state goes on.
    ///
    /// # Errors
    /// If there is none of this name, the etag is not the current one, the configuration is
    /// refused, or the change has to be durable and cannot.
    pub async fn update(
        self: &Arc<Self>,
        name: &BreakerName,
        update: ConfigUpdate,
        etag: Option<u64>,
        durability: Durability,
    ) -> Result<Changed<BreakerView>, EngineError> {
        let change = {
            let (engine, name) = (Arc::clone(self), name.clone());
            move |target: Target<'_>| {
                let update = |name: &BreakerName, live: &mut Live, signals: &Signals| {
                    check_etag(name, live, etag)?;
                    let mut own = live.own_patch().cloned().unwrap_or_default();
                    for &key in &update.keys {
                        own.copy_key(key, &update.values);
                    }
                    let config = engine.breakers().defaults().with(own);
                    live.reconfigure(name, signals, config.map_err(EngineError::Invalid)?);
                    Ok(())
                };
                engine.change_one(&name, target, update).map(|written| vec![written])
            }
        };
        self.finish(name, durability, change).await
    }

    /// Deletes a breaker.
    ///
    /// # Errors
    /// If there is none of this name, the etag is not the current one, or the deletion has to be
    /// durable and cannot.
    pub async fn delete(
        self: &Arc<Self>,
        name: &BreakerName,
        etag: Option<u64>,
        durability: Durability,
    ) -> Result<Changed<()>, EngineError> {
        let change = {
            let (engine, name) = (Arc::clone(self), name.clone());
            move |target: Target<'_>| match target {
                Target::Draft(batch) => {
                    let deletion = engine.breakers().with(name.as_str(), |name, live| {
                        check_etag(name, live, etag).map(|()| live.deletion(name))
                    });
                    batch.deletions.push(deletion.ok_or_else(|| unknown(&name))??);
                    Ok(Vec::new())
                }
                Target::Live => {
                    let deletion =
                        engine.breakers().remove(&name, |live| check_etag(&name, live, etag))?;
                    engine.desk().delete(deletion.clone());
                    Ok(vec![Written::Deletion(deletion)])
                }
            }
        };
        let written = self.make(durability, change).await??;
        Ok(Changed { result: (), is_durable: self.wait_until_durable(&written).await })
    }

    async fn finish<F>(
        self: &Arc<Self>,
        name: &BreakerName,
        durability: Durability,
        change: F,
    ) -> Result<Changed<BreakerView>, EngineError>
    where
        F: Fn(Target<'_>) -> Result<Vec<Written>, EngineError> + Send + 'static,
    {
        let written = self.make(durability, change).await??;
        let is_durable = self.wait_until_durable(&written).await;
        Ok(Changed { result: self.get(name)?, is_durable })
    }

    /// Makes a change, after it was written as a draft if it has to be durable. The writer does
    /// both then, so that no older write can come in between.
    async fn make<F, R>(
        self: &Arc<Self>,
        durability: Durability,
        change: F,
    ) -> Result<Result<R, EngineError>, EngineError>
    where
        F: Fn(Target<'_>) -> Result<R, EngineError> + Send + 'static,
        R: Send + 'static,
    {
        if durability == Durability::Preferred {
            return Ok(change(Target::Live));
        }
        let (sender, receiver) = oneshot::channel();
        let change = Arc::new(parking_lot::Mutex::new(change));
        let draft = Arc::clone(&change);
        let refused = Arc::new(parking_lot::Mutex::new(None));
        let refusal = Arc::clone(&refused);
        let prepare = Box::new(move || {
            let mut batch = Batch::default();
            if let Err(error) = draft.lock()(Target::Draft(&mut batch)) {
                *refusal.lock() = Some(error);
                return Batch::default();
            }
            batch
        });
        let finish = Box::new(move |written: Result<(), StoreError>| {
            let result = match (refused.lock().take(), written) {
                (Some(error), _) => Err(error),
                (None, Err(error)) => Err(EngineError::Store(error)),
                (None, Ok(())) => change.lock()(Target::Live),
            };
            // Whoever asked may have gone meanwhile; the change stands.
            let _ = sender.send(result);
        });
        let handed_in = self.desk().change_durably(DurableChange { prepare, finish }).await;
        handed_in.map_err(|()| EngineError::ShuttingDown)?;
        self.desk().hurry();
        receiver.await.map_err(|_| EngineError::ShuttingDown)
    }

    fn targets(
        &self,
        selector: &Selector,
        action: Action,
    ) -> Result<Vec<BreakerName>, EngineError> {
        match selector {
            Selector::Name(name) => match self.breakers().contains(name) {
                true => Ok(vec![name.clone()]),
                false => Err(unknown(name)),
            },
            Selector::Glob(glob) => {
                let mut names = Vec::new();
                self.breakers().for_each(|name, live| {
                    let held = action.needs_automatic_life() && live.breaker.is_held();
                    if glob.matches(name.as_str()) && !held {
                        names.push(name.clone());
                    }
                });
                names.sort_unstable();
                Ok(names)
            }
        }
    }

    fn act_on(
        &self,
        targets: &[BreakerName],
        action: Action,
        by: &Attribution,
        now: Time,
        mut target: Target<'_>,
    ) -> Result<Vec<Written>, EngineError> {
        let is_one = targets.len() == 1;
        let mut written = Vec::with_capacity(targets.len());
        for name in targets {
            let act = |name: &BreakerName, live: &mut Live, signals: &Signals| {
                action.act(name, live, signals, by, now)
            };
            match self.change_one(name, target.reborrow(), act) {
                Ok(row) => written.push(row),
                Err(error) if is_one => return Err(error),
                // One of many that was deleted or overridden since it was matched.
                Err(_) => {}
            }
        }
        Ok(written)
    }

    /// Changes one breaker for real, or a copy of it whose row becomes part of the draft.
    fn change_one(
        &self,
        name: &BreakerName,
        target: Target<'_>,
        change: impl FnOnce(&BreakerName, &mut Live, &Signals) -> Result<(), EngineError>,
    ) -> Result<Written, EngineError> {
        let changed = self.breakers().with(name.as_str(), |name, live| match target {
            Target::Draft(batch) => {
                let mut copy = live.clone();
                change(name, &mut copy, &Signals::default())?;
                batch.rows.push(copy.row(name));
                Ok(Written::Row(name.clone(), copy.revision))
            }
            Target::Live => {
                change(name, live, self.signals())?;
                Ok(Written::Row(name.clone(), live.revision))
            }
        });
        changed.unwrap_or_else(|| Err(unknown(name)))
    }

    /// Waits until all of it is on disk; `false` if storage fails or does not answer in time.
    async fn wait_until_durable(&self, written: &[Written]) -> bool {
        let mut status = self.desk().status();
        let attempts = status.borrow_and_update().attempts;
        self.desk().hurry();
        let wait = async {
            loop {
                if written.iter().all(|part| self.is_durable(part)) {
                    return true;
                }
                if status.changed().await.is_err() {
                    return false;
                }
                let now = status.borrow_and_update();
                if now.failing.is_some() && now.attempts > attempts {
                    return false;
                }
            }
        };
        tokio::time::timeout(DURABLE_WITHIN, wait).await.unwrap_or(false)
    }

    fn is_durable(&self, part: &Written) -> bool {
        match part {
            Written::Row(name, revision) => self
                .breakers()
                .with(name.as_str(), |_, live| live.marks.durable >= *revision)
                .unwrap_or(true),
            Written::Deletion(deletion) => self.desk().is_deletion_durable(deletion),
        }
    }
}

/// What a change is made to.
enum Target<'a> {
    /// Copies, whose rows are gathered to be written before the change is made.
    Draft(&'a mut Batch),
    /// The breakers themselves.
    Live,
}

impl Target<'_> {
    const fn reborrow(&mut self) -> Target<'_> {
        match self {
            Self::Draft(batch) => Target::Draft(batch),
            Self::Live => Target::Live,
        }
    }
}

impl Action {
    const fn needs_automatic_life(self) -> bool {
        matches!(self, Self::Trip | Self::Reset)
    }

    fn act(
        self,
        name: &BreakerName,
        live: &mut Live,
        signals: &Signals,
        by: &Attribution,
        now: Time,
    ) -> Result<(), EngineError> {
        live.advance(name, signals, now);
        if self.needs_automatic_life() && live.breaker.is_held() {
            return Err(EngineError::Held { name: name.clone(), mode: live.breaker.mode() });
        }
        let by = by.clone();
        live.change(name, signals, |breaker, config| {
            let transitions = match self {
                Self::Override { kind, time_to_live } => {
                    breaker.override_with(config, kind, by, time_to_live, now)
                }
                Self::Release => breaker.release(config, by, now),
                Self::Trip => breaker.trip(config, by, now),
                Self::Reset => breaker.reset(config, by, now),
            };
            ((), transitions)
        });
        Ok(())
    }
}

fn check_etag(name: &BreakerName, live: &Live, etag: Option<u64>) -> Result<(), EngineError> {
    match etag {
        Some(expected) if expected != live.config_revision => Err(EngineError::EtagMismatch {
            name: name.clone(),
            expected,
            actual: live.config_revision,
        }),
        _ => Ok(()),
    }
}

fn unknown(name: &BreakerName) -> EngineError {
    EngineError::UnknownBreaker(name.clone())
}
