//! Guards, wherever they are used.

use std::future::pending;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use breaker_core::ConfigPatch;
use breaker_proto::v1;
use tokio::runtime::{Builder, Runtime};

use super::server::TestServer;
use super::support::{
    LONG, NAME, allowed, breaker_of, builder, client_of, nobody, ready, trips_at_once,
};
use crate::{Breaker, CallError, Client, Verdict};

/// Looks at a future once, outside of any runtime.
fn at_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// A runtime that is not the client's, and has no timers.
fn other_runtime() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

#[tokio::test]
async fn a_guard_that_is_dropped_was_a_call_that_counts_for_nothing() {
    let mut server = TestServer::start(&ConfigPatch::default());
    server.create(NAME);
    let breaker = breaker_of(&server).await;
    drop(allowed(&breaker).await);
    assert!(breaker.client().flush(LONG).await);
    assert_eq!(server.next_run().await.0.outcome(), v1::Outcome::Ignored);
}

#[tokio::test]
async fn every_verdict_finds_its_outcome() {
    let server = TestServer::start(&ConfigPatch::default());
    server.create(NAME);
    let breaker = breaker_of(&server).await;
    for verdict in [Verdict::Success, Verdict::failure("a"), Verdict::Timeout, Verdict::Ignored] {
        allowed(&breaker).await.finish(verdict);
    }
    assert!(breaker.client().flush(LONG).await);
    assert_eq!(server.world(|world| world.totals(NAME)), [1, 1, 1, 1]);
}

#[test]
fn a_closed_breaker_needs_no_runtime_to_decide() {
    let server = TestServer::start(&ConfigPatch::default());
    server.create(NAME);
    let runtime = runtime();
    let breaker = runtime.block_on(breaker_of(&server));
    let Poll::Ready(Ok(guard)) = at_once(breaker.acquire()) else { panic!("it is closed") };
    guard.success();
    let call = breaker.call(async { Ok::<_, ()>(1) });
    assert_eq!(at_once(call), Poll::Ready(Ok(1)));
    assert!(runtime.block_on(breaker.client().flush(LONG)));
    assert_eq!(server.world(|world| world.totals(NAME)), [2, 0, 0, 0]);
}

#[test]
fn a_call_of_another_runtime_is_bound_by_the_clients_timers() {
    let server = TestServer::start(&ConfigPatch::default());
    server.create(NAME);
    let runtime = runtime();
    let breaker = runtime.block_on(breaker_of(&server));
    let caller = breaker.caller().timeout(Duration::from_millis(10));
    let result = other_runtime().block_on(caller.call(pending::<Result<(), ()>>()));
    assert_eq!(result, Err(CallError::Timeout));
}

/// A breaker of a client whose runtime has gone.
fn orphan(server: &TestServer) -> Breaker {
    let runtime = runtime();
    let breaker = runtime.block_on(breaker_of(server));
    drop(runtime);
    breaker
}

#[test]
fn a_breaker_whose_runtime_has_gone_still_decides() {
    let server = TestServer::start(&ConfigPatch::default());
    server.create(NAME);
    let breaker = orphan(&server);
    for verdict in [Verdict::Success, Verdict::failure("a"), Verdict::Timeout, Verdict::Ignored] {
        let Poll::Ready(Ok(guard)) = at_once(breaker.acquire()) else { panic!("it is closed") };
        guard.finish(verdict);
    }
    drop(at_once(breaker.acquire()));
}

#[test]
fn a_call_that_waits_needs_no_runtime_of_the_client() {
    let server = TestServer::start(&ConfigPatch::default());
    server.create(NAME);
    let breaker = orphan(&server);
    let other = Builder::new_current_thread().enable_all().build().unwrap();
    let waiting = async {
        tokio::task::yield_now().await;
        Ok::<_, ()>(1)
    };
    assert_eq!(other.block_on(breaker.call(waiting)), Ok(1));
}

#[test]
fn a_call_outlives_the_runtime_of_the_client() {
    let server = TestServer::start(&ConfigPatch::default());
    server.create(NAME);
    let runtime = runtime();
    let breaker = runtime.block_on(breaker_of(&server));
    let (end, ends) = tokio::sync::oneshot::channel();
    let call = async { ends.await.map_err(drop) };
    let mut call = pin!(breaker.call(call));
    assert!(at_once(call.as_mut()).is_pending());
    drop(runtime);
    assert!(at_once(call.as_mut()).is_pending());
    end.send(1).unwrap();
    assert_eq!(at_once(call), Poll::Ready(Ok(1)));
}

#[test]
fn a_half_open_breaker_whose_runtime_has_gone_is_decided_alone() {
    let server = TestServer::start(&trips_at_once());
    server.trip(NAME);
    server.pass(LONG);
    let breaker = orphan(&server);
    assert!(other_runtime().block_on(breaker.acquire()).is_ok());
}

#[test]
fn a_client_whose_runtime_has_gone_ends_without_a_hang() {
    let server = TestServer::start(&ConfigPatch::default());
    server.create(NAME);
    let breaker = orphan(&server);
    let other = Builder::new_current_thread().enable_all().build().unwrap();
    other.block_on(async {
        allowed(&breaker).await.failure("");
        let client: Client = breaker.client().clone();
        assert!(!client.flush(Duration::from_millis(1)).await);
        assert!(client.shutdown().await.is_err());
    });
    drop(breaker);
}

#[tokio::test]
async fn an_owned_guard_keeps_the_client_alive() {
    let server = TestServer::start(&ConfigPatch::default());
    server.create(NAME);
    let client = client_of(&server);
    let guard = ready(&client, NAME).await.acquire_owned().await.unwrap();
    let other = client.clone();
    drop(client);
    guard.success();
    assert!(other.flush(LONG).await);
    assert_eq!(server.world(|world| world.totals(NAME)), [1, 0, 0, 0]);
}

#[tokio::test]
async fn a_guard_says_how_long_it_has_been() {
    let client = builder().address(nobody()).build().unwrap();
    let breaker = client.breaker(NAME).unwrap();
    let _time = super::support::StoppedTime::from_now_on();
    let guard = allowed(&breaker).await;
    tokio::time::advance(Duration::from_secs(3)).await;
    assert_eq!(guard.elapsed(), Duration::from_secs(3));
    guard.success();
}
