use std::sync::LazyLock;

use breaker_core::{ConfigPatch, Source};
use clap::Parser as _;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use serde_json::Value;

use super::*;
use crate::Arguments;
use crate::simulate::chart::Colours;

/// Well for 5 s, dead for 30 s, well for 30 s.
const DEATH: &str = "phase = [
    { for = '5s', latency = '2ms' },
    { for = '30s', latency = '2ms', failure_percent = 100 },
    { for = '30s', latency = '2ms' },
]";

static DEFAULTS: LazyLock<Config> = LazyLock::new(Config::default);

/// Opens after five failures, whatever succeeds between them.
static FIVE: LazyLock<Config> =
    LazyLock::new(|| config(ConfigPatch { failure_decay: Some(0), ..ConfigPatch::default() }));

fn config(patch: ConfigPatch) -> Config {
    Config::resolve(&[(Source::Breaker, &patch)]).unwrap().config
}

fn fleet(replicas: u32, calls_per_second: u32, report_delay_ms: u64) -> Fleet {
    Fleet { replicas, calls_per_second, report_delay: Duration::from_millis(report_delay_ms) }
}

fn play(config: &Config, story: &str, fleet: &Fleet, seed: u64) -> Comparison {
    let story = Story::parse(Story::built_in(story).unwrap_or(story)).unwrap();
    compare(config, &story, fleet, &mut Xoshiro256PlusPlus::seed_from_u64(seed))
}

#[test]
fn a_fleet_opens_after_the_failures_that_one_breaker_takes_not_that_each_replica_takes() {
    let Comparison { shared, local } = play(&FIVE, DEATH, &fleet(20, 40, 0), 1);
    // Five, and what was in flight when the fifth ended.
    assert!((5..=7).contains(&shared.wasted), "{shared:?}");
    assert!((100..=110).contains(&local.wasted), "{local:?}");
    assert_eq!((shared.opened, local.opened), (1, 20));
    assert_eq!(shared.first_open_after, shared.all_open_after);
    assert!(shared.all_open_after < local.first_open_after);
    assert!(local.first_open_after < local.all_open_after);
}

#[test]
fn what_a_shared_breaker_wastes_grows_with_the_time_that_news_takes() {
    let wasted = |delay| play(&FIVE, DEATH, &fleet(20, 100, delay), 1).shared.wasted;
    // A failure travels half a second, and the news another half.
    let (near, far) = (wasted(0), wasted(500));
    assert!(near <= 7 && (85..=125).contains(&far), "{near} and {far}");
}

#[test]
fn successes_that_come_with_the_first_failure_of_a_replica_lower_the_count() {
    let wasted = |config: &Config| play(config, DEATH, &fleet(20, 200, 0), 1).shared.wasted;
    let (with_decay, without) = (wasted(&DEFAULTS), wasted(&FIVE));
    assert!(with_decay > without && with_decay < 40, "{with_decay} and {without}");
}

#[test]
fn the_fleet_hears_of_open_one_delay_after_the_server_and_two_after_the_failure() {
    let one = config(ConfigPatch { failure_threshold: Some(1), ..ConfigPatch::default() });
    let slow_news = play(&one, DEATH, &fleet(20, 100, 200), 1).shared;
    let at_once = play(&one, DEATH, &fleet(20, 100, 0), 1).shared;
    let difference = slow_news.first_open_after.unwrap() - at_once.first_open_after.unwrap();
    assert_eq!(difference, Duration::from_millis(400));
}

#[test]
fn a_recovering_dependency_is_probed_by_a_handful_of_the_fleet_or_of_each_replica() {
    let short = config(ConfigPatch {
        open_duration: Some(Duration::from_secs(4)),
        ..ConfigPatch::default()
    });
    let hanging = DEATH.replace("failure_percent", "timeout_percent");
    let Comparison { shared, local } = play(&short, &hanging, &fleet(20, 400, 10), 1);
    assert_eq!(shared.most_probes, 3);
    assert!((40..=60).contains(&local.most_probes), "{local:?}");
    assert!(shared.recovered_after.is_some() && local.recovered_after.is_some());
}

