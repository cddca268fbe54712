//! How many breakers are in which state and mode, in all and by namespace, and which are not
//! healthy. Kept as breakers come, change and go; a call that changes no state comes nowhere near.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use breaker_core::{Breaker, BreakerName, Mode, StateKind, Time};
use parking_lot::Mutex;

use super::namespace_of;

/// What the sums know of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) state: StateKind,
    pub(crate) mode: Mode,
    since: Time,
}

impl Standing {
    pub(crate) fn of(breaker: &Breaker) -> Self {
        Self { state: breaker.state(), mode: breaker.mode(), since: breaker.since() }
    }

    /// Where it stands among those that are not healthy, if it is one: those for longest first. A
    /// breaker under FORCED_OPEN is OPEN.
    fn ailing(&self, name: &BreakerName) -> Option<(Time, BreakerName)> {
        (self.state != StateKind::Closed).then(|| (self.since, name.clone()))
    }
}

/// How many breakers are in which state and mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FleetCounts {
    states: [u32; 3],
    modes: [u32; 5],
}

/// Healths are compared in billionths, as whole numbers.
const HEALTHY: u64 = 1_000_000_000;

impl FleetCounts {
    /// How many there are.
    pub fn breakers(&self) -> u64 {
        self.states.iter().map(|&count| u64::from(count)).sum()
    }

    /// How many are in this state.
    pub fn in_state(&self, state: StateKind) -> u64 {
        self.states[state as usize].into()
    }

    /// How many are in this mode.
    pub fn in_mode(&self, mode: Mode) -> u64 {
        self.modes[mode as usize].into()
    }

    /// How many are OPEN or HALF_OPEN; those under FORCED_OPEN are OPEN.
    pub fn unhealthy(&self) -> u64 {
        self.breakers() - self.in_state(StateKind::Closed)
    }

    /// CLOSED per breaker, in percent; 100 if there are none.
    pub fn health_percent(&self) -> f64 {
        match self.breakers() {
            0 => 100.0,
            breakers => 100.0 * self.in_state(StateKind::Closed) as f64 / breakers as f64,
        }
    }

    /// CLOSED per breaker, in billionths; below [`HEALTHY`] if any is not.
    fn health(&self) -> u64 {
        let closed = self.in_state(StateKind::Closed);
        (closed * HEALTHY).checked_div(self.breakers()).unwrap_or(HEALTHY)
    }

    fn change(&mut self, from: Option<Standing>, to: Option<Standing>) {
        if let Some(Standing { state, mode, .. }) = from {
            for count in [&mut self.states[state as usize], &mut self.modes[mode as usize]] {
                // A draft of a change is made where no breaker is known.
                *count = count.saturating_sub(1);
            }
        }
        if let Some(Standing { state, mode, .. }) = to {
            self.states[state as usize] += 1;
            self.modes[mode as usize] += 1;
        }
    }
}

/// How the breakers of a namespace are doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceHealth {
    namespace: Namespace,
    /// How many of its breakers are in which state and mode.
    pub counts: FleetCounts,
}

impl NamespaceHealth {
    /// The namespace.
    pub fn name(&self) -> &str {
        self.namespace.as_str()
    }
}

/// A namespace, as the first part of the name that one of its breakers has, or had: a fleet can make
/// up as many namespaces as breakers, and a text of its own for each would take a tenth of all memory.
#[derive(Clone, Debug)]
struct Namespace(BreakerName);

impl Namespace {
    fn as_str(&self) -> &str {
        namespace_of(&self.0)
    }
}

impl Borrow<str> for Namespace {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for Namespace {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Namespace {}

impl PartialOrd for Namespace {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Namespace {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

/// What the sums say at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) counts: FleetCounts,
    /// Those that are not healthy: those for longest first.
    pub(crate) ailing: Vec<BreakerName>,
    /// Those with the lowest health first, then by name.
    pub(crate) namespaces: Vec<NamespaceHealth>,
    pub(crate) namespace_count: usize,
}

/// The sums. Changed under the lock of a breaker's shard, so that nobody asks for a breaker while
/// holding this one's.
#[derive(Debug, Default)]
pub(crate) struct Fleet(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    all: Group,
    /// Those that have breakers.
    namespaces: BTreeMap<Namespace, Group>,
    /// Those with a breaker that is not healthy: the lowest health first.
    ailing: BTreeSet<(u64, Namespace)>,
}

#[derive(Debug, Default)]
struct Group {
    counts: FleetCounts,
    /// Those that are not healthy: those for longest first. `None` while all are, as most groups.
    #[allow(clippy::box_collection, reason = "an empty set takes three times as much")]
    ailing: Option<Box<BTreeSet<(Time, BreakerName)>>>,
}

impl Fleet {
    /// A breaker is new, has changed or is gone.
    pub(crate) fn change(&self, name: &BreakerName, from: Option<Standing>, to: Option<Standing>) {
        self.0.lock().change(name, from, to);
    }

