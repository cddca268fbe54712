//! The client for code without async.

use std::time::Duration;

use breaker_core::ConfigPatch;

use super::server::TestServer;
use super::support::{LONG, NAME, StoppedTime, builder, nobody, trips_at_once};
use crate::blocking::Client;
use crate::{CallError, DenyReason, Verdict};

fn client_of(server: &TestServer) -> Client {
    let client = Client::build(builder().address(&server.address)).unwrap();
    client.breaker(NAME).unwrap();
    assert!(client.ready(LONG));
    client
}

/// What an application does.
fn makes_calls() {
    let server = TestServer::start(&ConfigPatch::default());
    server.create(NAME);
    let client = client_of(&server);
    let breaker = client.breaker(NAME).unwrap();
    assert_eq!(breaker.call(|| Ok::<_, ()>(1)), Ok(1));
    assert_eq!(breaker.call(|| Err::<(), _>("no")), Err(CallError::Failed("no")));
    let ignored = |_: &Result<(), &str>| Verdict::Ignored;
    assert!(breaker.call_judged_by(ignored, || Err("no")).is_err());
    assert_eq!(
        breaker.call_or(|| Err(2), |error| if error == CallError::Failed(2) { 3 } else { 0 }),
        3
    );
    drop(breaker.acquire().unwrap());
    assert!(client.flush(LONG));
    assert_eq!(server.world(|world| world.totals(NAME)), [1, 2, 0, 2]);
    client.shutdown().unwrap();
}

#[test]
fn it_works_outside_of_a_runtime() {
    makes_calls();
}

#[tokio::test]
async fn it_works_within_a_runtime() {
    makes_calls();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn it_works_on_the_only_thread_of_a_runtime() {
    makes_calls();
}

#[test]
fn a_denied_call_is_not_made_and_a_probe_is() {
    let server = TestServer::start(&trips_at_once());
    server.trip(NAME);
    let client = client_of(&server);
    let breaker = client.breaker(NAME).unwrap();
    let result: Result<(), CallError<()>> = breaker.call(|| panic!("a denied call was made"));
    let Err(CallError::Denied(denial)) = result else { panic!("the breaker is open") };
    assert_eq!(denial.reason, DenyReason::Open);
    server.pass(LONG);
    while breaker.as_async().status().unwrap().retry_after.is_some() {
        std::thread::yield_now();
    }
    assert_eq!(breaker.call(|| Ok::<_, ()>(1)), Ok(1));
}

#[test]
fn a_call_that_took_too_long_is_a_timeout_and_its_value_is_returned() {
    let patch =
        ConfigPatch { call_timeout: Some(Duration::from_millis(1)), ..ConfigPatch::default() };
    let server = TestServer::start(&patch);
    server.create(NAME);
    let client = client_of(&server);
    let breaker = client.breaker(NAME).unwrap();
    let slow = || {
        std::thread::sleep(Duration::from_millis(2));
        Ok::<_, ()>(1)
    };
    assert_eq!(breaker.call(slow), Ok(1));
    assert!(client.flush(LONG));
    assert_eq!(server.world(|world| world.totals(NAME)), [0, 0, 1, 0]);
}

#[test]
fn the_last_one_that_goes_reports_what_is_left() {
    let server = TestServer::start(&ConfigPatch::default());
    server.create(NAME);
    let breaker = {
        let client = client_of(&server);
        client.breaker(NAME).unwrap()
    };
    assert_eq!(breaker.call(|| Ok::<_, ()>(1)), Ok(1));
    drop(breaker);
    assert_eq!(server.world(|world| world.totals(NAME)), [1, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn it_is_not_held_up_by_a_runtime_around_it_that_stands_still() {
    let _time = StoppedTime::begin();
    let client = Client::build(builder().address(nobody())).unwrap();
    assert!(!client.ready(Duration::from_millis(10)));
    assert_eq!(client.breaker(NAME).unwrap().call(|| Ok::<_, ()>(1)), Ok(1));
    assert!(!client.flush(Duration::from_millis(10)));
}
