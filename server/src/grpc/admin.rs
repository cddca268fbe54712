//! BreakerAdmin: what people and tools call.

use std::sync::Arc;

use breaker_core::{BreakerName, OverrideKind};
use breaker_engine::{Action, ConfigUpdate, Engine, Order, Query};
use breaker_proto::server::breaker_admin_server::BreakerAdmin;
use breaker_proto::v1;
use breaker_wire::{mode_from_message, state_from_message};
use tonic::{Request, Response, Status, Streaming};

use super::answers::{changed_to_message, outline_to_message, view_to_message};
use super::backup::BackupStream;
use super::configs::{config_warnings, etag, keys, patch, within_config};
use super::error::{not_leading, to_status};
use super::requests::{
    Check, MAX_PAGE_SIZE, Target, durability, known, name, page_size, selector, target,
};
use super::transitions::{TransitionStream, list, stream};
use super::{apply, backup, page_token, policies, restore};
use crate::seat::Seat;

/// The service on top of the engine.
pub(crate) struct Admin {
    seat: Arc<Seat>,
}

impl Admin {
    /// The service of a server that leads, or will.
    pub(crate) const fn new(seat: Arc<Seat>) -> Self {
        Self { seat }
    }

    fn engine(&self) -> Result<Arc<Engine>, Status> {
        self.seat.engine().map_err(not_leading)
    }

    async fn act(&self, target: Target, action: Action) -> Result<v1::ChangeResult, Status> {
        let Target { selector, by, durability, .. } = target;
        tracing::info!(
            ?selector,
            ?action,
            actor = by.actor(),
            reason = by.reason(),
            "an admin changes breakers"
        );
        let changed = self.engine()?.apply(&selector, action, by, durability).await;
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
        self.act(target, action).await.map(Some)
    }
}

#[tonic::async_trait]
impl BreakerAdmin for Admin {
    async fn get_breaker(
        &self,
        request: Request<v1::GetBreakerRequest>,
    ) -> Result<Response<v1::GetBreakerResponse>, Status> {
        let name = name("name", &request.into_inner().name)?;
        let view = self.engine()?.get(&name).map_err(to_status)?;
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
        let (query, view) = query(&request, hash)?;
        let engine = self.engine()?;
        let (breakers, next) = match view {
            View::Basic => {
                let page = engine.list_outlines(&query);
                (page.breakers.iter().map(outline_to_message).collect(), page.next)
            }
            View::Full => {
                let page = engine.list(&query);
                (page.breakers.iter().map(view_to_message).collect(), page.next)
            }
        };
        let next_page_token =
            next.map(|place| page_token::from_place(hash, &place)).unwrap_or_default();
        Ok(Response::new(v1::ListBreakersResponse { breakers, next_page_token }))
    }

    async fn batch_get_breakers(
        &self,
        request: Request<v1::BatchGetBreakersRequest>,
    ) -> Result<Response<v1::BatchGetBreakersResponse>, Status> {
        let request = request.into_inner();
        let mut check = Check::default();
        let most = MAX_PAGE_SIZE as usize;
        check.at_most("names", "names", request.names.len(), most);
        let mut names = Vec::with_capacity(request.names.len().min(most));
        for (index, name) in request.names.iter().take(most).enumerate() {
            names.extend(check.value(|| format!("names[{index}]"), BreakerName::new(name)));
        }
        let view = view(&mut check, request.view);
        let view = check.finish(Some(view))?;
        let engine = self.engine()?;
        let shown = |name| match view {
            View::Basic => engine.outline(name).map(|outline| outline_to_message(&outline)),
            View::Full => engine.get(name).map(|view| view_to_message(&view)),
        };
        let breakers = names.iter().filter_map(|name| shown(name).ok()).collect();
        Ok(Response::new(v1::BatchGetBreakersResponse { breakers }))
    }

