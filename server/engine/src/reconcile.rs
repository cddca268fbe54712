//! Makes policies and breakers' own configurations what a file says, in one piece.

use std::collections::BTreeMap;
use std::sync::Arc;

use breaker_core::{BreakerName, ConfigPatch, Violation};

use crate::changes::Changed;
use crate::durably::{Durability, off_the_workers};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::plan::{BreakerEdit, Change, Edits, Plan, PolicyEdit};
use crate::policy::{PolicyName, PolicySpec};
use crate::policy_changes::Edited;
use crate::store::StoreError;

/// What policies and own configurations are to be.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The policies, each with the field of the request that it stands in.
    pub policies: BTreeMap<PolicyName, (PolicySpec, String)>,
    /// The breakers' own configurations, likewise.
    pub breakers: BTreeMap<BreakerName, (ConfigPatch, String)>,
    /// What becomes of those that are not named.
    pub others: Others,
}

/// What becomes of policies and own configurations that nobody named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Others {
    /// They stay.
    #[default]
    Keep,
    /// Policies are deleted. Breakers lose what is their own and live on under their policy: their
    /// state, and what an operator made of it, is not the file's to forget.
    Prune,
}

impl Engine {
    /// What [`reconcile`](Self::reconcile) would do, and what is odd about it.
    ///
    /// # Errors
    /// Why it would be refused.
    pub async fn plan(
        self: &Arc<Self>,
        wanted: Wanted,
    ) -> Result<(Vec<Change>, Vec<Violation>), EngineError> {
        let engine = Arc::clone(self);
        let plan = move || {
            let _nobody_else = engine.policies().changing();
            Plan::new(engine.breakers(), &engine.edits(&wanted), engine.now())
        };
        let plan = off_the_workers(plan).await??;
        Ok((plan.changes, plan.warnings))
    }

    /// Makes policies and own configurations what is wanted: all of it in one commit, or nothing.
    /// Without storage it is made nevertheless unless it has to be durable, and is written later.
    ///
    /// # Errors
    /// If anything of it is refused, or it has to be durable and cannot.
    pub async fn reconcile(
        self: &Arc<Self>,
        wanted: Wanted,
        durability: Durability,
    ) -> Result<Changed<Vec<Change>>, EngineError> {
        let wanted = Arc::new(wanted);
        let edit = move |engine: &Self| Ok(engine.edits(&wanted));
        let edited = match self.edit(Durability::Required, edit.clone()).await {
            Err(EngineError::Store(StoreError::Unavailable(_)))
                if durability == Durability::Preferred =>
            {
                self.edit(Durability::Preferred, edit).await
            }
            edited => edited,
        };
        let Edited { written, changes, warnings, .. } = edited?;
        let is_durable = self.wait_until_durable(&written).await;
        Ok(Changed { result: changes, is_durable, warnings })
    }

    fn edits(&self, wanted: &Wanted) -> Edits {
        let (policies, breakers) = (BTreeMap::new(), BTreeMap::new());
        let mut edits = Edits { policies, breakers, field: "policies" };
        for (name, (spec, place)) in &wanted.policies {
            let edit = PolicyEdit { spec: Some(spec.clone()), place: Some(place.clone()) };
            edits.policies.insert(name.clone(), edit);
        }
        for (name, (own, place)) in &wanted.breakers {
            let edit = BreakerEdit { own: own.clone(), place: Some(place.clone()) };
            edits.breakers.insert(name.clone(), edit);
        }
        if wanted.others == Others::Prune {
            // With those that were pruned before, and are not on disk as they are.
            let mut others = self.policies().unwritten();
            others.extend(self.policies().ranked().iter().map(|policy| policy.name().clone()));
            for name in others {
                let gone = || PolicyEdit { spec: None, place: None };
                edits.policies.entry(name).or_insert_with(gone);
            }
            self.breakers().for_each(|name, live| {
                if live.configured.own.is_some() || !live.is_own_durable() {
                    let bare = || BreakerEdit { own: ConfigPatch::default(), place: None };
                    edits.breakers.entry(name.clone()).or_insert_with(bare);
                }
            });
        }
        edits
    }
}
