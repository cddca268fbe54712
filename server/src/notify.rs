//! Tells receivers of alerts: webhooks, Slack, an Alertmanager.
//!
//! One task follows the alerts and puts what has happened into the queue of each receiver that wants
//! to hear of it; one task for each receiver empties its queue. So a receiver that is slow or dead
//! keeps nobody waiting but itself. What does not fit into its queue, and what it did not take for an
//! hour, is counted and logged as dropped.
//!
//! A server tells of alerts while it leads. How far each receiver was told is stored, so that what one
//! server did not get to, the next one tells before anything else: of each alert its last change. What
//! was under way may be told twice then, by the same key. A receiver that was not there before is told
//! of what changes from then on.

mod body;
mod delivery;
mod feed;
mod ledger;
mod receiver;
mod signature;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fmt, io};

use async_trait::async_trait;
use breaker_core::Time;
use breaker_engine::Clock;
use breaker_proto::v1;
use breaker_wire::time_from_message;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::delivery::{Courier, Http};

pub(crate) use self::feed::EngineFeed;
pub(crate) use self::ledger::{Dropped, Ledger};
pub(crate) use self::receiver::{Receiver, ReceiverError, ReceiverSettings};

/// Notices that wait for one receiver; any more are dropped.
const QUEUE: usize = 1_000;
/// How long receivers may take for what is queued when the server goes down. Whoever leads next waits
/// for it, and tells the rest.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Where alerts come from.
#[async_trait]
pub(crate) trait Feed: Send + Sync + 'static {
    /// The revision of the last change that was made before this server led.
    fn head(&self) -> u64;

    /// The revision of the last change that is no news to a receiver. One that is new knows the head.
    fn told(&self, receiver: &str) -> u64;

    /// Notes that nothing up to a revision is news to a receiver any more.
    fn note_told(&self, receiver: &str, revision: u64);

    /// Waits for alerts that changed after a revision; in order of their revisions.
    async fn changed_after(&self, revision: u64) -> Vec<v1::Alert>;

    /// Those that fire and changed before a revision, at most `limit`, the last change first.
    fn firing(&self, before: u64, limit: usize) -> Vec<v1::Alert>;
}

/// What has happened to an alert that is worth telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    /// It fires.
    Fired,
    /// It still fires, for the so-manieth time that this is told.
    Repeated(u32),
    /// It is over.
    Resolved,
}

/// One thing to tell.
#[derive(Clone, Debug)]
pub(crate) struct Notice {
    pub(crate) alert: v1::Alert,
    pub(crate) event: Event,
    pub(crate) at: Time,
}

/// Those who are told of alerts, and what became of it. Lives as long as the server.
#[derive(Clone)]
pub(crate) struct Notifier {
    recipients: Arc<[Recipient]>,
    /// None where there is nobody to tell.
    http: Option<Http>,
    clock: Arc<dyn Clock>,
}

/// A receiver, and what became of what it was to be told.
#[derive(Clone)]
struct Recipient {
    receiver: Arc<Receiver>,
    ledger: Arc<Ledger>,
}

/// The way to one of them.
struct Line {
    to: Recipient,
    queue: mpsc::Sender<Notice>,
    /// Everything from before this server led was told.
    is_caught_up: Arc<AtomicBool>,
}

impl Event {
    /// What the last change of an alert was. `None` if somebody has seen it: of one that is not over
    /// nothing more is told then, and that one is over was told before.
    fn of(alert: &v1::Alert) -> Option<Self> {
        let seen_at = alert.acknowledgement.as_ref().and_then(|seen| seen.time);
        let moment = |time: prost_types::Timestamp| (time.seconds, time.nanos);
        match alert.state() {
            v1::AlertState::Resolved => {
                let was_over = |seen_at| alert.end_time.is_some_and(|end| seen_at > moment(end));
                (!seen_at.map(moment).is_some_and(was_over)).then_some(Self::Resolved)
            }
            _ => Self::of_firing(alert),
        }
    }

    /// What an alert tells of which nobody was told since its last changes, whichever they were.
    fn after_an_absence(alert: &v1::Alert) -> Option<Self> {
        match alert.state() {
            v1::AlertState::Resolved => Some(Self::Resolved),
            _ => Self::of_firing(alert),
        }
    }

    fn of_firing(alert: &v1::Alert) -> Option<Self> {
        match alert.repeat_count {
            _ if alert.acknowledgement.is_some() => None,
            0 => Some(Self::Fired),
            count => Some(Self::Repeated(count)),
        }
    }

    /// The word that receivers get.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Fired => "fired",
            Self::Repeated(_) => "repeated",
            Self::Resolved => "resolved",
        }
    }
}

impl Notice {
    /// What has just happened to an alert, if it is worth telling.
    fn of(alert: v1::Alert, now: Time) -> Option<Self> {
        Event::of(&alert).map(|event| Self { alert, event, at: now })
    }

