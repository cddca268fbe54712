use std::sync::Arc;
use std::time::Duration;

use breaker_core::{BreakerName, Config, Mode, Source, StateKind, Time, Violation};
use breaker_proto::v1;
use breaker_wire::{mode_from_message, patch_from_message, state_from_message, time_from_message};

/// The state of one breaker, as a watch tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerStatus {
    /// The name.
    pub name: BreakerName,
    /// The state. Under FORCED_OPEN it is OPEN, under FORCED_CLOSED and DISABLED it is CLOSED.
    pub state: StateKind,
    /// The mode. Under SHADOW a call is never denied, whatever the state.
    pub mode: Mode,
    /// Grows by one with each change of state.
    pub generation: u64,
    /// Grows with each change of the breaker and orders them.
    pub revision: u64,
    /// When the state began, by the server's clock: for people, not to compute with.
    pub since: Time,
    /// How long OPEN still lasted when the server sent this; `None` in other states and under
    /// FORCED_OPEN.
    pub retry_after: Option<Duration>,
    /// How long the override still lasted when the server sent this; `None` without one, and if
    /// only a release ends it.
    pub override_ends_after: Option<Duration>,
    /// The configuration.
    pub config: Config,
    /// On the ramp of a HALF_OPEN breaker: the share of the calls that flows, in percent.
    pub admit_percent: Option<u32>,
    /// The level, and what to serve while calls are denied; `None` without levels.
    pub level: Option<Arc<CurrentLevel>>,
    /// Probes that may be in flight at once, in the whole fleet, on this level.
    pub max_probes: u32,
}

/// The level of a multi-level breaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentLevel {
    /// Its name.
    pub name: String,
    /// Its number, from 0: the first is where a breaker lives.
    pub number: u32,
    /// What to serve while calls are denied: `degraded`, `emergency`, or any other word.
    pub serve: String,
}

impl From<v1::CurrentLevel> for CurrentLevel {
    fn from(message: v1::CurrentLevel) -> Self {
        let v1::CurrentLevel { name, number, serve } = message;
        Self { name, number, serve }
    }
}

impl BreakerStatus {
    /// Reads a state that came with this time of the server.
    ///
    /// # Errors
    /// The first field that makes no sense.
    pub fn from_message(
        message: &v1::BreakerState,
        server_time: Option<&prost_types::Timestamp>,
    ) -> Result<Self, Violation> {
        let name = BreakerName::new(&message.name)
            .map_err(|error| Violation::new("name", error.to_string()))?;
        let state =
            state_from_message(message.state).ok_or_else(|| unknown("state", message.state))?;
        let mode = mode_from_message(message.mode).ok_or_else(|| unknown("mode", message.mode))?;
        let since = message.since.as_ref().map(time_from_message).unwrap_or_default();
        // Only differences of the server's own clock are taken, never of two machines' clocks.
        let sent_at = server_time.map_or(since, time_from_message);
        let until = |time: &prost_types::Timestamp| time_from_message(time).since(sent_at);
        let config = config(message.config.as_ref())?;
        let effective = message.effective.as_ref().map(|effective| effective.max_probes);
        Ok(Self {
            name,
            state,
            mode,
            generation: message.generation,
            revision: message.revision,
            since,
            retry_after: message.retry_time.as_ref().map(until),
            override_ends_after: message.override_expire_time.as_ref().map(until),
            max_probes: effective.unwrap_or_else(|| config.max_probes()).max(1),
            config,
            admit_percent: message.admit_percent,
            level: message.level.clone().map(CurrentLevel::from).map(Arc::new),
        })
    }
}

fn config(message: Option<&v1::BreakerConfig>) -> Result<Config, Violation> {
    let Some(message) = message else {
        return Err(Violation::new("config", "is missing"));
    };
    patch_from_message(message)
        .and_then(|patch| Config::resolve(&[(Source::Server, &patch)]))
        .map(|resolved| resolved.config)
        .map_err(|violations| {
            let first = violations.into_iter().next();
            first.unwrap_or_else(|| Violation::new("config", "makes no sense")).within("config")
        })
}

fn unknown(field: &str, value: i32) -> Violation {
    Violation::new(field, format!("{value} is not a value that this client knows"))
}

#[cfg(test)]
mod tests {
    use breaker_wire::{config_to_message, time_to_message};

    use super::*;

    fn message() -> v1::BreakerState {
        v1::BreakerState {
            name: "payments/stripe-api".into(),
            state: v1::State::Open.into(),
            mode: v1::Mode::Normal.into(),
            generation: 2,
            revision: 9,
            since: Some(time_to_message(Time::from_millis(1_000))),
            retry_time: Some(time_to_message(Time::from_millis(61_000))),
            override_expire_time: None,
            config: Some(config_to_message(&Config::default())),
            ..Default::default()
        }
    }

    #[test]
    fn what_is_left_of_open_is_measured_by_the_servers_clock() {
        let server_time = time_to_message(Time::from_millis(31_000));
        let status = BreakerStatus::from_message(&message(), Some(&server_time)).unwrap();
        assert_eq!(status.retry_after, Some(Duration::from_secs(30)));
        assert_eq!((status.state, status.mode), (StateKind::Open, Mode::Normal));
        assert_eq!(status.since, Time::from_millis(1_000));
        assert_eq!(status.config, Config::default());
        let late = time_to_message(Time::from_millis(99_000));
        let status = BreakerStatus::from_message(&message(), Some(&late)).unwrap();
        assert_eq!(status.retry_after, Some(Duration::ZERO));
    }

    #[test]
    fn a_state_that_makes_no_sense_is_refused_by_its_field() {
        let with = |change: fn(&mut v1::BreakerState)| {
            let mut message = message();
            change(&mut message);
            BreakerStatus::from_message(&message, None).unwrap_err().field
        };
        assert_eq!(with(|m| m.name = "nobody".into()), "name");
        assert_eq!(with(|m| m.state = 0), "state");
        assert_eq!(with(|m| m.mode = 99), "mode");
        assert_eq!(with(|m| m.config = None), "config");
        let window = |m: &mut v1::BreakerState| {
            m.config.get_or_insert_default().window = Some(v1::Window::default());
        };
        assert_eq!(with(window), "config.window.calls");
    }
}
