//! Listing breakers page by page, in memory bounded by the page. In order of name a page costs
//! itself; any other order costs a look at every breaker.

use std::collections::BinaryHeap;

use breaker_core::{BreakerName, Mode, StateKind, Time};

use crate::engine::Engine;
use crate::live::Live;
use crate::selectors::Selector;
use crate::view::{BreakerOutline, BreakerView};

/// So many pages of breakers in a state are enough for a page of them to be found soon.
const ENOUGH_PAGES: usize = 8;

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
pub struct BreakerPage<B = BreakerView> {
    /// The breakers.
    pub breakers: Vec<B>,
    /// The next page begins after this place; `None` if there is none.
    pub next: Option<Place>,
}

impl Engine {
    /// A page of breakers, with everything that is known about each.
    pub fn list(&self, query: &Query) -> BreakerPage {
        self.page(query, |name| self.get(name).ok())
    }

    /// A page of breakers, as a list shows them.
    pub fn list_outlines(&self, query: &Query) -> BreakerPage<BreakerOutline> {
        self.page(query, |name| self.outline(name).ok())
    }

    fn page<B>(&self, query: &Query, show: impl Fn(&BreakerName) -> Option<B>) -> BreakerPage<B> {
        let mut places = match query.order {
            Order::Name if self.is_soon_full(query) => self.first_by_name(query),
            _ => self.first_of_all(query),
        };
        let has_more = places.len() > query.limit;
        places.truncate(query.limit);
        let next = places.last().filter(|_| has_more).cloned();
        // A breaker that was deleted meanwhile is not shown.
        let breakers = places.iter().filter_map(|place| show(&place.name)).collect();
        BreakerPage { breakers, next }
    }

    /// Whether going from name to name finds a page before long: few names begin so, or many
    /// breakers are in the wanted states and modes. Otherwise it would come to nearly every breaker
    /// as well, and by the longer way.
    fn is_soon_full(&self, query: &Query) -> bool {
        let any = |count: i64| usize::try_from(count).unwrap_or(0);
        let stats = self.stats();
        let in_states = query.states.iter().map(|state| any(stats.breakers_in_state(*state)));
        let in_modes = query.modes.iter().map(|mode| any(stats.breakers_in_mode(*mode)));
        let enough = query.limit.saturating_mul(ENOUGH_PAGES);
        let has_prefix = |selector: &Selector| !selector.literal_prefix().is_empty();
        query.selector.as_ref().is_some_and(has_prefix)
            || (query.states.is_empty() || in_states.sum::<usize>() >= enough)
                && (query.modes.is_empty() || in_modes.sum::<usize>() >= enough)
    }

    /// The first places in order of name, one more than the page holds.
    fn first_by_name(&self, query: &Query) -> Vec<Place> {
        let prefix = query.selector.as_ref().map_or("", Selector::literal_prefix);
        let after = query.after.as_ref().map(|after| &after.name);
        let is_selected = |name: &BreakerName| {
            query.selector.as_ref().is_none_or(|selector| selector.matches(name))
                && self.breakers().with(name.as_str(), |_, live| query.selects(live)) == Some(true)
        };
        let names = self.breakers().names_beginning_with(prefix, after).filter(is_selected);
        names.take(query.limit + 1).map(|name| Place { key: 0, name }).collect()
    }

    /// The first places in any order, one more than the page holds, after a look at every breaker.
    fn first_of_all(&self, query: &Query) -> Vec<Place> {
        // The largest of the kept places is on top, and leaves when a smaller one comes.
        let mut kept: BinaryHeap<Place> = BinaryHeap::with_capacity(query.limit + 2);
        let now = self.now();
        self.breakers().for_each(|name, live| {
            let is_matched = query.selector.as_ref().is_none_or(|selector| selector.matches(name));
            if !is_matched || !query.selects(live) {
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
        kept.into_sorted_vec()
    }
}

impl Query {
    /// Whether a breaker is in the wanted states and modes.
    fn selects(&self, live: &Live) -> bool {
        (self.states.is_empty() || self.states.contains(&live.breaker.state()))
            && (self.modes.is_empty() || self.modes.contains(&live.breaker.mode()))
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
