//! Times and durations of the protocol as people and scripts read them.

use std::time::Duration;

use breaker_wire::duration_from_message;
use jiff::Timestamp;

/// A duration as it stands in a configuration, `1m 30s`; `None` for one that makes no sense.
pub(crate) fn duration_text(message: &prost_types::Duration) -> Option<String> {
    Some(humantime::format_duration(duration(message)?).to_string())
}

/// A duration to the millisecond, for people.
pub(crate) fn rough_duration_text(message: &prost_types::Duration) -> Option<String> {
    let duration = duration(message)?;
    // Nobody reads the milliseconds of a minute.
    let shown = if duration < Duration::from_mins(1) {
        Duration::from_millis(u64::try_from(duration.as_millis()).ok()?)
    } else {
        Duration::from_secs(duration.as_secs())
    };
    Some(humantime::format_duration(shown).to_string())
}

/// A duration that is not negative.
pub(crate) fn duration(message: &prost_types::Duration) -> Option<Duration> {
    duration_from_message("", message).ok()
}

/// A time in RFC 3339; `None` for one that is beyond any calendar.
pub(crate) fn time_text(message: &prost_types::Timestamp) -> Option<String> {
    Some(Timestamp::new(message.seconds, message.nanos).ok()?.to_string())
}

/// A time to the second, for people.
pub(crate) fn rough_time_text(message: &prost_types::Timestamp) -> Option<String> {
    Some(Timestamp::from_second(message.seconds).ok()?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_in_files_and_times_as_rfc_3339() {
        let minute_and_a_bit = prost_types::Duration { seconds: 61, nanos: 5_000_000 };
        assert_eq!(duration_text(&minute_and_a_bit).unwrap(), "1m 1s 5ms");
        assert_eq!(rough_duration_text(&minute_and_a_bit).unwrap(), "1m 1s");
        assert_eq!(duration_text(&prost_types::Duration { seconds: -1, nanos: 0 }), None);
        let time = prost_types::Timestamp { seconds: 1_700_000_000, nanos: 500_000_000 };
        assert_eq!(time_text(&time).unwrap(), "2023-11-14T22:13:20.5Z");
        assert_eq!(rough_time_text(&time).unwrap(), "2023-11-14T22:13:20Z");
        assert_eq!(time_text(&prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }), None);
    }
}
