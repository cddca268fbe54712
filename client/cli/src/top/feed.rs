//! What keeps `top` up to date: tasks that ask the servers and send what they are told.

use std::time::Duration;

use breaker_proto::v1;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tonic::{Code, Status, Streaming};

use super::app::Wanted;
use super::change::{Action, Order};
use super::news::{News, Told};
use crate::change::Change;
use crate::connection::Connection;
use crate::error::Error;
use crate::stream::{Pace, read};
use crate::words::printable;

/// How often it is asked how the fleet is doing.
const INTERVAL: Duration = Duration::from_secs(1);
/// Measures and details are asked for so many times more rarely.
const MEASURED_EVERY: u32 = 2;
/// A server that cannot tell something is asked again after so many turns: it may be a newer one.
const UNKNOWN_EVERY: u32 = 30;
/// How many transitions the page of a breaker shows.
const TRANSITIONS: u32 = 20;

pub(super) type Sender = mpsc::Sender<News>;

/// Follows the states of all breakers. Comes back with what trying again does not mend, or when
/// nobody listens any more.
pub(super) async fn follow(connection: Connection, news: Sender) -> Result<(), Error> {
    follow_while_heard(&connection, &news).await.map_or(Ok(()), Err)
}

/// Why nothing is followed any more; `None` if nobody listens.
async fn follow_while_heard(connection: &Connection, news: &Sender) -> Option<Error> {
    let mut pace = Pace::default();
    let mut resume_token = Vec::new();
    loop {
        let cut = match open(connection, resume_token.clone()).await {
            Ok((address, mut stream)) => {
                news.send(News::Connected(address)).await.ok()?;
                let take = async |answer: v1::WatchResponse| {
                    if !answer.resume_token.is_empty() {
                        resume_token.clone_from(&answer.resume_token);
                    }
                    news.send(News::Watched(Box::new(answer))).await.map_err(|_| None)
                };
                match read::<_, Option<Error>>(&mut stream, &mut pace, take).await {
                    Ok(cut) => cut,
                    Err(why) => return why,
                }
            }
            Err(error) if error.is_transient() => Status::unavailable(error.to_string()),
            Err(error) => return Some(error),
        };
        if cut.code() == Code::OutOfRange {
            resume_token.clear();
        }
        let why = printable(cut.message()).into_owned();
        news.send(News::Cut(why)).await.ok()?;
        pace.wait(connection.stream_was_cut(&cut)).await;
    }
}

async fn open(
    connection: &Connection,
    resume_token: Vec<u8>,
) -> Result<(String, Streaming<v1::WatchResponse>), Error> {
    let leader = connection.leader().await?;
    let request = v1::WatchRequest { selectors: Vec::new(), resume_token };
    let stream = timeout(connection.timeout(), leader.service().watch(request))
        .await
        .unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")))
        .map_err(|status| Error::from_status(leader.address(), status))?;
    Ok((leader.address().to_string(), stream.into_inner()))
}

/// Asks again and again for what is shown, until nobody listens any more. What fails is asked for
/// again at the next turn; that the server is away is told by the stream.
pub(super) async fn poll(
    connection: Connection,
    mut wanted: watch::Receiver<Wanted>,
    news: Sender,
) -> Result<(), Error> {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut poller = Poller { connection, news, shown: None, unknown_until: 0 };
    let mut turn = 0_u32;
    loop {
        tokio::select! {
            _ = ticks.tick() => turn = turn.wrapping_add(1),
            changed = wanted.changed() => if changed.is_err() { return Ok(()) },
        }
        let now = wanted.borrow_and_update().clone();
        if poller.turn(turn, now).await.is_none() {
            return Ok(());
        }
    }
}

struct Poller {
    connection: Connection,
    news: Sender,
    /// At which turn what was last asked for.
    shown: Option<(u32, Wanted)>,
    /// Until which turn it is not asked how the fleet is doing.
    unknown_until: u32,
}

impl Poller {
    /// `None` when nobody listens any more.
    async fn turn(&mut self, turn: u32, wanted: Wanted) -> Option<()> {
        let (asked_at, asked) = self.shown.take().unwrap_or_default();
        let is_new_turn = turn != asked_at;
        if is_new_turn && turn >= self.unknown_until {
            self.dashboard(turn).await?;
        }
        let is_due = is_new_turn && turn.is_multiple_of(MEASURED_EVERY);
        if let Some(name) = &wanted.details
            && (is_due || asked.details != wanted.details)
        {
            let told = self.details(name).await.map_err(|error| error.to_string());
            self.news.send(News::Details(name.clone(), told)).await.ok()?;
        }
        if !wanted.measures.is_empty() && (is_due || asked.measures.is_empty()) {
            self.measures(wanted.measures.clone()).await?;
        }
        self.shown = Some((turn, wanted));
        Some(())
    }

