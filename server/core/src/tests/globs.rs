//! Globs against matchers that are too simple to be wrong and too slow to be used.

use proptest::prelude::*;

use super::deterministic;
use crate::{ErrorGlob, ErrorKind, NameGlob};

/// `*` matches any text.
pub(super) fn matches_simply(glob: &[u8], text: &[u8]) -> bool {
    match (glob, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            (0..=text.len()).any(|swallowed| matches_simply(rest, &text[swallowed..]))
        }
        ([g, glob @ ..], [t, text @ ..]) => g == t && matches_simply(glob, text),
        _ => false,
    }
}

/// `*` matches any text without a slash, two or more of them any text at all.
fn matches_name_simply(glob: &[u8], name: &[u8]) -> bool {
    match (glob, name) {
        ([], []) => true,
        ([b'*', b'*', rest @ ..], _) => (0..=name.len()).any(|swallowed| {
            let single = rest.iter().take_while(|&&c| c == b'*').count();
            matches_name_simply(&rest[single..], &name[swallowed..])
        }),
        ([b'*', rest @ ..], _) => (0..=name.len())
            .take_while(|&swallowed| !name[..swallowed].contains(&b'/'))
            .any(|swallowed| matches_name_simply(rest, &name[swallowed..])),
        ([g, glob @ ..], [n, name @ ..]) => g == n && matches_name_simply(glob, name),
        _ => false,
    }
}

/// Few letters, so that what looks alike often is.
fn glob() -> impl Strategy<Value = String> {
    "(\\*|\\*\\*|a|b|/){1,9}"
}

fn name() -> impl Strategy<Value = String> {
    "[ab]{1,4}(/[ab]{1,4}){1,3}"
}

proptest! {
    #![proptest_config(deterministic(5_000))]

    #[test]
    fn a_name_glob_matches_what_it_should(glob in glob(), name in name()) {
        let matched = NameGlob::new(&glob).unwrap().matches(&name);
        prop_assert_eq!(matched, matches_name_simply(glob.as_bytes(), name.as_bytes()));
    }

    #[test]
    fn an_error_glob_matches_what_it_should(glob in "[ab*]{1,8}", kind in "[ab]{0,10}") {
        let matched = ErrorGlob::new(&glob).unwrap().matches(&kind);
        prop_assert_eq!(matched, matches_simply(glob.as_bytes(), kind.as_bytes()));
    }
}

proptest! {
    #![proptest_config(deterministic(500))]

    #[test]
    fn a_name_with_some_of_its_text_starred_out_is_matched(
        name in name(),
        from: prop::sample::Index,
        to: prop::sample::Index,
    ) {
        let (from, to) = (from.index(name.len() + 1), to.index(name.len() + 1));
        let (from, to) = (from.min(to), from.max(to));
        let starred = |star: &str| format!("{}{star}{}", &name[..from], &name[to..]);
        prop_assert!(NameGlob::new(&starred("**")).unwrap().matches(&name));
        let within_a_part = !name[from..to].contains('/');
        prop_assert_eq!(NameGlob::new(&starred("*")).unwrap().matches(&name), within_a_part);
    }
}

#[test]
fn a_star_matches_characters_of_any_width() {
    assert!(ErrorGlob::new("é*ü").unwrap().matches("éßü"));
    assert!(!ErrorGlob::new("é*ü").unwrap().matches("éßu"));
    assert!(ErrorKind::parse("zu groß").is_ok());
}

/// Were the work of a match to grow with the square of the text, each of these would take a
/// hundred times as long; were it exponential, the test would never end.
#[test]
fn the_worst_globs_cost_no_more_than_glob_times_name() {
    let name = format!("a/{}", "a".repeat(198));
    let worst = [
        format!("**a*{}b", "a".repeat(190)),
        "*a".repeat(99) + "b",
        "**a*".repeat(48) + "b",
        "a*a/**".to_owned() + &"a*".repeat(96) + "b",
    ];
    for glob in worst {
        let glob = NameGlob::new(&glob).unwrap();
        for _ in 0..100 {
            assert!(!glob.matches(&name), "{glob}");
        }
    }
}
