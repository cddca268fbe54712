//! What a change of policies and of breakers' own configurations amounts to, found out and checked
//! as a whole before any of it is made.
//!
//! A plan is good as long as nobody else changes policies or own configurations: whoever makes one
//! holds [`Policies::changing`](crate::policies::Policies::changing) until it is carried out.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::mem;
use std::sync::Arc;

use breaker_core::{BreakerName, ConfigPatch, Time, Violation};

use crate::breakers::Breakers;
use crate::defaults::Configured;
use crate::durably::Written;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::live::Live;
use crate::policies::MAX_POLICIES;
use crate::policy::{Policy, PolicyDeletion, PolicyName, PolicyRow, PolicySpec, Ranked};
use crate::selectors::{self, Selector};
use crate::signals::Signals;
use crate::store::Batch;
use crate::ties::Ties;

/// Most breakers that a refused change names.
const MAX_REFUSED: usize = 100;

/// What somebody wants to be different.
#[derive(Clone, Debug)]
pub(crate) struct Edits {
    pub(crate) policies: BTreeMap<PolicyName, PolicyEdit>,
    pub(crate) breakers: BTreeMap<BreakerName, BreakerEdit>,
    /// The field of the request to blame where no single edit is.
    pub(crate) field: &'static str,
}

#[derive(Clone, Debug)]
pub(crate) struct PolicyEdit {
    /// What the policy is to say; `None` deletes it.
    pub(crate) spec: Option<PolicySpec>,
    /// The field of the request that is to blame, for violations and warnings.
    pub(crate) place: Place,
}

#[derive(Clone, Debug)]
pub(crate) struct BreakerEdit {
    /// All that is to be the breaker's own. A breaker that does not exist is created.
    pub(crate) own: ConfigPatch,
    pub(crate) place: Place,
}

/// A field of a request; `None` is the request itself.
pub(crate) type Place = Option<String>;

/// What becomes of one policy or one breaker.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "few are made, to be shown and dropped at once")]
pub enum Change {
    /// Of a policy; what it said and what it says.
    Policy(PolicyName, Option<PolicySpec>, Option<PolicySpec>),
    /// Of a breaker's own configuration; `None` before it was created.
    Breaker(BreakerName, Option<ConfigPatch>, ConfigPatch),
}

pub(crate) struct Plan {
    ranked: Arc<Ranked>,
    /// The policies that are different, with their new revisions.
    policies: Vec<(PolicyName, u64)>,
    /// The breakers whose own configuration is different.
    breakers: Vec<(BreakerName, Configured)>,
    /// What was named and is as it is wanted, though perhaps not on disk yet.
    unchanged: Unchanged,
    /// The policies that are different, as they were and as they will be.
    touched: Vec<Arc<Policy>>,
    pub(crate) changes: Vec<Change>,
    pub(crate) warnings: Vec<Violation>,
    now: Time,
}

#[derive(Default)]
struct Unchanged {
    /// In the order of their names. One that is to be gone is among them.
    policies: Vec<PolicyName>,
    breakers: Vec<BreakerName>,
}

impl Plan {
    /// Finds out what the edits amount to.
    ///
    /// # Errors
    /// Everything that would not go together afterwards.
    pub(crate) fn new(breakers: &Breakers, edits: &Edits, now: Time) -> Result<Self, EngineError> {
        let mut planner = Planner::new(breakers, edits, now);
        planner.plan_policies();
        let count = planner.plan.ranked.len();
        if count > MAX_POLICIES {
            return Err(EngineError::TooManyPolicies(count));
        }
        let created = planner.plan_breakers();
        // Without a policy that is refused, others would seem not to go together.
        if planner.violations.is_empty() {
            planner.check_followers(&created);
        }
        if !planner.violations.is_empty() {
            return Err(EngineError::Invalid(planner.violations));
        }
        breakers.has_room_for(created.len())?;
        Ok(planner.plan)
    }

    /// The policies that will be.
    pub(crate) const fn ranked(&self) -> &Arc<Ranked> {
        &self.ranked
    }

    /// Adds what would have to be written to a batch, with what should have been already.
    pub(crate) fn draft(self, breakers: &Breakers, batch: &mut Batch) {
        let unchanged = &self.unchanged;
        let is_named = |name: &PolicyName| unchanged.policies.binary_search(name).is_ok();
        breakers.policies().gather_those(batch, is_named);
        for name in &unchanged.breakers {
            let row = |name: &BreakerName, live: &mut Live| {
                (!live.is_own_durable()).then(|| live.row(name))
            };
            batch.rows.extend(breakers.with(name.as_str(), row).flatten());
        }
        for (name, revision) in self.policies {
            match self.ranked.get(&name) {
                Some(policy) => batch.policies.push(policy.row.clone()),
                None => batch.policy_deletions.push(PolicyDeletion { name, revision }),
            }
        }
        let signals = Signals::default();
        for (name, configured) in self.breakers {
            let copy = breakers.with(name.as_str(), |_, live| live.clone());
            let live = match copy {
                Some(mut live) => {
                    live.reconfigure(&name, &signals, configured, self.now);
                    live
                }
                None => breakers.fresh(self.now, configured),
            };
            batch.rows.push(live.row(&name));
        }
    }

