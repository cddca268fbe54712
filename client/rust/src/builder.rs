use std::process;
use std::time::Duration;

use breaker_core::{Config, ConfigPatch, NameGlob, OnUnavailable, Source};
use tokio::runtime::Handle;

use crate::address::Address;
use crate::backoff::BackoffLimits;
use crate::client::Client;
use crate::clock;
use crate::common::Common;
use crate::connection::Connection;
use crate::error::Error;
use crate::options::{LocalGuard, Options};
use crate::servers::Servers;
use crate::shared::Shared;
use crate::transport::{Tls, Transport};

/// Longest client id. The protocol's 200 bytes have to hold what is appended to it, too.
pub(crate) const MAX_CLIENT_ID_BYTES: usize = 180;

/// Builds a [`Client`].
#[derive(Clone, Debug)]
#[must_use = "call `build` to get the client"]
pub struct ClientBuilder {
    addresses: Vec<String>,
    selectors: Vec<String>,
    client_id: Option<String>,
    token: Option<String>,
    tls: Option<Tls>,
    local_guard: Option<ConfigPatch>,
    connect_timeout: Duration,
    request_timeout: Duration,
    permit_timeout: Duration,
    stale_after: Duration,
    max_staleness: Duration,
    report_interval: Duration,
    backoff: BackoffLimits,
    on_unavailable: OnUnavailable,
}

impl ClientBuilder {
    pub(crate) const fn new() -> Self {
        Self {
            addresses: Vec::new(),
            selectors: Vec::new(),
            client_id: None,
            token: None,
            tls: None,
            local_guard: None,
            connect_timeout: Duration::from_secs(1),
            request_timeout: Duration::from_secs(1),
            permit_timeout: Duration::from_millis(250),
            stale_after: Duration::from_secs(15),
            max_staleness: Duration::from_secs(60),
            report_interval: Duration::from_secs(1),
            backoff: BackoffLimits {
                least: Duration::from_millis(100),
                most: Duration::from_secs(5),
            },
            on_unavailable: OnUnavailable::Local,
        }
    }

