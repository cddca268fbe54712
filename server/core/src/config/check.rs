use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::key::Key;
use crate::config::limits;
use crate::config::violation::Violation;
use crate::glob::ErrorGlob;

/// Collects violations, so that an answer names every bad field at once.
#[derive(Default)]
pub(super) struct Check(Vec<Violation>);

impl Check {
    /// What was checked, or everything that was refused, in the order of the keys.
    pub(super) fn passed<T>(mut self, checked: T) -> Result<T, Vec<Violation>> {
        let key = |violation: &Violation| {
            let name = violation.field.split(['.', '[']).next();
            name.and_then(Key::from_name).map(|key| key as usize)
        };
        self.0.sort_by_key(key);
        if self.0.is_empty() { Ok(checked) } else { Err(self.0) }
    }

    pub(super) fn refuse(&mut self, field: &str, description: impl Into<String>) {
        self.0.push(Violation::new(field, description));
    }

    pub(super) fn number(&mut self, field: &str, value: u32, range: RangeInclusive<u32>) -> u32 {
        if !range.contains(&value) {
            let (least, most) = range.into_inner();
            self.refuse(field, format!("{value} is out of range; it must be {least} to {most}"));
        }
        value
    }

    pub(super) fn duration(&mut self, field: &str, value: Duration) -> Duration {
        if !(limits::MIN_DURATION..=limits::MAX_DURATION).contains(&value) {
            self.refuse(field, format!("{value:?} is out of range; it must be 1ms to 7 days"));
        }
        value
    }

    /// A word that people and programs read: not empty, of letters, digits, `_` and `-`.
    pub(super) fn word(&mut self, field: &str, word: &str, max_bytes: usize) {
        let is_one = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if word.is_empty() || word.len() > max_bytes || !word.chars().all(is_one) {
            let shown: String = word.chars().take(max_bytes).collect();
            self.refuse(
                field,
                format!("{shown:?} is not a word of 1 to {max_bytes} letters, digits, `_` and `-`"),
            );
        }
    }

    /// `["*"]`, the default, is kept as an empty list, so that the common case costs nothing.
    pub(super) fn failure_errors(&mut self, globs: Option<&[String]>) -> Vec<ErrorGlob> {
        match globs {
            None => Vec::new(),
            Some([]) => {
                self.refuse(
                    "failure_errors",
                    "the list is empty, so no error would be a failure; leave it out or name some",
                );
                Vec::new()
            }
            Some([every]) if every == "*" => Vec::new(),
            Some(globs) => self.globs("failure_errors", globs),
        }
    }

    pub(super) fn globs(&mut self, field: &str, globs: &[String]) -> Vec<ErrorGlob> {
        if globs.len() > limits::MAX_ERROR_GLOBS {
            self.refuse(
                field,
                format!("{} globs; at most {} are allowed", globs.len(), limits::MAX_ERROR_GLOBS),
            );
            return Vec::new();
        }
        let mut checked = Vec::with_capacity(globs.len());
        for (index, glob) in globs.iter().enumerate() {
            match ErrorGlob::new(glob) {
                Ok(glob) => checked.push(glob),
                Err(error) => self.refuse(&format!("{field}[{index}]"), error.to_string()),
            }
        }
        checked
    }
}
