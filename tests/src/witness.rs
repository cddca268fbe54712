//! The transitions of a server, as somebody sees them who reads all the time, and as its history
//! has them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use breaker_core::Time;
use breaker_proto::v1;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tonic::Code;

use crate::{Clients, clock};

/// How soon a stream that was cut is opened again.
const AGAIN_AFTER: Duration = Duration::from_millis(20);

/// A transition, and when it was seen.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// By the clock of the test.
    pub at: Time,
    /// What was seen.
    pub transition: v1::Transition,
}

/// Reads `WatchTransitions` all the time, of whichever of some servers serves, and on from the last
/// position whenever a stream ends.
#[derive(Debug)]
pub struct Witness {
    seen: Arc<Mutex<Vec<Sighting>>>,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Witness {
    /// Begins to look, from the first transition on.
    ///
    /// # Errors
    /// If an address is none.
    pub fn start(addresses: &[String]) -> anyhow::Result<Self> {
        let servers = addresses.iter().map(|a| Clients::of(a)).collect::<Result<Vec<_>, _>>()?;
        let seen = Arc::default();
        let task = tokio::spawn(look(servers, Arc::clone(&seen)));
        Ok(Self { seen, task })
    }

    /// What was seen since the last time that this was asked.
    ///
    /// # Errors
    /// If transitions were skipped or came out of order.
    pub async fn take(&mut self) -> anyhow::Result<Vec<Sighting>> {
        if self.task.is_finished() {
            (&mut self.task).await??;
        }
        Ok(std::mem::take(&mut *self.seen.lock()))
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn look(mut servers: Vec<Clients>, seen: Arc<Mutex<Vec<Sighting>>>) -> anyhow::Result<()> {
    let mut position = 0;
    let mut last_id = 0;
    loop {
        for clients in &mut servers {
            let request =
                v1::WatchTransitionsRequest { after: Some(position), ..Default::default() };
            let mut stream = match clients.admin.watch_transitions(request).await {
                Ok(stream) => stream.into_inner(),
                Err(refused) if refused.code() == Code::OutOfRange => return Err(refused.into()),
                Err(_) => {
                    sleep(AGAIN_AFTER).await;
                    continue;
                }
            };
            while let Ok(Some(message)) = stream.message().await {
                let at = clock::now();
                for transition in message.transitions {
                    anyhow::ensure!(transition.id > last_id, "{transition:?} after {last_id}");
                    last_id = transition.id;
                    seen.lock().push(Sighting { at, transition });
                }
                position = message.position;
            }
        }
    }
}

/// The transitions after an id by their ids, as `ListTransitions` has them.
///
/// # Errors
/// If the server does not answer.
pub async fn history_after(
    clients: &mut Clients,
    after: u64,
) -> anyhow::Result<BTreeMap<u64, v1::Transition>> {
    let mut history = BTreeMap::new();
    let mut page_token = String::new();
    loop {
        let request =
            v1::ListTransitionsRequest { page_size: 1_000, page_token, ..Default::default() };
        let page = clients.admin.list_transitions(request).await?.into_inner();
        let is_last = page.next_page_token.is_empty()
            || page.transitions.iter().any(|transition| transition.id <= after);
        let later = page.transitions.into_iter().filter(|transition| transition.id > after);
        history.extend(later.map(|transition| (transition.id, transition)));
        if is_last {
            return Ok(history);
        }
        page_token = page.next_page_token;
    }
}
