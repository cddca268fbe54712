//! Calls that are wrapped whole.

use std::future::{pending, ready as at_once};
use std::time::Duration;

use breaker_core::ConfigPatch;
use breaker_proto::v1;
use breaker_wire::duration_from_message;

use super::server::TestServer;
use super::support::{LONG, NAME, StoppedTime, breaker_of, eventually, trips_at_once};
use crate::{CallError, Caller, DenyReason, Verdict};

#[tokio::test]
async fn a_value_and_an_error_come_back_as_they_are() {
    let server = TestServer::start(&ConfigPatch::default());
    server.create(NAME);
    let breaker = breaker_of(&server).await;
    assert_eq!(breaker.call(at_once(Ok::<_, ()>(7))).await, Ok(7));
    let failed = breaker.call(at_once(Err::<(), _>("no"))).await;
    assert_eq!(failed, Err(CallError::Failed("no")));
    assert!(breaker.client().flush(LONG).await);
    assert_eq!(server.world(|world| world.totals(NAME)), [1, 1, 0, 0]);
}

#[tokio::test]
async fn errors_are_judged_by_the_application() {
    let mut server = TestServer::start(&ConfigPatch::default());
    server.create(NAME);
    let breaker = breaker_of(&server).await;
    let caller = breaker.caller().classify_errors(|code: &u16| match code {
        404 => Verdict::Ignored,
        code => Verdict::failure(&format!("http.{code}")),
    });
    assert_eq!(caller.call(at_once(Err::<(), _>(503))).await, Err(CallError::Failed(503)));
    let (run, _) = server.next_run().await;
    assert_eq!((run.outcome(), run.error_kind.as_str()), (v1::Outcome::Failure, "http.503"));
    assert_eq!(caller.call(at_once(Err::<(), _>(404))).await, Err(CallError::Failed(404)));
    assert!(breaker.client().flush(LONG).await);
    assert_eq!(server.next_run().await.0.outcome(), v1::Outcome::Ignored);
}

#[tokio::test]
async fn a_value_can_be_a_failure() {
    let mut server = TestServer::start(&ConfigPatch::default());
    server.create(NAME);
    let breaker = breaker_of(&server).await;
    let caller = breaker.caller().classify(|result: &Result<u16, ()>| match result {
        Ok(200) => Verdict::Success,
        _ => Verdict::failure("http"),
    });
    assert_eq!(caller.call(at_once(Ok(503))).await, Ok(503));
    assert_eq!(server.next_run().await.0.outcome(), v1::Outcome::Failure);
}

#[tokio::test]
async fn a_call_under_an_open_breaker_is_not_made_and_its_fallback_is() {
    let server = TestServer::start(&trips_at_once());
    server.trip(NAME);
    let breaker = breaker_of(&server).await;
    let unwanted = async { panic!("a denied call was made") };
    let result: Result<(), CallError<()>> = breaker.call(unwanted).await;
    let Err(CallError::Denied(denial)) = result else { panic!("the breaker is open") };
    assert_eq!(denial.reason, DenyReason::Open);
    let unwanted = async { Ok::<_, ()>("called") };
    assert_eq!(breaker.call_or(unwanted, async |_| "cached").await, "cached");
}

#[tokio::test]
async fn a_fallback_learns_why_it_is_needed() {
    let server = TestServer::start(&ConfigPatch::default());
    let breaker = breaker_of(&server).await;
    let fallback = async |error| if error == CallError::Failed(3) { 4 } else { 0 };
    assert_eq!(breaker.call_or(at_once(Err::<u32, _>(3)), fallback).await, 4);
}

/// Lets the call begin and then this much time pass; how the call ended.
async fn call_that_hangs(
    time: &StoppedTime,
    caller: Caller<'static>,
    duration: Duration,
) -> Result<(), CallError<()>> {
    let call = tokio::spawn(async move { caller.call(pending()).await });
    super::support::settle().await;
    time.pass(duration - Duration::from_millis(1)).await;
    super::support::settle().await;
    assert!(!call.is_finished());
    time.pass(Duration::from_millis(2)).await;
    call.await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_call_is_given_up_after_the_breakers_call_timeout() {
    let time = StoppedTime::begin();
    let mut server = TestServer::start(&trips_at_once());
    server.create(NAME);
    let breaker = breaker_of(&server).await;
    let call_timeout = Duration::from_secs(2);
    let result = call_that_hangs(&time, breaker.clone().into_caller(), call_timeout).await;
    assert_eq!(result, Err(CallError::Timeout));
    let (run, _) = server.next_run().await;
    assert_eq!(run.outcome(), v1::Outcome::Timeout);
    let duration = duration_from_message("", &run.total_duration.unwrap()).unwrap();
    assert!(duration >= call_timeout, "{duration:?}");
}

#[tokio::test(start_paused = true)]
async fn a_caller_can_give_up_earlier_but_not_later() {
    let time = StoppedTime::begin();
    let server = TestServer::start(&trips_at_once());
    server.create(NAME);
    let breaker = breaker_of(&server).await;
    let own = Duration::from_millis(100);
    let caller = breaker.clone().into_caller().timeout(own);
    assert_eq!(call_that_hangs(&time, caller, own).await, Err(CallError::Timeout));
    eventually(|| server.world(|world| world.totals(NAME)) == [0, 0, 1, 0]).await;
    server.change(NAME, |breaker, config, now| {
        breaker.reset(config, breaker_core::Attribution::default(), now);
    });
    eventually(|| breaker.allows_all()).await;
    let caller = breaker.clone().into_caller().timeout(LONG);
    let result = call_that_hangs(&time, caller, Duration::from_secs(2)).await;
    assert_eq!(result, Err(CallError::Timeout));
}

#[tokio::test]
async fn a_call_that_is_cancelled_counts_for_nothing() {
    let server = TestServer::start(&ConfigPatch::default());
    server.create(NAME);
    let breaker = breaker_of(&server).await;
    let caller = breaker.clone().into_caller();
    let call = tokio::spawn(async move { caller.call(pending::<Result<(), ()>>()).await });
    super::support::settle().await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert!(breaker.client().flush(LONG).await);
    assert_eq!(server.world(|world| world.totals(NAME)), [0, 0, 0, 1]);
}

#[tokio::test]
async fn a_call_that_panics_counts_for_nothing() {
    let server = TestServer::start(&ConfigPatch::default());
    server.create(NAME);
    let breaker = breaker_of(&server).await;
    let caller = breaker.clone().into_caller();
    let panics = async { panic!("a bug of the application") };
    let call = tokio::spawn(async move { caller.call::<(), ()>(panics).await });
    assert!(call.await.unwrap_err().is_panic());
    assert!(breaker.client().flush(LONG).await);
    assert_eq!(server.world(|world| world.totals(NAME)), [0, 0, 0, 1]);
}
