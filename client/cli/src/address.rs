use std::fmt;

use tonic::transport::Endpoint;

/// Where a server listens, `host:port`.
#[derive(Clone, Debug)]
pub struct Address {
    authority: String,
    endpoint: Endpoint,
}

impl Address {
    /// Reads `host:port` or `http://host:port`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let authority = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
        if authority.contains("://") {
            return Err("only plain `http://` is spoken".to_owned());
        }
        let endpoint = Endpoint::from_shared(format!("http://{authority}"))
            .map_err(|_| "write it as host:port".to_owned())?;
        let uri = endpoint.uri();
        if uri.path() != "/" || uri.query().is_some() {
            return Err("it has a path; write it as host:port".to_owned());
        }
        if uri.host().is_none_or(str::is_empty) || uri.port_u16().is_none() {
            return Err("write it as host:port".to_owned());
        }
        Ok(Self { authority: authority.to_owned(), endpoint })
    }

    pub(crate) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port_with_or_without_a_scheme() {
        for good in ["127.0.0.1:7420", "http://127.0.0.1:7420", "http://127.0.0.1:7420/"] {
            assert_eq!(Address::parse(good).unwrap().to_string(), "127.0.0.1:7420");
        }
        for good in ["breakerd:7420", "[::1]:7420", "breakerd.prod.svc:80"] {
            assert_eq!(Address::parse(good).unwrap().to_string(), good);
        }
        let bad =
            ["", "breakerd", "https://breakerd:7420", "breakerd:7420/v1", "a b:1", "h:99999", ":1"];
        for bad in bad {
            assert!(Address::parse(bad).is_err(), "{bad:?}");
        }
    }
}
