use std::time::Duration;

use breaker_core::{Config, OnUnavailable};
use breaker_proto::v1;
use breaker_wire::{duration_from_message, on_unavailable_from_message};

use crate::error::Error;

/// What a client needs to know of a breaker's configuration to make a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) call_timeout: Duration,
    pub(crate) on_unavailable: OnUnavailable,
}

impl Settings {
    /// For a breaker of which the server has never told anything.
    pub(crate) fn unknown(on_unavailable: OnUnavailable) -> Self {
        Self { call_timeout: Config::default().call_timeout(), on_unavailable }
    }

    /// What the server told; what it left out stays as it is here.
    pub(crate) fn updated(self, message: Option<v1::ClientSettings>) -> Result<Self, Error> {
        let Some(message) = message else { return Ok(self) };
        let call_timeout = match &message.call_timeout {
            Some(timeout) => {
                duration_from_message("settings.call_timeout", timeout).map_err(Error::Malformed)?
            }
            None => self.call_timeout,
        };
        let on_unavailable =
            on_unavailable_from_message(message.on_unavailable).unwrap_or(self.on_unavailable);
        Ok(Self { call_timeout, on_unavailable })
    }
}
