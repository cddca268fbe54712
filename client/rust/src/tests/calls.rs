use std::future::{pending, ready};
use std::time::Duration;

use breaker_core::{ConfigPatch, Mode, StateKind};
use breaker_proto::v1;
use breaker_wire::duration_from_message;
use tokio::sync::oneshot;
use tonic::Status;

use super::support::TestServer;
use crate::{Admission, CallError, Caller, DenyReason, Error, Verdict};

const NAME: &str = "payments/stripe-api";

fn trips_at_once() -> ConfigPatch {
    ConfigPatch {
        failure_threshold: Some(1),
        success_threshold: Some(1),
        open_duration: Some(Duration::from_secs(30)),
        call_timeout: Some(Duration::from_secs(2)),
        ..ConfigPatch::default()
    }
}

#[tokio::test]
async fn a_success_is_reported_under_the_generation_that_admitted_it() {
    let mut server = TestServer::start(&ConfigPatch::default());
    let breaker = server.client().breaker(NAME).unwrap();
    assert_eq!(breaker.call(ready(Ok::<_, ()>(7))).await, Ok(7));
    let (run, report) = server.next_run().await;
    assert_eq!((report.breaker.as_str(), report.generation), (NAME, 1));
    assert_eq!((run.outcome(), run.count, run.permit_id), (v1::Outcome::Success, 1, 0));
}

#[tokio::test]
async fn a_failure_is_reported_with_its_kind_and_given_back() {
    let mut server = TestServer::start(&ConfigPatch::default());
    let breaker = server.client().breaker(NAME).unwrap();
    let caller = breaker.caller().classify_errors(|code: &u16| match code {
        404 => Verdict::Ignored,
        code => Verdict::failure(&format!("http.{code}")),
    });
    assert_eq!(caller.call(ready(Err::<(), _>(503))).await, Err(CallError::Failed(503)));
    let (run, _) = server.next_run().await;
    assert_eq!((run.outcome(), run.error_kind.as_str()), (v1::Outcome::Failure, "http.503"));
    assert_eq!(caller.call(ready(Err::<(), _>(404))).await, Err(CallError::Failed(404)));
    assert_eq!(server.next_run().await.0.outcome(), v1::Outcome::Ignored);
}

#[tokio::test]
async fn a_value_can_be_a_failure() {
    let mut server = TestServer::start(&ConfigPatch::default());
    let breaker = server.client().breaker(NAME).unwrap();
    let caller = breaker.caller().classify(|result: &Result<u16, ()>| match result {
        Ok(200) => Verdict::Success,
        _ => Verdict::failure("http"),
    });
    assert_eq!(caller.call(ready(Ok(503))).await, Ok(503));
    assert_eq!(server.next_run().await.0.outcome(), v1::Outcome::Failure);
}

/// Lets the breaker's call begin and then this much time pass; how the call ended.
async fn call_that_hangs(caller: Caller, time: Duration) -> Result<(), CallError<()>> {
    let (begin, has_begun) = oneshot::channel();
    let call = tokio::spawn(async move {
        let hanging = async {
            begin.send(()).unwrap();
            pending().await
        };
        caller.call(hanging).await
    });
    has_begun.await.unwrap();
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
    call.await.unwrap()
}

#[tokio::test]
async fn a_call_is_given_up_after_the_servers_call_timeout() {
    let mut server = TestServer::start(&trips_at_once());
    let breaker = server.client().breaker(NAME).unwrap();
    let call_timeout = Duration::from_secs(2);
    let result = call_that_hangs(breaker.caller(), call_timeout).await;
    assert_eq!(result, Err(CallError::Timeout));
    let (run, _) = server.next_run().await;
    assert_eq!(run.outcome(), v1::Outcome::Timeout);
    let duration = duration_from_message("total_duration", &run.total_duration.unwrap()).unwrap();
    assert!(duration >= call_timeout, "{duration:?}");
}

#[tokio::test]
async fn a_caller_can_give_up_earlier() {
    let mut server = TestServer::start(&trips_at_once());
    let own = Duration::from_millis(100);
    let caller = server.client().breaker(NAME).unwrap().caller().timeout(own);
    assert_eq!(call_that_hangs(caller, own).await, Err(CallError::Timeout));
    assert_eq!(server.next_run().await.0.outcome(), v1::Outcome::Timeout);
}

