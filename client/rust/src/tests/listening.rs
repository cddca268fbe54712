//! Listeners.

use std::sync::Arc;

use breaker_core::{ConfigPatch, Mode, OverrideKind, StateKind};
use parking_lot::Mutex;

use super::server::TestServer;
use super::support::{LONG, NAME, client_of, eventually, ready, settle, trips_at_once};
use crate::{Client, ClientState, Listener, Transition};

/// What was heard, in order.
type Heard<T> = Arc<Mutex<Vec<T>>>;

fn hears_all(client: &Client) -> (Heard<Transition>, Listener) {
    let heard: Heard<Transition> = Arc::default();
    let list = Arc::clone(&heard);
    (heard, client.on_transition(move |transition| list.lock().push(transition.clone())))
}

fn states(heard: &Heard<Transition>) -> Vec<(StateKind, StateKind)> {
    heard.lock().iter().map(|told| (told.from.state, told.to.state)).collect()
}

#[tokio::test]
async fn changes_are_heard_in_order_and_the_first_state_is_none() {
    let server = TestServer::start(&trips_at_once());
    server.create(NAME);
    let client = client_of(&server);
    let (heard, _listener) = hears_all(&client);
    let breaker = ready(&client, NAME).await;
    assert!(states(&heard).is_empty());
    server.trip(NAME);
    eventually(|| states(&heard).len() == 1).await;
    server.pass(LONG);
    eventually(|| states(&heard).len() == 2).await;
    server.change(NAME, |breaker, config, now| {
        breaker.reset(config, breaker_core::Attribution::default(), now);
    });
    eventually(|| states(&heard).len() == 3).await;
    use StateKind::{Closed, HalfOpen, Open};
    assert_eq!(states(&heard), [(Closed, Open), (Open, HalfOpen), (HalfOpen, Closed)]);
    assert!(heard.lock().iter().all(|told| told.breaker.as_str() == breaker.name()));
}

#[tokio::test]
async fn a_mode_is_a_change_and_a_configuration_is_none() {
    let server = TestServer::start(&trips_at_once());
    server.create(NAME);
    let client = client_of(&server);
    let (heard, _listener) = hears_all(&client);
    ready(&client, NAME).await;
    server.configure(NAME, &ConfigPatch { failure_threshold: Some(9), ..trips_at_once() });
    server.change(NAME, |breaker, config, now| {
        let by = breaker_core::Attribution::default();
        breaker.override_with(config, OverrideKind::Shadow, by, None, now);
    });
    eventually(|| !heard.lock().is_empty()).await;
    let told = heard.lock()[0].clone();
    assert_eq!((told.from.mode, told.to.mode), (Mode::Normal, Mode::Shadow));
    assert_eq!(heard.lock().len(), 1);
}

#[tokio::test]
async fn a_listener_of_a_breaker_hears_of_no_other() {
    let server = TestServer::start(&trips_at_once());
    let client = client_of(&server);
    server.create("a/1");
    server.create("a/2");
    let (one, _other) = (ready(&client, "a/1").await, ready(&client, "a/2").await);
    let heard: Heard<String> = Arc::default();
    let list = Arc::clone(&heard);
    let _listener = one.on_transition(move |told| list.lock().push(told.breaker.to_string()));
    server.trip("a/2");
    server.trip("a/1");
    eventually(|| !heard.lock().is_empty()).await;
    settle().await;
    assert_eq!(*heard.lock(), ["a/1"]);
}

#[tokio::test]
async fn a_listener_that_panics_harms_nobody() {
    let server = TestServer::start(&trips_at_once());
    server.create(NAME);
    let client = client_of(&server);
    client.on_transition(|_| panic!("a bug of the application")).keep();
    let (heard, _listener) = hears_all(&client);
    ready(&client, NAME).await;
    server.trip(NAME);
    eventually(|| states(&heard).len() == 1).await;
    server.pass(LONG);
    eventually(|| states(&heard).len() == 2).await;
}

#[tokio::test]
async fn one_that_was_dropped_hears_no_more_and_one_that_is_kept_does() {
    let server = TestServer::start(&trips_at_once());
    server.create(NAME);
    let client = client_of(&server);
    let (dropped, listener) = hears_all(&client);
    let (kept, keeper) = hears_all(&client);
    keeper.keep();
    drop(listener);
    ready(&client, NAME).await;
    server.trip(NAME);
    eventually(|| kept.lock().len() == 1).await;
    assert!(dropped.lock().is_empty());
}

#[tokio::test]
async fn the_states_of_the_client_are_heard_the_end_included() {
    let server = TestServer::start(&ConfigPatch::default());
    let client = client_of(&server);
    let heard: Heard<ClientState> = Arc::default();
    let list = Arc::clone(&heard);
    client.on_state(move |state| list.lock().push(state)).keep();
    ready(&client, NAME).await;
    server.cut_streams();
    eventually(|| heard.lock().len() >= 3).await;
    client.shutdown().await.unwrap();
    use ClientState::{Fallback, Ready, Stale};
    assert_eq!(*heard.lock(), [Ready, Stale, Ready, Fallback]);
}
