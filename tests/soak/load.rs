use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use breaker_tests::Chance;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::caller::Reporters;
use crate::tally::Tally;
use crate::{admin, caller, watcher};

/// Clients of each kind that are there at a time. When one goes, the next one comes.
const CALLERS: usize = 12;
const WATCHERS: usize = 16;
const ADMINS: usize = 2;
/// Nobody needs longer to come to an end.
const FAREWELL: Duration = Duration::from_secs(30);

/// Clients that come and go until they are told to end.
#[derive(Debug)]
pub(crate) struct Load {
    clients: JoinSet<anyhow::Result<()>>,
    stop: CancellationToken,
}

impl Load {
    /// Lets them come.
    pub(crate) fn start(
        address: SocketAddr,
        chance: &mut Chance,
        tally: &Arc<Tally>,
    ) -> anyhow::Result<Self> {
        let (mut clients, stop) = (JoinSet::new(), CancellationToken::new());
        let reporters = Arc::new(Reporters::default());
        for _ in 0..CALLERS {
            let (tally, reporters) = (Arc::clone(tally), Arc::clone(&reporters));
            clients.spawn(caller::come_and_go(
                address,
                chance.fork(),
                tally,
                reporters,
                stop.clone(),
            ));
        }
        for _ in 0..WATCHERS {
            let tally = Arc::clone(tally);
            clients.spawn(watcher::come_and_go(address, chance.fork(), tally, stop.clone()));
        }
        for _ in 0..ADMINS {
            let tally = Arc::clone(tally);
            clients.spawn(admin::come_and_go(address, chance.fork(), tally, stop.clone()));
        }
        Ok(Self { clients, stop })
    }

    /// # Errors
    /// If one of them has met with what it should not.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        match self.clients.try_join_next() {
            Some(ended) => ended?,
            None => Ok(()),
        }
    }

    /// Lets them go.
    ///
    /// # Errors
    /// If one of them has met with what it should not.
    pub(crate) async fn end(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        let all = async {
            while let Some(ended) = self.clients.join_next().await {
                ended??;
            }
            Ok(())
        };
        timeout(FAREWELL, all).await.context("a client does not come to an end")?
    }
}