    /// Makes the change. Durable is it once all that it names is on disk, changed or not: what it
    /// leaves as it is can be from a change that storage has never seen.
    pub(crate) fn carry_out(self, engine: &Engine) -> Vec<Written> {
        let (breakers, signals, now) = (engine.breakers(), engine.signals(), self.now);
        engine.policies().publish(Arc::clone(&self.ranked), &self.policies);
        engine.desk().hurry();
        let changed = self.policies.into_iter().map(|(name, _)| name);
        let mut written: Vec<_> =
            changed.chain(self.unchanged.policies).map(Written::Policy).collect();
        for name in self.unchanged.breakers {
            let revision = breakers.with(name.as_str(), |_, live| live.config_revision);
            written.extend(revision.map(|revision| Written::Row(name, revision)));
        }
        for (name, configured) in self.breakers {
            let revision = breakers.put(name.clone(), now, configured);
            written.push(Written::Row(name, revision));
        }
        // Breakers can have been made since the plan was. From now on they ask the new policies.
        for name in followers(breakers, &self.touched) {
            breakers.with(name.as_str(), |name, live| {
                let own = live.own_patch().cloned().unwrap_or_default();
                // It was checked, and nobody can have changed it since. One that did not fit before
                // either comes into force if it fits now.
                let (configured, _) = engine.policies().with_accepted(name, own);
                live.follow_policy(name, signals, configured, now);
            });
        }
        engine.alerts().rules_changed();
        written
    }
}

/// A plan in the making.
struct Planner<'a> {
    breakers: &'a Breakers,
    edits: &'a Edits,
    plan: Plan,
    violations: Vec<Violation>,
}

impl<'a> Planner<'a> {
    fn new(breakers: &'a Breakers, edits: &'a Edits, now: Time) -> Self {
        let plan = Plan {
            ranked: breakers.policies().ranked(),
            policies: Vec::new(),
            breakers: Vec::new(),
            unchanged: Unchanged::default(),
            touched: Vec::new(),
            changes: Vec::new(),
            warnings: Vec::new(),
            now,
        };
        Self { breakers, edits, plan, violations: Vec::new() }
    }

    fn plan_policies(&mut self) {
        let mut policies: HashMap<_, _> =
            self.plan.ranked.iter().map(|policy| (policy.name().clone(), policy.clone())).collect();
        let mut revision = self.breakers.policies().revision();
        for (name, edit) in &self.edits.policies {
            let old = policies.get(name).cloned();
            let spec = old.as_ref().map(|policy| policy.row.spec.clone());
            let is_same = spec == edit.spec;
            if !is_same || edit.spec.is_some() {
                let change = Change::Policy(name.clone(), spec, edit.spec.clone());
                self.plan.changes.push(change);
            }
            if is_same {
                let warnings = old.iter().flat_map(|policy| &policy.warnings).cloned();
                self.plan.warnings.extend(warnings.map(|w| at(&edit.place, w.within("config"))));
                self.plan.unchanged.policies.push(name.clone());
                continue;
            }
            revision += 1;
            self.plan.policies.push((name.clone(), revision));
            let new = self.policy(name, edit, old.as_ref(), revision);
            self.plan.touched.extend(old);
            self.plan.touched.extend(new.clone());
            match new {
                Some(new) => policies.insert(name.clone(), new),
                None => policies.remove(name),
            };
        }
        self.plan.ranked = Arc::new(Ranked::new(policies.into_values().collect()));
    }

    /// The policy that an edit makes; `None` if it deletes it, or asks for what cannot be.
    fn policy(
        &mut self,
        name: &PolicyName,
        edit: &PolicyEdit,
        old: Option<&Arc<Policy>>,
        revision: u64,
    ) -> Option<Arc<Policy>> {
        let row = PolicyRow {
            name: name.clone(),
            spec: edit.spec.clone()?,
            revision,
            created_at: old.map_or(self.plan.now, |old| old.row.created_at),
            updated_at: old.map(|_| self.plan.now),
        };
        match self.breakers.policies().defaults().policy(row) {
            Ok(policy) => {
                let warnings = policy.warnings.iter().cloned();
                self.plan.warnings.extend(warnings.map(|w| at(&edit.place, w.within("config"))));
                Some(Arc::new(policy))
            }
            Err(refused) => {
                let refused = refused.into_iter();
                self.violations.extend(refused.map(|v| at(&edit.place, v.within("config"))));
                None
            }
        }
    }

