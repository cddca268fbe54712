//! What keeps other sites' pages from using somebody's browser against this server.
//!
//! Nobody is asked who they are, so the browser of someone who can reach the server is as good as they
//! are. A page of another site can have a browser send requests, but not with this content type and
//! not with another `Origin` than its own, and it may not read the answers. A name that was made to
//! point here by its owner (DNS rebinding) would make that page one of this site, so a server that
//! only this machine reaches answers to its own names alone.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tonic::Code;

use super::problem::Problem;

/// What a page of this server may load: what comes from it, and nothing else.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The names of this machine for itself.
const LOCAL_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Which names the server answers to.
#[derive(Clone, Debug)]
pub(crate) enum Hosts {
    /// Whatever it is called: other machines reach it, by names that it cannot know.
    Any,
    /// Those of the machine for itself, and these.
    Local(Arc<[String]>),
}

impl Hosts {
    fn knows(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Local(more) => {
                LOCAL_HOSTS.iter().any(|local| host.eq_ignore_ascii_case(local))
                    || more.iter().any(|known| host.eq_ignore_ascii_case(known))
            }
        }
    }
}

/// Refuses what must not be asked, and tells browsers what not to do with the answer.
pub(crate) async fn guard(
    State(hosts): State<Hosts>,
    request: Request<Body>,
    next: Next,
) -> Response {
    let mut response = match check(&hosts, request.method(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // What is served changes from one moment to the next, but for files, which say so themselves.
    let entry = headers.entry(header::CACHE_CONTROL);
    entry.or_insert(HeaderValue::from_static("no-store"));
    response
}

fn check(hosts: &Hosts, method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    let host = headers.get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    if let Some(host) = host
        && !hosts.knows(name_of(host))
    {
        return Err(forbidden(format!(
            "this server is not called `{}`; call it localhost, or name it in `http_hosts`",
            name_of(host)
        )));
    }
    if [Method::GET, Method::HEAD].contains(method) {
        return Ok(());
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or_default();
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        if authority.is_none() || authority != host {
            return Err(forbidden(format!(
                "`{origin}` is another site, whose pages must change nothing here"
            )));
        }
    }
    // What has no body has no type; browsers let no other site's page send a DELETE.
    let is_json = headers.get(header::CONTENT_TYPE).is_some_and(is_json);
    if *method == Method::DELETE || is_json {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::InvalidArgument,
        "a request that is not a GET needs the header `content-type: application/json`",
    ))
}

/// The name of a host without its port.
fn name_of(host: &str) -> &str {
    match host.parse::<Authority>() {
        // The authority is the text itself, so that the name lies within it.
        Ok(authority) => &host[..authority.host().len().min(host.len())],
        Err(_) => host,
    }
}

fn is_json(value: &HeaderValue) -> bool {
    let kind = value.to_str().unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

fn forbidden(message: String) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, Code::PermissionDenied, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(hosts: &Hosts, method: Method, sent: &[(HeaderName, &str)]) -> Option<u64> {
        let sent = sent.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
        let problem = check(hosts, &method, &sent.collect()).err()?;
        problem.to_json()["error"]["code"].as_u64()
    }

    #[test]
    fn a_server_of_one_machine_answers_to_its_own_names_alone() {
        let hosts = Hosts::Local(["breakers.example.com".to_owned()].into());
        for (host, expected) in [
            ("localhost:7421", None),
            ("127.0.0.1:8080", None),
            ("[::1]:7421", None),
            ("LOCALHOST", None),
            ("breakers.example.com", None),
            ("evil.example.com:7421", Some(403)),
            ("localhost.evil.example.com", Some(403)),
            ("127.0.0.1.evil.example.com", Some(403)),
            ("", Some(403)),
        ] {
            let sent = [(header::HOST, host)];
            assert_eq!(refused(&hosts, Method::GET, &sent), expected, "{host}");
            assert_eq!(refused(&Hosts::Any, Method::GET, &sent), None, "{host}");
        }
        assert_eq!(refused(&hosts, Method::GET, &[]), None, "no browser leaves it out");
    }

    #[test]
    fn no_other_sites_page_changes_anything() {
        let host = (header::HOST, "localhost:7421");
        let json = (header::CONTENT_TYPE, "application/json; charset=utf-8");
        let from = |origin| (header::ORIGIN, origin);
        let post = |sent: &[(HeaderName, &str)]| refused(&Hosts::Any, Method::POST, sent);
        assert_eq!(post(&[host.clone(), json.clone()]), None, "curl");
        assert_eq!(post(&[host.clone(), json.clone(), from("http://localhost:7421")]), None);
        for origin in ["http://localhost:80", "https://evil.example.com", "null", ""] {
            let sent = [host.clone(), json.clone(), from(origin)];
            assert_eq!(post(&sent), Some(403), "{origin}");
        }
        assert_eq!(post(std::slice::from_ref(&host)), Some(415));
        assert_eq!(post(&[host.clone(), (header::CONTENT_TYPE, "text/plain")]), Some(415));
        assert_eq!(refused(&Hosts::Any, Method::DELETE, std::slice::from_ref(&host)), None);
        let delete = [host, from("https://evil.example.com")];
        assert_eq!(refused(&Hosts::Any, Method::DELETE, &delete), Some(403));
    }
}
