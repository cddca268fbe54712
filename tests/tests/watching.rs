//! Watch keeps a copy equal to the server's, whatever happens to either.

use breaker_core::Time;
use breaker_proto::v1::{self, Outcome};
use breaker_tests::{Copy, Hosted, report_of, run_of, selecting, states_in};
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};

/// What happens next in the world.
#[derive(Clone, Debug)]
enum Step {
    Fail(u8),
    ForceOpen(u8),
    Release(u8),
    Delete(u8),
    Pass(u16),
    /// A stream is opened where the copy stands, gives one message, and is cut.
    Peek(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let breaker = || 0..8_u8;
    let step = prop_oneof![
        4 => breaker().prop_map(Step::Fail),
        1 => breaker().prop_map(Step::ForceOpen),
        1 => breaker().prop_map(Step::Release),
        1 => breaker().prop_map(Step::Delete),
        1 => (0..40_000_u16).prop_map(Step::Pass),
        2 => (0..2_usize).prop_map(Step::Peek),
    ];
    proptest::collection::vec(step, 1..40)
}

async fn live_through(steps: &[Step]) -> anyhow::Result<()> {
    let mut hosted = Hosted::start(Time::from_millis(1)).await?;
    let mut copies = [Copy::default(), Copy::default()];
    let mut now = 1;
    for step in steps {
        let clients = &mut hosted.clients;
        match step {
            Step::Fail(which) => {
                let runs = vec![run_of(Outcome::Failure, 3)];
                clients.breakers.report(report_of(&format!("a/{which}"), 0, runs)).await?;
            }
            // A breaker that is not there is no news.
            Step::ForceOpen(which) => {
                let target = selecting(&format!("a/{which}"));
                let request = v1::ForceOpenRequest { target, time_to_live: None };
                let _ = clients.admin.force_open(request).await;
            }
            Step::Release(which) => {
                let target = selecting(&format!("a/{which}"));
                let _ = clients.admin.release(v1::ReleaseRequest { target }).await;
            }
            Step::Delete(which) => {
                let name = format!("a/{which}");
                let request = v1::DeleteBreakerRequest { name, ..Default::default() };
                let _ = clients.admin.delete_breaker(request).await;
            }
            Step::Pass(millis) => {
                now += u64::from(*millis);
                hosted.clock.advance_to(Time::from_millis(now));
            }
            Step::Peek(which) => {
                let mut stream = copies[*which].open(clients).await?;
                let message = stream.message().await?;
                message.map_or(Ok(()), |message| copies[*which].take(message))?;
            }
        }
    }
    // A change that is made last is recorded after all others: whoever has it has everything.
    let last = report_of("z/last", 0, vec![run_of(Outcome::Failure, 5)]);
    hosted.clients.breakers.report(last).await?;
    for copy in &mut copies {
        while copy.states.get("z/last").is_none_or(|last| last.state != v1::State::Open as i32) {
            copy.complete(&mut hosted.clients).await?;
        }
        let truth = states_in(&mut hosted.clients.admin).await?;
        anyhow::ensure!(copy.states == truth, "{:?} is not {truth:?}", copy.states);
        anyhow::ensure!(copy.resets == 0, "every token was still covered");
    }
    hosted.stop().await
}

#[test]
fn a_watch_that_is_cut_and_resumed_at_random_ends_with_the_states_of_list() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = TestRunner::new(Cases { cases: 40, ..Cases::default() });
    let outcome = runner.run(&steps(), |steps| {
        runtime
            .block_on(live_through(&steps))
            .map_err(|error| TestCaseError::fail(error.to_string()))
    });
    outcome.unwrap();
}

#[tokio::test]
async fn a_token_of_another_server_is_answered_with_a_new_snapshot() -> anyhow::Result<()> {
    let mut one = Hosted::start(Time::from_millis(1)).await?;
    let mut other = Hosted::start(Time::from_millis(1)).await?;
    let failures = report_of("a/b", 0, vec![run_of(Outcome::Failure, 5)]);
    one.clients.breakers.report(failures).await?;
    let mut copy = Copy::default();
    copy.complete(&mut one.clients).await?;
    copy.complete(&mut other.clients).await?;
    assert_eq!((copy.resets, copy.states.len()), (1, 0));
    one.stop().await?;
    other.stop().await
}

#[tokio::test]
async fn a_server_that_drains_ends_its_streams_with_a_token_and_a_reason() -> anyhow::Result<()> {
    let mut hosted = Hosted::start(Time::from_millis(1)).await?;
    let mut stream = Copy::default().open(&mut hosted.clients).await?;
    assert!(stream.message().await?.is_some_and(|message| message.snapshot_complete));
    let stopping = tokio::spawn(hosted.stop());
    let last = stream.message().await?;
    assert!(last.is_some_and(|message| !message.resume_token.is_empty()));
    let end = stream.message().await.unwrap_err();
    assert_eq!(end.code(), tonic::Code::Unavailable);
    let details = tonic_types::StatusExt::get_details_error_info(&end);
    assert_eq!(details.map(|info| info.reason).as_deref(), Some("DRAINING"));
    drop(stream);
    stopping.await?
}
