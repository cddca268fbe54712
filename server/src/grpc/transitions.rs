//! The history of transitions: pages of it, and a stream that goes on.

use std::collections::HashSet;
use std::sync::Arc;

use breaker_engine::{Engine, EngineError, HistoryFilter, Moment};
use breaker_proto::v1;
use breaker_wire::cause_from_message;
use tonic::Status;

use super::answers::transition_to_message;
use super::error::to_status;
use super::follow::{CHUNK, FollowStream, Read, Tail, follow};
use super::page_token;
use super::requests::{Check, check_id, known, page_size, selector};
use crate::seat::{Leading, Seat};

/// Those who follow transitions.
pub(crate) type TransitionStream = FollowStream<v1::WatchTransitionsResponse>;

/// A page of the history.
pub(crate) async fn list(
    engine: &Engine,
    request: &v1::ListTransitionsRequest,
) -> Result<v1::ListTransitionsResponse, Status> {
    let mut check = Check::default();
    let v1::ListTransitionsRequest { selector, causes, actor, start_time, end_time, .. } = request;
    let hash = page_token::query_hash(&(selector, causes, actor, start_time, end_time));
    let mut filter = filter(&mut check, selector, causes, actor);
    filter.from = check.time("start_time", start_time.as_ref());
    filter.until = check.time("end_time", end_time.as_ref());
    if let (Some(from), Some(until)) = (filter.from, filter.until)
        && until <= from
    {
        check.refuse("end_time", "it is not after start_time; no transition lies between them");
    }
    let limit = page_size(&mut check, request.page_size);
    let before = check.checked(page_token::to_moment(&request.page_token, hash)).flatten();
    check.finish(Some(()))?;
    let page = engine.history(&filter, before.unwrap_or(Moment::END), limit).await;
    let page = page.map_err(to_status)?;
    Ok(v1::ListTransitionsResponse {
        transitions: page.transitions.iter().map(|record| transition_to_message(record)).collect(),
        next_page_token: page
            .next_before
            .map(|moment| page_token::from_moment(hash, moment))
            .unwrap_or_default(),
    })
}

/// What pages and streams are filtered by.
fn filter(check: &mut Check, selected: &str, causes: &[i32], actor: &str) -> HistoryFilter {
    let selector = selector(check, selected);
    let mut known = known(check, "causes", causes, cause_from_message);
    let mut seen = HashSet::new();
    known.retain(|cause| seen.insert(*cause));
    check_id(check, "actor", actor);
    HistoryFilter {
        selector,
        causes: known,
        actor: (!actor.is_empty()).then(|| actor.to_owned()),
        ..HistoryFilter::default()
    }
}

struct TransitionTail {
    filter: HistoryFilter,
    position: u64,
}

/// Every transition after a given one, until the server drains or leads no more.
pub(crate) fn stream(
    seat: Arc<Seat>,
    leading: Arc<Leading>,
    request: &v1::WatchTransitionsRequest,
) -> Result<TransitionStream, Status> {
    let mut check = Check::default();
    let v1::WatchTransitionsRequest { selector, causes, actor, .. } = request;
    let filter = filter(&mut check, selector, causes, actor);
    check.finish(Some(()))?;
    let position = request.after.unwrap_or_else(|| leading.engine.latest_transition());
    let news = leading.engine.transition_signal();
    Ok(follow(seat, leading, TransitionTail { filter, position }, news))
}

impl Tail for TransitionTail {
    type Message = v1::WatchTransitionsResponse;

    async fn read(&mut self, engine: &Engine) -> Result<Read<Self::Message>, EngineError> {
        let records = engine.transitions_after(self.position, CHUNK).await?;
        self.position = records.last().map_or(self.position, |last| last.id);
        let selected = records.iter().filter(|record| self.filter.matches(record));
        let transitions: Vec<_> = selected.map(|record| transition_to_message(record)).collect();
        Ok(Read {
            is_any: !records.is_empty(),
            is_selected: !transitions.is_empty(),
            message: v1::WatchTransitionsResponse { transitions, position: self.position },
        })
    }
}
