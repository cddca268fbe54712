use std::time::Duration;

use breaker_core::{FailureRate, WindowSize};

use super::*;

fn patch(settings: &[&str]) -> Result<ConfigPatch, Vec<Violation>> {
    let settings: Vec<_> = settings.iter().map(|text| Setting::parse(text).unwrap()).collect();
    patch_from_settings(&settings)
}

fn fields(violations: Vec<Violation>) -> Vec<String> {
    violations.into_iter().map(|violation| violation.field).collect()
}

#[test]
fn a_value_is_toml_or_plain_text() {
    let expected = ConfigPatch { failure_threshold: Some(7), ..Default::default() };
    assert_eq!(patch(&["failure_threshold=7"]).unwrap(), expected);
    for text in ["open_duration=1m 30s", "open_duration = \"90s\"", "open_duration=90s"] {
        let expected =
            ConfigPatch { open_duration: Some(Duration::from_secs(90)), ..Default::default() };
        assert_eq!(patch(&[text]).unwrap(), expected, "{text}");
    }
}

#[test]
fn a_table_can_be_written_with_a_dot_or_as_one() {
    let expected = ConfigPatch { window: Some(WindowSize::Calls(50)), ..Default::default() };
    assert_eq!(patch(&["window.calls=50"]).unwrap(), expected);
    assert_eq!(patch(&["window={calls = 50}"]).unwrap(), expected);
    let rate = FailureRate { percent: 40, minimum_calls: 9 };
    let expected = ConfigPatch { failure_rate: Some(Some(rate)), ..Default::default() };
    let in_parts = ["failure_rate.percent=40", "failure_rate.minimum_calls=9"];
    assert_eq!(patch(&in_parts).unwrap(), expected);
    let off = ConfigPatch { failure_rate: Some(None), ..Default::default() };
    assert_eq!(patch(&["failure_rate=off"]).unwrap(), off);
}

#[test]
fn a_list_can_be_written_with_commas_or_as_one() {
    let globs = |globs: &[&str]| ConfigPatch {
        ignored_errors: Some(globs.iter().map(|&glob| glob.to_owned()).collect()),
        ..Default::default()
    };
    let two = globs(&["http.404", "exit.3"]);
    assert_eq!(patch(&["ignored_errors=http.404, exit.3"]).unwrap(), two);
    assert_eq!(patch(&["ignored_errors=[\"http.404\", \"exit.3\"]"]).unwrap(), two);
    // `3` alone is a number in TOML, and here still a glob.
    assert_eq!(patch(&["ignored_errors=3"]).unwrap(), globs(&["3"]));
    assert_eq!(patch(&["ignored_errors="]).unwrap(), globs(&[]));
}

#[test]
fn every_bad_setting_is_named() {
    let bad = patch(&["failure_treshold=3", "failure_decay=-1", "open_duration=60"]).unwrap_err();
    let mut fields = fields(bad);
    fields.sort_unstable();
    assert_eq!(fields, ["failure_decay", "failure_treshold", "open_duration"]);
    assert!(Setting::parse("failure_threshold").is_err());
}

#[test]
fn a_key_is_set_once() {
    let twice = patch(&["failure_decay=1", "failure_decay=2"]).unwrap_err();
    assert_eq!(fields(twice), ["failure_decay"]);
}

#[test]
fn a_value_with_lines_of_its_own_brings_no_other_key() {
    let patch = patch(&["failure_decay=1\nfailure_threshold = 9"]);
    assert_eq!(fields(patch.unwrap_err()), ["failure_decay"]);
}

#[test]
fn the_mask_holds_what_is_set_and_what_is_unset() {
    let patch = patch(&["failure_threshold=7", "window.calls=50"]).unwrap();
    let paths = mask(&patch, &[Key::OpenDuration]).unwrap();
    assert_eq!(paths, ["failure_threshold", "open_duration", "window"]);
    assert!(matches!(mask(&patch, &[Key::Window]), Err(Error::Usage(_))));
    assert!(matches!(mask(&ConfigPatch::default(), &[]), Err(Error::Usage(_))));
}
