use http::header::RETRY_AFTER;
use http::{HeaderValue, Response, StatusCode};

use super::Answer;
use crate::admission::Denial;
use crate::call::CallError;
use crate::classify::{Classify, Verdict};

/// Judges HTTP responses by their status.
#[derive(Clone, Copy, Debug, Default)]
pub struct HttpStatus;

impl<B, E> Classify<Response<B>, E> for HttpStatus {
    fn classify(&self, result: &Result<Response<B>, E>) -> Verdict {
        match result {
            Ok(response) => status_verdict(response.status()),
            Err(_) => Verdict::failure("http.error"),
        }
    }
}

/// What a status says of the server that sent it: 429 and 5xx are failures of the kind `http.503`;
/// everything else, a caller's own mistakes included, is a success.
pub fn status_verdict(status: StatusCode) -> Verdict {
    match status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        true => Verdict::failure(&format!("http.{}", status.as_u16())),
        false => Verdict::Success,
    }
}

/// Answers denied requests with 503, and those that took too long with 504.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsResponse;

impl<B: Default, E> Answer<Response<B>, E> for AsResponse {
    type Error = E;

    fn answer(&self, error: CallError<E>) -> Result<Response<B>, E> {
        let mut response = Response::new(B::default());
        match error {
            CallError::Denied(denial) => {
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                response.headers_mut().insert(RETRY_AFTER, retry_after(&denial));
            }
            CallError::Timeout => *response.status_mut() = StatusCode::GATEWAY_TIMEOUT,
            CallError::Failed(error) => return Err(error),
        }
        Ok(response)
    }

    fn failed(&self, error: E) -> E {
        error
    }
}

/// In whole seconds, at least one: a client that is told 0 comes back at once.
fn retry_after(denial: &Denial) -> HeaderValue {
    let left = denial.retry_after.unwrap_or_default();
    HeaderValue::from((left.as_secs() + u64::from(left.subsec_nanos() > 0)).max(1))
}
