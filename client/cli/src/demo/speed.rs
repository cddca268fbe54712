use std::time::Duration;

/// Bounds within which what happens can still be seen, and the configurations make sense.
const SLOWEST: f64 = 0.1;
const FASTEST: f64 = 20.0;

/// How many times as fast as usual the story is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Speed(f64);

impl Speed {
    /// `None` beyond the bounds.
    pub(super) fn new(times: f64) -> Option<Self> {
        (SLOWEST..=FASTEST).contains(&times).then_some(Self(times))
    }

    /// As it is typed.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let odd = || format!("`{text}` is not a speed; write a number from {SLOWEST} to {FASTEST}");
        text.parse().ok().and_then(Self::new).ok_or_else(odd)
    }

    /// How long something takes that takes so long at the usual speed.
    pub(super) fn hastened(self, usual: Duration) -> Duration {
        usual.div_f64(self.0).max(Duration::from_millis(1))
    }

    /// How long to wait between calls that come so often at the usual speed. Calls grow more slowly
    /// than the speed, so that a fast story does not ask for a fast machine.
    pub(super) fn interval(self, per_second: f64) -> Duration {
        Duration::from_secs_f64(1.0 / (per_second * self.0.sqrt()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_a_number_within_bounds() {
        for (text, expected) in [("1", Some(1.0)), ("0.1", Some(0.1)), ("20", Some(20.0))] {
            assert_eq!(Speed::parse(text).ok(), expected.map(Speed), "{text}");
        }
        for text in ["0", "-1", "NaN", "inf", "21", "fast", ""] {
            let error = Speed::parse(text).unwrap_err();
            assert!(error.contains(text) && error.contains("from 0.1 to 20"), "{error}");
        }
    }

    #[test]
    fn durations_shrink_with_the_speed_and_calls_grow_with_its_root() {
        let speed = Speed(4.0);
        assert_eq!(speed.hastened(Duration::from_secs(8)), Duration::from_secs(2));
        assert_eq!(speed.hastened(Duration::ZERO), Duration::from_millis(1));
        assert_eq!(speed.interval(1.0), Duration::from_millis(500));
    }
}
