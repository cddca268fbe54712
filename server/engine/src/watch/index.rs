//! Which groups a change concerns, found by what they select.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use breaker_core::{BreakerName, NameGlob};

use super::group::Group;
use super::token;
use crate::selectors::Selectors;

#[derive(Default)]
pub(super) struct Index {
    /// All of them, by the hash of what they select.
    groups: HashMap<u64, Vec<Arc<Group>>>,
    names: HashMap<BreakerName, Vec<Arc<Group>>>,
    /// Globs by the first part of the names that they match.
    namespaces: HashMap<Box<str>, Vec<(NameGlob, Arc<Group>)>>,
    /// Globs that can match names with any first part.
    wide: Vec<(NameGlob, Arc<Group>)>,
    /// Those who select everything.
    all: Vec<Arc<Group>>,
}

/// The first part of all the names that a glob matches, if there is only one.
fn namespace_of(glob: &NameGlob) -> Option<&str> {
    let (first, _) = glob.as_str().split_once('/')?;
    (!first.contains('*')).then_some(first)
}

impl Index {
    pub(super) fn find(&self, selectors: &Selectors) -> Option<Arc<Group>> {
        let alike = self.groups.get(&token::hash(selectors))?;
        alike.iter().find(|group| group.selectors() == selectors).cloned()
    }

    pub(super) fn insert(&mut self, group: Arc<Group>) {
        let selectors = group.selectors();
        if selectors.selects_all() {
            self.all.push(Arc::clone(&group));
        }
        for name in selectors.names() {
            self.names.entry(name.clone()).or_default().push(Arc::clone(&group));
        }
        for glob in selectors.globs() {
            let entry = (glob.clone(), Arc::clone(&group));
            match namespace_of(glob) {
                Some(first) => self.namespaces.entry(first.into()).or_default().push(entry),
                None => self.wide.push(entry),
            }
        }
        self.groups.entry(token::hash(selectors)).or_default().push(group);
    }

    pub(super) fn remove(&mut self, group: &Arc<Group>) {
        let is_other = |other: &Arc<Group>| !Arc::ptr_eq(other, group);
        let selectors = group.selectors();
        self.all.retain(is_other);
        for name in selectors.names() {
            retain(&mut self.names, name, is_other);
        }
        for glob in selectors.globs() {
            match namespace_of(glob) {
                Some(first) => {
                    retain(&mut self.namespaces, first, |(_, other)| is_other(other));
                }
                None => self.wide.retain(|(_, other)| is_other(other)),
            }
        }
        retain(&mut self.groups, &token::hash(selectors), is_other);
    }

    /// Goes to every group that selects a breaker, to some of them more than once.
    pub(super) fn for_each_group(&self, name: &BreakerName, mut each: impl FnMut(&Arc<Group>)) {
        self.all.iter().for_each(&mut each);
        self.names.get(name).into_iter().flatten().for_each(&mut each);
        let (first, _) = name.as_str().split_once('/').unwrap_or((name.as_str(), ""));
        let globs = self.namespaces.get(first).into_iter().flatten().chain(&self.wide);
        for (_, group) in globs.filter(|(glob, _)| glob.matches(name.as_str())) {
            each(group);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.groups.values().map(Vec::len).sum()
    }
}

/// Keeps some of the values of a key, and the key only if any are left.
fn retain<K, Q, V>(map: &mut HashMap<K, Vec<V>>, key: &Q, keep: impl FnMut(&V) -> bool)
where
    K: std::borrow::Borrow<Q> + Eq + Hash,
    Q: Eq + Hash + ?Sized,
{
    if let Some(values) = map.get_mut(key) {
        values.retain(keep);
        if values.is_empty() {
            map.remove(key);
        }
    }
}
