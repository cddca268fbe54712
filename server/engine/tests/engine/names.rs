//! What is found by the order of names: pages of a list, and the snapshots of watchers.

use std::collections::BTreeSet;
use std::sync::Arc;

use breaker_core::{BreakerName, Mode, StateKind};
use breaker_engine::{Engine, Order, Phase, Query, Selector, Selectors};
use proptest::prelude::*;

use crate::flaky::{Flaky, name, start, with_paused_time};

fn any_names(most: usize) -> impl Strategy<Value = BTreeSet<String>> {
    prop::collection::btree_set("[ab]{1,2}/[ab]{1,2}", 0..=most)
}

fn any_selectors() -> impl Strategy<Value = Vec<String>> {
    let names = "[ab]{1,2}/[ab]{1,2}";
    let globs = "([ab]{0,2}[*]{1,2})?/?[ab]{0,2}[*]{1,2}";
    prop::collection::vec(prop_oneof![names, globs], 0..4)
}

fn query(selector: Option<Selector>, states: Vec<StateKind>, limit: usize) -> Query {
    let (modes, after): (Vec<Mode>, _) = (Vec::new(), None);
    Query { selector, states, modes, order: Order::Name, after, limit }
}

/// All that pages of this size show, one after another.
fn pages(engine: &Engine, mut query: Query) -> Vec<BreakerName> {
    let mut shown = Vec::new();
    loop {
        let page = engine.list(&query);
        assert!(page.breakers.len() <= query.limit);
        shown.extend(page.breakers.into_iter().map(|view| view.status.name));
        match page.next {
            Some(next) => query.after = Some(next),
            None => return shown,
        }
    }
}

async fn check(stored: &BTreeSet<String>, deleted: &BTreeSet<String>, texts: &[String]) {
    let (engine, tasks): (Arc<Engine>, _) = start(&Arc::new(Flaky::default())).await;
    stored.iter().for_each(|text| drop(engine.acquire(text).unwrap()));
    for gone in deleted.intersection(stored) {
        let durability = breaker_engine::Durability::Preferred;
        engine.delete(&name(gone), None, durability).await.unwrap();
    }
    let left: Vec<_> = stored.difference(deleted).map(|text| name(text)).collect();
    let selectors: Vec<_> = texts.iter().filter_map(|text| Selector::parse(text).ok()).collect();
    for selector in &selectors {
        let expected: Vec<_> = left.iter().filter(|name| selector.matches(name)).cloned().collect();
        for limit in [1, 3, 100] {
            // With few breakers in a state every one is looked at, and with a prefix none but those.
            for states in [vec![], vec![StateKind::Closed]] {
                let shown = pages(&engine, query(Some(selector.clone()), states, limit));
                assert_eq!(shown, expected, "{selector:?}");
            }
        }
    }
    for states in [vec![], vec![StateKind::Closed]] {
        assert_eq!(pages(&engine, query(None, states, 2)), left);
    }
    assert!(pages(&engine, query(None, vec![StateKind::Open], 2)).is_empty());

    let selectors = Selectors::new(selectors);
    let mut watching = engine.watch(selectors.clone(), &[], Phase::default());
    let mut told = BTreeSet::new();
    loop {
        let update = watching.next().await;
        // The engines of these tests encode a state as the name.
        let names = update.changed.iter().map(|state| String::from_utf8(state.to_vec()).unwrap());
        names.for_each(|text| assert!(told.insert(name(&text)), "{text} was told twice"));
        if update.snapshot_complete {
            break;
        }
    }
    let expected = left.into_iter().filter(|name| selectors.matches(name)).collect();
    assert_eq!(told, expected);
    tasks.shut_down().await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn pages_and_snapshots_show_what_is_selected_in_order_and_nothing_else(
        stored in any_names(10),
        deleted in any_names(6),
        texts in any_selectors(),
    ) {
        with_paused_time(check(&stored, &deleted, &texts));
    }
}
