//! What admins do to breakers.

use std::sync::Arc;
use std::time::Duration;

use breaker_core::{Attribution, BreakerName, ConfigPatch, Key, OverrideKind, Time, Violation};

use crate::durably::{Durability, Target, Written};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::live::Live;
use crate::selectors::Selector;
use crate::signals::Signals;
use crate::view::BreakerView;

/// Most breakers shown after a change of a glob.
const MAX_SHOWN: usize = 1_000;

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

/// What became of a change.
#[derive(Clone, Debug)]
pub struct Changed<T> {
    /// What was changed, as it is now.
    pub result: T,
    /// Whether it is on disk.
    pub is_durable: bool,
    /// Values that are allowed and make no sense.
    pub warnings: Vec<Violation>,
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
        let written = self.make(durability, change).await?;
        let is_durable = self.wait_until_durable(&written).await;
        let shown = targets.iter().take(MAX_SHOWN).filter_map(|name| self.get(name).ok());
        let result = Matched { breakers: shown.collect(), count: targets.len() };
        Ok(Changed { result, is_durable, warnings: Vec::new() })
    }

    /// Checks what a breaker of this name could be created with, or one that no policy matches.
    ///
    /// # Errors
    /// Every value that would be refused.
    pub fn check_config(
        &self,
        name: Option<&BreakerName>,
        own_config: &ConfigPatch,
    ) -> Result<(), Vec<Violation>> {
        let (policies, own_config) = (self.policies(), own_config.clone());
        let configured = match name {
            Some(name) => policies.with(name, own_config),
            None => policies.defaults().with(None, own_config),
        };
        configured.map(|_| ())
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
        let change = {
            let (engine, name, now) = (Arc::clone(self), name.clone(), self.now());
            move |target: Target<'_>| {
                let _nobody_else = engine.policies().changing();
                let configured = engine.policies().with(&name, own_config.clone());
                let (configured, _) = configured.map_err(EngineError::Invalid)?;
                match target {
                    Target::Draft(batch) => {
                        // The draft must not take the place of a breaker that is there.
                        engine.breakers().may_insert(&name)?;
                        batch.rows.push(engine.breakers().fresh(now, configured).row(&name));
                        Ok(Vec::new())
                    }
                    Target::Live => {
                        let revision =
                            engine.breakers().insert_new(name.clone(), now, configured)?;
                        Ok(vec![Written::Row(name.clone(), revision)])
                    }
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
            let (engine, name, now) = (Arc::clone(self), name.clone(), self.now());
            move |target: Target<'_>| {
                let update = |name: &BreakerName, live: &mut Live, signals: &Signals| {
                    check_etag(name, live, etag)?;
                    let mut own = live.own_patch().cloned().unwrap_or_default();
                    for &key in &update.keys {
                        own.copy_key(key, &update.values);
                    }
                    let configured = engine.policies().with(name, own);
                    let (configured, _) = configured.map_err(EngineError::Invalid)?;
                    live.reconfigure(name, signals, configured, now);
                    Ok(())
                };
                let _nobody_else = engine.policies().changing();
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
            move |target: Target<'_>| {
                let _nobody_else = engine.policies().changing();
                match target {
                    Target::Draft(batch) => {
                        let deletion = engine.breakers().with(name.as_str(), |name, live| {
                            check_etag(name, live, etag).map(|()| live.deletion(name))
                        });
                        batch.deletions.push(deletion.ok_or_else(|| unknown(&name))??);
                        Ok(Vec::new())
                    }
                    Target::Live => {
                        let allowed = |live: &Live| check_etag(&name, live, etag);
                        let deletion = engine.breakers().remove(&name, allowed);
                        let deletion = deletion.ok_or_else(|| unknown(&name))??;
                        engine.desk().delete(deletion.clone());
                        Ok(vec![Written::Deletion(deletion)])
                    }
                }
            }
        };
        let written = self.make(durability, change).await?;
        let is_durable = self.wait_until_durable(&written).await;
        Ok(Changed { result: (), is_durable, warnings: Vec::new() })
    }

    async fn finish<F>(
        self: &Arc<Self>,
        name: &BreakerName,
        durability: Durability,
        change: F,
    ) -> Result<Changed<BreakerView>, EngineError>
    where
        F: Fn(Target<'_>) -> Result<Vec<Written>, EngineError> + Send + Sync + 'static,
    {
        let written = self.make(durability, change).await?;
        let is_durable = self.wait_until_durable(&written).await;
        let view = self.get(name)?;
        let configured = self.policies().with(name, view.own_config.clone());
        let warnings = configured.map(|(_, warnings)| warnings).unwrap_or_default();
        Ok(Changed { result: view, is_durable, warnings })
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
                let names = self.breakers().names_beginning_with(glob.literal_prefix(), None);
                let names = names.filter(|name| glob.matches(name.as_str()));
                if !action.needs_automatic_life() {
                    return Ok(names.collect());
                }
                let is_held = |name: &BreakerName| {
                    self.breakers().with(name.as_str(), |_, live| live.breaker.is_held())
                };
                Ok(names.filter(|name| is_held(name) == Some(false)).collect())
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
            return Err(EngineError::Held(name.clone()));
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
