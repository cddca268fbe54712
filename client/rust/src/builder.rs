use std::sync::Arc;
use std::time::Duration;

use breaker_core::OnUnavailable;
use tokio::runtime::Handle;

use crate::address::Address;
use crate::backoff::BackoffLimits;
use crate::client::{Client, Defaults};
use crate::clock;
use crate::connection::{Connection, Timeouts};
use crate::error::Error;

/// Longest client id. The protocol's 200 bytes have to hold what is appended to it, too.
pub(crate) const MAX_CLIENT_ID_BYTES: usize = 180;

/// Builds a [`Client`].
#[derive(Clone, Debug)]
#[must_use = "call `build` to get the client"]
pub struct ClientBuilder {
    addresses: Vec<String>,
    client_id: Option<String>,
    timeouts: Timeouts,
    backoff: BackoffLimits,
    on_unavailable: OnUnavailable,
}

impl ClientBuilder {
    pub(crate) const fn new() -> Self {
        Self {
            addresses: Vec::new(),
            client_id: None,
            timeouts: Timeouts { connect: Duration::from_secs(1), request: Duration::from_secs(1) },
            backoff: BackoffLimits {
                least: Duration::from_millis(100),
                most: Duration::from_secs(5),
            },
            on_unavailable: OnUnavailable::Allow,
        }
    }

    /// Adds the address of a server, `host:port` or `http://host:port`. The first one is asked
    /// until it is away or stands by; then the one that it names as the leader, or else the next
    /// one, and after the last one the first again. Not every server has to be added, but one
    /// that is there has to be.
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.addresses.push(address.into());
        self
    }

    /// Adds the addresses of several servers.
    pub fn addresses<S: Into<String>>(mut self, addresses: impl IntoIterator<Item = S>) -> Self {
        self.addresses.extend(addresses.into_iter().map(Into::into));
        self
    }

    /// Names this process in the server's logs and metrics: `checkout-7`, 180 bytes at most.
    ///
    /// Several processes may share an id: what they report under is this id and a random number,
    /// because the server must never take the reports of a restarted process for repetitions.
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = Some(client_id.into());
        self
    }

    /// How long making a connection may take [1 s].
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.connect = timeout;
        self
    }

    /// How long a request may take, on all servers together [1 s]. It bounds how long a guarded
    /// call waits for servers that do not answer.
    pub const fn request_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.request = timeout;
        self
    }

    /// How long to wait before a report is repeated or a watch connects again: at first
    /// `least`, twice as long after each failure, at most `most` [100 ms, 5 s]. Chance shortens
    /// each wait by up to a half.
    pub const fn backoff(mut self, least: Duration, most: Duration) -> Self {
        self.backoff = BackoffLimits { least, most };
        self
    }

    /// What to do while the server is away, for breakers of which it has never told [`Allow`].
    ///
    /// [`Allow`]: OnUnavailable::Allow
    pub const fn on_unavailable(mut self, on_unavailable: OnUnavailable) -> Self {
        self.on_unavailable = on_unavailable;
        self
    }

    /// Builds the client. It connects at its first request.
    ///
    /// # Errors
    /// If there is no address, one of them is wrong, the client id is too long, or there is no
    /// Tokio runtime.
    pub fn build(self) -> Result<Client, Error> {
        if Handle::try_current().is_err() {
            return Err(Error::NoRuntime);
        }
        let addresses =
            self.addresses.iter().map(|a| Address::parse(a)).collect::<Result<Vec<_>, _>>()?;
        let connection = Connection::new(addresses, self.timeouts)?;
        let unique = clock::unique_number();
        let client_id = self.client_id.unwrap_or_else(|| format!("rust-{unique:016x}"));
        if client_id.len() > MAX_CLIENT_ID_BYTES {
            return Err(Error::ClientId(client_id.len()));
        }
        let reporter_id = format!("{client_id}-{unique:016x}");
        let defaults = Defaults { backoff: self.backoff, on_unavailable: self.on_unavailable };
        Ok(Client::with(Arc::new(connection), client_id, reporter_id, defaults))
    }
}