    /// Returns the breakers that have to be created.
    fn plan_breakers(&mut self) -> Vec<BreakerName> {
        let mut created = Vec::new();
        for (name, edit) in &self.edits.breakers {
            let found = self.breakers.with(name.as_str(), |_, live| {
                (live.own_patch().cloned().unwrap_or_default(), live.last_use.is_none())
            });
            let (old, stays) = found.unzip();
            // Whoever names a breaker wants it to stay, even without anything of its own.
            let is_to_stay = edit.place.is_some() && stays == Some(false);
            let is_same = old.as_ref() == Some(&edit.own) && !is_to_stay;
            if old.is_none() {
                created.push(name.clone());
            }
            // Nobody named those without a place: that they stay as they are is no news.
            if !is_same || edit.place.is_some() {
                let change = Change::Breaker(name.clone(), old, edit.own.clone());
                self.plan.changes.push(change);
            }
            let (defaults, best) =
                (self.breakers.policies().defaults(), self.plan.ranked.best(name));
            if is_same {
                let (_, warnings) = defaults.with_accepted(best, edit.own.clone());
                let warnings = warnings.into_iter();
                let warnings = warnings.map(|w| at(&edit.place, w.within("config")));
                self.plan.warnings.extend(warnings);
                self.plan.unchanged.breakers.push(name.clone());
                continue;
            }
            match defaults.with(best, edit.own.clone()) {
                Ok((configured, warnings)) => {
                    let warnings = warnings.into_iter();
                    let warnings = warnings.map(|w| at(&edit.place, w.within("config")));
                    self.plan.warnings.extend(warnings);
                    self.plan.breakers.push((name.clone(), configured));
                }
                Err(refused) => {
                    let refused = refused.into_iter();
                    self.violations.extend(refused.map(|v| at(&edit.place, v.within("config"))));
                }
            }
        }
        created
    }

    /// Looks at every breaker that a different policy matches. Where policies that were named and
    /// stay as they are tie, their selectors alone tell: going to every breaker for each file that
    /// changes nothing would cost too much.
    fn check_followers(&mut self, created: &[BreakerName]) {
        let ranked = Arc::clone(&self.plan.ranked);
        let mut ties = Ties::new(&ranked, self.edits.policies.keys());
        let edited: HashSet<_> = self.plan.breakers.iter().map(|(name, _)| name.clone()).collect();
        let touched = mem::take(&mut self.plan.touched);
        let created = created.iter().filter(|name| is_matched(&touched, name)).cloned();
        for name in followers(self.breakers, &touched).chain(created) {
            ties.look_at(&name);
            if !edited.contains(&name) {
                self.check_own(&name, &ranked);
            }
        }
        self.plan.touched = touched;
        for (policy, warning) in ties.into_warnings() {
            let place = self.edits.policies.get(&policy).and_then(|edit| edit.place.clone());
            self.plan.warnings.push(at(&place, warning));
        }
    }

    /// Refuses a change of policies that a breaker's own values would not go with, unless they do
    /// not go with what there is either.
    fn check_own(&mut self, name: &BreakerName, ranked: &Ranked) {
        let own = |_: &BreakerName, live: &mut Live| {
            let own = live.configured.own.as_deref().filter(|own| own.is_in_force);
            own.map(|own| own.patch.clone())
        };
        let own = self.breakers.with(name.as_str(), own);
        let Some(own) = own.flatten().filter(|_| self.violations.len() < MAX_REFUSED) else {
            return;
        };
        let best = ranked.best(name);
        let Err(refused) = self.breakers.policies().defaults().with(best, own) else { return };
        let below = match best {
            Some(policy) => format!("policy `{}`", policy.name()),
            None => "the defaults".to_owned(),
        };
        let why: Vec<_> = refused.iter().map(ToString::to_string).collect();
        let description = format!(
            "breaker `{name}` could not run with its own values over {below}: {}; change its own \
             values first",
            why.join(", ")
        );
        let edit = best.and_then(|policy| self.edits.policies.get(policy.name()));
        let violation = match edit {
            Some(edit) => at(&edit.place, Violation::new("config", description)),
            // What it falls back to is not part of the request.
            None => Violation::new(self.edits.field, description),
        };
        self.violations.push(violation);
    }
}

/// The names of the breakers that some of the policies match, in order.
fn followers<'b>(
    breakers: &'b Breakers,
    policies: &'b [Arc<Policy>],
) -> impl Iterator<Item = BreakerName> + 'b {
    let selectors = policies.iter().map(|policy| &policy.row.spec.selector);
    let prefixes = selectors::apart(selectors.map(Selector::literal_prefix));
    let names = prefixes.into_iter().flat_map(|prefix| breakers.names_beginning_with(prefix, None));
    names.filter(|name| is_matched(policies, name))
}

fn is_matched(policies: &[Arc<Policy>], name: &BreakerName) -> bool {
    policies.iter().any(|policy| policy.matches(name))
}

fn at(place: &Place, violation: Violation) -> Violation {
    match place {
        Some(place) => violation.within(place),
        None => violation,
    }
}
