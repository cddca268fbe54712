//! What `top` shows, and what keys and news make of it. Nothing here touches a terminal, a server
//! or a clock.

mod keys;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use breaker_proto::v1;
use jiff::Timestamp;

use super::change::{self, Dialog};
use super::filter::Filter;
use super::fleet::{Fleet, Order};
use super::input::Input;
use super::news::{News, Told};

/// Lines above the list: two of totals, one of rates, one of order and filter, and the titles.
pub(super) const LINES_ABOVE: u16 = 5;
/// The line of keys and messages.
pub(super) const LINES_BELOW: u16 = 1;
/// Most breakers that are asked for at once; the server takes no more.
const MAX_WANTED: usize = 1_000;

/// All that is shown.
#[derive(Debug)]
pub(super) struct App {
    pub(super) fleet: Fleet,
    pub(super) filter: Filter,
    pub(super) order: Order,
    pub(super) reversed: bool,
    pub(super) link: Link,
    /// As the server last told.
    pub(super) dashboard: Option<Box<v1::GetDashboardResponse>>,
    /// Whether the server, an older one, cannot tell it.
    pub(super) is_untold: bool,
    /// The page of one breaker, over the list.
    pub(super) details: Option<Details>,
    pub(super) overlay: Option<Overlay>,
    pub(super) message: Option<Message>,
    /// Those that pass the filter, in order.
    listed: Vec<Arc<str>>,
    /// Whether `listed` is not up to date.
    is_stale: bool,
    selected: Option<Arc<str>>,
    /// Whether a key has chosen it; otherwise it is the first, whichever that is.
    is_chosen: bool,
    /// The first of the list on the screen.
    offset: usize,
    /// How many of the list fit on the screen.
    rows: usize,
    /// Where the round through all breakers goes on, while the order needs their measures.
    round: usize,
    /// What the server's clock is ahead of this machine's, in nanoseconds.
    ahead: i128,
}

/// The stream from the server.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Link {
    /// There was none yet; what the last attempt failed with.
    Connecting(Option<String>),
    /// From the server at this address.
    Live(String),
    /// Cut at this time, for this reason.
    Lost(Timestamp, String),
}

/// One breaker, as it was last told.
#[derive(Debug)]
pub(super) struct Details {
    pub(super) name: Arc<str>,
    pub(super) told: Option<Box<Told>>,
    pub(super) error: Option<String>,
    /// The first line on the screen.
    pub(super) scroll: u16,
}

/// What takes the keys for itself.
#[derive(Debug)]
pub(super) enum Overlay {
    Help,
    Filter(Input),
    Change(Box<Dialog>),
}

/// What is said in the last line until the next key.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Message {
    Good(String),
    Bad(String),
}

/// What has to be done outside.
#[derive(Debug, PartialEq)]
pub(super) enum Effect {
    Nothing,
    Quit,
    Make(change::Order),
}

/// What the server is to be asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Wanted {
    /// Breakers whose measures are shown, or needed for the order.
    pub(super) measures: Vec<String>,
    /// The breaker whose page is shown.
    pub(super) details: Option<String>,
}

impl App {
    pub(super) fn new(filter: Filter) -> Self {
        Self {
            fleet: Fleet::default(),
            filter,
            order: Order::default(),
            reversed: false,
            link: Link::Connecting(None),
            dashboard: None,
            is_untold: false,
            details: None,
            overlay: None,
            message: None,
            listed: Vec::new(),
            is_stale: true,
            selected: None,
            is_chosen: false,
            offset: 0,
            rows: 1,
            round: 0,
            ahead: 0,
        }
    }

    /// Takes what the server told at this time of this machine's clock.
    pub(super) fn take(&mut self, news: News, now: Timestamp) {
        match news {
            News::Connected(address) => self.link = Link::Live(address),
            News::Cut(why) => match &mut self.link {
                Link::Connecting(before) => *before = Some(why),
                Link::Live(_) => self.link = Link::Lost(now, why),
                Link::Lost(_, before) => *before = why,
            },
            News::Watched(answer) => {
                if let Some(time) = &answer.server_time {
                    self.ahead = nanos_of(time) - now.as_nanosecond();
                }
                self.fleet.take(*answer);
                self.is_stale = true;
            }
            News::Measured(breakers) => {
                self.fleet.measure(breakers, now);
                self.round = self.round.wrapping_add(MAX_WANTED);
                self.is_stale = true;
            }
            News::Dashboard(dashboard) => {
                self.is_untold = dashboard.is_none();
                self.dashboard = dashboard;
            }
            News::Details(name, told) => {
                if let Some(details) = self.details.as_mut().filter(|shown| *shown.name == *name) {
                    match told {
                        Ok(told) => (details.told, details.error) = (Some(told), None),
                        Err(error) => details.error = Some(error),
                    }
                }
            }
            News::Changed(Ok(text)) => self.message = Some(Message::Good(text)),
            News::Changed(Err(text)) => self.message = Some(Message::Bad(text)),
        }
    }

