use breaker_proto::encoded::EncodedWatchResponse;
use breaker_proto::v1;

use super::*;
use crate::clock;
use crate::connection::Patience;
use crate::test_server::{TestServer, asked, context, stands_by};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Follows the tokens of a watch up to the last one that the test expects.
struct Tokens {
    seen: Vec<u8>,
    last: u8,
}

impl Follower for Tokens {
    type Answer = v1::WatchResponse;

    async fn open(&self, connection: &Connection) -> Result<Streaming<Self::Answer>, Error> {
        let resume_token = self.seen.last().copied().into_iter().collect();
        let request = v1::WatchRequest { selectors: vec![], resume_token };
        let answer =
            connection.service(Patience::UntilTimeout, &request, async |mut service, request| {
                service.watch(request).await
            });
        answer.await
    }

    fn take(&mut self, answer: Self::Answer) -> anyhow::Result<()> {
        self.seen.extend(answer.resume_token);
        anyhow::ensure!(self.seen.last() != Some(&self.last), "enough");
        Ok(())
    }

    fn begin_anew(&mut self, _: &Status) {
        self.seen.clear();
    }
}

fn token(token: u8) -> Result<EncodedWatchResponse, Status> {
    let mut response = EncodedWatchResponse::default();
    response.resume_token = vec![token];
    Ok(response)
}

async fn seen(servers: &[&TestServer], last: u8) -> Vec<u8> {
    let addresses: Vec<_> = servers.iter().map(|server| &server.address).collect();
    let mut tokens = Tokens { seen: vec![], last };
    let end = follow(&context(&addresses, TIMEOUT), &mut tokens).await;
    assert_eq!(end.unwrap_err().to_string(), "enough");
    tokens.seen
}

#[tokio::test]
async fn a_stream_goes_on_at_the_leader_that_the_old_one_named() {
    let (old, other, new) =
        (TestServer::start().await, TestServer::start().await, TestServer::start().await);
    old.world().streams = vec![vec![token(1), Err(stands_by(Some(&new)))]].into();
    other.stand_by(Some(&old));
    new.world().streams = vec![vec![token(2), token(3)]].into();
    assert_eq!(seen(&[&old, &other, &new], 3).await, [1, 2, 3]);
    assert_eq!(asked([&old, &other, &new]), [1, 0, 1]);
    assert_eq!(new.world().watches[0].resume_token, [1]);
}

#[tokio::test]
async fn a_stream_begins_at_the_leader_that_is_named() {
    let (standby, leader) = (TestServer::start().await, TestServer::start().await);
    standby.stand_by(Some(&leader));
    leader.world().streams = vec![vec![token(1)]].into();
    assert_eq!(seen(&[&standby], 1).await, [1]);
}

#[tokio::test]
async fn a_stream_between_servers_that_name_each_other_comes_to_its_end() {
    let (first, second) = (TestServer::start().await, TestServer::start().await);
    first.world().streams = vec![vec![Err(stands_by(Some(&second)))], vec![token(1)]].into();
    second.world().streams = vec![vec![Err(stands_by(Some(&first)))]].into();
    assert_eq!(seen(&[&first, &second], 1).await, [1]);
    assert_eq!(asked([&first, &second]), [2, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_leader_is_gone_to_at_once_and_another_one_without_a_message_between_is_not() {
    let mut pace = Pace::default();
    let began = clock::now();
    pace.wait(Step::Leader).await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    pace.wait(Step::Leader).await;
    assert!(began.elapsed() >= Duration::from_millis(50), "{:?}", began.elapsed());

    pace.reset();
    let began = clock::now();
    pace.wait(Step::Leader).await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    pace.wait(Step::Next).await;
    assert!(began.elapsed() >= Duration::from_millis(50), "{:?}", began.elapsed());
}
