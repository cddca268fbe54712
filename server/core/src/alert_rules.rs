//! Which rules raise alerts about breakers, layer over layer as a configuration is.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::{Source, Violation};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How often a breaker opens before it flaps.
const FLAPPING_COUNTS: RangeInclusive<u32> = 2..=100;
const FLAPPING_TIMES: RangeInclusive<Duration> = SECOND..=DAY;

/// A rule that raises alerts, or how it does, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AlertKey {
    /// An alert for each change of state.
    StateChange,
    /// A breaker that does not come back.
    ProlongedOutage,
    /// A breaker that opens again and again.
    Flapping,
    /// An override that lasts too long.
    ForcedTooLong,
    /// A breaker that nobody reports for any more.
    ReportersLost,
    /// When what still fires is told again.
    RepeatAfter,
}

/// A breaker flaps if it opens so often within so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flapping {
    /// So often.
    pub count: u32,
    /// Within so long.
    pub within: Duration,
}

/// Values of one layer; `None` leaves a value to the layers below, `Some(None)` turns a rule off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlertPatch {
    /// An alert for each change of state.
    pub state_change: Option<bool>,
    /// How long a breaker may be OPEN, or probe after it was.
    pub prolonged_outage: Option<Option<Duration>>,
    /// How often it may open.
    pub flapping: Option<Option<Flapping>>,
    /// How long an override may last.
    pub forced_too_long: Option<Option<Duration>>,
    /// For how long nobody need report a breaker's calls.
    pub reporters_lost: Option<Option<Duration>>,
    /// After how long what still fires is told again.
    pub repeat_after: Option<Option<Duration>>,
}

/// Rules with every value settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertRules {
    /// An alert for each change of state.
    pub state_change: bool,
    /// How long a breaker may be OPEN, or probe after it was.
    pub prolonged_outage: Option<Duration>,
    /// How often it may open.
    pub flapping: Option<Flapping>,
    /// How long an override may last.
    pub forced_too_long: Option<Duration>,
    /// For how long nobody need report a breaker's calls.
    pub reporters_lost: Option<Duration>,
    /// After how long what still fires is told again.
    pub repeat_after: Option<Duration>,
}

impl AlertKey {
    /// All of them, in the order in which people read them.
    pub const ALL: [Self; 6] = [
        Self::StateChange,
        Self::ProlongedOutage,
        Self::Flapping,
        Self::ForcedTooLong,
        Self::ReportersLost,
        Self::RepeatAfter,
    ];

    /// As it stands in files and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StateChange => "state_change",
            Self::ProlongedOutage => "prolonged_outage",
            Self::Flapping => "flapping",
            Self::ForcedTooLong => "forced_too_long",
            Self::ReportersLost => "reporters_lost",
            Self::RepeatAfter => "repeat_after",
        }
    }

    /// The key of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.as_str() == name)
    }
}

impl AlertPatch {
    /// Checks that every value can be.
    ///
    /// # Errors
    /// Every value that cannot.
    pub fn check(&self) -> Result<(), Vec<Violation>> {
        let mut violations = Vec::new();
        let mut duration = |field: &str,
                            value: Option<Option<Duration>>,
                            range: RangeInclusive<_>| {
            if let Some(Some(value)) = value
                && !range.contains(&value)
            {
                let (least, most) = (range.start(), range.end());
                let description =
                    format!("{value:?} is out of range; it must be {least:?} to {most:?}, or 0");
                violations.push(Violation::new(field, description));
            }
        };
        duration("prolonged_outage", self.prolonged_outage, SECOND..=WEEK);
        duration("forced_too_long", self.forced_too_long, SECOND..=YEAR);
        duration("reporters_lost", self.reporters_lost, SECOND..=WEEK);
        duration("repeat_after", self.repeat_after, MINUTE..=WEEK);
        if let Some(Some(Flapping { count, within })) = self.flapping {
            duration("flapping.within", Some(Some(within)), FLAPPING_TIMES);
            if !FLAPPING_COUNTS.contains(&count) {
                let (least, most) = (FLAPPING_COUNTS.start(), FLAPPING_COUNTS.end());
                let description =
                    format!("{count} is out of range; it must be {least} to {most}, or 0");
                violations.push(Violation::new("flapping.count", description));
            }
        }
        if violations.is_empty() { Ok(()) } else { Err(violations) }
    }

