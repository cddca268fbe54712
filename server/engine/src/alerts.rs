//! Alerts: what people should hear of, from the transitions that everybody else hears of too, and from
//! time.
//!
//! One task takes in what has happened, and wakes up when a rule has to look again. It goes to the
//! breakers that something has happened to, and to no others. What it finds is kept in a book that
//! readers follow by revision, as watchers do with breakers, and that the writer brings to storage.

mod book;
mod followed;
mod kept;
mod receivers;
mod row;
mod told;

use std::sync::Arc;

use breaker_core::{BreakerName, Time};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use self::book::{Book, Seen};
use self::followed::Found;
use self::receivers::Receivers;
use crate::damage::StoredAlerts;
use crate::defaults::Defaults;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::live::Live;
use crate::selectors::Selector;
use crate::store::Batch;

pub(crate) use self::book::StorageRule;
pub use self::kept::{MAX_ALERTS, MAX_FIRING};
pub use self::row::{Acknowledgement, AlertRow, AlertRule, Severity};

/// Transitions, breakers and reports that are taken in before others have their turn.
const TURN: usize = 256;

/// The alerts of one server.
pub(crate) struct Alerts {
    book: Mutex<Book>,
    receivers: Mutex<Receivers>,
    /// The revision of the last change.
    latest: watch::Sender<u64>,
    /// Rules or breakers are others.
    stirred: Notify,
    /// What has been transitioned up to here is taken in.
    begins_after: u64,
    /// The revision of the last change that was stored before.
    loaded: u64,
}

/// Which alerts to show.
#[derive(Clone, Debug, Default)]
pub struct AlertFilter {
    /// Only those about breakers that match.
    pub selector: Option<Selector>,
    /// Only those that fire, or that do not.
    pub is_firing: Option<bool>,
    /// Only those that are so bad or worse.
    pub min_severity: Option<Severity>,
    /// Only those of these rules; empty for all.
    pub rules: Vec<AlertRule>,
}

/// How many alerts there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlertCounts {
    /// By severity, from MEDIUM.
    pub by_severity: [u32; 3],
    /// How many of all fire.
    pub firing: u32,
}

impl AlertFilter {
    /// Whether an alert is to be shown.
    pub fn selects(&self, row: &AlertRow) -> bool {
        let is_matched = |selector: &Selector| {
            row.breaker.as_ref().is_some_and(|breaker| selector.matches(breaker))
        };
        self.selector.as_ref().is_none_or(is_matched)
            && self.is_firing.is_none_or(|is_firing| row.is_firing() == is_firing)
            && self.min_severity.is_none_or(|least| row.severity >= least)
            && (self.rules.is_empty() || self.rules.contains(&row.rule))
    }
}

impl Alerts {
    /// Goes on with what was stored. Ids and revisions lie above `first_number`; transitions count
    /// that come after `begins_after`.
    pub(crate) fn new(
        stored: StoredAlerts,
        first_number: u64,
        storage_rule: StorageRule,
        begins_after: u64,
    ) -> Self {
        let book = Book::new(stored.rows, first_number, storage_rule);
        let loaded = book.kept.latest();
        Self {
            receivers: Mutex::new(Receivers::new(stored.receivers, loaded)),
            latest: watch::Sender::new(loaded),
            book: Mutex::new(book),
            stirred: Notify::new(),
            begins_after,
            loaded,
        }
    }

    /// Rules or breakers are others: looks at all that is followed.
    pub(crate) fn look_again(&self) {
        self.stirred.notify_one();
    }

    /// Adds what storage does not know to a batch.
    pub(crate) fn gather(&self, batch: &mut Batch) {
        self.book.lock().kept.gather(batch);
        self.receivers.lock().gather(batch);
    }

    /// Notes that a batch is on disk.
    pub(crate) fn settle(&self, batch: &Batch) {
        if !batch.alerts.is_empty() || !batch.alert_deletions.is_empty() {
            self.book.lock().kept.settle(batch);
        }
        self.receivers.lock().settle(batch);
    }

