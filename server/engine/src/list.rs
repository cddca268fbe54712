//! Listing breakers page by page, in memory bounded by the page.

use std::collections::BinaryHeap;

use breaker_core::{BreakerName, Mode, StateKind, Time};

use crate::engine::Engine;
use crate::live::Live;
use crate::selectors::Selector;
use crate::view::BreakerView;

/// The order of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// By name.
    Name,
    /// Those whose state began last first.
    LatestChange,
    /// Those with the highest failure rate over the window first.
    FailureRate,
}

/// Which breakers to list.
#[derive(Clone, Debug)]
pub struct Query {
    /// Only those that match.
    pub selector: Option<Selector>,
    /// Only those in one of these states; empty for all.
    pub states: Vec<StateKind>,
    /// Only those in one of these modes; empty for all.
    pub modes: Vec<Mode>,
    /// The order.
    pub order: Order,
    /// The page begins after this place.
    pub after: Option<Place>,
    /// At most so many.
    pub limit: usize,
}

/// The place of a breaker in a list: a key that grows with the order, and the name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// What the order goes by.
    pub key: u64,
    /// The name.
    pub name: BreakerName,
}

/// A page of breakers.
#[derive(Clone, Debug)]
pub struct BreakerPage {
    /// The breakers.
    pub breakers: Vec<BreakerView>,
    /// The next page begins after this place; `None` if there is none.
    pub next: Option<Place>,
}

impl Engine {
    /// A page of breakers.
    pub fn list(&self, query: &Query) -> BreakerPage {
        // The largest of the kept places is on top, and leaves when a smaller one comes.
        let mut kept: BinaryHeap<Place> = BinaryHeap::with_capacity(query.limit + 2);
        let now = self.now();
        self.breakers().for_each(|name, live| {
            if !query.selects(name, live) {
                return;
            }
            let key = query.order.key(live, now);
            let is_after =
                query.after.as_ref().is_none_or(|after| (key, name) > (after.key, &after.name));
            let fits = kept.len() <= query.limit
                || kept.peek().is_some_and(|last| (key, name) < (last.key, &last.name));
            if is_after && fits {
                kept.push(Place { key, name: name.clone() });
                if kept.len() > query.limit + 1 {
                    kept.pop();
                }
            }
        });
        let mut places = kept.into_sorted_vec();
        let has_more = places.len() > query.limit;
        places.truncate(query.limit);
        let next = places.last().filter(|_| has_more).cloned();
        // A breaker that was deleted meanwhile is not shown.
        let breakers = places.iter().filter_map(|place| self.get(&place.name).ok()).collect();
        BreakerPage { breakers, next }
    }
}

impl Query {
    fn selects(&self, name: &BreakerName, live: &Live) -> bool {
        let fits =
            |states: &[StateKind]| states.is_empty() || states.contains(&live.breaker.state());
        fits(&self.states)
            && (self.modes.is_empty() || self.modes.contains(&live.breaker.mode()))
            && self.selector.as_ref().is_none_or(|selector| selector.matches(name))
    }
}

impl Order {
    /// Grows along the list.
    fn key(self, live: &Live, now: Time) -> u64 {
        /// Rates as whole numbers, so that places can be compared and put into tokens.
        const STEPS: f64 = 1e9;
        match self {
            Self::Name => 0,
            Self::LatestChange => u64::MAX - live.breaker.since().as_nanos(),
            Self::FailureRate => {
                let rate = live.breaker.metrics().map_or(0.0, |m| m.rates(now).failure_rate);
                u64::MAX - (rate * STEPS) as u64
            }
        }
    }
}
