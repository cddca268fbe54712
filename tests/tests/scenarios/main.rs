//! What breakers do, told in plain data (`tests/scenarios/*.toml`) and played on three subjects: the
//! core by itself, a trace as `breakerctl simulate` replays it, and a server over gRPC.

mod model;
mod on_core;
mod on_server;
mod on_trace;
mod play;
mod reading;
mod subject;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use breaker_core::Time;
use breaker_tests::Hosted;

use crate::model::Scenario;
use crate::on_core::OnCore;
use crate::on_server::OnServer;
use crate::play::Play;
use crate::subject::BEGIN_MS;

/// Two tests for each file.
macro_rules! files {
    ($($subject:ident),+ $(,)?) => {
        const FILES: &[&str] = &[$(stringify!($subject)),+];
        $(
            mod $subject {
                #[tokio::test]
                async fn the_core_does_as_told() -> anyhow::Result<()> {
                    crate::the_core_does_as_told(stringify!($subject)).await
                }

                #[test]
                fn the_server_does_as_told() -> anyhow::Result<()> {
                    crate::the_server_does_as_told(stringify!($subject))
                }
            }
        )+
    };
}

files!(
    counts,
    rates,
    time_windows,
    slow_calls,
    half_open,
    ramp,
    backoff,
    quorum,
    adaptive,
    levels,
    overrides,
    late_results,
    ignored_errors,
);

async fn the_core_does_as_told(subject: &str) -> anyhow::Result<()> {
    let mut problems = Vec::new();
    for scenario in &model::read(subject)? {
        let mut play = Play::new(scenario, OnCore::new(scenario)?);
        while play.next_at_ms().is_some() {
            play.go_on().await;
        }
        problems.extend(play.into_problems());
    }
    none_of(&problems)
}

/// All scenarios share one server and its clock, so they are played once for all tests.
fn the_server_does_as_told(subject: &str) -> anyhow::Result<()> {
    type Problems = BTreeMap<&'static str, Vec<String>>;
    static PLAYED: LazyLock<Result<Problems, String>> = LazyLock::new(|| {
        let played = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
        played.block_on(play_on_server()).map_err(|error| format!("{error:#}"))
    });
    match &*PLAYED {
        Ok(problems) => none_of(problems.get(subject).map_or(&[], Vec::as_slice)),
        Err(error) => anyhow::bail!("{error}"),
    }
}

/// Plays every scenario at once: whatever is next by the clock goes first. What was seen otherwise
/// than expected, by file.
async fn play_on_server() -> anyhow::Result<BTreeMap<&'static str, Vec<String>>> {
    let files = read_all()?;
    let hosted = Hosted::start(Time::from_millis(BEGIN_MS)).await?;
    let mut plays = Vec::new();
    for (subject, scenarios) in &files {
        for (index, scenario) in scenarios.iter().enumerate() {
            let name = format!("{subject}/{}", index + 1);
            let (clock, clients) = (hosted.clock.clone(), hosted.clients.clone());
            let breaker = OnServer::create(clock, clients, name, scenario).await?;
            plays.push((*subject, Play::new(scenario, breaker)));
        }
    }
    while let Some((_, play)) = plays
        .iter_mut()
        .filter(|(_, play)| play.next_at_ms().is_some())
        .min_by_key(|(_, play)| play.next_at_ms())
    {
        play.go_on().await;
    }
    let mut problems: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (subject, play) in plays {
        problems.entry(subject).or_default().extend(play.into_problems());
    }
    hosted.stop().await?;
    Ok(problems)
}

#[test]
fn a_replay_does_as_told_wherever_a_trace_can_tell_the_scenario() -> anyhow::Result<()> {
    let files = read_all()?;
    let mut problems = Vec::new();
    for (subject, scenario) in files.iter().flat_map(|(subject, scenarios)| {
        scenarios.iter().filter(|scenario| on_trace::can_tell(scenario)).map(move |s| (subject, s))
    }) {
        let (checked, different) = on_trace::play(scenario)?;
        problems.extend(different.into_iter().map(|problem| format!("{subject}: {problem}")));
        if checked == 0 {
            problems.push(format!("{subject}: {:?} expects nothing of a replay", scenario.name));
        }
    }
    none_of(&problems)
}

#[test]
fn every_file_in_the_folder_is_played() -> anyhow::Result<()> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(model::folder())? {
        found.insert(entry?.file_name().to_string_lossy().into_owned());
    }
    let played: BTreeSet<_> = FILES.iter().map(|subject| format!("{subject}.toml")).collect();
    assert_eq!(found, played);
    Ok(())
}

fn read_all() -> anyhow::Result<Vec<(&'static str, Vec<Scenario>)>> {
    FILES.iter().map(|&subject| Ok((subject, model::read(subject)?))).collect()
}

fn none_of(problems: &[String]) -> anyhow::Result<()> {
    anyhow::ensure!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
    Ok(())
}
