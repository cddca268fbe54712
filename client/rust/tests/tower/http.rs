use std::convert::Infallible;
use std::future::{pending, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode, header};
use axum::routing::get;
use breaker_client::tower::{BreakerLayer, status_verdict};
use breaker_client::{Breaker, CallError, DenyReason, Verdict};
use tower::{Layer, Service, ServiceExt, service_fn};

use super::{guarded, opened, reported};

/// Asks a service that answers every request with this, or fails.
async fn ask<E: Send + 'static>(
    layer: &BreakerLayer<impl Clone + Send + Sync + 'static + breaker_client::Classify<u16, E>>,
    answer: Result<u16, E>,
) -> Result<u16, CallError<E>>
where
    Result<u16, E>: Clone,
{
    let inner = service_fn(move |()| ready(answer.clone()));
    layer.layer(inner).oneshot(()).await
}

#[tokio::test]
async fn any_service_is_guarded_and_every_error_is_a_failure() {
    let (mut server, breaker) = guarded().await;
    let layer = BreakerLayer::new(breaker.clone());
    assert_eq!(ask::<&str>(&layer, Ok(200)).await, Ok(200));
    assert_eq!(ask(&layer, Err("no")).await, Err(CallError::Failed("no")));
    let request = server.reports.recv().await.unwrap();
    assert_eq!(request.reports[0].runs.len(), 2);
    opened(&server, &breaker).await;
    let Err(CallError::Denied(denial)) = ask::<&str>(&layer, Ok(200)).await else {
        panic!("it is open")
    };
    assert_eq!(denial.reason, DenyReason::Open);
}

#[tokio::test]
async fn results_are_judged_by_the_application() {
    let (mut server, breaker) = guarded().await;
    let layer = BreakerLayer::new(breaker).classify(|result: &Result<u16, &str>| match result {
        Ok(200) => Verdict::Success,
        _ => Verdict::failure("odd"),
    });
    assert_eq!(ask(&layer, Ok(201)).await, Ok(201));
    assert_eq!(reported(&mut server).await, "FAILURE odd");
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_given_up() {
    let (mut server, breaker) = guarded().await;
    let layer = BreakerLayer::new(breaker).timeout(Duration::from_millis(5));
    let hanging = service_fn(|()| pending::<Result<(), &str>>());
    assert_eq!(layer.layer(hanging).oneshot(()).await, Err(CallError::Timeout));
    assert_eq!(reported(&mut server).await, "TIMEOUT");
}

#[tokio::test]
async fn a_service_that_is_not_ready_fails_as_it_did() {
    struct Broken;

    impl Clone for Broken {
        fn clone(&self) -> Self {
            Self
        }
    }

    impl Service<()> for Broken {
        type Response = ();
        type Error = &'static str;
        type Future = std::future::Ready<Result<(), &'static str>>;

        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), &'static str>> {
            std::task::Poll::Ready(Err("broken"))
        }

        fn call(&mut self, (): ()) -> Self::Future {
            ready(Ok(()))
        }
    }

    let (_server, breaker) = guarded().await;
    let error = BreakerLayer::new(breaker).layer(Broken).oneshot(()).await;
    assert_eq!(error, Err(CallError::Failed("broken")));
}

#[tokio::test]
async fn a_client_of_http_fails_by_status() {
    let (mut server, breaker) = guarded().await;
    let layer = BreakerLayer::http(breaker);
    let respond = |status: u16| {
        let inner = service_fn(move |_: Request<String>| {
            let status = StatusCode::from_u16(status).unwrap();
            let mut response = Response::new(String::new());
            *response.status_mut() = status;
            ready(Ok::<_, Infallible>(response))
        });
        layer.layer(inner).oneshot(Request::new(String::new()))
    };
    assert_eq!(respond(503).await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reported(&mut server).await, "FAILURE http.503");
    let error = service_fn(|_: Request<String>| ready(Err::<Response<String>, _>("refused")));
    let failed = layer.layer(error).oneshot(Request::new(String::new())).await;
    assert!(failed.is_err());
}

#[test]
fn a_status_tells_whose_fault_it_was() {
    let verdict = |status| status_verdict(StatusCode::from_u16(status).unwrap());
    for good in [200, 204, 304, 400, 401, 404] {
        assert_eq!(verdict(good), Verdict::Success);
    }
    for bad in [429, 500, 502, 503, 504] {
        assert_eq!(verdict(bad), Verdict::failure(&format!("http.{bad}")));
    }
}

/// An axum application with a guarded handler.
fn application(breaker: Breaker) -> Router {
    let slow = || async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        "late"
    };
    let layer = BreakerLayer::http_server(breaker).timeout(Duration::from_millis(20));
    Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/bad", get(|| async { StatusCode::BAD_GATEWAY }))
        .route("/slow", get(slow))
        .layer(layer)
}

async fn get_from(application: &Router, path: &str) -> Response<Body> {
    let request = Request::get(path).body(Body::empty()).unwrap();
    application.clone().oneshot(request).await.unwrap()
}

#[tokio::test]
async fn a_server_of_http_answers_for_what_it_does_not_do() {
    let (mut server, breaker) = guarded().await;
    let application = application(breaker.clone());
    assert_eq!(get_from(&application, "/").await.status(), StatusCode::OK);
    assert_eq!(get_from(&application, "/slow").await.status(), StatusCode::GATEWAY_TIMEOUT);
    server.reports.recv().await.unwrap();
    opened(&server, &breaker).await;
    let denied = get_from(&application, "/").await;
    assert_eq!(denied.status(), StatusCode::SERVICE_UNAVAILABLE);
    let retry_after = denied.headers()[header::RETRY_AFTER].to_str().unwrap();
    assert!((25..=30).contains(&retry_after.parse::<u32>().unwrap()), "{retry_after}");
}

#[tokio::test]
async fn what_a_server_of_http_answers_itself_is_judged_by_status() {
    let (mut server, breaker) = guarded().await;
    let application = application(breaker);
    assert_eq!(get_from(&application, "/bad").await.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(reported(&mut server).await, "FAILURE http.502");
}
