use std::time::Duration;

use breaker_core::{Time, Violation};

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A duration of the protocol, which can be negative and malformed, as one that cannot.
///
/// # Errors
/// A violation of `field`.
pub fn duration_from_message(
    field: &str,
    message: &prost_types::Duration,
) -> Result<Duration, Violation> {
    let prost_types::Duration { seconds, nanos } = *message;
    match (u64::try_from(seconds), u32::try_from(nanos)) {
        (Ok(seconds), Ok(nanos)) if u64::from(nanos) < NANOS_PER_SECOND => {
            Ok(Duration::new(seconds, nanos))
        }
        _ if seconds < 0 || nanos < 0 => {
            let description = format!("{seconds} s and {nanos} ns is negative; it must not be");
            Err(Violation::new(field, description))
        }
        _ => Err(Violation::new(field, format!("{nanos} ns is a second or more; carry it over"))),
    }
}

/// A duration as it goes over the wire.
pub fn duration_to_message(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: duration.subsec_nanos().cast_signed(),
    }
}

/// An instant as it goes over the wire.
pub const fn time_to_message(time: Time) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: (time.as_nanos() / NANOS_PER_SECOND) as i64,
        nanos: (time.as_nanos() % NANOS_PER_SECOND) as i32,
    }
}

/// An instant as it came over the wire; one before 1970 is 1970.
pub fn time_from_message(message: &prost_types::Timestamp) -> Time {
    let seconds = u64::try_from(message.seconds).unwrap_or(0);
    let nanos = u64::try_from(message.nanos).unwrap_or(0);
    Time::from_nanos(seconds.saturating_mul(NANOS_PER_SECOND).saturating_add(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_that_is_negative_or_malformed_is_refused_by_its_field() {
        let message = |seconds, nanos| prost_types::Duration { seconds, nanos };
        for bad in [message(-1, 0), message(0, -1), message(0, 1_000_000_000)] {
            assert_eq!(duration_from_message("age", &bad).unwrap_err().field, "age");
        }
        let good = Duration::new(3, 4);
        assert_eq!(duration_from_message("age", &duration_to_message(good)), Ok(good));
    }

    #[test]
    fn an_instant_survives_the_wire() {
        let time = Time::from_nanos(1_700_000_000_123_456_789);
        assert_eq!(time_from_message(&time_to_message(time)), time);
    }
}
