//! What admins do to policies, one at a time, and how policies are looked at.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use breaker_core::{
    AlertKey, AlertPatch, AlertRules, BreakerName, Config, ConfigPatch, Key, Source, Sources,
    Violation,
};

use crate::changes::Changed;
use crate::durably::{Durability, Target, Written, off_the_workers};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::live::Live;
use crate::plan::{Change, Edits, Plan, PolicyEdit};
use crate::policy::{Policy, PolicyName, PolicyRow, PolicySpec, Ranked};
use crate::selectors::Selector;

/// Which parts of a policy an update changes.
#[derive(Clone, Debug, Default)]
pub struct PolicyUpdate {
    /// The breakers that it is for.
    pub selector: Option<Selector>,
    /// Its priority.
    pub priority: Option<i32>,
    /// The values of its configuration.
    pub values: ConfigPatch,
    /// The keys to take from `values`, set or not.
    pub keys: Vec<Key>,
    /// The rules of its alerts.
    pub alerts: AlertPatch,
    /// The keys to take from `alerts`, set or not.
    pub alert_keys: Vec<AlertKey>,
}

/// A policy as it is, and whom it reaches.
#[derive(Clone, Debug)]
pub struct PolicyView {
    /// The policy.
    pub row: PolicyRow,
    /// How many breakers it is in force for.
    pub breaker_count: usize,
}

/// A page of policies.
#[derive(Clone, Debug)]
pub struct PolicyPage {
    /// The policies, by name.
    pub policies: Vec<PolicyView>,
    /// The next page begins after this name; `None` if there is none.
    pub next: Option<PolicyName>,
}

/// How the configuration of a breaker comes about.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The policies that match it, the best first: that one is in force.
    pub policies: Vec<PolicyRow>,
    /// The effective configuration.
    pub config: Arc<Config>,
    /// Where each value comes from.
    pub sources: Sources,
    /// The rules of its alerts.
    pub alerts: AlertRules,
    /// Where each of those comes from.
    pub alert_sources: [(AlertKey, Source); AlertKey::ALL.len()],
    /// Whether there is such a breaker.
    pub exists: bool,
}

/// What an edit of policies and breakers did.
pub(crate) struct Edited {
    pub(crate) written: Vec<Written>,
    pub(crate) changes: Vec<Change>,
    pub(crate) warnings: Vec<Violation>,
    /// The policies as the edit has left them.
    ranked: Arc<Ranked>,
}

impl Engine {
    /// One policy.
    ///
    /// # Errors
    /// If there is none of this name.
    pub fn policy(&self, name: &PolicyName) -> Result<PolicyView, EngineError> {
        let policy = known(&self.policies().ranked(), name)?;
        let breaker_count = self.breakers_of(&policy);
        Ok(PolicyView { row: policy.row.clone(), breaker_count })
    }

