//! The words of the protocol's enums as people and scripts read them: `half_open`,
//! `forced_open`.

use std::borrow::Cow;

use breaker_proto::v1;

/// An enum of the protocol: its name on the wire, and the prefix that all of them share.
pub(crate) trait Word: TryFrom<i32> {
    const PREFIX: &str;

    fn wire_name(&self) -> &'static str;
}

macro_rules! word {
    ($($message:ty => $prefix:literal),+ $(,)?) => {
        $(impl Word for $message {
            const PREFIX: &str = $prefix;

            fn wire_name(&self) -> &'static str {
                self.as_str_name()
            }
        })+
    };
}

word! {
    v1::State => "STATE_",
    v1::Mode => "MODE_",
    v1::Outcome => "OUTCOME_",
    v1::Cause => "CAUSE_",
    v1::ConfigSource => "CONFIG_SOURCE_",
    v1::AppliedKind => "APPLIED_KIND_",
    v1::AppliedAction => "APPLIED_ACTION_",
    v1::AlertRule => "ALERT_RULE_",
    v1::AlertSeverity => "ALERT_SEVERITY_",
    v1::AlertState => "ALERT_STATE_",
    v1::AcquireReason => "ACQUIRE_REASON_",
    v1::ThresholdReason => "THRESHOLD_REASON_",
    v1::DurationReason => "DURATION_REASON_",
}

/// The word for a number of this enum; that of a newer server stays a number.
pub(crate) fn word<W: Word>(value: i32) -> String {
    W::try_from(value).map_or_else(
        |_| value.to_string(),
        |known| known.wire_name().trim_start_matches(W::PREFIX).to_lowercase(),
    )
}

/// Every word of an enum whose numbers have no gaps, with its value; that of 0, which nobody sends,
/// left out.
pub(crate) fn words<W: Word>() -> impl Iterator<Item = (String, W)> {
    (1..).map_while(|value| Some((word::<W>(value), W::try_from(value).ok()?)))
}

/// A text that somebody else wrote, with nothing in it that moves a terminal's cursor.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        let escape =
            |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
        Cow::Owned(text.chars().map(escape).collect())
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_names_without_their_prefix() {
        assert_eq!(word::<v1::State>(v1::State::HalfOpen as i32), "half_open");
        assert_eq!(word::<v1::Mode>(v1::Mode::ForcedOpen as i32), "forced_open");
        assert_eq!(word::<v1::Cause>(v1::Cause::OpenElapsed as i32), "open_elapsed");
        assert_eq!(word::<v1::ConfigSource>(1), "built_in");
        assert_eq!(word::<v1::State>(77), "77");
    }

    #[test]
    fn every_cause_has_a_word() {
        let words: Vec<_> = words::<v1::Cause>().map(|(word, _)| word).collect();
        assert_eq!(words.len(), 19);
        assert_eq!(words[0], "failure_threshold");
        assert_eq!(words[18], "deescalated");
    }

    #[test]
    fn a_text_cannot_move_the_cursor() {
        assert_eq!(printable("deploy é"), "deploy é");
        assert_eq!(printable("a\n\u{1b}[2J"), "a\\n\\u{1b}[2J");
    }
}