    /// Adds the address of a server: `host:port`, `http://host:port`, or `https://host:port` for
    /// TLS to all of them. The first one is asked until it is away or stands by; then the one that
    /// it names as the leader, or else the next one, and after the last one the first again. Not
    /// every server has to be added, but one that is there has to be.
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.addresses.push(address.into());
        self
    }

    /// Adds the addresses of several servers.
    pub fn addresses<S: Into<String>>(mut self, addresses: impl IntoIterator<Item = S>) -> Self {
        self.addresses.extend(addresses.into_iter().map(Into::into));
        self
    }

    /// Adds names and globs of breakers to keep a copy of, besides those that the application asks
    /// for with [`Client::breaker`] [none]. Of breakers whose states are in the copy when they are
    /// asked for, the first call is decided from it.
    pub fn selectors<S: Into<String>>(mut self, selectors: impl IntoIterator<Item = S>) -> Self {
        self.selectors.extend(selectors.into_iter().map(Into::into));
        self
    }

    /// Names this process in the server's logs and metrics: `checkout-7`, 180 bytes at most
    /// [`rust-`, the process' number, and a random number].
    ///
    /// Several processes may share an id: what they report under is this id and a random number,
    /// because the server must never take the reports of a restarted process for repetitions.
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = Some(client_id.into());
        self
    }

    /// Sends this with every request, as `authorization: Bearer`.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Speaks TLS, so.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Has a second breaker in this process beside each of the fleet's, with the same
    /// configuration, fed by the outcomes of this client alone: a call needs the leave of both
    /// [off]. A replica that alone cannot reach a healthy dependency stops itself; the fleet's
    /// breaker, if its `min_reporters` is above 1, stays CLOSED.
    pub fn local_guard(self) -> Self {
        self.local_guard_with(ConfigPatch::default())
    }

    /// The same with a configuration of its own, over the defaults; an empty one is the breaker's.
    pub fn local_guard_with(mut self, config: ConfigPatch) -> Self {
        self.local_guard = Some(config);
        self
    }

    /// How long making a connection may take [1 s].
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a request may take, on all servers together [1 s]. No call waits for one.
    pub const fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// How long a call of a HALF_OPEN breaker waits for the server's permit [250 ms].
    pub const fn permit_timeout(mut self, timeout: Duration) -> Self {
        self.permit_timeout = timeout;
        self
    }

    /// After how much silence of the server the copy is stale [15 s]. The server gives a sign of
    /// life every 5 s.
    pub const fn stale_after(mut self, silence: Duration) -> Self {
        self.stale_after = silence;
        self
    }

    /// How long a stale copy is gone by [60 s]. Then `on_unavailable` decides.
    pub const fn max_staleness(mut self, longest: Duration) -> Self {
        self.max_staleness = longest;
        self
    }

    /// How long outcomes wait that are no failures, to be reported together [1 s].
    pub const fn report_interval(mut self, interval: Duration) -> Self {
        self.report_interval = interval;
        self
    }

    /// How long to wait before a report is repeated or the stream connects again: at first
    /// `least`, twice as long after each failure, at most `most` [100 ms, 5 s]. Chance shortens
    /// each wait by up to a half.
    pub const fn backoff(mut self, least: Duration, most: Duration) -> Self {
        self.backoff = BackoffLimits { least, most };
        self
    }

    /// What to do while the server is away, for breakers of which it has never told [`Local`].
    ///
    /// [`Local`]: OnUnavailable::Local
    pub const fn on_unavailable(mut self, on_unavailable: OnUnavailable) -> Self {
        self.on_unavailable = on_unavailable;
        self
    }

    /// Builds the client. It connects when it is first asked for a breaker.
    ///
    /// # Errors
    /// If there is no address, one of them or a selector is wrong, the client id is too long, the
    /// token or a certificate cannot be used, the local guard's configuration makes no sense, or
    /// there is no Tokio runtime.
    pub fn build(self) -> Result<Client, Error> {
        let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
        let servers = Servers::over(self.transport()?, self.parsed_addresses()?)?;
        let connection = Connection::new(servers, self.request_timeout);
        let common = Common::new(self.options()?);
        Ok(Client::start(Shared::new(common, connection, runtime)))
    }

    fn parsed_addresses(&self) -> Result<Vec<Address>, Error> {
        self.addresses.iter().map(|address| Address::parse(address)).collect()
    }

    fn transport(&self) -> Result<Transport, Error> {
        let transport = Transport::plain(self.connect_timeout);
        let transport = match &self.tls {
            Some(tls) => transport.with_tls(tls.clone()),
            None => transport,
        };
        match &self.token {
            Some(token) => transport.with_token(token),
            None => Ok(transport),
        }
    }

    fn options(self) -> Result<Options, Error> {
        for selector in &self.selectors {
            NameGlob::new(selector).map_err(|error| Error::Selector {
                selector: selector.escape_debug().to_string(),
                reason: error.to_string(),
            })?;
        }
        let unique = clock::unique_number();
        let own_id = || format!("rust-{}-{:08x}", process::id(), unique >> 32);
        let client_id = self.client_id.unwrap_or_else(own_id);
        if client_id.len() > MAX_CLIENT_ID_BYTES {
            return Err(Error::ClientId(client_id.len()));
        }
        Ok(Options {
            reporter_id: format!("{client_id}-{unique:016x}"),
            client_id,
            selectors: self.selectors,
            on_unavailable: self.on_unavailable,
            local_guard: self.local_guard.map(local_guard).transpose()?,
            permit_timeout: self.permit_timeout,
            stale_after: self.stale_after,
            max_staleness: self.max_staleness,
            report_interval: self.report_interval,
            backoff: self.backoff,
        })
    }
}

fn local_guard(patch: ConfigPatch) -> Result<LocalGuard, Error> {
    if patch == ConfigPatch::default() {
        return Ok(LocalGuard::AsTheBreaker);
    }
    match Config::resolve(&[(Source::Breaker, &patch)]) {
        Ok(resolved) => Ok(LocalGuard::Own(Box::new(resolved.config))),
        Err(violations) => {
            let odd = || breaker_core::Violation::new("local_guard", "makes no sense");
            Err(Error::LocalGuard(violations.into_iter().next().unwrap_or_else(odd)))
        }
    }
}