    /// Whether it says anything.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it says anything of this.
    pub const fn sets(&self, key: AlertKey) -> bool {
        match key {
            AlertKey::StateChange => self.state_change.is_some(),
            AlertKey::ProlongedOutage => self.prolonged_outage.is_some(),
            AlertKey::Flapping => self.flapping.is_some(),
            AlertKey::ForcedTooLong => self.forced_too_long.is_some(),
            AlertKey::ReportersLost => self.reporters_lost.is_some(),
            AlertKey::RepeatAfter => self.repeat_after.is_some(),
        }
    }

    /// Takes over the value of a key from another one, set or not.
    pub const fn take(&mut self, key: AlertKey, other: &Self) {
        match key {
            AlertKey::StateChange => self.state_change = other.state_change,
            AlertKey::ProlongedOutage => self.prolonged_outage = other.prolonged_outage,
            AlertKey::Flapping => self.flapping = other.flapping,
            AlertKey::ForcedTooLong => self.forced_too_long = other.forced_too_long,
            AlertKey::ReportersLost => self.reporters_lost = other.reporters_lost,
            AlertKey::RepeatAfter => self.repeat_after = other.repeat_after,
        }
    }
}

impl AlertRules {
    /// The values of layers over the built-in ones, the uppermost last.
    pub fn settle<'a>(layers: impl IntoIterator<Item = &'a AlertPatch>) -> Self {
        let mut rules = Self::default();
        for patch in layers {
            rules.state_change = patch.state_change.unwrap_or(rules.state_change);
            rules.prolonged_outage = patch.prolonged_outage.unwrap_or(rules.prolonged_outage);
            rules.flapping = patch.flapping.unwrap_or(rules.flapping);
            rules.forced_too_long = patch.forced_too_long.unwrap_or(rules.forced_too_long);
            rules.reporters_lost = patch.reporters_lost.unwrap_or(rules.reporters_lost);
            rules.repeat_after = patch.repeat_after.unwrap_or(rules.repeat_after);
        }
        rules
    }

    /// Every value as a layer.
    pub const fn to_patch(&self) -> AlertPatch {
        AlertPatch {
            state_change: Some(self.state_change),
            prolonged_outage: Some(self.prolonged_outage),
            flapping: Some(self.flapping),
            forced_too_long: Some(self.forced_too_long),
            reporters_lost: Some(self.reporters_lost),
            repeat_after: Some(self.repeat_after),
        }
    }

    /// Which of the layers, the uppermost last, a value comes from.
    pub fn source(key: AlertKey, layers: &[(Source, &AlertPatch)]) -> Source {
        let set = layers.iter().rev().find(|(_, patch)| patch.sets(key));
        set.map_or(Source::BuiltIn, |(source, _)| *source)
    }
}

impl Default for AlertRules {
    fn default() -> Self {
        Self {
            state_change: true,
            prolonged_outage: Some(5 * MINUTE),
            flapping: Some(Flapping { count: 5, within: 10 * MINUTE }),
            forced_too_long: Some(HOUR),
            reporters_lost: None,
            repeat_after: Some(HOUR),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upper_layers_win_and_off_is_a_value() {
        let server = AlertPatch {
            prolonged_outage: Some(Some(MINUTE)),
            repeat_after: Some(None),
            ..AlertPatch::default()
        };
        let policy = AlertPatch { prolonged_outage: Some(None), ..AlertPatch::default() };
        let rules = AlertRules::settle([&server, &policy]);
        assert_eq!((rules.prolonged_outage, rules.repeat_after), (None, None));
        assert_eq!(rules.flapping, AlertRules::default().flapping);
        let layers = [(Source::Server, &server), (Source::Policy, &policy)];
        let source = |key| AlertRules::source(key, &layers);
        assert_eq!(source(AlertKey::ProlongedOutage), Source::Policy);
        assert_eq!(source(AlertKey::RepeatAfter), Source::Server);
        assert_eq!(source(AlertKey::Flapping), Source::BuiltIn);
        assert_eq!(AlertRules::settle([&rules.to_patch()]), rules);
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_name() {
        assert_eq!(AlertRules::default().to_patch().check(), Ok(()));
        let bad = AlertPatch {
            prolonged_outage: Some(Some(Duration::from_millis(1))),
            flapping: Some(Some(Flapping { count: 1, within: Duration::ZERO })),
            repeat_after: Some(Some(SECOND)),
            ..AlertPatch::default()
        };
        let fields: Vec<_> =
            bad.check().unwrap_err().into_iter().map(|violation| violation.field).collect();
        assert_eq!(
            fields,
            ["prolonged_outage", "repeat_after", "flapping.within", "flapping.count"]
        );
    }
}