    /// A breaker is gone. There can be another one of its name already.
    pub(crate) fn forget(&self, engine: &Engine, name: &BreakerName) {
        let defaults = engine.policies().defaults();
        let other = |_: &BreakerName, live: &mut Live| (live.found(), live.seen(defaults));
        let other = engine.breakers().with(name.as_str(), other);
        self.change(engine, |book| {
            let now = engine.now();
            book.forget(name, now);
            if let Some((found, seen)) = other.filter(|(found, _)| !found.is_well()) {
                book.find(name, &found, None, &seen, now);
            }
        });
    }

    fn change<R>(&self, engine: &Engine, change: impl FnOnce(&mut Book) -> R) -> R {
        let mut book = self.book.lock();
        let result = change(&mut book);
        let (latest, is_unwritten) = (book.kept.latest(), book.kept.is_unwritten());
        drop(book);
        let is_news = self.latest.send_if_modified(|known| {
            let is_news = latest > *known;
            *known = latest.max(*known);
            is_news
        });
        if is_news && is_unwritten {
            engine.desk().hurry();
        }
        result
    }
}

impl Engine {
    /// A page of alerts that changed before a revision, the last first, and whether there are more.
    pub fn list_alerts(
        &self,
        filter: &AlertFilter,
        before: u64,
        limit: usize,
    ) -> (Vec<Arc<AlertRow>>, bool) {
        let book = self.alerts().book.lock();
        let selected = book.kept.before(before).filter(|row| filter.selects(row));
        let mut rows: Vec<_> = selected.take(limit + 1).cloned().collect();
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        (rows, has_more)
    }

    /// The alerts that changed after a revision, in order of their revisions; `limit` at most.
    pub fn alerts_after(&self, revision: u64, limit: usize) -> Vec<Arc<AlertRow>> {
        self.alerts().book.lock().kept.after(revision).take(limit).cloned().collect()
    }

    /// The revision of the last change of any alert, as it changes.
    pub fn alert_signal(&self) -> watch::Receiver<u64> {
        self.alerts().latest.subscribe()
    }

    /// The revision of the last change that was made before the server led. Whatever changed after it
    /// is news, be it only that an alert was over when the breakers were loaded.
    pub const fn alerts_known_before(&self) -> u64 {
        self.alerts().loaded
    }

    /// The revision of the last change that a receiver of alerts knows, or that was given up. Of one
    /// that nothing is known of it is noted that it knows everything from before the server led.
    pub fn alerts_told(&self, receiver: &str) -> u64 {
        self.alerts().receivers.lock().told(receiver, self.alerts().loaded)
    }

    /// Notes that a receiver knows of all changes up to this revision. It is on disk soon.
    pub fn note_alerts_told(&self, receiver: &str, revision: u64) {
        self.alerts().receivers.lock().note(receiver, revision);
    }

    /// How many alerts pass the filter that fire, or began at this time or later.
    pub fn alert_counts(&self, filter: &AlertFilter, since: Time) -> AlertCounts {
        let mut counts = AlertCounts::default();
        let book = self.alerts().book.lock();
        for row in book.kept.before(u64::MAX).filter(|row| filter.selects(row)) {
            if row.is_firing() || row.started_at >= since {
                counts.by_severity[row.severity as usize] += 1;
                counts.firing += u32::from(row.is_firing());
            }
        }
        counts
    }

    /// How many alerts were raised while too many fired, and are told nobody.
    pub fn suppressed_alerts(&self) -> u64 {
        self.alerts().book.lock().kept.suppressed()
    }

    /// Notes that somebody has seen an alert.
    ///
    /// # Errors
    /// If it is not kept.
    pub fn acknowledge_alert(
        &self,
        id: u64,
        actor: String,
        comment: String,
    ) -> Result<Arc<AlertRow>, EngineError> {
        let seen = Acknowledgement { actor, comment, at: self.now() };
        self.alerts()
            .change(self, |book| book.kept.acknowledge(id, seen))
            .ok_or(EngineError::UnknownAlert(id))
    }
}

impl Live {
    /// The breaker as it is.
    fn found(&self) -> Found {
        Found {
            state: self.breaker.state(),
            mode: self.breaker.mode(),
            since: self.breaker.since(),
            forced_at: self.breaker.override_in_force().map(|set| set.set_at),
        }
    }

    /// What the rules know of it.
    fn seen(&self, defaults: &Defaults) -> Seen {
        Seen { rules: *self.alert_rules(defaults), reported_at: self.last_report_at() }
    }
}

