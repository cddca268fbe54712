//! BreakerAdmin: what people and tools call.

use std::sync::Arc;

use breaker_core::{BreakerName, ConfigPatch, Key, OverrideKind, Violation};
use breaker_engine::{Action, ConfigUpdate, Engine, Order, Query};
use breaker_proto::server::breaker_admin_server::BreakerAdmin;
use breaker_proto::v1;
use breaker_wire::{mode_from_message, patch_from_message, state_from_message};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::answers::{changed_to_message, view_to_message};
use super::error::to_status;
use super::page_token;
use super::requests::{Check, Target, durability, name, page_size, selector, target};
use super::transitions::{TransitionStream, list, stream};

/// The service on top of the engine.
pub(crate) struct Admin {
    engine: Arc<Engine>,
    drain: CancellationToken,
}

impl Admin {
    /// A service whose streams end when `drain` is cancelled.
    pub(crate) const fn new(engine: Arc<Engine>, drain: CancellationToken) -> Self {
        Self { engine, drain }
    }

    async fn apply(&self, target: Target, action: Action) -> Result<v1::ChangeResult, Status> {
        let Target { selector, by, durability, .. } = target;
        tracing::info!(
            ?selector,
            ?action,
            actor = by.actor(),
            reason = by.reason(),
            "an admin changes breakers"
        );
        let changed = self.engine.apply(&selector, action, by, durability).await;
        changed.map(|changed| changed_to_message(&changed)).map_err(to_status)
    }

    async fn set_override(
        &self,
        message: Option<v1::ChangeTarget>,
        kind: OverrideKind,
        time_to_live: Option<prost_types::Duration>,
    ) -> Result<Option<v1::ChangeResult>, Status> {
        let target = target(message, time_to_live)?;
        let action = Action::Override { kind, time_to_live: target.time_to_live };
        self.apply(target, action).await.map(Some)
    }
}

#[tonic::async_trait]
impl BreakerAdmin for Admin {
    async fn get_breaker(
        &self,
        request: Request<v1::GetBreakerRequest>,
    ) -> Result<Response<v1::GetBreakerResponse>, Status> {
        let name = name("name", &request.into_inner().name)?;
        let view = self.engine.get(&name).map_err(to_status)?;
        Ok(Response::new(v1::GetBreakerResponse { breaker: Some(view_to_message(&view)) }))
    }

    async fn list_breakers(
        &self,
        request: Request<v1::ListBreakersRequest>,
    ) -> Result<Response<v1::ListBreakersResponse>, Status> {
        let request = request.into_inner();
        let hash = page_token::query_hash(&(
            &request.selector,
            &request.states,
            &request.modes,
            request.order,
        ));
        let page = self.engine.list(&query(&request, hash)?);
        Ok(Response::new(v1::ListBreakersResponse {
            breakers: page.breakers.iter().map(view_to_message).collect(),
            next_page_token: page
                .next
                .map(|place| page_token::from_place(hash, &place))
                .unwrap_or_default(),
        }))
    }

    async fn create_breaker(
        &self,
        request: Request<v1::CreateBreakerRequest>,
    ) -> Result<Response<v1::CreateBreakerResponse>, Status> {
        let request = request.into_inner();
        let mut check = Check::default();
        let name = check.value(|| "name".to_owned(), BreakerName::new(&request.name));
        let own_config = patch(&mut check, &request.config.unwrap_or_default());
        if let Some(Err(violations)) = own_config.as_ref().map(|own| self.engine.check_config(own))
        {
            check.extend(violations.into_iter().map(|violation| violation.within("config")));
        }
        let (name, own_config) = check.finish(name.zip(own_config))?;
        let durability = durability(request.require_durable);
        let created = self.engine.create(name, own_config, durability).await;
        let created = created.map_err(|error| to_status(within_config(error)))?;
        Ok(Response::new(v1::CreateBreakerResponse {
            breaker: Some(view_to_message(&created.result)),
            durable: created.is_durable,
        }))
    }

