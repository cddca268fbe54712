//! The breakers: a fixed number of names, so that as many are there at the end as at the start.

use breaker_tests::Chance;

/// Breakers that whoever calls creates.
const CALLED: u64 = 40;
/// Breakers that admins create.
const MADE: u64 = 40;
/// Names that a stream asks for.
const MAX_NAMES: u64 = 10;

/// One that whoever calls creates.
pub(crate) fn called(chance: &mut Chance) -> String {
    format!("soak/called/{}", chance.below(CALLED))
}

/// One that admins create.
pub(crate) fn made(chance: &mut Chance) -> String {
    format!("soak/made/{}", chance.below(MADE))
}

/// Either.
pub(crate) fn any(chance: &mut Chance) -> String {
    if chance.one_in(2) { called(chance) } else { made(chance) }
}

/// What a stream follows: names, globs, or everything.
pub(crate) fn selectors(chance: &mut Chance) -> Vec<String> {
    match chance.below(4) {
        0 => Vec::new(),
        1 => vec![format!("soak/*/{}*", chance.below(10)), "soak/made/*".to_owned()],
        _ => (0..=chance.below(MAX_NAMES)).map(|_| any(chance)).collect(),
    }
}
