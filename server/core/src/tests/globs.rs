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

/// A matcher whose work grows with the square of the text would be at this for days, and one that
/// tries every way to share the text out among the stars for ever.
#[test]
fn the_worst_globs_cost_no_more_than_glob_times_text() {
    let text = format!("a/{}", "a".repeat(500_000));
    for glob in ["**a*aaaab", "*a/*a*a*a*b", "**a*a**a*a**a*b", "a*/**a*a*a*a*ab", "**b*a"] {
        assert!(!NameGlob::new(glob).unwrap().matches(&text), "{glob}");
    }
    for glob in ["*aaaab", "*a*a*a*a*b", "a*a*ab*a"] {
        assert!(!ErrorGlob::new(glob).unwrap().matches(&text), "{glob}");
    }
}
