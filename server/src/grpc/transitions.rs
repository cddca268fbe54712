//! The history of transitions: pages of it, and a stream that goes on.

use std::collections::HashSet;
use std::future::ready;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use breaker_engine::{Engine, EngineError, HistoryFilter, Moment};
use breaker_proto::v1;
use breaker_wire::cause_from_message;
use futures::{Stream, stream};
use tokio::sync::watch;
use tokio::time::sleep;
use tonic::Status;

use super::answers::transition_to_message;
use super::error::{ended, to_status};
use super::page_token;
use super::requests::{Check, check_id, known, page_size, selector};
use crate::seat::{Leading, Seat};

/// Most causes in one request: all of them several times over.
const MAX_CAUSES: usize = 100;

/// Most transitions read for one message.
const CHUNK: usize = 500;

/// A follower hears something at least this often; the protocol promises 5 s.
const HEARTBEAT: Duration = Duration::from_secs(4);

pub(crate) type TransitionStream =
    Pin<Box<dyn Stream<Item = Result<v1::WatchTransitionsResponse, Status>> + Send>>;

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
    check.at_most("causes", "causes", causes.len(), MAX_CAUSES);
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

struct Follower {
    seat: Arc<Seat>,
    leading: Arc<Leading>,
    filter: HistoryFilter,
    position: u64,
    news: watch::Receiver<u64>,
    is_over: bool,
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
    let follower = Follower { seat, leading, filter, position, news, is_over: false };
    Ok(Box::pin(stream::unfold(follower, |mut follower| async move {
        let item = follower.next().await?;
        Some((item, follower))
    })))
}

impl Follower {
    async fn next(&mut self) -> Option<Result<v1::WatchTransitionsResponse, Status>> {
        if self.is_over {
            return None;
        }
        let over = self.leading.over.clone();
        let item = tokio::select! {
            biased;
            () = over.cancelled() => Err(ended(&self.seat)),
            item = self.follow() => item.map_err(to_status),
        };
        // What it knows may be older than what another server has told meanwhile.
        let holds = self.leading.holds(self.leading.engine.now());
        let item = if holds { item } else { Err(ended(&self.seat)) };
        self.is_over = item.is_err();
        Some(item)
    }

    /// Waits for transitions that pass the filter, or for the time to give a sign of life.
    async fn follow(&mut self) -> Result<v1::WatchTransitionsResponse, EngineError> {
        let mut beat = pin!(sleep(HEARTBEAT));
        loop {
            self.news.borrow_and_update();
            let records = self.leading.engine.transitions_after(self.position, CHUNK).await?;
            self.position = records.last().map_or(self.position, |last| last.id);
            let selected = records.iter().filter(|record| self.filter.matches(record));
            let transitions: Vec<_> =
                selected.map(|record| transition_to_message(record)).collect();
            let position = self.position;
            if !transitions.is_empty() {
                return Ok(v1::WatchTransitionsResponse { transitions, position });
            }
            tokio::select! {
                biased;
                () = &mut beat => {
                    return Ok(v1::WatchTransitionsResponse { transitions, position });
                }
                // There can be more.
                () = ready(()), if !records.is_empty() => {}
                _ = self.news.changed() => {}
            }
        }
    }
}
