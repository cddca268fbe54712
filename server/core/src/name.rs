use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// Longest breaker name, in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 200;

/// The name of a breaker, `namespace/name`: at least two parts of lower-case letters, digits,
/// `.`, `_` and `-`, joined by `/`, 200 bytes at most. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BreakerName(Arc<str>);

/// Why a text is not a breaker name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// The text is empty.
    #[error("the name is empty; a name is `namespace/name`, such as `payments/stripe-api`")]
    Empty,
    /// The name is too long.
    #[error("the name is {0} bytes long; at most {MAX_NAME_BYTES} are allowed")]
    TooLong(usize),
    /// The name has only one part.
    #[error("`{0}` has one part; a name has at least two, such as `payments/{0}`")]
    OnePart(String),
    /// Two slashes meet, or one stands at an end.
    #[error("`{0}` has an empty part; a name is `namespace/name`, such as `payments/stripe-api`")]
    EmptyPart(String),
    /// A character that names do not have.
    #[error(
        "`{name}` contains {character:?}; a name holds lower-case letters, digits, `.`, `_`, `-` and `/`"
    )]
    BadCharacter {
        /// The name as given, control characters escaped.
        name: String,
        /// The first offending character.
        character: char,
    },
}

impl BreakerName {
    /// Checks and wraps a name.
    pub fn new(name: &str) -> Result<Self, NameError> {
        check(name)?;
        Ok(Self(name.into()))
    }

    /// Checks a name without keeping it.
    pub fn check(name: &str) -> Result<(), NameError> {
        check(name)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

pub(crate) const fn is_name_char(c: char) -> bool {
    matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-')
}

/// One pass over the bytes of a good name; what exactly is wrong is found out only afterwards.
fn check(name: &str) -> Result<(), NameError> {
    let mut slashes = 0;
    let mut previous = b'/';
    let well_formed = name.bytes().all(|byte| {
        let fits = if byte == b'/' {
            slashes += 1;
            previous != b'/'
        } else {
            is_name_char(byte as char)
        };
        previous = byte;
        fits
    });
    if well_formed && slashes > 0 && previous != b'/' && name.len() <= MAX_NAME_BYTES {
        Ok(())
    } else {
        Err(explain(name))
    }
}

fn explain(name: &str) -> NameError {
    if name.is_empty() {
        NameError::Empty
    } else if name.len() > MAX_NAME_BYTES {
        NameError::TooLong(name.len())
    } else if let Some(character) = name.chars().find(|&c| !is_name_char(c) && c != '/') {
        NameError::BadCharacter { name: name.escape_debug().to_string(), character }
    } else if name.contains('/') {
        NameError::EmptyPart(name.to_owned())
    } else {
        NameError::OnePart(name.to_owned())
    }
}

impl Borrow<str> for BreakerName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BreakerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for BreakerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_two_or_more_parts_of_lower_case_characters() {
        for good in ["a/b", "payments/stripe-api", "a/b/c", "n.s_1/x-2", "9/9"] {
            assert_eq!(BreakerName::new(good).unwrap().as_str(), good);
        }
        let cases = [
            ("", NameError::Empty),
            ("stripe", NameError::OnePart("stripe".into())),
            ("/a", NameError::EmptyPart("/a".into())),
            ("a/", NameError::EmptyPart("a/".into())),
            ("a//b", NameError::EmptyPart("a//b".into())),
            ("a/B", NameError::BadCharacter { name: "a/B".into(), character: 'B' }),
            ("a/é", NameError::BadCharacter { name: "a/é".into(), character: 'é' }),
            ("a/\n", NameError::BadCharacter { name: "a/\\n".into(), character: '\n' }),
        ];
        for (bad, error) in cases {
            assert_eq!(BreakerName::new(bad), Err(error), "{bad:?}");
        }
        let longest = format!("a/{}", "b".repeat(198));
        assert!(BreakerName::new(&longest).is_ok());
        assert_eq!(BreakerName::new(&format!("{longest}b")), Err(NameError::TooLong(201)));
    }
}
