//! A server's part among those that share a database: it stands by, leads, and stands by again.

use std::sync::Arc;
use std::time::Duration;

use breaker_engine::{
    Candidate, Clock, Engine, EngineError, Lease, Member, Options, SharedDatabase, Store,
    StoreError, TaskFailure, Tasks, Tenure, Term,
};
use breaker_proto::v1::ConfirmLeadRequest;
use breaker_proto::v1::breaker_peer_client::BreakerPeerClient;
use thiserror::Error;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use crate::notify::{EngineFeed, Notifier};
use crate::seat::{Leading, Seat, SharedTenure};

/// The database of a server.
pub(crate) enum Database {
    /// One that no other server can use.
    Sole(Arc<dyn Store>),
    /// One that several servers share.
    Shared {
        database: Arc<dyn SharedDatabase>,
        me: Member,
        /// How long the lead lasts without a beat.
        lease: Duration,
    },
}

/// What a server does from its start to its end.
pub(crate) struct Node {
    pub(crate) seat: Arc<Seat>,
    pub(crate) options: Options,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) stop: CancellationToken,
    /// Tells receivers of alerts while this server leads.
    pub(crate) notifier: Notifier,
    /// Told once it leads, or stands by for the first time.
    pub(crate) ready: Option<oneshot::Sender<()>>,
}

/// Why a node has ended before it was told to.
#[derive(Debug, Error)]
pub enum NodeError {
    /// The breakers cannot be loaded, or not everything could be written at the end.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A task of the engine has ended.
    #[error("the {0} has ended, which it never should; the log says why")]
    Task(&'static str),
}

/// How a lead has ended.
enum End {
    Stopped,
    Superseded,
}

/// The lead as one term has it; none of it where nobody else can lead.
struct Held {
    lease: Arc<dyn Lease>,
    tenure: Arc<SharedTenure>,
    every: Duration,
}

impl Node {
    pub(crate) async fn run(mut self, database: Database) -> Result<(), NodeError> {
        match database {
            Database::Sole(store) => self.lead(store, None).await.map(|_| ()),
            Database::Shared { database, me, lease } => self.share(&*database, &me, lease).await,
        }
    }

    async fn share(
        &mut self,
        database: &dyn SharedDatabase,
        me: &Member,
        lease: Duration,
    ) -> Result<(), NodeError> {
        loop {
            let Some((term, tenure)) = self.stand_by(database, me, lease).await else {
                // The database may be away; the others will see that no more beats come.
                if let Err(error) = within(lease, database.leave()).await {
                    tracing::warn!(%error, "the others could not be told that this server goes");
                }
                return Ok(());
            };
            tracing::info!(fence = term.fence, "this server leads");
            let tenure = Arc::new(SharedTenure::new(tenure, term.fence));
            let held = Held { lease: Arc::clone(&term.lease), tenure, every: lease / 6 };
            match self.lead(term.store, Some(held)).await? {
                End::Stopped => return Ok(()),
                End::Superseded => {
                    tracing::warn!(fence = term.fence, "another server has taken the lead");
                }
            }
        }
    }

    /// Waits until this server may lead; `None` if it is told to stop.
    async fn stand_by(
        &mut self,
        database: &dyn SharedDatabase,
        me: &Member,
        lease: Duration,
    ) -> Option<(Term, Tenure)> {
        let mut candidate = Candidate::new(me.clone(), lease);
        let mut asker = Asker { me: me.clone(), patience: lease / 4, channel: None };
        let mut fails_since = None;
        loop {
            let asked_at = self.clock.now();
            let view = within(lease / 4, database.look()).await;
            match &view {
                Ok(_) => fails_since = None,
                Err(error) if fails_since.is_none() => {
                    tracing::warn!(%error, "standing by, and the database does not answer");
                    fails_since = Some(asked_at);
                }
                Err(_) => {}
            }
            candidate.looked(view.ok(), self.clock.now());
            if let Some(holder) = candidate.to_ask(self.clock.now()).cloned() {
                let leads = asker.ask(&holder, candidate.fence()).await;
                candidate.asked(leads, self.clock.now());
            }
            if let Some(seen) = candidate.to_take(self.clock.now()).cloned() {
                let asked_at = self.clock.now();
                match within(lease / 4, database.take(&seen)).await {
                    Ok(Some(term)) => return Some((term, Tenure::new(lease, asked_at))),
                    Ok(None) => {}
                    Err(error) => tracing::warn!(%error, "the lead cannot be taken"),
                }
            }
            self.seat.stand_by(candidate.leader().cloned());
            if let Some(ready) = self.ready.take() {
                let leader = candidate.leader().map(|leader| leader.address.as_str());
                tracing::info!(leader, "this server stands by");
                let _ = ready.send(());
            }
            tokio::select! {
                () = self.stop.cancelled() => return None,
                () = sleep(lease / 12) => {}
            }
        }
    }

