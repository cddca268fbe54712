//! Globs over breaker names and over error kinds.
//!
//! A star first swallows nothing, and a byte more each time that what follows it does not match.
//! Only the last star of its kind is ever retried, since an earlier one could only take away from
//! what the last one can reach. A match therefore costs about `glob × text` steps at most, and no
//! glob can blow up.

use std::fmt;

use thiserror::Error;

use crate::name::{MAX_NAME_BYTES, is_name_char};

/// Longest error glob, in bytes.
const MAX_ERROR_GLOB_BYTES: usize = 128;

/// Why a text is not a glob.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GlobError {
    /// The text is empty.
    #[error("a glob cannot be empty; use `**` to match every name")]
    Empty,
    /// The text is longer than allowed.
    #[error("the glob is {bytes} bytes long; at most {max} are allowed")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// A character that cannot occur in what is matched.
    #[error("`{glob}` contains {character:?}; {allowed}")]
    BadCharacter {
        /// The glob as given.
        glob: String,
        /// The first offending character.
        character: char,
        /// What may stand there.
        allowed: &'static str,
    },
}

/// A glob over breaker names: `*` matches any text within one part, `**` across parts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NameGlob(Box<str>);

impl NameGlob {
    /// Checks and wraps a glob such as `payments/*` or `**`.
    pub fn new(glob: &str) -> Result<Self, GlobError> {
        check_length(glob, MAX_NAME_BYTES)?;
        match glob.chars().find(|&c| !is_name_char(c) && c != '/' && c != '*') {
            Some(character) => Err(GlobError::BadCharacter {
                glob: glob.escape_debug().to_string(),
                character,
                allowed: "a name glob holds lower-case letters, digits, `.`, `_`, `-`, `/` and `*`",
            }),
            None => Ok(Self(glob.into())),
        }
    }

    /// Whether a text asks for matching rather than for one breaker.
    pub fn is_glob(text: &str) -> bool {
        text.contains('*')
    }

    /// Whether the glob matches the name.
    pub fn matches(&self, name: &str) -> bool {
        matches_name(self.0.as_bytes(), name.as_bytes())
    }

    /// What stands before the first star, and so at the beginning of every name that matches.
    pub fn literal_prefix(&self) -> &str {
        self.0.split('*').next().unwrap_or_default()
    }

    /// The glob as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NameGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A glob over error kinds (`http.5*`, `TimeoutError`, `*`): `*` matches any text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ErrorGlob(Box<str>);

impl ErrorGlob {
    /// Checks and wraps a glob.
    pub fn new(glob: &str) -> Result<Self, GlobError> {
        check_length(glob, MAX_ERROR_GLOB_BYTES)?;
        match glob.chars().find(|c| c.is_control()) {
            Some(character) => Err(GlobError::BadCharacter {
                glob: glob.escape_debug().to_string(),
                character,
                allowed: "an error glob holds no control characters",
            }),
            None => Ok(Self(glob.into())),
        }
    }

    /// Whether the glob matches the error kind.
    pub fn matches(&self, kind: &str) -> bool {
        matches_stars(self.0.as_bytes(), kind.as_bytes())
    }

    /// The glob as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check_length(glob: &str, max: usize) -> Result<(), GlobError> {
    match glob.len() {
        0 => Err(GlobError::Empty),
        bytes if bytes > max => Err(GlobError::TooLong { bytes, max }),
        _ => Ok(()),
    }
}

/// Where to go on when a star has to swallow one more byte.
#[derive(Clone, Copy)]
struct Retry {
    pattern: usize,
    text: usize,
}

fn matches_stars(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<Retry> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            star = Some(Retry { pattern: p, text: t });
        } else if pattern.get(p) == Some(&text[t]) {
            p += 1;
            t += 1;
        } else if let Some(retry) = &mut star {
            retry.text += 1;
            (p, t) = (retry.pattern, retry.text);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

/// As [`matches_stars`], with two kinds of star: the last single star is retried within its part,
/// and when that fails the last double star, which may cross parts.
fn matches_name(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut single: Option<Retry> = None;
    let mut double: Option<Retry> = None;
    loop {
        if pattern[p..].starts_with(b"**") {
            p += pattern[p..].iter().take_while(|&&c| c == b'*').count();
            double = Some(Retry { pattern: p, text: t });
            single = None;
        } else if pattern.get(p) == Some(&b'*') {
            p += 1;
            single = Some(Retry { pattern: p, text: t });
        } else if p < pattern.len() && pattern.get(p) == text.get(t) {
            p += 1;
            t += 1;
        } else if p == pattern.len() && t == text.len() {
            return true;
        } else if let Some(retry) =
            single.as_mut().filter(|r| text.get(r.text).is_some_and(|&c| c != b'/'))
        {
            retry.text += 1;
            (p, t) = (retry.pattern, retry.text);
        } else if let Some(retry) = double.as_mut().filter(|r| r.text < text.len()) {
            // A single star that failed fails as well from every later start in the same part.
            retry.text += match single.take() {
                Some(_) => 1 + text[retry.text + 1..].iter().take_while(|&&c| c != b'/').count(),
                None => 1,
            };
            (p, t) = (retry.pattern, retry.text);
        } else {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_within_a_part_and_a_double_star_does_not() {
        let cases = [
            ("payments/*", "payments/stripe", true),
            ("payments/*", "payments/stripe/eu", false),
            ("payments/**", "payments/stripe/eu", true),
            ("**", "a/b/c", true),
            ("*/stripe", "payments/stripe", true),
            ("*/stripe", "a/b/stripe", false),
            ("**/stripe", "a/b/stripe", true),
            ("**/stripe", "a/b/stripe-eu", false),
            ("a/**/z*", "a/b/c/zoo", true),
            ("a/**/z*", "a/b/c/zoo/x", false),
            ("a/*b*c", "a/xbxbxc", true),
            ("a/*b*c", "a/xbxb/c", false),
            ("a/b", "a/b", true),
            ("a/b", "a/bc", false),
            ("***", "a/b", true),
        ];
        for (glob, name, expected) in cases {
            let glob = NameGlob::new(glob).expect("a valid glob");
            assert_eq!(glob.matches(name), expected, "{glob} against {name}");
        }
    }

    #[test]
    fn an_error_glob_matches_any_text_at_its_stars() {
        let cases = [
            ("*", "", true),
            ("*", "anything", true),
            ("http.5*", "http.503", true),
            ("http.5*", "http.404", false),
            ("*Error", "TimeoutError", true),
            ("*Error", "TimeoutErrors", false),
            ("a*b*c", "abxbc", true),
        ];
        for (glob, kind, expected) in cases {
            assert_eq!(ErrorGlob::new(glob).unwrap().matches(kind), expected, "{glob} {kind}");
        }
    }

    #[test]
    fn a_bad_glob_says_what_is_wrong() {
        assert_eq!(NameGlob::new(""), Err(GlobError::Empty));
        assert!(NameGlob::new("Payments/*").unwrap_err().to_string().contains("'P'"));
        assert!(ErrorGlob::new(&"x".repeat(129)).unwrap_err().to_string().contains("129"));
        assert!(ErrorGlob::new("a\nb").is_err());
    }
}