    async fn dashboard(&mut self, turn: u32) -> Option<()> {
        let request = v1::GetDashboardRequest { namespace: String::new(), limit: 1 };
        let answer = self
            .connection
            .monitor(&request, async |mut monitor, request| monitor.get_dashboard(request).await)
            .await;
        let told = match answer {
            Ok(answer) => Some(Box::new(answer)),
            Err(error) if is_unknown(&error) => {
                self.unknown_until = turn.saturating_add(UNKNOWN_EVERY);
                None
            }
            Err(_) => return Some(()),
        };
        self.news.send(News::Dashboard(told)).await.ok()
    }

    async fn measures(&self, names: Vec<String>) -> Option<()> {
        let view = v1::BreakerView::Basic as i32;
        let request = v1::BatchGetBreakersRequest { names, view };
        let answer = self
            .connection
            .admin(&request, async |mut admin, request| admin.batch_get_breakers(request).await)
            .await;
        match answer {
            Ok(answer) => self.news.send(News::Measured(answer.breakers)).await.ok(),
            Err(_) => Some(()),
        }
    }

    async fn details(&self, name: &str) -> Result<Box<Told>, Error> {
        let request = v1::GetBreakerRequest { name: name.to_owned() };
        let breaker = self
            .connection
            .admin(&request, async |mut admin, request| admin.get_breaker(request).await)
            .await?
            .breaker
            .ok_or(Error::Incomplete("breaker"))?;
        let request = v1::ListTransitionsRequest {
            selector: name.to_owned(),
            page_size: TRANSITIONS,
            ..Default::default()
        };
        let transitions = self
            .connection
            .admin(&request, async |mut admin, request| admin.list_transitions(request).await)
            .await?
            .transitions;
        let request = v1::GetBreakerActivityRequest { name: name.to_owned() };
        let activity = self
            .connection
            .monitor(&request, async |mut monitor, request| {
                monitor.get_breaker_activity(request).await
            })
            .await;
        let activity = match activity {
            Ok(activity) => Some(activity),
            Err(error) if is_unknown(&error) => None,
            Err(error) => return Err(error),
        };
        Ok(Box::new(Told { breaker, transitions, activity }))
    }
}

fn is_unknown(error: &Error) -> bool {
    matches!(error, Error::Refused(status) if status.code() == Code::Unimplemented)
}

/// Makes a change, of each breaker in turn, and says how that went.
pub(super) async fn make(
    connection: Connection,
    order: Order,
    actor: String,
    news: Sender,
) -> Result<(), Error> {
    let (action, target) = (order.action.word(), order.target.text());
    let selectors = order.target.selectors();
    let (mut reached, mut durable) = (0_u64, true);
    let mut failure = None;
    for selector in &selectors {
        match change(&order, selector, &actor).make(&connection).await {
            Ok(result) => {
                let result = result.unwrap_or_default();
                reached += u64::from(result.matched_count);
                durable &= result.durable;
            }
            // Of several, one may have gone since.
            Err(Error::NotFound(_)) if selectors.len() > 1 => {}
            Err(error) => {
                failure = Some(error.to_string());
                break;
            }
        }
    }
    let text = match (&failure, reached) {
        (Some(error), 0) => format!("{action} {target}: {error}"),
        (Some(error), _) => format!("{action} {target}: only {reached} are changed: {error}"),
        (None, 1) => format!("{action} {target}: done"),
        (None, _) => format!("{action} {target}: done, {reached} breakers"),
    };
    let late = if failure.is_none() && !durable {
        "; to be written when the database is back"
    } else {
        ""
    };
    let text = printable(&format!("{text}{late}")).into_owned();
    let told = if failure.is_some() { Err(text) } else { Ok(text) };
    // Nobody may be listening any more.
    let _ = news.send(News::Changed(told)).await;
    Ok(())
}

fn change(order: &Order, selector: &str, actor: &str) -> Change {
    let target = Some(v1::ChangeTarget {
        selector: selector.to_owned(),
        actor: actor.to_owned(),
        reason: order.reason.clone(),
        require_durable: false,
    });
    let time_to_live = order.time_to_live.map(breaker_wire::duration_to_message);
    match order.action {
        Action::ForceOpen => Change::ForceOpen(v1::ForceOpenRequest { target, time_to_live }),
        Action::ForceClose => Change::ForceClose(v1::ForceCloseRequest { target, time_to_live }),
        Action::Release => Change::Release(v1::ReleaseRequest { target }),
        Action::Trip => Change::Trip(v1::TripRequest { target }),
        Action::Reset => Change::Reset(v1::ResetRequest { target }),
    }
}

#[cfg(test)]
mod tests;
