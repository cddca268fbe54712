//! What an admin does.

use std::time::Duration;

use breaker_proto::v1;
use breaker_tests::{Clients, create, selecting};
use breaker_wire::{duration_to_message, patch_from_value, patch_to_message};
use serde::Deserialize;
use serde_json::Value;

use crate::command::check_config;

/// A change of one breaker, or of those that a glob matches.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    admin: Action,
    breaker: String,
    /// When an override ends by itself, in milliseconds.
    ttl: Option<u64>,
    /// The configuration of `create` and `update`.
    config: Option<Value>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Action {
    Create,
    Update,
    Delete,
    ForceOpen,
    ForceClose,
    Disable,
    Shadow,
    Release,
    Trip,
    Reset,
}

impl Change {
    /// The creation of a breaker.
    ///
    /// # Errors
    /// If the configuration is none.
    pub(crate) fn creation(breaker: &str, config: &Value) -> anyhow::Result<Self> {
        let config = Some(config.clone());
        let change = Self { admin: Action::Create, breaker: breaker.to_owned(), ttl: None, config };
        change.check()?;
        Ok(change)
    }

    /// Looks whether it makes sense.
    ///
    /// # Errors
    /// If it does not.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        use Action::{Create, Disable, ForceClose, ForceOpen, Shadow, Update};
        let is_override = matches!(self.admin, ForceOpen | ForceClose | Disable | Shadow);
        anyhow::ensure!(self.ttl.is_none() || is_override, "{:?} has no `ttl`", self.admin);
        let has_config = matches!(self.admin, Create | Update);
        anyhow::ensure!(has_config || self.config.is_none(), "{:?} has no `config`", self.admin);
        self.config.as_ref().map_or(Ok(()), check_config)
    }

    /// Makes it.
    ///
    /// # Errors
    /// If the server refuses it.
    pub(crate) async fn make(&self, clients: Clients) -> anyhow::Result<()> {
        let mut admin = clients.admin;
        let target = selecting(&self.breaker);
        let time_to_live = self.ttl.map(|ttl| duration_to_message(Duration::from_millis(ttl)));
        let name = self.breaker.clone();
        match self.admin {
            Action::Create => admin.create_breaker(create(&name, self.config()?)).await.map(drop),
            Action::Update => {
                let config = Some(self.config()?);
                let request = v1::UpdateBreakerRequest { name, config, ..Default::default() };
                admin.update_breaker(request).await.map(drop)
            }
            Action::Delete => {
                let request = v1::DeleteBreakerRequest { name, ..Default::default() };
                admin.delete_breaker(request).await.map(drop)
            }
            Action::ForceOpen => {
                admin.force_open(v1::ForceOpenRequest { target, time_to_live }).await.map(drop)
            }
            Action::ForceClose => {
                admin.force_close(v1::ForceCloseRequest { target, time_to_live }).await.map(drop)
            }
            Action::Disable => {
                admin.disable(v1::DisableRequest { target, time_to_live }).await.map(drop)
            }
            Action::Shadow => {
                admin.shadow(v1::ShadowRequest { target, time_to_live }).await.map(drop)
            }
            Action::Release => admin.release(v1::ReleaseRequest { target }).await.map(drop),
            Action::Trip => admin.trip(v1::TripRequest { target }).await.map(drop),
            Action::Reset => admin.reset(v1::ResetRequest { target }).await.map(drop),
        }?;
        Ok(())
    }

    fn config(&self) -> anyhow::Result<v1::BreakerConfig> {
        let Some(config) = &self.config else { return Ok(v1::BreakerConfig::default()) };
        check_config(config)?;
        Ok(patch_from_value(config).map(|patch| patch_to_message(&patch)).unwrap_or_default())
    }
}
