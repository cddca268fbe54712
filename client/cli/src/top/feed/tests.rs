use std::sync::Arc;

use super::super::change::Target;
use super::*;
use crate::test_server::{TestServer, asked, context};

const TIMEOUT: Duration = Duration::from_secs(10);

fn poller(server: &TestServer) -> (Poller, mpsc::Receiver<News>) {
    let connection = context(&[&server.address], TIMEOUT).connection;
    let (news, told) = mpsc::channel(16);
    (Poller { connection, news, shown: None, unknown_until: 0 }, told)
}

#[tokio::test]
async fn it_is_asked_once_a_turn_how_the_fleet_is_doing() {
    let server = TestServer::start().await;
    let dashboard = v1::GetDashboardResponse { server_version: "9".into(), ..Default::default() };
    server.world().dashboard = Some(dashboard);
    let (mut poller, mut told) = poller(&server);
    for turn in [1, 1, 2] {
        poller.turn(turn, Wanted::default()).await.unwrap();
    }
    assert_eq!(asked([&server]), [2]);
    for _ in 0..2 {
        let Some(News::Dashboard(Some(told))) = told.recv().await else { panic!("it tells") };
        assert_eq!(told.server_version, "9");
    }
}

#[tokio::test]
async fn a_server_that_cannot_tell_is_not_asked_again_for_a_while() {
    let server = TestServer::start().await;
    let (mut poller, mut told) = poller(&server);
    for turn in 1..=UNKNOWN_EVERY {
        poller.turn(turn, Wanted::default()).await.unwrap();
    }
    assert_eq!(asked([&server]), [1]);
    assert!(matches!(told.recv().await, Some(News::Dashboard(None))));
    poller.turn(UNKNOWN_EVERY + 1, Wanted::default()).await.unwrap();
    assert_eq!(asked([&server]), [1], "it may be a newer one by now");
}

#[tokio::test]
async fn a_server_in_trouble_takes_nothing_away_that_was_told() {
    let server = TestServer::start().await;
    server.world().refusal = Some(Status::resource_exhausted("too much"));
    let (mut poller, mut told) = poller(&server);
    poller.turn(1, Wanted::default()).await.unwrap();
    assert!(told.try_recv().is_err());
    drop(told);
    server.world().refusal = None;
    server.world().dashboard = Some(v1::GetDashboardResponse::default());
    assert_eq!(poller.turn(2, Wanted::default()).await, None, "nobody listens any more");
}

#[test]
fn an_order_becomes_a_request_of_each_breaker() {
    let names = ["a/a", "a/b"].map(Arc::from).to_vec();
    let order = Order {
        action: Action::ForceClose,
        target: Target::Listed(names),
        reason: "the sale".into(),
        time_to_live: Some(Duration::from_mins(1)),
    };
    assert_eq!(order.target.selectors(), ["a/a", "a/b"]);
    let Change::ForceClose(request) = change(&order, "a/b", "ann") else { panic!("force close") };
    let target = request.target.unwrap();
    assert_eq!((&*target.selector, &*target.actor), ("a/b", "ann"));
    assert_eq!(request.time_to_live.unwrap().seconds, 60);
}
