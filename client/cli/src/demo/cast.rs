//! Who plays: the dependencies that the fleet calls, and how their breakers are configured.

use std::time::Duration;

use breaker_proto::v1;
use breaker_wire::duration_to_message;

use super::speed::Speed;
use crate::declared::{Declared, Syntax};
use crate::error::Error;
use crate::time::duration;

/// Something that the fleet calls, behind a breaker of the same name.
#[derive(Debug)]
pub(super) struct Dependency {
    /// The name of the breaker.
    pub(super) name: &'static str,
    /// Calls of the whole fleet in a second.
    pub(super) calls_per_second: f64,
    /// How long an answer takes on a good day.
    pub(super) delay: Duration,
    /// How many calls fail on a good day.
    pub(super) failing_percent: u8,
}

/// All of them. Each fails now and then, as things do, and too rarely to trip its breaker.
pub(super) const DEPENDENCIES: [Dependency; 14] = [
    dependency("payments/stripe-api", 12.0, 60, 1),
    dependency("payments/fraud-check", 12.0, 30, 0),
    dependency("payments/paypal", 3.0, 90, 2),
    dependency("payments/ledger", 4.0, 15, 0),
    dependency("search/index", 14.0, 40, 0),
    dependency("search/suggest", 5.0, 20, 1),
    dependency("search/ranking", 3.0, 80, 2),
    dependency("inventory/stock", 8.0, 25, 1),
    dependency("inventory/pricing", 4.0, 35, 1),
    dependency("inventory/warehouse-eu", 2.0, 120, 2),
    dependency("shipping/rates", 12.0, 50, 1),
    dependency("shipping/labels", 2.0, 70, 2),
    dependency("shipping/tracking", 3.0, 45, 1),
    dependency("shipping/dhl-api", 2.0, 150, 3),
];

const fn dependency(
    name: &'static str,
    calls_per_second: f64,
    delay_ms: u64,
    failing_percent: u8,
) -> Dependency {
    let delay = Duration::from_millis(delay_ms);
    Dependency { name, calls_per_second, delay, failing_percent }
}

/// The policies and configurations, with all durations as the speed has them.
pub(super) fn declared(speed: Speed) -> Result<Declared, Error> {
    let mut declared = Declared::parse(include_str!("cast.toml"), Syntax::Toml)?;
    let of_policies = declared.policies.iter_mut().map(|policy| &mut policy.config);
    let of_breakers = declared.breakers.iter_mut().map(|breaker| &mut breaker.config);
    for config in of_policies.chain(of_breakers).flatten() {
        hasten(config, speed);
    }
    Ok(declared)
}

/// Divides every duration of a configuration.
fn hasten(config: &mut v1::BreakerConfig, speed: Speed) {
    let mut durations = vec![&mut config.open_duration, &mut config.call_timeout];
    durations.extend(config.window.as_mut().map(|window| &mut window.duration));
    durations.extend(config.slow_call_rate.as_mut().map(|rate| &mut rate.duration));
    durations.extend(config.backoff.as_mut().map(|backoff| &mut backoff.max));
    durations.extend(config.ramp.as_mut().map(|ramp| &mut ramp.step));
    if let Some(adaptive) = &mut config.adaptive {
        durations.extend([
            &mut adaptive.slow_response,
            &mut adaptive.fast_response,
            &mut adaptive.max_open_duration,
            &mut adaptive.min_open_duration,
        ]);
    }
    if let Some(levels) = &mut config.levels {
        durations.push(&mut levels.deescalate_after);
        durations.extend(levels.levels.iter_mut().map(|level| &mut level.open_duration));
    }
    for message in durations.into_iter().flatten() {
        if let Some(long) = duration(message) {
            *message = duration_to_message(speed.hastened(long));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use breaker_core::BreakerName;

    use super::*;

    fn of_breaker(name: &str, speed: f64) -> v1::BreakerConfig {
        let declared = declared(Speed::new(speed).unwrap()).unwrap();
        let found = declared.breakers.into_iter().find(|breaker| breaker.name == name);
        found.unwrap().config.unwrap()
    }

    #[test]
    fn every_breaker_that_is_configured_is_called() {
        let names: HashSet<_> = DEPENDENCIES.iter().map(|dependency| dependency.name).collect();
        assert_eq!(names.len(), DEPENDENCIES.len());
        assert!(names.iter().all(|name| BreakerName::new(name).is_ok()));
        let declared = declared(Speed::new(1.0).unwrap()).unwrap();
        assert!(declared.breakers.iter().all(|breaker| names.contains(&*breaker.name)));
        assert!(declared.policies.len() > 1);
    }

    #[test]
    fn a_faster_story_has_shorter_durations_everywhere() {
        let level = |speed| of_breaker("payments/fraud-check", speed).levels.unwrap();
        let open = |speed| duration(level(speed).levels[2].open_duration.as_ref().unwrap());
        assert_eq!(open(1.0), Some(Duration::from_secs(6)));
        assert_eq!(open(4.0), Some(Duration::from_millis(1_500)));
        let down = duration(level(4.0).deescalate_after.as_ref().unwrap());
        assert_eq!(down, Some(Duration::from_millis(1_500)));
        let adaptive = of_breaker("shipping/rates", 10.0).adaptive.unwrap();
        let longest = duration(adaptive.max_open_duration.as_ref().unwrap());
        assert_eq!(longest, Some(Duration::from_millis(1_500)));
    }
}