    async fn create_breaker(
        &self,
        request: Request<v1::CreateBreakerRequest>,
    ) -> Result<Response<v1::CreateBreakerResponse>, Status> {
        let engine = self.engine()?;
        let request = request.into_inner();
        let mut check = Check::default();
        let name = check.value(|| "name".to_owned(), BreakerName::new(&request.name));
        let own_config = patch(&mut check, &request.config.unwrap_or_default());
        let checked = own_config.as_ref().map(|own| engine.check_config(name.as_ref(), own));
        if let Some(Err(violations)) = checked {
            check.extend(violations.into_iter().map(|violation| violation.within("config")));
        }
        let (name, own_config) = check.finish(name.zip(own_config))?;
        let durability = durability(request.require_durable);
        let created = engine.create(name, own_config, durability).await;
        let created = created.map_err(|error| to_status(within_config(error)))?;
        Ok(Response::new(v1::CreateBreakerResponse {
            breaker: Some(view_to_message(&created.result)),
            durable: created.is_durable,
            warnings: config_warnings(created.warnings),
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
        let updated = self.engine()?.update(&name, update, etag, durability).await;
        let updated = updated.map_err(|error| to_status(within_config(error)))?;
        Ok(Response::new(v1::UpdateBreakerResponse {
            breaker: Some(view_to_message(&updated.result)),
            durable: updated.is_durable,
            warnings: config_warnings(updated.warnings),
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
        let deleted = self.engine()?.delete(&name, etag, durability).await.map_err(to_status)?;
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
        let result = Some(self.act(target, Action::Release).await?);
        Ok(Response::new(v1::ReleaseResponse { result }))
    }

    async fn trip(
        &self,
        request: Request<v1::TripRequest>,
    ) -> Result<Response<v1::TripResponse>, Status> {
        let target = target(request.into_inner().target, None)?;
        let result = Some(self.act(target, Action::Trip).await?);
        Ok(Response::new(v1::TripResponse { result }))
    }

    async fn reset(
        &self,
        request: Request<v1::ResetRequest>,
    ) -> Result<Response<v1::ResetResponse>, Status> {
        let target = target(request.into_inner().target, None)?;
        let result = Some(self.act(target, Action::Reset).await?);
        Ok(Response::new(v1::ResetResponse { result }))
    }

    async fn get_policy(
        &self,
        request: Request<v1::GetPolicyRequest>,
    ) -> Result<Response<v1::GetPolicyResponse>, Status> {
        policies::get(&self.engine()?, &request.into_inner()).await.map(Response::new)
    }

    async fn list_policies(
        &self,
        request: Request<v1::ListPoliciesRequest>,
    ) -> Result<Response<v1::ListPoliciesResponse>, Status> {
        policies::list(&self.engine()?, &request.into_inner()).await.map(Response::new)
    }

    async fn create_policy(
        &self,
        request: Request<v1::CreatePolicyRequest>,
    ) -> Result<Response<v1::CreatePolicyResponse>, Status> {
        policies::create(&self.engine()?, request.into_inner()).await.map(Response::new)
    }

    async fn update_policy(
        &self,
        request: Request<v1::UpdatePolicyRequest>,
    ) -> Result<Response<v1::UpdatePolicyResponse>, Status> {
        policies::update(&self.engine()?, request.into_inner()).await.map(Response::new)
    }

    async fn delete_policy(
        &self,
        request: Request<v1::DeletePolicyRequest>,
    ) -> Result<Response<v1::DeletePolicyResponse>, Status> {
        policies::delete(&self.engine()?, &request.into_inner()).await.map(Response::new)
    }

    async fn explain_config(
        &self,
        request: Request<v1::ExplainConfigRequest>,
    ) -> Result<Response<v1::ExplainConfigResponse>, Status> {
        policies::explain(&*self.engine()?, &request.into_inner()).map(Response::new)
    }

    async fn apply(
        &self,
        request: Request<v1::ApplyRequest>,
    ) -> Result<Response<v1::ApplyResponse>, Status> {
        apply::apply(&self.engine()?, request.into_inner()).await.map(Response::new)
    }

    type BackupStream = BackupStream;

    async fn backup(
        &self,
        request: Request<v1::BackupRequest>,
    ) -> Result<Response<BackupStream>, Status> {
        let leading = self.seat.leading().map_err(not_leading)?;
        Ok(Response::new(backup::stream(Arc::clone(&self.seat), leading, &request.into_inner())))
    }

    async fn restore(
        &self,
        request: Request<Streaming<v1::RestoreRequest>>,
    ) -> Result<Response<v1::RestoreResponse>, Status> {
        let leading = self.seat.leading().map_err(not_leading)?;
        restore::restore(&self.seat, &leading, request.into_inner()).await.map(Response::new)
    }

    async fn list_transitions(
        &self,
        request: Request<v1::ListTransitionsRequest>,
    ) -> Result<Response<v1::ListTransitionsResponse>, Status> {
        list(&*self.engine()?, &request.into_inner()).await.map(Response::new)
    }

    type WatchTransitionsStream = TransitionStream;

    async fn watch_transitions(
        &self,
        request: Request<v1::WatchTransitionsRequest>,
    ) -> Result<Response<TransitionStream>, Status> {
        let request = request.into_inner();
        let leading = self.seat.leading().map_err(not_leading)?;
        stream(Arc::clone(&self.seat), leading, &request).map(Response::new)
    }
}

/// How much of a breaker is told.
#[derive(Clone, Copy, Debug)]
enum View {
    Basic,
    Full,
}

fn view(check: &mut Check, view: i32) -> View {
    match v1::BreakerView::try_from(view) {
        Ok(v1::BreakerView::Unspecified | v1::BreakerView::Full) => View::Full,
        Ok(v1::BreakerView::Basic) => View::Basic,
        Err(_) => {
            check
                .refuse("view", format!("{view} is not a view; leave it out for all of a breaker"));
            View::Full
        }
    }
}

fn query(request: &v1::ListBreakersRequest, hash: u64) -> Result<(Query, View), Status> {
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
    let view = view(&mut check, request.view);
    check.finish(Some((Query { selector, states, modes, order, after, limit }, view)))
}
