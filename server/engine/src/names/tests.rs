use proptest::prelude::*;

use super::*;

fn name(text: &str) -> BreakerName {
    BreakerName::new(text).unwrap()
}

/// Short names over few letters, so that many share a beginning and many come again.
fn any_name() -> impl Strategy<Value = BreakerName> {
    "[ab]{1,3}/[ab./-]{0,2}[ab]".prop_filter_map("no name", |text| BreakerName::new(&text).ok())
}

proptest! {
    #[test]
    fn what_begins_with_a_text_is_found_in_order_and_nothing_else(
        stored in prop::collection::vec(any_name(), 0..60),
        one_by_one in prop::collection::vec(any_name(), 0..60),
        gone in prop::collection::vec(any_name(), 0..30),
        prefix in "[ab]{0,3}/?[ab]?",
        after in prop::option::of(any_name()),
    ) {
        let names = Names::default();
        names.extend(stored.clone());
        one_by_one.iter().cloned().for_each(|name| names.insert(name));
        gone.iter().for_each(|name| names.remove(name));
        let mut expected: Vec<_> = stored.into_iter().chain(one_by_one).collect();
        expected.retain(|name| {
            name.as_str().starts_with(&prefix)
                && after.as_ref().is_none_or(|after| name > after)
                && !gone.contains(name)
        });
        expected.sort_unstable();
        expected.dedup();
        let found: Vec<_> = names.beginning_with(&prefix, after.as_ref()).collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn more_than_one_step_is_read_without_a_gap() {
    let names = Names::default();
    let expected: Vec<_> = (0..3 * STEP).map(|n| name(&format!("shop/b{n:05}"))).collect();
    names.extend(expected.clone());
    names.insert(name("shoq/other"));
    assert!(names.beginning_with("shop/", None).eq(expected.iter().cloned()));
    let after = &expected[STEP - 1];
    assert!(names.beginning_with("shop/", Some(after)).eq(expected[STEP..].iter().cloned()));
}

#[test]
fn a_breaker_can_come_and_go_while_names_are_read() {
    let names = Names::default();
    names.extend((0..2 * STEP).map(|n| name(&format!("shop/b{n:05}"))).collect());
    let mut reading = names.beginning_with("", None);
    assert_eq!(reading.next(), Some(name("shop/b00000")));
    // Nobody waits for the one who reads.
    names.remove(&name("shop/b00511"));
    names.insert(name("shop/c"));
    assert_eq!(reading.last(), Some(name("shop/c")));
}
