mod odd;
mod refused;

use proptest::prelude::*;

use super::*;

fn resolve(patch: ConfigPatch) -> Result<Config, Vec<Violation>> {
    Config::resolve(&[(Source::Breaker, &patch)]).map(|resolved| resolved.config)
}

#[test]
fn nothing_set_gives_the_defaults_of_the_design() {
    let config = resolve(ConfigPatch::default()).unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(resolve(config.to_patch()).unwrap(), config);
    assert_eq!(config.failure_errors().collect::<Vec<_>>(), ["*"]);
}

#[test]
fn max_probes_follows_success_threshold_until_it_is_set() {
    let patch = ConfigPatch { success_threshold: Some(7), ..Default::default() };
    assert_eq!(resolve(patch.clone()).unwrap().max_probes(), 7);
    let patch = ConfigPatch { max_probes: Some(1), ..patch };
    assert_eq!(resolve(patch).unwrap().max_probes(), 1);
}

#[test]
fn max_probes_follows_probe_calls_and_the_level_until_it_is_set() {
    let judged = ProbeCalls { calls: 8, failure_percent: 50 };
    let judged = ConfigPatch { probe_calls: Some(Some(judged)), ..Default::default() };
    assert_eq!(resolve(judged.clone()).unwrap().max_probes(), 8);
    assert_eq!(resolve(ConfigPatch { max_probes: Some(2), ..judged }).unwrap().max_probes(), 2);
    let levels = ConfigPatch { levels: Some(Some(Levels::default())), ..Default::default() };
    assert_eq!(resolve(levels.clone()).unwrap().max_probes_beside(5), 5);
    let always_three = ConfigPatch { max_probes: Some(3), ..levels };
    assert_eq!(resolve(always_three).unwrap().max_probes_beside(5), 3);
}

proptest! {
    #![proptest_config(crate::tests::deterministic(500))]

    #[test]
    fn every_configuration_comes_back_from_the_patch_of_all_its_values(
        patch in crate::tests::config(),
    ) {
        let config = resolve(patch).unwrap();
        prop_assert_eq!(resolve(config.to_patch()).unwrap(), config);
    }
}

#[test]
fn a_later_layer_wins_and_the_answer_says_so() {
    let server =
        ConfigPatch { failure_threshold: Some(9), failure_decay: Some(2), ..Default::default() };
    let own = ConfigPatch { failure_threshold: Some(3), ..Default::default() };
    let Resolved { config, sources, .. } =
        Config::resolve(&[(Source::Server, &server), (Source::Breaker, &own)]).unwrap();

    assert_eq!((config.failure_threshold(), config.failure_decay()), (3, 2));
    assert_eq!(sources.of(Key::FailureThreshold), Source::Breaker);
    assert_eq!(sources.of(Key::FailureDecay), Source::Server);
    assert_eq!(sources.of(Key::CallTimeout), Source::BuiltIn);
}

#[test]
fn every_bad_value_is_named() {
    let bad = ConfigPatch {
        failure_threshold: Some(0),
        failure_decay: Some(u32::MAX),
        window: Some(WindowSize::Calls(0)),
        open_duration: Some(Duration::ZERO),
        success_threshold: Some(0),
        max_probes: Some(10_001),
        call_timeout: Some(Duration::from_secs(10_000_000)),
        failure_errors: Some(vec![]),
        ignored_errors: Some(vec!["fine".into(), String::new()]),
        ..Default::default()
    };
    let fields: Vec<_> = resolve(bad).unwrap_err().into_iter().map(|v| v.field).collect();
    assert_eq!(
        fields,
        [
            "failure_threshold",
            "failure_decay",
            "window.calls",
            "open_duration",
            "success_threshold",
            "max_probes",
            "call_timeout",
            "failure_errors",
            "ignored_errors[1]",
        ]
    );
}