#[tokio::test]
async fn a_call_under_an_open_breaker_is_not_made_and_its_fallback_is() {
    let mut server = TestServer::start(&trips_at_once());
    let breaker = server.client().breaker(NAME).unwrap();
    assert_eq!(breaker.call(ready(Err::<(), _>(1))).await, Err(CallError::Failed(1)));
    server.next_run().await;
    server.pass(Duration::from_secs(10));

    let unwanted = async { panic!("a denied call was made") };
    let result: Result<(), CallError<()>> = breaker.call(unwanted).await;
    let Err(CallError::Denied(denial)) = result else { panic!("the breaker is open") };
    assert_eq!(denial.reason, DenyReason::Open);
    assert_eq!((denial.state, denial.mode), (Some(StateKind::Open), Some(Mode::Normal)));
    assert_eq!(denial.retry_after, Some(Duration::from_secs(20)));

    let refused = async { Ok::<_, ()>("called") };
    let value = breaker.caller().call_or_else(refused, |_| async { "cached" }).await;
    assert_eq!(value, "cached");
}

#[tokio::test]
async fn a_fallback_learns_why_it_is_needed() {
    let server = TestServer::start(&ConfigPatch::default());
    let breaker = server.client().breaker(NAME).unwrap();
    let failing = ready(Err::<u32, _>(3));
    let fallback = async |error| if error == CallError::Failed(3) { 4 } else { 0 };
    assert_eq!(breaker.caller().call_or_else(failing, fallback).await, 4);
}

#[tokio::test]
async fn a_probe_carries_its_permit_and_no_more_than_its_time() {
    let mut server = TestServer::start(&trips_at_once());
    let breaker = server.client().breaker(NAME).unwrap();
    let _ = breaker.call(ready(Err::<(), _>(()))).await;
    server.next_run().await;
    server.pass(Duration::from_secs(30));

    let Admission::Allowed(guard) = breaker.acquire().await.unwrap() else {
        panic!("a probe is allowed")
    };
    assert_eq!(guard.generation(), Some(3));
    assert_eq!(guard.call_timeout(), Duration::from_secs(2));
    let permit = guard.permit().unwrap();
    let Admission::Denied(denial) = breaker.acquire().await.unwrap() else {
        panic!("the only permit is out")
    };
    assert_eq!(denial.reason, DenyReason::NoPermit);

    guard.success().await.unwrap();
    let (run, report) = server.next_run().await;
    assert_eq!((run.permit_id, report.generation), (permit.as_u64(), 3));
    assert_eq!(server.world(|world| world.breaker(NAME).state()), StateKind::Closed);
}

#[tokio::test]
async fn a_cancelled_call_is_ignored_and_frees_its_permit() {
    let mut server = TestServer::start(&trips_at_once());
    let breaker = server.client().breaker(NAME).unwrap();
    let _ = breaker.call(ready(Err::<(), _>(()))).await;
    server.next_run().await;
    server.pass(Duration::from_secs(30));

    let (begin, has_begun) = oneshot::channel();
    let handle = breaker.clone();
    let call = tokio::spawn(async move {
        let hanging = async {
            begin.send(()).unwrap();
            pending::<Result<(), ()>>().await
        };
        handle.call(hanging).await
    });
    has_begun.await.unwrap();
    call.abort();
    let (run, report) = server.next_run().await;
    assert_eq!((run.outcome(), report.generation), (v1::Outcome::Ignored, 3));
    assert_ne!(run.permit_id, 0);
    // The next probe finds the permit free again.
    assert_eq!(breaker.call(ready(Ok::<_, ()>(1))).await, Ok(1));
}

#[tokio::test]
async fn what_the_server_refuses_is_an_error_of_acquire_but_fails_no_call() {
    let server = TestServer::start(&ConfigPatch::default());
    let client = server.client();
    assert!(matches!(client.breaker("stripe"), Err(Error::Name(_))));
    let breaker = client.breaker(NAME).unwrap();
    server.world(|world| world.acquire_fails_with = Some(Status::not_found("no such breaker")));
    assert!(matches!(breaker.acquire().await, Err(Error::Refused(_))));
    // The guarded call goes through all the same.
    assert_eq!(breaker.call(ready(Ok::<_, ()>(1))).await, Ok(1));
}