    /// Brings the list up to date, for a screen of this height.
    pub(super) fn fit(&mut self, height: u16) {
        self.rows = usize::from(height.saturating_sub(LINES_ABOVE + LINES_BELOW)).max(1);
        if self.is_stale {
            self.listed = self.fleet.listed(&self.filter, self.order, self.reversed);
            self.is_stale = false;
        }
        let at = if self.is_chosen { self.selected_at() } else { 0 };
        self.select(at);
    }

    /// What has to be asked for, for what is shown.
    pub(super) fn wanted(&self) -> Wanted {
        let mut measures: Vec<_> = self.visible().iter().map(|name| name.to_string()).collect();
        if self.order.is_measured() && !self.listed.is_empty() {
            let rest = MAX_WANTED.saturating_sub(measures.len()).min(self.listed.len());
            let begin = self.round % self.listed.len();
            let shown: HashSet<_> = self.visible().iter().collect();
            let round = self.listed.iter().cycle().skip(begin).take(rest);
            let others = round.filter(|name| !shown.contains(name));
            measures.extend(others.map(|name| name.to_string()));
        }
        let details = self.details.as_ref().map(|details| details.name.to_string());
        Wanted { measures, details }
    }

    /// Those of the list that are on the screen.
    pub(super) fn visible(&self) -> &[Arc<str>] {
        let begin = self.offset.min(self.listed.len());
        let end = (begin + self.rows).min(self.listed.len());
        &self.listed[begin..end]
    }

    pub(super) fn is_selected(&self, name: &str) -> bool {
        self.selected.as_deref() == Some(name)
    }

    /// How many are listed, and the place of the selected one from 1; 0 if there is none.
    pub(super) fn place(&self) -> (usize, usize) {
        let place = if self.listed.is_empty() { 0 } else { self.selected_at() + 1 };
        (self.listed.len(), place)
    }

    pub(super) const fn is_live(&self) -> bool {
        matches!(self.link, Link::Live(_))
    }

    /// How long ago this was, by the server's clock.
    pub(super) fn elapsed(&self, since: &prost_types::Timestamp, now: Timestamp) -> Duration {
        positive(now.as_nanosecond() + self.ahead - nanos_of(since))
    }

    /// How long until then, by the server's clock.
    pub(super) fn remaining(&self, until: &prost_types::Timestamp, now: Timestamp) -> Duration {
        positive(nanos_of(until) - now.as_nanosecond() - self.ahead)
    }

    /// The list has other breakers, or another order: it is shown from the top.
    fn relist(&mut self) {
        self.listed = self.fleet.listed(&self.filter, self.order, self.reversed);
        self.is_stale = false;
        self.is_chosen = false;
        self.select(0);
    }

    /// Selects as a key asks for it. At the top the first is meant, whichever that is.
    fn choose(&mut self, at: usize) {
        self.is_chosen = at > 0;
        self.select(at);
    }

    fn selected_at(&self) -> usize {
        let at = self
            .selected
            .as_ref()
            .and_then(|selected| self.listed.iter().position(|name| name == selected));
        // One that is not listed any more leaves its place to the next.
        at.unwrap_or(self.offset)
    }

    /// Selects the one at this place, or the last, and brings it onto the screen.
    fn select(&mut self, at: usize) {
        let last = self.listed.len().saturating_sub(1);
        let at = at.min(last);
        self.selected = self.listed.get(at).cloned();
        let most = (last + 1).saturating_sub(self.rows);
        self.offset = self.offset.clamp((at + 1).saturating_sub(self.rows), at).min(most);
    }
}

fn nanos_of(time: &prost_types::Timestamp) -> i128 {
    i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos)
}

fn positive(nanos: i128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

#[cfg(test)]
mod tests;