    /// What has happened to an alert while nobody told of it. What fires is worth telling however long
    /// that was; what is over lies back as long as it is.
    fn after_an_absence(alert: v1::Alert, now: Time) -> Option<Self> {
        let event = Event::after_an_absence(&alert)?;
        let over_at = alert.end_time.filter(|_| event == Event::Resolved);
        let at = over_at.map_or(now, |time| time_from_message(&time));
        Some(Self { alert, event, at })
    }

    /// The same for every attempt to tell this, and for nothing else.
    fn key(&self) -> String {
        let id = self.alert.id;
        match self.event {
            Event::Repeated(count) => format!("{id}-repeated-{count}"),
            event => format!("{id}-{}", event.as_str()),
        }
    }
}

impl Notifier {
    /// # Errors
    /// If the certificates that this machine trusts cannot be read.
    pub(crate) fn new(receivers: Vec<Receiver>, clock: Arc<dyn Clock>) -> io::Result<Self> {
        // Without receivers nothing is asked of the machine.
        let http = (!receivers.is_empty()).then(|| delivery::client(&receivers)).transpose()?;
        let recipient =
            |receiver| Recipient { receiver: Arc::new(receiver), ledger: Arc::default() };
        Ok(Self { recipients: receivers.into_iter().map(recipient).collect(), http, clock })
    }

    /// What became of what was to be told, by the names of the receivers.
    pub(crate) fn ledgers(&self) -> impl Iterator<Item = (&str, &Ledger)> {
        self.recipients.iter().map(|to| (to.receiver.name(), &*to.ledger))
    }

    /// Tells of alerts until the lead is over. If it is because the server goes down, `drain`, what is
    /// left is told for a little while; once another server leads, nothing more is.
    pub(crate) async fn run(
        &self,
        feed: Arc<dyn Feed>,
        over: CancellationToken,
        drain: CancellationToken,
    ) {
        let Some(http) = &self.http else { return };
        let mut couriers = JoinSet::new();
        let mut lines = Vec::with_capacity(self.recipients.len());
        for to in self.recipients.iter().cloned() {
            let (queue, notices) = mpsc::channel(QUEUE);
            let is_caught_up = Arc::<AtomicBool>::default();
            let courier = Courier {
                begins_after: feed.told(to.receiver.name()),
                to: to.clone(),
                is_caught_up: Arc::clone(&is_caught_up),
                feed: Arc::clone(&feed),
                http: http.clone(),
                clock: Arc::clone(&self.clock),
            };
            couriers.spawn(courier.run(notices));
            lines.push(Line { to, queue, is_caught_up });
        }
        tokio::select! {
            () = over.cancelled() => {}
            () = self.follow(&*feed, &lines) => {}
        }
        drop(lines);
        if drain.is_cancelled() {
            let ended = async { while couriers.join_next().await.is_some() {} };
            let _ = timeout(LAST_WORDS, ended).await;
        }
        couriers.shutdown().await;
        for (name, ledger) in self.ledgers() {
            let left = ledger.leave_waiting();
            if left > 0 {
                tracing::warn!(
                    receiver = name,
                    left,
                    "the server ends, or leads no more, before the receiver was told of all alerts; \
                     the rest is left to the server that leads next"
                );
            }
        }
    }

    /// Hands out what changes from now on.
    async fn follow(&self, feed: &dyn Feed, lines: &[Line]) {
        let mut position = feed.head();
        loop {
            for alert in feed.changed_after(position).await {
                let revision = alert.revision;
                position = position.max(revision);
                let notice = Notice::of(alert, self.clock.now());
                for line in lines {
                    match notice.as_ref().filter(|notice| line.to.receiver.wants(&notice.alert)) {
                        Some(notice) => line.hand_in(notice),
                        None => line.pass_over(revision, feed),
                    }
                }
            }
        }
    }
}

impl Line {
    fn hand_in(&self, notice: &Notice) {
        let Recipient { receiver, ledger } = &self.to;
        ledger.wait();
        if self.queue.try_send(notice.clone()).is_err() {
            ledger.dropped(Dropped::QueueFull);
            tracing::error!(
                receiver = receiver.name(),
                alert = notice.alert.id,
                breaker = notice.alert.breaker,
                "the receiver is {QUEUE} alerts behind; this one is dropped"
            );
        }
    }

    /// Leaves out a change that the receiver is not to hear of. Where others wait before it, the next
    /// server looks at it once more.
    fn pass_over(&self, revision: u64, feed: &dyn Feed) {
        if self.is_caught_up.load(Ordering::Acquire) && self.to.ledger.waiting() == 0 {
            feed.note_told(self.to.receiver.name(), revision);
        }
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ledgers().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests;