    /// Loads everything and leads until told to stop or superseded.
    async fn lead(&mut self, store: Arc<dyn Store>, held: Option<Held>) -> Result<End, NodeError> {
        // The beats go on while everything is loaded.
        let mut keeper = held.as_ref().map(|held| Keeper::start(held, Arc::clone(&self.clock)));
        let started = tokio::select! {
            started = Engine::start(self.options.clone(), store, Arc::clone(&self.clock)) => started,
            () = superseded(&mut keeper) => return Ok(End::Superseded),
        };
        let (engine, tasks) = match (started, &held) {
            (Ok(started), _) => started,
            (Err(EngineError::Store(error @ StoreError::Unavailable(_))), Some(held)) => {
                tracing::error!(%error, "not everything could be loaded; standing by again");
                let _ = within(held.every, held.lease.release()).await;
                return Ok(End::Superseded);
            }
            (Err(EngineError::Store(StoreError::Superseded)), Some(_)) => {
                return Ok(End::Superseded);
            }
            (Err(error), _) => return Err(error.into()),
        };
        let over = self.seat.drain().child_token();
        let tenure = held.as_ref().map(|held| Arc::clone(&held.tenure));
        let feed = Arc::new(EngineFeed(Arc::clone(&engine)));
        let (notifier, drain, told) =
            (self.notifier.clone(), self.seat.drain().clone(), over.clone());
        let notifying = tokio::spawn(async move { notifier.run(feed, told, drain).await });
        self.seat.lead(Leading { engine, over, tenure });
        if let Some(ready) = self.ready.take() {
            let _ = ready.send(());
        }
        let end = self.until_the_end(tasks, notifying, &mut keeper).await?;
        if let (End::Stopped, Some(held)) = (&end, &held) {
            let released = within(held.every * 4, held.lease.release()).await;
            if let Err(error) = released {
                tracing::warn!(%error, "the others have to wait until the lead has run out");
            }
        }
        Ok(end)
    }

    async fn until_the_end(
        &self,
        mut tasks: Tasks,
        notifying: JoinHandle<()>,
        keeper: &mut Option<Keeper>,
    ) -> Result<End, NodeError> {
        tokio::select! {
            () = self.stop.cancelled() => {
                // What receivers were told last is to be stored. They take little time.
                let _ = notifying.await;
                tasks.shut_down().await.map_err(EngineError::Store)?;
                return Ok(End::Stopped);
            }
            () = superseded(keeper) => {}
            failure = tasks.failed() => match failure {
                TaskFailure { error: Some(StoreError::Superseded), .. } => {}
                TaskFailure { task, .. } => return Err(NodeError::Task(task)),
            },
        }
        // Nobody is told anything any more before the rest ends.
        self.seat.stand_by(None);
        tasks.abandon();
        let _ = notifying.await;
        Ok(End::Superseded)
    }
}

/// The task that gives the beats. Ends when it is dropped, and by itself when somebody else leads.
struct Keeper(JoinHandle<()>);

impl Keeper {
    fn start(held: &Held, clock: Arc<dyn Clock>) -> Self {
        let (lease, tenure) = (Arc::clone(&held.lease), Arc::clone(&held.tenure));
        Self(tokio::spawn(keep(lease, tenure, held.every, clock)))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Gives beats until somebody else leads.
async fn keep(
    lease: Arc<dyn Lease>,
    tenure: Arc<SharedTenure>,
    every: Duration,
    clock: Arc<dyn Clock>,
) {
    let mut is_failing = false;
    loop {
        let sent_at = clock.now();
        match within(every * 2, lease.renew()).await {
            Ok(standbys) => {
                tenure.renewed(sent_at, &standbys);
                is_failing = false;
            }
            Err(StoreError::Superseded) => return,
            Err(error) if !is_failing => {
                tracing::warn!(%error, "the lead cannot be renewed");
                is_failing = true;
            }
            Err(_) => {}
        }
        sleep(every).await;
    }
}

/// Waits until somebody else leads; for ever if nobody else can.
async fn superseded(keeper: &mut Option<Keeper>) {
    match keeper {
        // A keeper that has panicked keeps nothing either.
        Some(Keeper(task)) => drop(task.await),
        None => std::future::pending().await,
    }
}

/// Asks the server that leads whether it does.
struct Asker {
    me: Member,
    patience: Duration,
    channel: Option<(String, Channel)>,
}

impl Asker {
    async fn ask(&mut self, holder: &Member, fence: u64) -> bool {
        let Some(channel) = self.channel_to(&holder.address) else { return false };
        let request = ConfirmLeadRequest { server_id: self.me.id.clone(), fence };
        let mut peer = BreakerPeerClient::new(channel);
        let answer = timeout(self.patience, peer.confirm_lead(request)).await;
        matches!(answer, Ok(Ok(response)) if response.get_ref().leading)
    }

    /// A connection that is made when it is used, and again after it was cut.
    fn channel_to(&mut self, address: &str) -> Option<Channel> {
        if let Some((known, channel)) = &self.channel
            && known == address
        {
            return Some(channel.clone());
        }
        let endpoint = Endpoint::from_shared(format!("http://{address}")).ok()?;
        let channel = endpoint.connect_timeout(self.patience).connect_lazy();
        self.channel = Some((address.to_owned(), channel.clone()));
        Some(channel)
    }
}

async fn within<T>(
    time: Duration,
    request: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    timeout(time, request).await.unwrap_or_else(|_| {
        Err(StoreError::Unavailable(format!("no answer within {time:?}").into()))
    })
}
