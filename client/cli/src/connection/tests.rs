use breaker_proto::leader::DOMAIN;
use breaker_proto::v1;
use tonic::Code;
use tonic_types::{ErrorDetails, StatusExt};

use super::*;
use crate::error::exit;
use crate::test_server::{TestServer, asked, context, nobody, stands_by};

const TIMEOUT: Duration = Duration::from_secs(10);

async fn acquire(connection: &Connection, patience: Patience) -> Result<(), Error> {
    let request = v1::AcquireRequest::default();
    let answer = connection
        .service(patience, &request, async |mut service, request| service.acquire(request).await);
    answer.await.map(drop)
}

#[tokio::test]
async fn the_leader_that_is_named_is_asked_next_and_first_from_then_on() {
    let (first, second, leader) =
        (TestServer::start().await, TestServer::start().await, TestServer::start().await);
    first.stand_by(Some(&leader));
    second.stand_by(Some(&leader));
    let context = context(&[&first.address, &second.address, &leader.address], TIMEOUT);
    for _ in 0..3 {
        acquire(&context.connection, Patience::OneRound).await.unwrap();
    }
    assert_eq!(asked([&first, &second, &leader]), [1, 0, 3]);
}

#[tokio::test]
async fn a_leader_outside_the_list_is_found() {
    let (known, leader) = (TestServer::start().await, TestServer::start().await);
    known.stand_by(Some(&leader));
    let context = context(&[&known.address], TIMEOUT);
    acquire(&context.connection, Patience::OneRound).await.unwrap();
    acquire(&context.connection, Patience::OneRound).await.unwrap();
    assert_eq!(asked([&known, &leader]), [1, 2]);
}

#[tokio::test]
async fn while_nobody_leads_the_servers_are_asked_again_until_one_does() {
    let (first, second) = (TestServer::start().await, TestServer::start().await);
    first.stand_by(None);
    second.world().refusals = vec![stands_by(None), stands_by(Some(&first))].into();
    let context = context(&[&first.address, &second.address], TIMEOUT);
    acquire(&context.connection, Patience::UntilTimeout).await.unwrap();
    assert_eq!(asked([&first, &second])[1], 3);
}

#[tokio::test]
async fn a_dead_leader_is_waited_for_while_another_server_stands_by() {
    let (dead, standby) = (nobody().await, TestServer::start().await);
    standby.world().refusals = vec![stands_by(None)].into();
    let context = context(&[&dead, &standby.address], TIMEOUT);
    acquire(&context.connection, Patience::UntilTimeout).await.unwrap();
    assert_eq!(asked([&standby]), [2]);
}

#[tokio::test]
async fn waiting_for_a_leader_ends_with_the_timeout() {
    let (first, second) = (TestServer::start().await, TestServer::start().await);
    first.stand_by(Some(&second));
    second.stand_by(Some(&first));
    let timeout = Duration::from_secs(3);
    let context = context(&[&first.address, &second.address], timeout);
    let began = clock::now();
    let error = acquire(&context.connection, Patience::UntilTimeout).await.unwrap_err();
    assert!(began.elapsed() < 2 * timeout, "{:?}", began.elapsed());
    assert_eq!(error.exit_code(), exit::UNAVAILABLE);
    assert!(error.to_string().contains("this server stands by"), "{error}");
    // A wait is at least 100 ms.
    let [rounds, _] = asked([&first, &second]);
    assert!((2..=30).contains(&rounds), "{rounds} rounds");
}

#[tokio::test]
async fn one_round_asks_each_server_once() {
    let (first, second) = (TestServer::start().await, TestServer::start().await);
    first.stand_by(Some(&second));
    second.stand_by(Some(&first));
    let context = context(&[&first.address, &second.address], TIMEOUT);
    assert!(acquire(&context.connection, Patience::OneRound).await.is_err());
    assert_eq!(asked([&first, &second]), [1, 1]);
}

#[tokio::test]
async fn servers_that_are_all_away_are_not_waited_for() {
    let context = context(&[&nobody().await, &nobody().await], TIMEOUT);
    let began = clock::now();
    let error = acquire(&context.connection, Patience::UntilTimeout).await.unwrap_err();
    assert_eq!(error.exit_code(), exit::UNAVAILABLE);
    assert!(began.elapsed() < TIMEOUT);
}

#[tokio::test]
async fn a_leader_without_its_database_is_not_taken_for_one_that_is_away() {
    let (leader, standby) = (TestServer::start().await, TestServer::start().await);
    let details = ErrorDetails::with_error_info("STORAGE_UNAVAILABLE", DOMAIN, []);
    let code = Code::Unavailable;
    let status = Status::with_error_details(code, "the database is away", details);
    leader.world().refusal = Some(status);
    standby.stand_by(Some(&leader));
    let context = context(&[&leader.address, &standby.address], TIMEOUT);
    let error = acquire(&context.connection, Patience::UntilTimeout).await.unwrap_err();
    assert!(error.to_string().contains("the database is away"), "{error}");
    assert_eq!(error.exit_code(), exit::UNAVAILABLE);
    assert_eq!(asked([&leader, &standby]), [1, 0]);
}

#[test]
fn waits_are_those_asked_for_within_bounds_and_chance_makes_them_longer() {
    let [short, some, long] = [1, 300, 60_000].map(Duration::from_millis);
    assert_eq!(wait(Some(some), 0.0), some);
    assert_eq!(wait(Some(some), 1.0), some * 3 / 2);
    assert_eq!(wait(Some(short), 0.0), LEAST_WAIT);
    assert_eq!(wait(Some(long), 0.0), MOST_WAIT);
    assert_eq!(wait(None, 0.0), LEAST_WAIT);
}
