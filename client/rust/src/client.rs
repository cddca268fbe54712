use std::collections::HashMap;
use std::sync::Arc;

use breaker_core::{BreakerName, OnUnavailable};
use breaker_proto::v1;
use parking_lot::Mutex;

use crate::backoff::BackoffLimits;
use crate::breaker::{Breaker, Memory};
use crate::builder::ClientBuilder;
use crate::connection::Connection;
use crate::error::Error;
use crate::outcomes::{CallOutcome, Receipt};
use crate::reporter::Reporter;
use crate::settings::Settings;
use crate::watch::Watch;

/// A client of breakerd. Cheap to clone; all clones share their connections and what they know.
///
/// It remembers a few values for each name that [`breaker`](Self::breaker) was ever called with:
/// names are meant to come from the application's code, not from its requests.
///
/// Outcomes of calls are reported by a task of the client. When the last clone is dropped, the
/// task reports what is left and ends; [`shutdown`](Self::shutdown) waits for that.
#[derive(Clone, Debug)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connection: Arc<Connection>,
    client_id: String,
    reporter: Reporter,
    defaults: Defaults,
    memories: Mutex<HashMap<BreakerName, Arc<Memory>>>,
}

/// What holds for all breakers of a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Defaults {
    pub(crate) backoff: BackoffLimits,
    pub(crate) on_unavailable: OnUnavailable,
}

impl Client {
    /// Builds a client.
    pub const fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    /// A client of the server at `host:port`, with defaults for everything else.
    ///
    /// # Errors
    /// If the address is wrong, or there is no Tokio runtime.
    pub fn new(address: impl Into<String>) -> Result<Self, Error> {
        Self::builder().address(address).build()
    }

    pub(crate) fn with(
        connection: Arc<Connection>,
        client_id: String,
        reporter_id: String,
        defaults: Defaults,
    ) -> Self {
        let reporter = Reporter::start(Arc::clone(&connection), reporter_id, defaults.backoff);
        let memories = Mutex::default();
        Self(Arc::new(Inner { connection, client_id, reporter, defaults, memories }))
    }

    /// The breaker of this name, `namespace/name`. The server creates it at the first call if it
    /// is not there.
    ///
    /// # Errors
    /// If the text is not a name.
    pub fn breaker(&self, name: &str) -> Result<Breaker, Error> {
        let name = BreakerName::new(name)?;
        let memory = Arc::clone(self.0.memories.lock().entry(name.clone()).or_insert_with(|| {
            Arc::new(Memory::new(Settings::unknown(self.0.defaults.on_unavailable)))
        }));
        Ok(Breaker::new(self.clone(), name, memory))
    }

    /// Follows the states of the breakers that these names and globs select (`payments/*`; `**`
    /// goes beyond one part); none selects every breaker.
    pub fn watch<S: Into<String>>(&self, selectors: impl IntoIterator<Item = S>) -> Watch {
        let selectors = selectors.into_iter().map(Into::into).collect();
        Watch::new(Arc::clone(&self.0.connection), selectors, self.0.defaults.backoff)
    }

    /// Under which id the server knows this client in logs and metrics.
    pub fn client_id(&self) -> &str {
        &self.0.client_id
    }

    /// How many outcomes were given up since the client was built: because more than
    /// [`MAX_QUEUED_OUTCOMES`](crate::MAX_QUEUED_OUTCOMES) were waiting, because the server was
    /// away for a minute, because it refused them, or because they came after the shutdown.
    pub fn outcomes_given_up(&self) -> u64 {
        self.0.reporter.given_up()
    }

    /// Reports the outcomes that are waiting, for 5 s at most, and takes no further ones. Calls
    /// can still be made; they are no longer reported.
    ///
    /// # Errors
    /// If outcomes were left when the time was over.
    pub async fn shutdown(&self) -> Result<(), Error> {
        self.0.reporter.shutdown().await
    }

    pub(crate) async fn acquire(&self, name: &BreakerName) -> Result<v1::AcquireResponse, Error> {
        let request = v1::AcquireRequest {
            breaker: name.as_str().to_owned(),
            client_id: self.0.client_id.clone(),
        };
        let answer = self.0.connection.request(|mut client| {
            let request = request.clone();
            async move { client.acquire(request).await }
        });
        answer.await
    }

    pub(crate) fn report(&self, call: CallOutcome) -> Receipt {
        self.0.reporter.report(call)
    }
}