    /// A page of policies, by name.
    pub fn list_policies(&self, after: Option<&PolicyName>, limit: usize) -> PolicyPage {
        let ranked = self.policies().ranked();
        let mut rows: Vec<_> = ranked.iter().map(|policy| &policy.row).collect();
        rows.retain(|row| after.is_none_or(|after| row.name > *after));
        rows.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| has_more).map(|row| row.name.clone());
        let counts = self.breakers_by_policy();
        let view = |row: &PolicyRow| PolicyView {
            row: row.clone(),
            breaker_count: counts.get(&row.name).copied().unwrap_or(0),
        };
        PolicyPage { policies: rows.into_iter().map(view).collect(), next }
    }

    /// How the configuration of a breaker comes about, or would if there were one of this name.
    pub fn explain(&self, name: &BreakerName) -> Explanation {
        let (ranked, defaults) = (self.policies().ranked(), self.policies().defaults());
        let own = self.breakers().with(name.as_str(), |_, live| live.own_patch().cloned());
        let exists = own.is_some();
        let (best, own) = (ranked.best(name), own.flatten().unwrap_or_default());
        // They go together unless one was changed between the two looks.
        let configured = defaults.with(best, own);
        let configured =
            configured.map_or_else(|_| defaults.configured(best), |(configured, _)| configured);
        let mut layers = vec![(Source::Server, defaults.alerts())];
        layers.extend(best.map(|policy| (Source::Policy, &policy.row.spec.alerts)));
        Explanation {
            alerts: AlertRules::settle(layers.iter().map(|(_, patch)| *patch)),
            alert_sources: AlertKey::ALL.map(|key| (key, AlertRules::source(key, &layers))),
            policies: ranked.matching(name).map(|policy| policy.row.clone()).collect(),
            sources: *configured.sources(defaults),
            config: configured.config,
            exists,
        }
    }

    /// Checks what a policy could be created with.
    ///
    /// # Errors
    /// Every value that would be refused.
    pub fn check_policy_config(&self, config: &ConfigPatch) -> Result<(), Vec<Violation>> {
        self.policies().defaults().check(config)
    }

    /// Creates a policy. Every breaker that it is in force for runs on it at once.
    ///
    /// # Errors
    /// If it exists, a configuration is refused, or it has to be durable and cannot.
    pub async fn create_policy(
        self: &Arc<Self>,
        name: PolicyName,
        spec: PolicySpec,
        durability: Durability,
    ) -> Result<Changed<PolicyView>, EngineError> {
        let edits = edits_of(name.clone(), Some(spec), "config");
        let edit = {
            let name = name.clone();
            move |engine: &Self| match engine.policies().ranked().get(&name) {
                Some(_) => Err(EngineError::PolicyExists(name.clone())),
                None => Ok(edits.clone()),
            }
        };
        self.edit_and_show(&name, durability, edit).await
    }

    /// Changes a policy. Every breaker that it was or is in force for follows at once.
    ///
    /// # Errors
    /// If there is none of this name, the etag is not the current one, a configuration is refused,
    /// or the change has to be durable and cannot.
    pub async fn update_policy(
        self: &Arc<Self>,
        name: &PolicyName,
        update: PolicyUpdate,
        etag: Option<u64>,
        durability: Durability,
    ) -> Result<Changed<PolicyView>, EngineError> {
        let edit = {
            let name = name.clone();
            move |engine: &Self| {
                let policy = known(&engine.policies().ranked(), &name)?;
                check_etag(&policy, etag)?;
                let mut spec = policy.row.spec.clone();
                spec.selector = update.selector.clone().unwrap_or(spec.selector);
                spec.priority = update.priority.unwrap_or(spec.priority);
                for &key in &update.keys {
                    spec.config.copy_key(key, &update.values);
                }
                for &key in &update.alert_keys {
                    spec.alerts.take(key, &update.alerts);
                }
                Ok(edits_of(name.clone(), Some(spec), "config"))
            }
        };
        self.edit_and_show(name, durability, edit).await
    }

    /// Deletes a policy. Its breakers fall back to the next best one, or to the defaults.
    ///
    /// # Errors
    /// If there is none of this name, the etag is not the current one, a breaker could not run
    /// without it, or the deletion has to be durable and cannot.
    pub async fn delete_policy(
        self: &Arc<Self>,
        name: &PolicyName,
        etag: Option<u64>,
        durability: Durability,
    ) -> Result<Changed<()>, EngineError> {
        let name = name.clone();
        let edit = move |engine: &Self| {
            let policy = known(&engine.policies().ranked(), &name)?;
            check_etag(&policy, etag)?;
            Ok(edits_of(name.clone(), None, "name"))
        };
        let Edited { written, warnings, .. } = self.edit(durability, edit).await?;
        Ok(Changed { result: (), is_durable: self.wait_until_durable(&written).await, warnings })
    }

    /// Edits a policy and shows it as it is then; as the edit has left it if somebody has deleted
    /// it since, for the change was made.
    async fn edit_and_show(
        self: &Arc<Self>,
        name: &PolicyName,
        durability: Durability,
        edit: impl Fn(&Self) -> Result<Edits, EngineError> + Send + Sync + 'static,
    ) -> Result<Changed<PolicyView>, EngineError> {
        let Edited { written, warnings, ranked, .. } = self.edit(durability, edit).await?;
        let is_durable = self.wait_until_durable(&written).await;
        let engine = Arc::clone(self);
        let shown = {
            let name = name.clone();
            off_the_workers(move || engine.policy(&name)).await
        };
        let as_left =
            |policy: Arc<Policy>| PolicyView { row: policy.row.clone(), breaker_count: 0 };
        let result = shown.flatten().or_else(|_| known(&ranked, name).map(as_left))?;
        Ok(Changed { result, is_durable, warnings })
    }

    /// Makes the edits that `edit` finds necessary, all of them or none.
    pub(crate) async fn edit(
        self: &Arc<Self>,
        durability: Durability,
        edit: impl Fn(&Self) -> Result<Edits, EngineError> + Send + Sync + 'static,
    ) -> Result<Edited, EngineError> {
        let engine = Arc::clone(self);
        let change = move |target: Target<'_>| {
            let _nobody_else = engine.policies().changing();
            let mut plan = Plan::new(engine.breakers(), &edit(&engine)?, engine.now())?;
            let changes = std::mem::take(&mut plan.changes);
            let warnings = std::mem::take(&mut plan.warnings);
            let ranked = Arc::clone(plan.ranked());
            let written = match target {
                Target::Draft(batch) => {
                    plan.draft(engine.breakers(), batch);
                    Vec::new()
                }
                Target::Live => plan.carry_out(&engine),
            };
            Ok(Edited { written, changes, warnings, ranked })
        };
        self.make(durability, change).await
    }

    /// For how many breakers a policy is in force.
    fn breakers_of(&self, policy: &Policy) -> usize {
        let breakers = self.breakers();
        let follows = |live: &Live| live.policy_name() == Some(policy.name());
        let prefix = policy.row.spec.selector.literal_prefix();
        if prefix.is_empty() {
            let mut count = 0;
            breakers.for_each(|_, live| count += usize::from(follows(live)));
            return count;
        }
        let names = breakers.names_beginning_with(prefix, None);
        let is_its_own = |name: &BreakerName| {
            policy.matches(name)
                && breakers.with(name.as_str(), |_, live| follows(live)) == Some(true)
        };
        names.filter(is_its_own).count()
    }

    fn breakers_by_policy(&self) -> HashMap<PolicyName, usize> {
        let mut counts = HashMap::new();
        self.breakers().for_each(|_, live| {
            let Some(name) = live.policy_name() else { return };
            match counts.get_mut(name) {
                Some(count) => *count += 1,
                None => drop(counts.insert(name.clone(), 1)),
            }
        });
        counts
    }
}

fn edits_of(name: PolicyName, spec: Option<PolicySpec>, field: &'static str) -> Edits {
    let policies = [(name, PolicyEdit { spec, place: None })].into();
    Edits { policies, breakers: BTreeMap::new(), field }
}

fn known(ranked: &Ranked, name: &PolicyName) -> Result<Arc<Policy>, EngineError> {
    ranked.get(name).cloned().ok_or_else(|| EngineError::UnknownPolicy(name.clone()))
}

fn check_etag(policy: &Policy, etag: Option<u64>) -> Result<(), EngineError> {
    let (name, actual) = (policy.name().clone(), policy.row.revision);
    match etag {
        Some(expected) if expected != actual => {
            Err(EngineError::PolicyEtagMismatch { name, expected, actual })
        }
        _ => Ok(()),
    }
}