/// Takes in the breakers as they are: those that are not well, those that are followed and those that
/// something fires about.
pub(crate) fn find_all(engine: &Engine) {
    let (mut known, outages) = {
        let book = engine.alerts().book.lock();
        (book.names(), book.kept.outages())
    };
    let mut all = Vec::new();
    engine.breakers().for_each(|name, live| {
        let found = live.found();
        if known.remove(name) || !found.is_well() {
            all.push((name.clone(), found, live.seen(engine.policies().defaults())));
        }
    });
    engine.alerts().change(engine, |book| {
        let now = engine.now();
        for (name, found, seen) in all {
            book.find(&name, &found, outages.get(&name).copied(), &seen, now);
        }
        for gone in &known {
            book.forget(gone, now);
        }
    });
}

/// Follows what happens, for ever.
pub(crate) async fn run(engine: Arc<Engine>) {
    let mut position = engine.alerts().begins_after;
    let mut transitions = engine.transition_signal();
    let mut storage = engine.storage_status();
    loop {
        transitions.borrow_and_update();
        position = take_transitions(&engine, position).await;
        // Those that were reported and whose rules ask for that, and those whose time has come.
        look_at_each(&engine, || engine.signals().reported.pop()).await;
        look_at_each(&engine, || engine.alerts().book.lock().pop_due(engine.now())).await;
        let failing = storage.borrow_and_update().failing.clone();
        let failing = failing.map(|failing| (failing.since, failing.error));
        engine.alerts().change(&engine, |book| book.storage(failing, engine.now()));
        let next = engine.alerts().book.lock().next_deadline();
        let sleep = async {
            match next {
                Some(time) => engine.clock().sleep_until(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = sleep => {}
            // The sender lives as long as the engine.
            _ = transitions.changed() => {}
            _ = storage.changed() => {}
            () = engine.signals().reported.filled() => {}
            () = engine.alerts().stirred.notified() => {
                let mut all = engine.alerts().book.lock().names().into_iter();
                look_at_each(&engine, || all.next()).await;
            }
        }
    }
}

/// Takes in the transitions after a position; returns the new one.
async fn take_transitions(engine: &Arc<Engine>, mut position: u64) -> u64 {
    loop {
        let records = match engine.transitions_after(position, TURN).await {
            Ok(records) => records,
            Err(error) => {
                // So far behind that the history is not kept, or is in a database that is away. What
                // fires is looked at anew, from the breakers as they are.
                tracing::warn!(%error, "alerts have missed transitions");
                position = engine.latest_transition();
                find_all(engine);
                return position;
            }
        };
        let Some(last) = records.last() else { return position };
        position = last.id;
        let now = engine.now();
        for record in records {
            let seen = see(engine, &record.breaker);
            engine.alerts().change(engine, |book| match seen {
                Some(seen) => book.take(&record.breaker, &record.transition, &seen, now),
                None => book.forget(&record.breaker, now),
            });
        }
        tokio::task::yield_now().await;
    }
}

/// Looks at breakers for as long as there is a next one.
async fn look_at_each(engine: &Arc<Engine>, mut next: impl FnMut() -> Option<BreakerName>) {
    let mut looked_at = 0;
    while let Some(name) = next() {
        look_at(engine, &name);
        looked_at += 1;
        if looked_at % TURN == 0 {
            tokio::task::yield_now().await;
        }
    }
}

fn look_at(engine: &Arc<Engine>, name: &BreakerName) {
    let now = engine.now();
    let seen = see(engine, name);
    let is_awaited = engine.alerts().change(engine, |book| match seen {
        None => {
            book.forget(name, now);
            false
        }
        Some(seen) => {
            book.look_at(name, &seen, now);
            seen.rules.reporters_lost.is_none() || book.is_lost(name)
        }
    });
    if is_awaited {
        // The next report is to be told, which those before it need not be.
        engine.breakers().with(name.as_str(), |_, live| live.marks.is_report_told = false);
    }
}

/// What is known of a breaker; `None` if there is none of this name.
fn see(engine: &Engine, name: &BreakerName) -> Option<Seen> {
    engine.breakers().with(name.as_str(), |_, live| live.seen(engine.policies().defaults()))
}

#[cfg(test)]
mod tests;
