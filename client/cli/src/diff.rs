//! What `apply` changed, for people: green for what came, red for what went, yellow for what is
//! different. Colours are left out where nobody sees them, and with NO_COLOR.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use anstyle::{AnsiColor, Style};
use breaker_proto::v1::{AppliedAction, AppliedChange, AppliedKind, ChangedValue};

use crate::words::{printable, word};

const CREATED: (char, Style) = ('+', AnsiColor::Green.on_default());
const DELETED: (char, Style) = ('-', AnsiColor::Red.on_default());
const UPDATED: (char, Style) = ('~', AnsiColor::Yellow.on_default());

/// Writes what was changed, or would be. The line that counts it begins with `told_first`.
pub(crate) fn write(changes: &[AppliedChange], told_first: &str) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(text(changes, told_first).as_bytes())?;
    out.flush()
}

fn text(changes: &[AppliedChange], told_first: &str) -> String {
    let mut text = String::new();
    for change in changes {
        let (sign, style) = match change.action() {
            AppliedAction::Created => CREATED,
            AppliedAction::Deleted => DELETED,
            AppliedAction::Updated => UPDATED,
            AppliedAction::Unchanged | AppliedAction::Unspecified => continue,
        };
        let (kind, name) = (word::<AppliedKind>(change.kind), printable(&change.name));
        let _ = writeln!(text, "{style}{sign} {kind} {name}{style:#}");
        change.values.iter().for_each(|value| write_value(&mut text, value));
    }
    let count = |action| changes.iter().filter(|change| change.action() == action).count();
    let _ = writeln!(
        text,
        "{told_first}{} created, {} updated, {} deleted, {} unchanged",
        count(AppliedAction::Created),
        count(AppliedAction::Updated),
        count(AppliedAction::Deleted),
        count(AppliedAction::Unchanged),
    );
    text
}

/// A value under the name that it has in a file.
fn write_value(text: &mut String, value: &ChangedValue) {
    let key = match value.key.as_str() {
        "selector" => "match",
        key => key.trim_start_matches("config."),
    };
    let key = printable(key);
    let [old, new] = [&value.old_value, &value.new_value].map(|v| v.as_deref().map(printable));
    let ((sign, style), values) = match (old, new) {
        (None, Some(new)) => (CREATED, new),
        (Some(old), None) => (DELETED, old),
        (Some(old), Some(new)) => (UPDATED, format!("{old} -> {new}").into()),
        (None, None) => return,
    };
    let _ = writeln!(text, "    {style}{sign} {key} = {values}{style:#}");
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::*;

    fn value(key: &str, old: Option<&str>, new: Option<&str>) -> ChangedValue {
        let [old_value, new_value] = [old, new].map(|value| value.map(str::to_owned));
        ChangedValue { key: key.into(), old_value, new_value }
    }

    fn change(
        kind: AppliedKind,
        name: &str,
        action: AppliedAction,
        values: Vec<ChangedValue>,
    ) -> AppliedChange {
        AppliedChange { kind: kind.into(), name: name.into(), action: action.into(), values }
    }

    fn changes() -> [AppliedChange; 4] {
        let added = vec![
            value("selector", None, Some("\"pay/*\"")),
            value("config.open_duration", None, Some("\"30s\"")),
        ];
        let differing = vec![
            value("config.failure_threshold", Some("3"), Some("4")),
            value("config.max_probes", Some("2"), None),
        ];
        [
            change(AppliedKind::Policy, "pay", AppliedAction::Created, added),
            change(AppliedKind::Policy, "old", AppliedAction::Deleted, Vec::new()),
            change(AppliedKind::Policy, "same", AppliedAction::Unchanged, Vec::new()),
            change(AppliedKind::Breaker, "pay/visa", AppliedAction::Updated, differing),
        ]
    }

    #[test]
    fn a_diff_shows_what_came_what_went_and_what_is_different() {
        let expected = "\
+ policy pay
    + match = \"pay/*\"
    + open_duration = \"30s\"
- policy old
~ breaker pay/visa
    ~ failure_threshold = 3 -> 4
    - max_probes = 2
1 created, 1 updated, 1 deleted, 1 unchanged
";
        assert_eq!(strip_str(&text(&changes(), "")).to_string(), expected);
        let dry = strip_str(&text(&changes(), "dry run: ")).to_string();
        assert!(dry.ends_with("\ndry run: 1 created, 1 updated, 1 deleted, 1 unchanged\n"));
    }

    #[test]
    fn what_came_is_green_what_went_red_and_what_is_different_yellow() {
        let text = text(&changes(), "");
        for colour in ["\u{1b}[32m+ policy pay", "\u{1b}[31m- policy old", "\u{1b}[33m~ breaker"] {
            assert!(text.contains(colour), "{colour:?} is not in {text:?}");
        }
    }
}
