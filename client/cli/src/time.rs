//! Times and durations of the protocol as people and scripts read them.

use std::time::Duration;

use breaker_wire::duration_from_message;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// In which zone times are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zone {
    /// That of the machine.
    Local,
    Utc,
}

impl Zone {
    /// `2026-01-31 08:30:00`.
    pub(crate) fn text(self, time: Timestamp) -> String {
        self.formatted(time, "%F %T")
    }

    /// The time of the day: `08:30:00`.
    pub(crate) fn clock_text(self, time: Timestamp) -> String {
        self.formatted(time, "%T")
    }

    fn formatted(self, time: Timestamp, format: &str) -> String {
        let zone = match self {
            // UTC, where the machine does not say where it is.
            Self::Local => TimeZone::try_system().unwrap_or(TimeZone::UTC),
            Self::Utc => TimeZone::UTC,
        };
        time.to_zoned_datetime(zone).strftime(format).to_string()
    }
}

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

/// A time; `None` for one that is beyond any calendar.
pub(crate) fn timestamp(message: &prost_types::Timestamp) -> Option<Timestamp> {
    Timestamp::new(message.seconds, message.nanos).ok()
}

/// A time in RFC 3339; `None` for one that is beyond any calendar.
pub(crate) fn time_text(message: &prost_types::Timestamp) -> Option<String> {
    Some(timestamp(message)?.to_string())
}

/// A time to the second, for people.
pub(crate) fn rough_time_text(message: &prost_types::Timestamp) -> Option<String> {
    Some(Timestamp::from_second(message.seconds).ok()?.to_string())
}

/// A time as people give it: RFC 3339, a date, or how long ago it was. Without an offset it is in
/// UTC, as times are shown.
pub(crate) fn time_of(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if let Ok(ago) = humantime::parse_duration(text) {
        return now.checked_sub(ago).map_err(|_| format!("`{text}` ago is before any calendar"));
    }
    let utc = || TimeZone::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok();
    text.parse().ok().or_else(utc).ok_or_else(|| {
        format!(
            "`{text}` is not a time; write 2026-01-31T08:30:00Z, 2026-01-31, or how long ago, such as 2h"
        )
    })
}

/// A time as it goes over the wire.
pub(crate) fn time_to_message(time: Timestamp) -> prost_types::Timestamp {
    // Before 1970 the parts are negative; as the protocol has them only the seconds are.
    let nanos = time.as_nanosecond();
    let (seconds, nanos) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
    prost_types::Timestamp { seconds: seconds as i64, nanos: nanos as i32 }
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

    #[test]
    fn a_time_is_shown_in_a_zone() {
        let time = "2026-01-31T08:30:05.25Z".parse().unwrap();
        assert_eq!(Zone::Utc.text(time), "2026-01-31 08:30:05");
        assert_eq!(Zone::Utc.clock_text(time), "08:30:05");
    }

    #[test]
    fn a_time_is_a_timestamp_a_date_or_how_long_ago() {
        let now = "2026-01-31T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("2026-01-30T08:30:00Z", "2026-01-30T08:30:00Z"),
            ("2026-01-30T08:30:00.25+02:00", "2026-01-30T06:30:00.25Z"),
            ("2026-01-30", "2026-01-30T00:00:00Z"),
            ("2026-01-30 08:30", "2026-01-30T08:30:00Z"),
            ("2h", "2026-01-31T10:00:00Z"),
            ("1day 30m", "2026-01-30T11:30:00Z"),
            ("0s", "2026-01-31T12:00:00Z"),
        ] {
            assert_eq!(time_of(text, now).unwrap().to_string(), expected, "{text}");
        }
        for bad in ["", "yesterday", "2026-13-01", "2h ago", "-2h", "17", "99999999999d"] {
            assert!(time_of(bad, now).unwrap_err().contains(bad), "{bad}");
        }
    }

    #[test]
    fn a_time_goes_over_the_wire_as_it_comes_back() {
        for text in ["2026-01-30T08:30:00.25Z", "1969-12-31T23:59:59.75Z", "1970-01-01T00:00:00Z"] {
            let message = time_to_message(text.parse().unwrap());
            assert!((0..1_000_000_000).contains(&message.nanos), "{message:?}");
            assert_eq!(time_text(&message).unwrap(), text);
        }
    }
}
