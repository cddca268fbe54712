use std::fmt;
use std::sync::Arc;

use tonic::transport::Endpoint;

use crate::error::Error;

/// Where a server listens, `host:port`. Cheap to clone.
#[derive(Clone)]
pub struct Address(Arc<Parsed>);

struct Parsed {
    authority: String,
    is_secure: bool,
}

impl Address {
    /// Reads `host:port`, `http://host:port` or, where TLS is spoken, `https://host:port`.
    ///
    /// # Errors
    /// [`Error::Address`] with what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refuse = |reason: &str| Error::Address {
            address: text.escape_debug().to_string(),
            reason: reason.to_owned(),
        };
        let secure = text.strip_prefix("https://");
        let plain = text.strip_prefix("http://").unwrap_or(text);
        let authority = secure.unwrap_or(plain).trim_end_matches('/');
        if authority.contains("://") {
            return Err(refuse("only `http://` and `https://` are spoken"));
        }
        let endpoint = Endpoint::from_shared(format!("http://{authority}"))
            .map_err(|error| refuse(&error.to_string()))?;
        let uri = endpoint.uri();
        if uri.path() != "/" || uri.query().is_some() {
            return Err(refuse("it has a path"));
        }
        if uri.host().is_none_or(str::is_empty) {
            return Err(refuse("the host is missing"));
        }
        if uri.port_u16().is_none() {
            return Err(refuse("the port is missing"));
        }
        Ok(Self(Arc::new(Parsed { authority: authority.to_owned(), is_secure: secure.is_some() })))
    }

    /// `host:port`.
    pub fn as_str(&self) -> &str {
        &self.0.authority
    }

    /// Whether it was written with `https://`.
    pub(crate) fn is_secure(&self) -> bool {
        self.0.is_secure
    }
}

/// As written, but for upper and lower case: whether two names are of one machine is not asked.
impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.as_str().eq_ignore_ascii_case(other.as_str())
    }
}

impl Eq for Address {}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Address").field(&self.as_str()).finish()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port_with_or_without_a_scheme() {
        for good in ["127.0.0.1:7420", "http://127.0.0.1:7420", "http://127.0.0.1:7420/"] {
            assert_eq!(Address::parse(good).unwrap().as_str(), "127.0.0.1:7420");
        }
        for good in ["breakerd:7420", "[::1]:7420", "breakerd.prod.svc:80"] {
            assert_eq!(Address::parse(good).unwrap().as_str(), good);
        }
        let secure = Address::parse("https://breakerd:7420").unwrap();
        assert!(secure.is_secure() && secure.as_str() == "breakerd:7420");
        let bad =
            ["", "breakerd", "ftp://breakerd:7420", "breakerd:7420/v1", "a b:1", "h:99999", ":1"];
        for bad in bad {
            assert!(matches!(Address::parse(bad), Err(Error::Address { .. })), "{bad:?}");
        }
    }
}
