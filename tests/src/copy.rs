//! A client's copy of the states, kept by Watch.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use breaker_proto::v1;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::requests::{Shown, states_in};
use crate::{Clients, eventually};

/// How soon a stream that was cut is opened again.
const AGAIN_AFTER: Duration = Duration::from_millis(20);

/// The states as one client knows them.
#[derive(Debug, Default)]
pub struct Copy {
    /// By name.
    pub states: BTreeMap<String, Shown>,
    /// For the next stream.
    pub token: Vec<u8>,
    /// How often the server has begun anew.
    pub resets: u32,
    /// The highest revision that each breaker ever had, whatever was forgotten since.
    highest: BTreeMap<String, u64>,
}

impl Copy {
    /// Takes a message over.
    ///
    /// # Errors
    /// If a revision does not rise.
    pub fn take(&mut self, message: v1::WatchResponse) -> anyhow::Result<()> {
        if message.reset {
            self.states.clear();
            self.resets += 1;
        }
        for name in message.deleted {
            self.states.remove(&name);
        }
        for state in message.changed {
            let new = Shown::of(&state);
            let old = self.states.insert(state.name.clone(), new);
            let is_newer = old.is_none_or(|old| old.revision < new.revision);
            anyhow::ensure!(is_newer, "{} went from {old:?} to {new:?}", state.name);
            let highest = self.highest.entry(state.name).or_default();
            anyhow::ensure!(*highest <= new.revision, "{new:?} came after revision {highest}");
            *highest = new.revision;
        }
        self.token = message.resume_token;
        Ok(())
    }

    /// Opens a stream where the copy stands.
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn open(
        &self,
        clients: &mut Clients,
    ) -> anyhow::Result<tonic::Streaming<v1::WatchResponse>> {
        let request = v1::WatchRequest { selectors: vec![], resume_token: self.token.clone() };
        Ok(clients.breakers.watch(request).await?.into_inner())
    }

    /// Reads until the copy is complete.
    ///
    /// # Errors
    /// If the stream ends before, or breaks a rule.
    pub async fn complete(&mut self, clients: &mut Clients) -> anyhow::Result<()> {
        let mut stream = self.open(clients).await?;
        while let Some(message) = stream.message().await? {
            let is_complete = message.snapshot_complete;
            self.take(message)?;
            if is_complete {
                return Ok(());
            }
        }
        anyhow::bail!("the stream ended before its snapshot was complete")
    }
}

/// A client that watches all the time: with whichever of some servers serves, and on from its token
/// whenever a stream ends.
#[derive(Debug)]
pub struct Follower {
    copy: Arc<Mutex<Copy>>,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Follower {
    /// Begins to follow.
    ///
    /// # Errors
    /// If an address is none.
    pub fn start(addresses: &[String]) -> anyhow::Result<Self> {
        let servers = addresses.iter().map(|a| Clients::of(a)).collect::<Result<Vec<_>, _>>()?;
        let copy = Arc::new(Mutex::new(Copy::default()));
        let task = tokio::spawn(follow(servers, Arc::clone(&copy)));
        Ok(Self { copy, task })
    }

    /// What is shown of a breaker.
    pub fn shown(&self, name: &str) -> Option<Shown> {
        self.copy.lock().states.get(name).copied()
    }

    /// Waits until the copy is equal to List, as it is once nothing changes any more.
    ///
    /// # Errors
    /// If it does not become so, or the stream broke a rule.
    pub async fn until_equal(&mut self, clients: &mut Clients) -> anyhow::Result<()> {
        let mut last = (BTreeMap::new(), BTreeMap::new());
        let equal = eventually("the copy is equal to List", Duration::from_secs(10), async || {
            anyhow::ensure!(!self.task.is_finished(), "the watch has ended");
            last = (states_in(&mut clients.admin).await?, self.copy.lock().states.clone());
            Ok(last.0 == last.1)
        });
        let result = equal.await;
        if self.task.is_finished() {
            (&mut self.task).await??;
        }
        result.map(|_| ()).map_err(|error| {
            let (list, copy) = &last;
            let differ = list.iter().filter(|(name, shown)| copy.get(*name) != Some(shown));
            let differ: Vec<_> =
                differ.map(|(name, shown)| (name, shown, copy.get(name))).collect();
            let more: Vec<_> = copy.keys().filter(|name| !list.contains_key(*name)).collect();
            error.context(format!("List and the copy differ in {differ:?}, and it has {more:?}"))
        })
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(mut servers: Vec<Clients>, copy: Arc<Mutex<Copy>>) -> anyhow::Result<()> {
    loop {
        for clients in &mut servers {
            let resume_token = copy.lock().token.clone();
            let request = v1::WatchRequest { selectors: vec![], resume_token };
            if let Ok(stream) = clients.breakers.watch(request).await {
                let mut stream = stream.into_inner();
                while let Ok(Some(message)) = stream.message().await {
                    copy.lock().take(message)?;
                }
            }
            sleep(AGAIN_AFTER).await;
        }
    }
}
