//! Whether the real `breakerd` holds what it has: memory, file handles, threads and tasks, under
//! clients, streams and breakers that come and go all the time.
//!
//! The load is the same at any time: as much comes as goes. So whatever grows is a leak, and two
//! things show one. Of what is sampled each second a line is fitted, which must not rise. And once
//! nobody is there any more, handles, tasks and streams must be as many as before anybody came: that
//! is exact, and it is what a short run finds leaks by.
//!
//! `tests/soak/run [--seconds 1200]`

mod admin;
mod caller;
mod history;
mod line;
mod load;
mod names;
mod process;
mod report;
mod sample;
mod tally;
mod watcher;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use breaker_proto::v1;
use breaker_tests::{Chance, Daemon, Follower, clock, eventually};
use clap::Parser;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::load::Load;
use crate::report::{Report, Rest};
use crate::sample::Sample;
use crate::tally::Tally;

/// Lets clients, streams and breakers of a server come and go, and looks whether it grows.
#[derive(Debug, Parser)]
struct Options {
    /// How long, in seconds.
    #[arg(long, default_value_t = 1_200, value_parser = clap::value_parser!(u64).range(40..))]
    seconds: u64,
}

/// The load comes twice: what the first round leaves behind once, the second one must not leave
/// behind again.
const ROUNDS: u64 = 2;
/// A load before the first that is looked at: caches fill and pools open what they keep.
const PRIMING: Duration = Duration::from_secs(4);
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// The server has so long to see that everybody is gone.
const FAREWELL: Duration = Duration::from_secs(30);
/// A server at rest says the same so often.
const SAME_AT_REST: usize = 4;
/// Longer than a breaker is OPEN, an override lasts, or a permit is out.
const BREAKERS_REST: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let round = Duration::from_secs(options.seconds) / ROUNDS as u32;
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("breakerd.db");
    history::create(&database).await?;
    let daemon = Daemon::start_with(&database, ["--log=warn"])?;
    daemon.clients()?.admin.create_policy(policy()).await?;
    // A client that is there all the time: its stream lives through everything.
    let mut follower = Follower::start(std::slice::from_ref(&daemon.grpc))?;
    let (mut chance, tally) = (Chance::of_test()?, Arc::new(Tally::default()));

    history::read(&daemon.clients()?).await?;
    run(&daemon, PRIMING, &mut chance, &tally).await?;
    let mut report = Report::new(rest(&daemon).await?);
    for _ in 0..ROUNDS {
        report.samples.extend(run(&daemon, round, &mut chance, &tally).await?);
        report.rests.push(after(&daemon, report.before).await?);
    }
    println!("{} s of load\n{tally}\n{report}", options.seconds);

    sleep(BREAKERS_REST).await;
    follower.until_equal(&mut daemon.clients()?).await.context("after the load")?;
    drop(follower);
    let log = daemon.terminate_and_tell()?;
    check_log(&log)?;
    tally.check()?;
    report.check()?;
    println!(
        "the copy of a watcher equals List; no errors in the log; SIGTERM ends it with success"
    );
    Ok(())
}

/// Breakers open, half-open and close within a fraction of a second.
fn policy() -> v1::CreatePolicyRequest {
    let millis =
        |millis: i32| Some(prost_types::Duration { seconds: 0, nanos: millis * 1_000_000 });
    let config = v1::BreakerConfig {
        failure_threshold: Some(3),
        success_threshold: Some(1),
        open_duration: millis(200),
        // Also for how long a permit that was lost with its client is out.
        call_timeout: millis(250),
        ..Default::default()
    };
    v1::CreatePolicyRequest {
        name: "soak".into(),
        selector: "soak/**".into(),
        config: Some(config),
        ..Default::default()
    }
}

/// Puts the server under load, and looks at it every second.
async fn run(
    daemon: &Daemon,
    duration: Duration,
    chance: &mut Chance,
    tally: &Arc<Tally>,
) -> anyhow::Result<Vec<Sample>> {
    let mut load = Load::start(daemon.grpc.parse()?, chance, tally)?;
    let (begun, mut samples) = (clock::now(), Vec::new());
    let mut seconds = interval(SAMPLE_EVERY);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while clock::now().since(begun) < duration {
        seconds.tick().await;
        load.check()?;
        samples.push(Sample::of(daemon)?);
    }
    load.end().await?;
    Ok(samples)
}

/// The server once it says the same again and again.
async fn rest(daemon: &Daemon) -> anyhow::Result<Rest> {
    let mut seen = Vec::new();
    let what = "the server is at rest";
    eventually(what, FAREWELL, async || {
        sleep(SAMPLE_EVERY).await;
        seen.push(Sample::of(daemon)?);
        let counts: Vec<_> = seen.iter().rev().take(SAME_AT_REST).map(Sample::counts).collect();
        Ok(counts.len() == SAME_AT_REST && counts.windows(2).all(|pair| pair[0] == pair[1]))
    })
    .await?;
    seen.last().map(Rest::of).context("it was looked at")
}

/// The server once everybody is gone, or after it had its time for that.
async fn after(daemon: &Daemon, before: Rest) -> anyhow::Result<Rest> {
    sleep(BREAKERS_REST).await;
    let mut last = Rest::of(&Sample::of(daemon)?);
    let gone = eventually("everybody is gone", FAREWELL, async || {
        sleep(SAMPLE_EVERY).await;
        last = Rest::of(&Sample::of(daemon)?);
        Ok(last.is_no_more_than(before))
    });
    // The report tells what is still there.
    let _ = gone.await;
    Ok(last)
}

fn check_log(log: &str) -> anyhow::Result<()> {
    let errors: Vec<_> = log.lines().filter(|line| line.contains("ERROR")).take(10).collect();
    anyhow::ensure!(errors.is_empty(), "the server has logged errors:\n{}", errors.join("\n"));
    Ok(())
}