    async fn update_breaker(
        &self,
        request: Request<v1::UpdateBreakerRequest>,
    ) -> Result<Response<v1::UpdateBreakerResponse>, Status> {
        let request = request.into_inner();
        let mut check = Check::default();
        let name = check.value(|| "name".to_owned(), BreakerName::new(&request.name));
        let values = patch(&mut check, &request.config.unwrap_or_default()).unwrap_or_default();
        let keys = keys(&mut check, request.update_mask, &values);
        let etag = etag(&mut check, &request.etag);
        let name = check.finish(name)?;
        let update = ConfigUpdate { values, keys };
        let durability = durability(request.require_durable);
        let updated = self.engine.update(&name, update, etag, durability).await;
        let updated = updated.map_err(|error| to_status(within_config(error)))?;
        Ok(Response::new(v1::UpdateBreakerResponse {
            breaker: Some(view_to_message(&updated.result)),
            durable: updated.is_durable,
        }))
    }

    async fn delete_breaker(
        &self,
        request: Request<v1::DeleteBreakerRequest>,
    ) -> Result<Response<v1::DeleteBreakerResponse>, Status> {
        let request = request.into_inner();
        let mut check = Check::default();
        let name = check.value(|| "name".to_owned(), BreakerName::new(&request.name));
        let etag = etag(&mut check, &request.etag);
        let name = check.finish(name)?;
        let durability = durability(request.require_durable);
        let deleted = self.engine.delete(&name, etag, durability).await.map_err(to_status)?;
        Ok(Response::new(v1::DeleteBreakerResponse { durable: deleted.is_durable }))
    }

    async fn force_open(
        &self,
        request: Request<v1::ForceOpenRequest>,
    ) -> Result<Response<v1::ForceOpenResponse>, Status> {
        let v1::ForceOpenRequest { target, time_to_live } = request.into_inner();
        let result = self.set_override(target, OverrideKind::ForcedOpen, time_to_live).await?;
        Ok(Response::new(v1::ForceOpenResponse { result }))
    }

    async fn force_close(
        &self,
        request: Request<v1::ForceCloseRequest>,
    ) -> Result<Response<v1::ForceCloseResponse>, Status> {
        let v1::ForceCloseRequest { target, time_to_live } = request.into_inner();
        let result = self.set_override(target, OverrideKind::ForcedClosed, time_to_live).await?;
        Ok(Response::new(v1::ForceCloseResponse { result }))
    }

    async fn disable(
        &self,
        request: Request<v1::DisableRequest>,
    ) -> Result<Response<v1::DisableResponse>, Status> {
        let v1::DisableRequest { target, time_to_live } = request.into_inner();
        let result = self.set_override(target, OverrideKind::Disabled, time_to_live).await?;
        Ok(Response::new(v1::DisableResponse { result }))
    }

    async fn shadow(
        &self,
        request: Request<v1::ShadowRequest>,
    ) -> Result<Response<v1::ShadowResponse>, Status> {
        let v1::ShadowRequest { target, time_to_live } = request.into_inner();
        let result = self.set_override(target, OverrideKind::Shadow, time_to_live).await?;
        Ok(Response::new(v1::ShadowResponse { result }))
    }

    async fn release(
        &self,
        request: Request<v1::ReleaseRequest>,
    ) -> Result<Response<v1::ReleaseResponse>, Status> {
        let target = target(request.into_inner().target, None)?;
        let result = Some(self.apply(target, Action::Release).await?);
        Ok(Response::new(v1::ReleaseResponse { result }))
    }

    async fn trip(
        &self,
        request: Request<v1::TripRequest>,
    ) -> Result<Response<v1::TripResponse>, Status> {
        let target = target(request.into_inner().target, None)?;
        let result = Some(self.apply(target, Action::Trip).await?);
        Ok(Response::new(v1::TripResponse { result }))
    }

    async fn reset(
        &self,
        request: Request<v1::ResetRequest>,
    ) -> Result<Response<v1::ResetResponse>, Status> {
        let target = target(request.into_inner().target, None)?;
        let result = Some(self.apply(target, Action::Reset).await?);
        Ok(Response::new(v1::ResetResponse { result }))
    }

