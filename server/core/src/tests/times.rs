//! Arithmetic on instants saturates, and is that of the integers wherever it does not.

use std::time::Duration;

use proptest::prelude::*;

use super::deterministic;
use crate::Time;

#[test]
fn an_instant_past_the_end_or_before_the_beginning_of_time_is_clamped() {
    let end = Time::from_nanos(u64::MAX);
    assert_eq!(end + Duration::from_nanos(1), end);
    assert_eq!(Time::EPOCH + Duration::MAX, end);
    assert_eq!(Time::from_millis(u64::MAX), end);
    assert_eq!(end.just_after(), end);
    assert_eq!(Time::EPOCH - Duration::from_nanos(1), Time::EPOCH);
    assert_eq!(end - Duration::MAX, Time::EPOCH);
    assert_eq!(Time::EPOCH.since(end), Duration::ZERO);
}

proptest! {
    #![proptest_config(deterministic(500))]

    #[test]
    fn instants_add_and_subtract_like_clamped_integers(at: u64, seconds in 0..u64::MAX, nanos in 0..1_000_000_000_u32) {
        let (time, duration) = (Time::from_nanos(at), Duration::new(seconds, nanos));
        let clamped = |value: i128| value.clamp(0, i128::from(u64::MAX)) as u64;
        let by = i128::try_from(duration.as_nanos()).unwrap();
        prop_assert_eq!((time + duration).as_nanos(), clamped(i128::from(at) + by));
        prop_assert_eq!((time - duration).as_nanos(), clamped(i128::from(at) - by));
    }

    #[test]
    fn what_lies_between_two_instants_leads_from_one_to_the_other(one: u64, other: u64) {
        let (earlier, later) = (Time::from_nanos(one.min(other)), Time::from_nanos(one.max(other)));
        prop_assert_eq!(earlier + later.since(earlier), later);
        prop_assert_eq!(later - later.since(earlier), earlier);
        prop_assert_eq!(earlier.since(later), Duration::ZERO);
    }
}