#[test]
fn one_replica_to_which_nothing_is_far_decides_as_a_breaker_of_its_own() {
    let quick = config(ConfigPatch {
        failure_threshold: Some(3),
        open_duration: Some(Duration::from_secs(7)),
        call_timeout: Some(Duration::from_millis(900)),
        ..ConfigPatch::default()
    });
    for story in Story::names() {
        for seed in 0..5 {
            let Comparison { shared, local } = play(&quick, story, &fleet(1, 20, 0), seed);
            assert!(shared.opened > 0, "{story}");
            assert_eq!(shared, local, "{story}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_answer() {
    let answer = |seed| play(&DEFAULTS, "brownout", &fleet(10, 50, 50), seed);
    assert_eq!(answer(1), answer(1));
    assert_ne!(answer(1), answer(2));
}

#[test]
fn a_dependency_that_is_never_ill_is_never_refused() {
    let well = "[[phase]]\nfor = '1m'\nlatency = '5ms'";
    let Comparison { shared, local } = play(&DEFAULTS, well, &fleet(10, 100, 50), 1);
    assert_eq!(shared, local);
    assert!((5_500..6_500).contains(&shared.allowed), "{shared:?}");
    assert_eq!((shared.denied, shared.opened, shared.wasted), (0, 0, 0));
    assert_eq!((shared.first_open_after, shared.recovered_after), (None, None));
    assert!(shared.columns.iter().all(|&refused| refused == 0.0));
}

#[test]
fn calls_that_never_end_are_given_up_after_call_timeout() {
    let hanging = "[[phase]]\nfor = '20s'\nlatency = '5ms'\ntimeout_percent = 100";
    let patient = config(ConfigPatch {
        failure_threshold: Some(10_000),
        call_timeout: Some(Duration::from_secs(2)),
        ..ConfigPatch::default()
    });
    let tally = play(&patient, hanging, &fleet(5, 20, 10), 1).local;
    assert_eq!(tally.wasted, tally.allowed);
    assert_eq!(tally.waited, Duration::from_secs(2) * tally.allowed as u32);
    assert_eq!(tally.recovered_after, None, "the story ends ill");
}

fn stories() -> impl Strategy<Value = String> {
    let phase = (1..8_u32, 1..800_u32, 0..3_u32, 0..3_u32).prop_map(|(s, ms, failing, hanging)| {
        let (failing, hanging) = (failing * 30, hanging * 20);
        format!(
            "[[phase]]\nfor = '{s}s'\nlatency = '{ms}ms'\nfailure_percent = {failing}\n\
             timeout_percent = {hanging}\n"
        )
    });
    proptest::collection::vec(phase, 1..6).prop_map(|phases| phases.concat())
}

fn configs() -> impl Strategy<Value = Config> {
    (1..6_u32, 0..3_u32, 1..5_u32, 1..5_u32, 1..4_u64).prop_map(
        |(failures, decay, successes, probes, open)| {
            config(ConfigPatch {
                failure_threshold: Some(failures),
                failure_decay: Some(decay),
                success_threshold: Some(successes),
                max_probes: Some(probes),
                open_duration: Some(Duration::from_secs(open)),
                call_timeout: Some(Duration::from_millis(500)),
                ..ConfigPatch::default()
            })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A permit that passed its deadline while its call goes on is back before the next probe,
    /// because OPEN lasts longer here than anything takes to the server and back.
    #[test]
    fn every_call_is_let_through_or_denied_and_probes_keep_within_their_bound(
        config in configs(),
        story in stories(),
        (replicas, rate, delay) in (1..30_u32, 1..300_u32, 0..400_u64),
        seed in any::<u64>(),
    ) {
        let fleet = fleet(replicas, rate, delay);
        let Comparison { shared, local } = play(&config, &story, &fleet, seed);
        prop_assert_eq!(shared.allowed + shared.denied, local.allowed + local.denied);
        prop_assert!(shared.most_probes <= config.max_probes());
        prop_assert!(local.most_probes <= config.max_probes() * replicas);
        for tally in [&shared, &local] {
            prop_assert!(tally.wasted <= tally.allowed);
            prop_assert!(tally.denied_while_well <= tally.denied);
            prop_assert!(tally.probes <= tally.allowed);
            prop_assert!(tally.denied == 0 || tally.opened > 0);
            prop_assert!(tally.first_open_after <= tally.all_open_after || tally.all_open_after.is_none());
            prop_assert!(tally.columns.iter().all(|refused| (0.0..=1.0).contains(refused)));
        }
    }
}

#[track_caller]
fn shown(write: impl FnOnce(&output::Shown<'_>, &mut Vec<u8>)) -> String {
    let fleet = fleet(20, 40, 50);
    let story = Story::parse(DEATH).unwrap();
    let comparison = play(&DEFAULTS, DEATH, &fleet, 1);
    let shown = output::Shown {
        story: &story,
        story_name: "death",
        fleet: &fleet,
        seed: 1,
        comparison: &comparison,
    };
    let mut out = Vec::new();
    write(&shown, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn people_get_a_table_and_a_chart() {
    let table = shown(|shown, out| shown.write_table(out).unwrap());
    assert!(table.starts_with("death, 1m 5s: 2"), "{table}");
    assert!(table.contains(
        " calls of 20 replicas, 40 a second; 50ms between a replica and the server; seed 1"
    ));
    let rows: Vec<_> = table.lines().skip(2).collect();
    assert_eq!(rows.len(), 12, "{table}");
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "columns are aligned: {table}");

    let chart = shown(|shown, out| {
        chart::write(out, shown.story, shown.comparison, Colours::Plain).unwrap();
    });
    let lines: Vec<_> = chart.lines().skip(1).collect();
    let (well, ill, open) = ("▁".repeat(5), "█".repeat(34), "█".repeat(67));
    assert_eq!(lines[0], format!("dependency  {well}{ill}{}", "▁".repeat(33)));
    assert_eq!(lines[1], format!("shared      {well}{open}"));
    assert!(lines[2].starts_with("local       ▁▁▁▁▁"), "{chart}");
    assert!(lines[2].contains("▅") && lines[2].contains("█"), "{chart}");
    assert_eq!(lines[3], format!("            0 s{:>69}", "65 s"));
}

#[test]
fn a_block_is_as_high_as_the_share_and_never_hides_a_refusal() {
    let blocks: String =
        [0.0, 0.001, 0.25, 0.5, 0.75, 0.999, 1.0].map(chart::block).iter().collect();
    assert_eq!(blocks, "▁▂▂▄▆▇█");
}

#[test]
fn scripts_get_one_object_with_the_same() {
    let text = shown(|shown, out| shown.write_json(out).unwrap());
    assert_eq!(text.lines().count(), 1);
    let object: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(object["report_delay_ms"], 50.0);
    assert_eq!(object["shared"]["times_opened"], 1);
    assert_eq!(object["local"]["times_opened"], 20);
    assert_eq!(object["local"]["recovered_after_ms"], Value::Null);
    assert_eq!(object["chart"].as_array().unwrap().len(), 72);
    assert_eq!(object["chart"][20]["ill"], true);
    assert_eq!(object["chart"][20]["shared"], 1.0);
}

#[test]
fn a_simulation_that_would_take_too_long_says_what_to_lower() {
    let story = Story::parse(Story::built_in("outage").unwrap()).unwrap();
    let length = story.end().since(Time::EPOCH).as_secs();
    let most = 20_000_000 / length as u32;
    arguments::check_calls(&story, &fleet(1, most, 0)).unwrap();
    let error = arguments::check_calls(&story, &fleet(1, most + 1, 0)).unwrap_err().to_string();
    assert!(error.contains(&format!("lower --calls-per-second to {most} or")), "{error}");
}

#[test]
fn a_story_that_is_not_there_names_those_that_are() {
    let error = format!("{:#}", arguments::read_story("outrage").unwrap_err());
    assert!(error.contains("the story outrage, which is none of outage, brownout"), "{error}");
}

#[test]
fn a_trace_and_a_fleet_exclude_each_other() {
    let parse = |line: &str| {
        let words = format!("breakerctl simulate --config c.toml {line}");
        Arguments::try_parse_from(words.split_whitespace()).map_err(|error| error.to_string())
    };
    for line in [
        "--trace t.jsonl",
        "--trace -",
        "--replicas 50",
        "--replicas 10000 --calls-per-second 1000000 --report-delay 0s --story my.toml --seed 7",
        "--replicas 50 -o json",
    ] {
        parse(line).unwrap();
    }
    for (line, expected) in [
        ("", "<--trace <FILE>|--replicas <N>>"),
        ("--trace t --replicas 5", "'--trace <FILE>' cannot be used with '--replicas <N>'"),
        ("--trace t --story outage", "'--trace <FILE>' cannot be used with '--story"),
        ("--seed 3 --trace t", "cannot be used with"),
        ("--trace t --report-delay 1s", "cannot be used with"),
        ("--trace t --calls-per-second 9", "cannot be used with"),
        ("--calls-per-second 5", "--replicas <N>"),
        ("--replicas 0", "0 is not in 1..=10000"),
        ("--replicas 10001", "10001 is not in 1..=10000"),
        ("--replicas 5 --calls-per-second 0", "0 is not in 1..=1000000"),
        ("--replicas 5 --report-delay 2m", "at most 1m"),
        ("--replicas 5 --report-delay soon", "`soon` is not a duration"),
    ] {
        let error = parse(line).unwrap_err();
        assert!(error.contains(expected), "{line:?} gave {error}");
    }
}