    async fn list_transitions(
        &self,
        request: Request<v1::ListTransitionsRequest>,
    ) -> Result<Response<v1::ListTransitionsResponse>, Status> {
        list(&self.engine, &request.into_inner()).await.map(Response::new)
    }

    type WatchTransitionsStream = TransitionStream;

    async fn watch_transitions(
        &self,
        request: Request<v1::WatchTransitionsRequest>,
    ) -> Result<Response<TransitionStream>, Status> {
        let request = request.into_inner();
        stream(Arc::clone(&self.engine), &request, self.drain.clone()).map(Response::new)
    }
}

fn query(request: &v1::ListBreakersRequest, hash: u64) -> Result<Query, Status> {
    let mut check = Check::default();
    let states = known(&mut check, "states", &request.states, state_from_message);
    let modes = known(&mut check, "modes", &request.modes, mode_from_message);
    let order = match v1::BreakerOrder::try_from(request.order) {
        Ok(v1::BreakerOrder::Unspecified | v1::BreakerOrder::Name) => Order::Name,
        Ok(v1::BreakerOrder::LatestChange) => Order::LatestChange,
        Ok(v1::BreakerOrder::FailureRate) => Order::FailureRate,
        Err(_) => {
            check.refuse("order", format!("{} is not an order", request.order));
            Order::Name
        }
    };
    let selector = selector(&mut check, &request.selector);
    let limit = page_size(&mut check, request.page_size);
    let after = check.checked(page_token::to_place(&request.page_token, hash)).flatten();
    check.finish(Some(Query { selector, states, modes, order, after, limit }))
}

fn known<T>(
    check: &mut Check,
    field: &str,
    values: &[i32],
    convert: impl Fn(i32) -> Option<T>,
) -> Vec<T> {
    let mut all = Vec::new();
    for (index, &value) in values.iter().enumerate() {
        match convert(value) {
            Some(value) => all.push(value),
            None => check.refuse(format!("{field}[{index}]"), format!("{value} is not known")),
        }
    }
    all
}

/// A configuration as a request holds it, in its field `config`.
fn patch(check: &mut Check, message: &v1::BreakerConfig) -> Option<ConfigPatch> {
    patch_from_message(message)
        .map_err(|violations| check.extend(violations.into_iter().map(|v| v.within("config"))))
        .ok()
}

/// Violations of a configuration as violations of the request's field `config`.
fn within_config(error: breaker_engine::EngineError) -> breaker_engine::EngineError {
    use breaker_engine::EngineError::Invalid;
    let within = |violation: Violation| violation.within("config");
    match error {
        Invalid(violations) => Invalid(violations.into_iter().map(within).collect()),
        other => other,
    }
}

/// The keys that an update is about: those of the mask, or without one those that are set.
fn keys(check: &mut Check, mask: Option<prost_types::FieldMask>, values: &ConfigPatch) -> Vec<Key> {
    let Some(mask) = mask.filter(|mask| !mask.paths.is_empty()) else {
        return Key::ALL.into_iter().filter(|&key| values.is_set(key)).collect();
    };
    let mut keys = Vec::new();
    for (index, path) in mask.paths.iter().enumerate() {
        match Key::from_name(path) {
            Some(key) => keys.push(key),
            None if path == "*" => keys.extend(Key::ALL),
            None => {
                let names: Vec<_> = Key::ALL.into_iter().map(Key::as_str).collect();
                let description =
                    format!("{path:?} is not a key; the keys are {} and `*`", names.join(", "));
                check.refuse(format!("update_mask.paths[{index}]"), description);
            }
        }
    }
    keys
}

fn etag(check: &mut Check, text: &str) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let etag = text.parse().ok();
    if etag.is_none() {
        let description =
            format!("{text:?} is not one; give that of the breaker, or leave it empty");
        check.refuse("etag", description);
    }
    etag
}
