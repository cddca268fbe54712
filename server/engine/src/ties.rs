//! Policies of equal priority that both match a breaker. Which of them is in force is settled, but
//! hardly what somebody meant.

use std::collections::BTreeMap;
use std::sync::Arc;

use breaker_core::{BreakerName, Violation};

use crate::policy::{Policy, PolicyName, Ranked};

/// Most ties that are told; those beyond are not looked for.
const MAX_TIES: usize = 20;

pub(crate) struct Ties<'a> {
    /// Policies to tell about, each with those of equal priority.
    rivals: Vec<(&'a Arc<Policy>, Vec<&'a Arc<Policy>>)>,
    /// The better policy, then the other one, and what they meet at.
    found: BTreeMap<(PolicyName, PolicyName), Tie>,
}

struct Tie {
    /// The one of the two that was named.
    policy: PolicyName,
    /// What they both match.
    meeting: String,
}

impl<'a> Ties<'a> {
    /// Looks for ties of these policies.
    pub(crate) fn new<'n>(
        ranked: &'a Ranked,
        policies: impl Iterator<Item = &'n PolicyName>,
    ) -> Self {
        let with_rivals = |policy: &'a Arc<Policy>| {
            let rivals: Vec<_> = ranked.iter().filter(|other| policy.ties_with(other)).collect();
            (!rivals.is_empty()).then_some((policy, rivals))
        };
        let rivals: Vec<_> =
            policies.filter_map(|name| ranked.get(name)).filter_map(with_rivals).collect();
        let mut ties = Self { rivals, found: BTreeMap::new() };
        ties.look_at_selectors();
        ties
    }

    /// Notes the ties that meet at a breaker.
    pub(crate) fn look_at(&mut self, name: &BreakerName) {
        for (policy, rivals) in &self.rivals {
            if self.found.len() >= MAX_TIES {
                return;
            }
            if policy.matches(name) {
                for rival in rivals.iter().filter(|rival| rival.matches(name)) {
                    note(&mut self.found, policy, rival, || format!("breaker `{name}`"));
                }
            }
        }
    }

    /// A warning for each tie, and the policy that it is about.
    pub(crate) fn into_warnings(self) -> impl Iterator<Item = (PolicyName, Violation)> {
        self.found.into_iter().map(|((better, other), tie)| {
            let description = format!(
                "policies `{better}` and `{other}` have one priority and both match {}; \
                 `{better}` is in force, by the longer literal part of its selector or else by \
                 its name; give one of them a higher priority",
                tie.meeting
            );
            (tie.policy, Violation::new("priority", description))
        })
    }

    /// Notes those that are the same text, whether there is a breaker or not.
    fn look_at_selectors(&mut self) {
        for (policy, rivals) in &self.rivals {
            let selector = &policy.row.spec.selector;
            for rival in rivals.iter().filter(|rival| rival.row.spec.selector == *selector) {
                note(&mut self.found, policy, rival, || format!("`{}`", selector.as_str()));
            }
        }
    }
}

fn note(
    found: &mut BTreeMap<(PolicyName, PolicyName), Tie>,
    policy: &Policy,
    rival: &Policy,
    meeting: impl FnOnce() -> String,
) {
    let (better, other) =
        if policy.rank(rival).is_lt() { (policy, rival) } else { (rival, policy) };
    let pair = (better.name().clone(), other.name().clone());
    if found.len() < MAX_TIES || found.contains_key(&pair) {
        let tie = || Tie { policy: policy.name().clone(), meeting: meeting() };
        found.entry(pair).or_insert_with(tie);
    }
}
