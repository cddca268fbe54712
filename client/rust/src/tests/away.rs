use std::future::ready;
use std::time::Duration;

use breaker_core::{ConfigPatch, OnUnavailable, StateKind};
use tonic::Status;

use super::support::{TestServer, builder, nobody};
use crate::{Admission, Breaker, CallError, DenyReason, Error};

const NAME: &str = "payments/stripe-api";

fn on_unavailable(choice: OnUnavailable) -> ConfigPatch {
    ConfigPatch { on_unavailable: Some(choice), ..ConfigPatch::default() }
}

async fn succeeds(breaker: &Breaker) -> Result<u32, CallError<()>> {
    breaker.call(ready(Ok(1))).await
}

#[tokio::test]
async fn without_a_server_a_call_goes_through_unguarded() {
    let client = builder().address(nobody()).build().unwrap();
    let breaker = client.breaker(NAME).unwrap();
    assert_eq!(succeeds(&breaker).await, Ok(1));
    assert!(breaker.acquire().await.unwrap_err().is_unavailable());
    let Admission::Allowed(guard) = breaker.admit().await else { panic!("it is allowed") };
    assert_eq!((guard.generation(), guard.permit()), (None, None));
    guard.failure("http.503").await.unwrap();
    client.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_builder_decides_for_breakers_the_server_never_told_of() {
    let deny = builder().address(nobody()).on_unavailable(OnUnavailable::Deny).build().unwrap();
    let breaker = deny.breaker(NAME).unwrap();
    let Err(CallError::Denied(denial)) = succeeds(&breaker).await else { panic!("it is denied") };
    assert_eq!((denial.reason, denial.state), (DenyReason::Unavailable, None));
}

#[tokio::test]
async fn what_the_server_told_of_a_breaker_holds_while_it_is_away() {
    let server = TestServer::start(&on_unavailable(OnUnavailable::Deny));
    let client = server.client();
    let breaker = client.breaker(NAME).unwrap();
    assert_eq!(succeeds(&breaker).await, Ok(1));
    drop(server);
    let Err(CallError::Denied(denial)) = succeeds(&breaker).await else { panic!("it is denied") };
    assert_eq!(denial.reason, DenyReason::Unavailable);
    // A handle made anew knows it, too; a breaker never heard of does not.
    let again = client.breaker(NAME).unwrap();
    assert!(matches!(succeeds(&again).await, Err(CallError::Denied(_))));
    assert_eq!(succeeds(&client.breaker("payments/other").unwrap()).await, Ok(1));
}

#[tokio::test]
async fn a_local_breaker_decides_until_the_server_is_back() {
    let patch = ConfigPatch {
        call_timeout: Some(Duration::from_secs(2)),
        ..on_unavailable(OnUnavailable::Local)
    };
    let server = TestServer::start(&patch);
    let breaker = server.client().breaker(NAME).unwrap();
    assert_eq!(succeeds(&breaker).await, Ok(1));
    let address = server.address.clone();
    drop(server);

    for _ in 0..5 {
        let failed = breaker.call(ready(Err::<(), _>(()))).await;
        assert_eq!(failed, Err(CallError::Failed(())));
    }
    let Err(CallError::Denied(denial)) = succeeds(&breaker).await else { panic!("it is open") };
    assert_eq!((denial.reason, denial.state), (DenyReason::Open, Some(StateKind::Open)));
    assert!(denial.retry_after.is_some());

    let server = TestServer::start_at(&address, &patch);
    assert_eq!(succeeds(&breaker).await, Ok(1));
    drop(server);
    // What the local breaker counted is forgotten.
    assert_eq!(succeeds(&breaker).await, Ok(1));
}

#[tokio::test]
async fn a_server_that_never_answers_costs_a_call_the_request_timeout() {
    let server = TestServer::start(&ConfigPatch::default());
    let breaker = server.client().breaker(NAME).unwrap();
    assert_eq!(succeeds(&breaker).await, Ok(1));
    server.world(|world| world.is_stuck = true);
    tokio::time::pause();
    let Err(error) = breaker.acquire().await else { panic!("nobody answered") };
    assert!(error.is_unavailable(), "{error}");
}

#[tokio::test]
async fn the_next_server_is_asked_when_one_is_away() {
    let (standby, leader) =
        (TestServer::start(&ConfigPatch::default()), TestServer::start(&ConfigPatch::default()));
    standby.world(|world| world.acquire_fails_with = Some(Status::unavailable("standing by")));
    let addresses = [nobody(), standby.address.clone(), leader.address.clone()];
    let client = builder().addresses(addresses).build().unwrap();
    let breaker = client.breaker(NAME).unwrap();
    let Admission::Allowed(guard) = breaker.acquire().await.unwrap() else {
        panic!("the leader allows it")
    };
    guard.success().await.unwrap();
    assert_eq!(leader.world(|world| world.breaker(NAME).metrics().unwrap().totals().successes), 1);
}

#[tokio::test]
async fn a_client_needs_addresses_and_a_bearable_id() {
    assert!(matches!(builder().build(), Err(Error::NoAddress)));
    assert!(matches!(builder().address("breakerd").build(), Err(Error::Address { .. })));
    let long = builder().address("a:1").client_id("x".repeat(181)).build();
    assert!(matches!(long, Err(Error::ClientId(181))));
}

#[test]
fn a_client_needs_a_runtime() {
    assert!(matches!(builder().address("a:1").build(), Err(Error::NoRuntime)));
}
