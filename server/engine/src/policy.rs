//! A policy: a configuration with a name, for every breaker that its selector matches.

use std::borrow::Borrow;
use std::cmp::{Ordering, Reverse};
use std::fmt;
use std::sync::Arc;

use breaker_core::{
    AlertPatch, AlertRules, BreakerName, Config, ConfigPatch, Sources, Time, Violation,
};
use thiserror::Error;

use crate::selectors::Selector;

/// Longest name of a policy, in bytes.
const MAX_NAME_BYTES: usize = 100;

/// The name of a policy: lower-case letters, digits, `.`, `_` and `-`, 100 bytes at most. Cheap to
/// clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyName(Arc<str>);

/// Why a text is not the name of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PolicyNameError {
    /// The text is empty.
    #[error("the name is empty; name the policy, such as `payments`")]
    Empty,
    /// The name is too long.
    #[error("the name is {0} bytes long; at most {MAX_NAME_BYTES} are allowed")]
    TooLong(usize),
    /// A character that names of policies do not have.
    #[error(
        "`{name}` contains {character:?}; the name of a policy holds lower-case letters, digits, `.`, `_` and `-`"
    )]
    BadCharacter {
        /// The name as given, control characters escaped.
        name: String,
        /// The first offending character.
        character: char,
    },
}

/// What a policy says.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicySpec {
    /// The breakers that it is for.
    pub selector: Selector,
    /// Of several policies that match a breaker, the one with the highest priority is in force.
    pub priority: i32,
    /// The values that it sets.
    pub config: ConfigPatch,
    /// Which rules raise alerts about its breakers, over the server's.
    pub alerts: AlertPatch,
}

/// A policy as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyRow {
    /// The name; unique.
    pub name: PolicyName,
    /// What it says.
    pub spec: PolicySpec,
    /// Grows with each change of any policy; the etag.
    pub revision: u64,
    /// When it was created.
    pub created_at: Time,
    /// When it was last changed; `None` if it never was.
    pub updated_at: Option<Time>,
}

/// A policy that was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyDeletion {
    /// The name.
    pub name: PolicyName,
    /// The revision of the deletion: that of a policy of this name which stays is higher.
    pub revision: u64,
}

/// A policy with what it makes of the server's defaults, shared by every breaker that it is in
/// force for.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) row: PolicyRow,
    /// The values that lie over the defaults: those of the row, unless the defaults have changed
    /// since it was stored and do not go with them any more.
    pub(crate) values: ConfigPatch,
    /// The configuration of breakers that have none of their own.
    pub(crate) config: Arc<Config>,
    pub(crate) sources: Sources,
    pub(crate) warnings: Vec<Violation>,
    /// The rules of alerts about its breakers.
    pub(crate) alerts: AlertRules,
}

/// Policies, the best first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranked(Vec<Arc<Policy>>);

impl PolicyName {
    /// Checks and wraps a name.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(name: &str) -> Result<Self, PolicyNameError> {
        let fits = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-');
        if name.is_empty() {
            Err(PolicyNameError::Empty)
        } else if name.len() > MAX_NAME_BYTES {
            Err(PolicyNameError::TooLong(name.len()))
        } else if let Some(character) = name.chars().find(|&c| !fits(c)) {
            let name = name.escape_debug().to_string();
            Err(PolicyNameError::BadCharacter { name, character })
        } else {
            Ok(Self(name.into()))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for PolicyName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Policy {
    pub(crate) const fn name(&self) -> &PolicyName {
        &self.row.name
    }

    pub(crate) fn matches(&self, name: &BreakerName) -> bool {
        self.row.spec.selector.matches(name)
    }

    /// Whether nothing but the length of a glob and the name says which of two policies is better.
    pub(crate) fn ties_with(&self, other: &Self) -> bool {
        self.row.spec.priority == other.row.spec.priority && self.row.name != other.row.name
    }

    /// The better policy is the lesser one: the higher priority, then the longer literal part of
    /// the selector, then the name. The last two only make a tie come out the same way each time.
    pub(crate) fn rank(&self, other: &Self) -> Ordering {
        let key = |policy: &Self| {
            let PolicySpec { selector, priority, .. } = &policy.row.spec;
            Reverse((*priority, selector.literal_bytes()))
        };
        key(self).cmp(&key(other)).then_with(|| self.row.name.cmp(&other.row.name))
    }
}

impl Ranked {
    pub(crate) fn new(mut policies: Vec<Arc<Policy>>) -> Self {
        policies.sort_unstable_by(|a, b| a.rank(b));
        Self(policies)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.0.iter()
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn get(&self, name: &PolicyName) -> Option<&Arc<Policy>> {
        self.0.iter().find(|policy| policy.name() == name)
    }

    /// The policies that match a breaker, the best first.
    pub(crate) fn matching(&self, name: &BreakerName) -> impl Iterator<Item = &Arc<Policy>> {
        self.0.iter().filter(|policy| policy.matches(name))
    }

    /// The policy in force for a breaker.
    pub(crate) fn best(&self, name: &BreakerName) -> Option<&Arc<Policy>> {
        self.matching(name).next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_policy_is_one_part_of_lower_case_characters() {
        for good in ["payments", "9.a_b-c"] {
            assert_eq!(PolicyName::new(good).unwrap().as_str(), good);
        }
        let bad = |name: &str, character| PolicyNameError::BadCharacter {
            name: name.escape_debug().to_string(),
            character,
        };
        for (name, error) in [
            ("", PolicyNameError::Empty),
            ("a/b", bad("a/b", '/')),
            ("A", bad("A", 'A')),
            ("a\n", bad("a\n", '\n')),
        ] {
            assert_eq!(PolicyName::new(name), Err(error), "{name:?}");
        }
        assert!(PolicyName::new(&"a".repeat(100)).is_ok());
        assert_eq!(PolicyName::new(&"a".repeat(101)), Err(PolicyNameError::TooLong(101)));
    }
}