    /// How all breakers are doing, or those of a namespace, at one moment: with the first so many of
    /// those that are not healthy, and of the namespaces.
    pub(crate) fn read(
        &self,
        namespace: Option<&str>,
        max_ailing: usize,
        max_namespaces: usize,
    ) -> Reading {
        let kept = self.0.lock();
        let group = kept.group(namespace);
        let ailing = group.and_then(|group| group.ailing.as_deref()).into_iter().flatten();
        Reading {
            counts: group.map(|group| group.counts).unwrap_or_default(),
            ailing: ailing.take(max_ailing).map(|(_, name)| name.clone()).collect(),
            namespaces: kept.by_health().take(max_namespaces).collect(),
            namespace_count: kept.namespaces.len(),
        }
    }
}

impl Kept {
    fn group(&self, namespace: Option<&str>) -> Option<&Group> {
        match namespace {
            None => Some(&self.all),
            Some(namespace) => self.namespaces.get(namespace),
        }
    }

    /// The namespaces, those with the lowest health first, then by name.
    fn by_health(&self) -> impl Iterator<Item = NamespaceHealth> {
        let shown = |namespace: &Namespace, group: &Group| NamespaceHealth {
            namespace: namespace.clone(),
            counts: group.counts,
        };
        let ailing = self.ailing.iter().filter_map(move |(_, namespace)| {
            self.namespaces.get(namespace).map(|group| shown(namespace, group))
        });
        // Whoever comes to the healthy ones has gone through all others, and skips no more of them.
        let healthy = self.namespaces.iter().filter(|(_, group)| group.ailing.is_none());
        ailing.chain(healthy.map(move |(namespace, group)| shown(namespace, group)))
    }

    fn change(&mut self, name: &BreakerName, from: Option<Standing>, to: Option<Standing>) {
        self.all.change(name, from, to);
        let namespace = Namespace(name.clone());
        let group = self.namespaces.entry(namespace.clone()).or_default();
        let before = group.counts.health();
        group.change(name, from, to);
        let after = group.counts.health();
        if group.counts.breakers() == 0 {
            self.namespaces.remove(&namespace);
        }
        if before != after {
            self.ailing.remove(&(before, namespace.clone()));
            if after < HEALTHY {
                self.ailing.insert((after, namespace));
            }
        }
    }
}

impl Group {
    fn change(&mut self, name: &BreakerName, from: Option<Standing>, to: Option<Standing>) {
        self.counts.change(from, to);
        if let Some(place) = from.and_then(|standing| standing.ailing(name)) {
            self.ailing.take_if(|ailing| ailing.remove(&place) && ailing.is_empty());
        }
        if let Some(place) = to.and_then(|standing| standing.ailing(name)) {
            self.ailing.get_or_insert_default().insert(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> BreakerName {
        BreakerName::new(text).unwrap()
    }

    fn standing(state: StateKind, since_ms: u64) -> Standing {
        Standing { state, mode: Mode::Normal, since: Time::from_millis(since_ms) }
    }

    #[test]
    fn those_that_are_worst_come_first() {
        let fleet = Fleet::default();
        let (closed, open) = (StateKind::Closed, StateKind::Open);
        for (text, state, since) in [
            ("b/1", closed, 1),
            ("b/2", open, 9),
            ("a/1", closed, 1),
            ("c/1", open, 7),
            ("d/1", open, 8),
            ("d/2", closed, 1),
            ("d/3", closed, 1),
        ] {
            fleet.change(&name(text), None, Some(standing(state, since)));
        }
        let all = fleet.read(None, 2, 1_000);
        let order: Vec<_> = all.namespaces.iter().map(NamespaceHealth::name).collect();
        assert_eq!((order, all.namespace_count), (vec!["c", "b", "d", "a"], 4));
        assert_eq!(all.ailing, [name("c/1"), name("d/1")]);
        assert_eq!(fleet.read(None, 0, 2).namespaces, all.namespaces[..2]);
        let of_b = fleet.read(Some("b"), 9, 0);
        assert_eq!((of_b.ailing, of_b.namespace_count), (vec![name("b/2")], 4));
        assert!((of_b.counts.health_percent() - 50.0).abs() < 1e-9);
        let of_none = fleet.read(Some("e"), 9, 0);
        assert_eq!((of_none.ailing, of_none.counts), (Vec::new(), FleetCounts::default()));
    }

    #[test]
    fn a_namespace_goes_with_its_last_breaker() {
        let fleet = Fleet::default();
        let open = Some(standing(StateKind::Open, 3));
        for number in 0..1_000 {
            let name = name(&format!("made-up-{number}/a"));
            fleet.change(&name, None, open);
            fleet.change(&name, open, None);
        }
        let kept = fleet.0.lock();
        assert!(kept.namespaces.is_empty() && kept.ailing.is_empty() && kept.all.ailing.is_none());
        assert_eq!(kept.all.counts, FleetCounts::default());
    }
}
