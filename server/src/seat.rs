//! Whether this server leads. Every call asks before it is served.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use breaker_core::Time;
use breaker_engine::{Clock, Engine, Member, Standby, Tenure};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Where the server stands among those that share its database.
pub(crate) struct Seat {
    leading: ArcSwapOption<Leading>,
    /// Who leads while this server does not.
    leader: RwLock<Option<Member>>,
    clock: Arc<dyn Clock>,
    news: watch::Sender<()>,
    /// The server goes down.
    drain: CancellationToken,
}

/// A time for which this server leads.
pub(crate) struct Leading {
    pub(crate) engine: Arc<Engine>,
    /// Cancelled when it leads no more, and when the server goes down.
    pub(crate) over: CancellationToken,
    /// `None` if no other server can ever lead.
    pub(crate) tenure: Option<Arc<SharedTenure>>,
}

/// This server does not lead.
#[derive(Debug)]
pub(crate) struct NotLeading {
    /// Where the one listens that does, if it is known.
    pub(crate) leader: Option<String>,
}

/// A tenure that calls look at, the lease's keeper renews and other servers ask about.
pub(crate) struct SharedTenure {
    tenure: Mutex<Tenure>,
    pub(crate) fence: u64,
    /// Until when this server may believe that it leads, in nanoseconds.
    until: AtomicU64,
}

impl SharedTenure {
    pub(crate) fn new(tenure: Tenure, fence: u64) -> Self {
        let until = AtomicU64::new(nanos(tenure.until()));
        Self { tenure: Mutex::new(tenure), fence, until }
    }

    /// A beat that was sent then has reached the database.
    pub(crate) fn renewed(&self, sent_at: Time, standbys: &[Standby]) {
        self.change(|tenure| tenure.renewed(sent_at, standbys));
    }

    /// Another server asks whether this one leads.
    pub(crate) fn asked_by(&self, id: &str, now: Time) -> bool {
        self.change(|tenure| tenure.asked_by(id, now))
    }

    pub(crate) fn leads(&self, now: Time) -> bool {
        now.as_nanos() < self.until.load(Ordering::Acquire)
    }

    fn change<R>(&self, change: impl FnOnce(&mut Tenure) -> R) -> R {
        let mut tenure = self.tenure.lock();
        let result = change(&mut tenure);
        self.until.store(nanos(tenure.until()), Ordering::Release);
        result
    }
}

fn nanos(until: Option<Time>) -> u64 {
    until.map_or(u64::MAX, Time::as_nanos)
}

impl Leading {
    /// Whether it holds whatever the time is, because no other server can ever lead.
    const fn is_for_good(&self) -> bool {
        self.tenure.is_none()
    }

    /// Whether it still holds.
    pub(crate) fn holds(&self, now: Time) -> bool {
        self.tenure.as_ref().is_none_or(|tenure| tenure.leads(now))
    }
}

impl Seat {
    pub(crate) fn new(clock: Arc<dyn Clock>, drain: CancellationToken) -> Self {
        Self {
            leading: ArcSwapOption::empty(),
            leader: RwLock::default(),
            clock,
            news: watch::Sender::default(),
            drain,
        }
    }

    /// Runs `serve` on the engine, if this server leads.
    pub(crate) fn serve<R>(&self, serve: impl FnOnce(&Engine) -> R) -> Result<R, NotLeading> {
        let leading = self.leading.load();
        match &*leading {
            Some(leading) if leading.is_for_good() || leading.holds(self.clock.now()) => {
                Ok(serve(&leading.engine))
            }
            _ => Err(self.not_leading()),
        }
    }

    /// The time for which this server leads, for calls and streams that take longer.
    pub(crate) fn leading(&self) -> Result<Arc<Leading>, NotLeading> {
        self.leading
            .load_full()
            .filter(|leading| leading.holds(self.clock.now()))
            .ok_or_else(|| self.not_leading())
    }

    /// The engine, if this server leads.
    pub(crate) fn engine(&self) -> Result<Arc<Engine>, NotLeading> {
        self.leading().map(|leading| Arc::clone(&leading.engine))
    }

    pub(crate) fn not_leading(&self) -> NotLeading {
        let leader = self.leader.read().as_ref().map(|leader| leader.address.clone());
        NotLeading { leader }
    }

    /// Whether calls are served.
    pub(crate) fn is_serving(&self) -> bool {
        !self.is_draining() && self.leading().is_ok()
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// Cancelled when the server goes down.
    pub(crate) const fn drain(&self) -> &CancellationToken {
        &self.drain
    }

    /// Answers another server that asks whether this one leads.
    pub(crate) fn asked_by(&self, id: &str, fence: u64) -> bool {
        let leading = self.leading.load();
        let tenure = leading.as_ref().and_then(|leading| leading.tenure.as_ref());
        tenure.is_some_and(|t| t.fence == fence && t.asked_by(id, self.clock.now()))
    }

    /// This server leads from now on.
    pub(crate) fn lead(&self, leading: Leading) {
        self.leading.store(Some(Arc::new(leading)));
        *self.leader.write() = None;
        self.news.send_replace(());
    }

    /// This server leads no more, or somebody else does.
    pub(crate) fn stand_by(&self, leader: Option<Member>) {
        let is_news = self.leading.load().is_some() || *self.leader.read() != leader;
        *self.leader.write() = leader;
        if let Some(leading) = self.leading.swap(None) {
            leading.over.cancel();
        }
        if is_news {
            self.news.send_replace(());
        }
    }

    /// Tells whenever the role has changed.
    pub(crate) fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }
}
