//! Errors as JSON: what a gRPC status says, in the words that callers of HTTP know.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::api::ProtocolError;
use super::api::compact;

/// Why a request was refused, or a stream has ended.
#[derive(Debug)]
pub(crate) struct Problem {
    http: StatusCode,
    code: Code,
    message: String,
    details: Vec<Value>,
    retry_after: Option<Duration>,
    /// The methods that there are, where the one of the request is not among them.
    allow: Option<String>,
}

/// Reads the details of a status.
#[derive(Clone, Debug)]
pub(crate) struct Problems {
    status: MessageDescriptor,
}

impl Problem {
    /// A problem of HTTP itself, which no service has seen.
    pub(crate) fn new(http: StatusCode, code: Code, message: impl Into<String>) -> Self {
        let (message, details) = (message.into(), Vec::new());
        Self { http, code, message, details, retry_after: None, allow: None }
    }

    /// There is no such method on a resource that is there.
    pub(crate) fn method(allow: String) -> Self {
        let message = format!("there is no such method here; there is {allow}");
        let problem = Self::new(StatusCode::METHOD_NOT_ALLOWED, Code::Unimplemented, message);
        Self { allow: Some(allow), ..problem }
    }

    /// There is too much at a time.
    pub(crate) fn crowded(message: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, message);
        Self { retry_after: Some(Duration::from_secs(1)), ..problem }
    }

    /// As it stands in the body of an answer, and in the last event of a stream.
    pub(crate) fn to_json(&self) -> Value {
        json!({ "error": {
            "code": self.http.as_u16(),
            "status": name_of(self.code),
            "message": self.message,
            "details": self.details,
        }})
    }
}

impl Problems {
    /// Finds the messages of `google.rpc`.
    pub(crate) fn load() -> Result<Self, ProtocolError> {
        let pool = DescriptorPool::decode(tonic_types::pb::FILE_DESCRIPTOR_SET)?;
        let status = pool.get_message_by_name("google.rpc.Status");
        let status =
            status.ok_or_else(|| ProtocolError::Missing("google.rpc.Status".to_owned()))?;
        Ok(Self { status })
    }

    /// What a status says.
    pub(crate) fn of(&self, status: &Status) -> Problem {
        let retry_after = status.get_details_retry_info().and_then(|info| info.retry_delay);
        Problem {
            http: http_of(status.code()),
            code: status.code(),
            message: status.message().to_owned(),
            details: self.details(status),
            retry_after,
            allow: None,
        }
    }

    /// The details that are messages of `google.rpc`, which all of ours are.
    fn details(&self, status: &Status) -> Vec<Value> {
        let decoded = DynamicMessage::decode(self.status.clone(), status.details());
        let Some(mut decoded) = decoded.ok().and_then(|decoded| compact(&decoded).ok()) else {
            return Vec::new();
        };
        match decoded.get_mut("details").map(Value::take) {
            Some(Value::Array(details)) => details,
            _ => Vec::new(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = format!("{}\n", self.to_json());
        let mut response =
            (self.http, [(header::CONTENT_TYPE, "application/json")], body).into_response();
        let headers = response.headers_mut();
        if let Some(delay) = self.retry_after {
            // Rounded up: whoever comes a little early is refused again.
            let seconds = delay.as_millis().div_ceil(1_000).max(1) as u64;
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(allow) = self.allow.and_then(|allow| HeaderValue::from_str(&allow).ok()) {
            headers.insert(header::ALLOW, allow);
        }
        response
    }
}

/// The status of HTTP that goes with a code of gRPC.
fn http_of(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition => {
            StatusCode::BAD_REQUEST
        }
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Cancelled | Code::Unknown | Code::Internal | Code::DataLoss => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

/// A code as the protocol of gRPC writes it.
pub(crate) const fn name_of(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn a_status_keeps_its_details_and_says_when_to_come_again() {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation("config.open_duration", "too short");
        details.set_retry_info(Some(Duration::from_millis(1_250)));
        details.set_error_info("NOT_LEADER", "breakerd.dev", [("leader".into(), "a:1".into())]);
        let status = Status::with_error_details(Code::Unavailable, "no", details);
        let problem = Problems::load().unwrap().of(&status);
        let body = problem.to_json();
        let response = problem.into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
        let error = &body["error"];
        assert_eq!((&error["code"], &error["status"]), (&json!(503), &json!("UNAVAILABLE")));
        let details = error["details"].as_array().unwrap();
        let of = |name: &str| {
            let url = format!("type.googleapis.com/google.rpc.{name}");
            details.iter().find(|detail| detail["@type"] == url).unwrap()
        };
        assert_eq!(of("RetryInfo")["retry_delay"], "1.250s");
        assert_eq!(of("ErrorInfo")["metadata"], json!({ "leader": "a:1" }));
        let violation = json!({ "field": "config.open_duration", "description": "too short" });
        assert_eq!(of("BadRequest")["field_violations"], json!([violation]));
    }

    #[test]
    fn a_status_without_details_is_told_as_it_is() {
        let problem = Problems::load().unwrap().of(&Status::not_found("nobody"));
        let expected =
            json!({ "code": 404, "status": "NOT_FOUND", "message": "nobody", "details": [] });
        assert_eq!(problem.to_json()["error"], expected);
    }
}
