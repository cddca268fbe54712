//! How connections to servers are made.

use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

use crate::address::Address;
use crate::error::Error;

/// How often an idle connection is checked for life.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// How long the answer to such a check may take.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// What a server is asked over.
pub(crate) type Service = InterceptedService<Channel, Bearer>;

/// TLS to the servers. Without a certificate authority those of the machine are trusted.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    ca: Option<Vec<u8>>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
    server_name: Option<String>,
}

impl Tls {
    /// Trusts what the machine trusts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the certificates in this PEM text alone.
    #[must_use]
    pub fn ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.ca = Some(pem.into());
        self
    }

    /// Shows this certificate, with its key, both as PEM text.
    #[must_use]
    pub fn identity(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.identity = Some((certificate.into(), key.into()));
        self
    }

    /// Expects this name in the servers' certificates, in place of the host of the address.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    fn config(&self) -> ClientTlsConfig {
        let config = match &self.ca {
            Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        let config = match &self.identity {
            Some((certificate, key)) => config.identity(Identity::from_pem(certificate, key)),
            None => config,
        };
        match &self.server_name {
            Some(name) => config.domain_name(name),
            None => config,
        }
    }
}

/// How connections are made.
#[derive(Clone, Debug)]
pub(crate) struct Transport {
    connect_timeout: Duration,
    tls: Option<Tls>,
    bearer: Bearer,
}

impl Transport {
    /// In plain text and without a token.
    pub(crate) const fn plain(connect_timeout: Duration) -> Self {
        Self { connect_timeout, tls: None, bearer: Bearer(None) }
    }

    pub(crate) fn with_tls(self, tls: Tls) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// Sends a token with every request.
    ///
    /// # Errors
    /// [`Error::Token`] if it is none.
    pub(crate) fn with_token(self, token: &str) -> Result<Self, Error> {
        let is_token = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        let value = MetadataValue::try_from(format!("Bearer {token}"));
        match value {
            Ok(mut value) if is_token => {
                value.set_sensitive(true);
                Ok(Self { bearer: Bearer(Some(value)), ..self })
            }
            _ => Err(Error::Token),
        }
    }

    /// Speaks TLS if one of the addresses says so.
    pub(crate) fn for_addresses(self, addresses: &[Address]) -> Self {
        let is_secure = addresses.iter().any(Address::is_secure);
        match self.tls {
            None if is_secure => self.with_tls(Tls::new()),
            _ => self,
        }
    }

    pub(crate) fn bearer(&self) -> Bearer {
        self.bearer.clone()
    }

    /// A connection that is made at the first request, and made again after a cut.
    ///
    /// # Errors
    /// [`Error::Tls`] if a certificate or key is none.
    pub(crate) fn channel(&self, address: &Address) -> Result<Channel, Error> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let refuse = |error: tonic::transport::Error| Error::Tls(chain(&error));
        let endpoint = Endpoint::from_shared(format!("{scheme}://{}", address.as_str()));
        let endpoint = endpoint
            .map_err(refuse)?
            .connect_timeout(self.connect_timeout)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        let endpoint = match &self.tls {
            Some(tls) => endpoint.tls_config(tls.config()).map_err(refuse)?,
            None => endpoint,
        };
        Ok(endpoint.connect_lazy())
    }
}

/// Puts the token into requests.
#[derive(Clone, Debug)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// An error with its causes: transport errors alone say nothing.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
