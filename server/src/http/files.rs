//! The dashboard: the files of `server/dashboard`, which are a part of the program.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};
use tonic::Code;

use super::problem::Problem;

/// The page itself.
const INDEX: &str = "index.html";
/// A browser asks whether a file is still the same before it takes its own copy.
const CACHED: HeaderValue = HeaderValue::from_static("no-cache");

#[derive(RustEmbed)]
#[folder = "dashboard/"]
#[allow_missing = true]
struct Dashboard;

/// Answers with a file. What there is of the API never comes here.
pub(super) async fn serve(request: Request<Body>) -> Response {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return Problem::method("GET".to_owned()).into_response();
    }
    let name = name_of(request.uri());
    match Dashboard::get(name) {
        Some(file) => answer(file, request.headers()),
        None if name == INDEX => super::index().into_response(),
        None => {
            let message = format!("there is nothing at {}", request.uri().path());
            Problem::new(StatusCode::NOT_FOUND, Code::NotFound, message).into_response()
        }
    }
}

/// The name of a file by its path. Files are looked up in a list, so no name leads out of it.
fn name_of(uri: &Uri) -> &str {
    match uri.path().trim_start_matches('/') {
        "" => INDEX,
        name => name,
    }
}

fn answer(file: EmbeddedFile, asked: &HeaderMap) -> Response {
    let etag = etag(&file);
    let kind = content_type(file.metadata.mimetype());
    let is_known = asked.get_all(header::IF_NONE_MATCH).iter().any(|known| {
        known.to_str().is_ok_and(|known| known.split(',').any(|one| one.trim() == etag))
    });
    let headers = [(header::CONTENT_TYPE, kind), (header::ETAG, etag)];
    let cached = [(header::CACHE_CONTROL, CACHED)];
    if is_known {
        (StatusCode::NOT_MODIFIED, headers, cached).into_response()
    } else {
        (headers, cached, file.data).into_response()
    }
}

fn etag(file: &EmbeddedFile) -> String {
    let hash = file.metadata.sha256_hash();
    let hex: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

fn content_type(kind: &str) -> String {
    match kind {
        text if text.starts_with("text/") => format!("{text}; charset=utf-8"),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(RustEmbed)]
    #[folder = "src/http/openapi/"]
    struct Sources;

    #[test]
    fn a_file_that_a_browser_has_is_not_sent_again() {
        let file = || Sources::get("schemas.rs").unwrap();
        let first = answer(file(), &HeaderMap::new());
        assert_eq!(first.status(), StatusCode::OK);
        assert!(first.headers()[header::CONTENT_TYPE].to_str().unwrap().ends_with("charset=utf-8"));
        let etag = first.headers()[header::ETAG].clone();
        let again = HeaderMap::from_iter([(header::IF_NONE_MATCH, etag)]);
        assert_eq!(answer(file(), &again).status(), StatusCode::NOT_MODIFIED);
        let other = [(header::IF_NONE_MATCH, HeaderValue::from_static("\"0\", \"1\""))];
        assert_eq!(answer(file(), &other.into_iter().collect()).status(), StatusCode::OK);
    }

    #[test]
    fn a_page_is_found_by_its_path() {
        for (path, expected) in [
            ("/", INDEX),
            ("/assets/app.js", "assets/app.js"),
            ("//assets/app.js", "assets/app.js"),
            ("/?x=1", INDEX),
        ] {
            assert_eq!(name_of(&path.parse().unwrap()), expected);
        }
        assert!(Dashboard::get("../Cargo.toml").is_none());
    }
}
