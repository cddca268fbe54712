use super::*;

const MIDDLE: Draw = Draw { luck: 0.5, pace: 0.5 };

fn refusal(text: &str) -> String {
    Story::parse(text).unwrap_err().to_string()
}

#[test]
fn the_built_in_stories_begin_well_fall_ill_and_end_well() {
    for name in Story::names() {
        let story = Story::parse(Story::built_in(name).unwrap()).unwrap();
        assert_eq!(story.falls_ill(), Some(Time::from_millis(30_000)), "{name}");
        let well_again = story.is_well_again().unwrap();
        assert!(story.end().since(well_again) >= Duration::from_mins(2), "{name}");
    }
    assert_eq!(Story::built_in("outrage"), None);
}

#[test]
fn a_call_does_as_the_phase_does_in_which_it_starts() {
    let story = Story::parse(
        "phase = [
            { for = '1s', latency = '20ms' },
            { for = '1s', latency = '40ms', failure_percent = 60, timeout_percent = 20.5 },
            { for = '1s', latency = '1s', failure_percent = 1, well = true },
            { for = '1s', latency = '2s', well = false },
        ]",
    )
    .unwrap();
    let fate = |at, luck| {
        let fate = story.fate(Time::from_millis(at), Draw { luck, ..MIDDLE });
        (fate.outcome, fate.duration, fate.health)
    };
    let millis = Duration::from_millis;
    assert_eq!(fate(0, 0.0), (Outcome::Success, millis(20), Health::Well));
    assert_eq!(fate(999, 0.99), (Outcome::Success, millis(20), Health::Well));
    assert_eq!(fate(1_000, 0.59), (Outcome::Failure, millis(40), Health::Ill));
    assert_eq!(fate(1_000, 0.80), (Outcome::Timeout, Duration::MAX, Health::Ill));
    assert_eq!(fate(1_000, 0.81), (Outcome::Success, millis(40), Health::Ill));
    assert_eq!(fate(2_000, 0.005), (Outcome::Failure, millis(1_000), Health::Well));
    assert_eq!(fate(3_999, 0.0), (Outcome::Success, millis(2_000), Health::Ill));
    // A call that waited for a permit can start after the end.
    assert_eq!(fate(4_001, 0.0), fate(3_999, 0.0));
    assert_eq!(story.is_well_again(), None, "it ends ill");
    let pace = |pace| story.fate(Time::EPOCH, Draw { pace, ..MIDDLE }).duration;
    assert_eq!([pace(0.0), pace(1.0)], [millis(10), millis(30)]);
}

#[test]
fn illness_is_found_in_any_piece_of_time_that_it_touches() {
    let story = Story::parse(Story::built_in("flapping").unwrap()).unwrap();
    let ill = |start, end| story.is_ill_within(Time::from_millis(start), Time::from_millis(end));
    assert!(ill(29_000, 30_001) && ill(35_000, 36_000) && ill(39_999, 45_000));
    assert!(!ill(29_000, 30_000) && !ill(40_000, 50_000));
}

#[test]
fn every_bad_value_is_told_at_once_with_its_phase_and_its_key() {
    let error = refusal(
        "phase = [
            { for = '0s', latency = '20ms' },
            { for = '1s', latency = '2h', failure_percent = 140 },
            { for = 'soon', latency = '1s', timeout_percent = nan },
            { for = '1s', latency = '1s', failure_percent = 60, timeout_percent = 50 },
        ]",
    );
    for expected in [
        "phase 1: for is \"0s\"; it must be longer than 0",
        "phase 2: latency: is \"2h\"; at most 1h",
        "phase 2: failure_percent is 140; it must be 0 to 100",
        "phase 3: for: `soon` is not a duration",
        "phase 3: timeout_percent is NaN",
        "phase 4: failure_percent and timeout_percent are 110 together; at most 100",
    ] {
        assert!(error.contains(expected), "{expected:?} is not in {error}");
    }
}

#[test]
fn a_text_that_is_no_story_is_refused_by_the_line() {
    for (text, expected) in [
        ("", "missing field `phase`"),
        ("phase = []", "0 phases: a story has 1 to 1000"),
        ("[[phase]]\nfor = 30\nlatency = '1ms'", "for = 30"),
        ("[[phase]]\nfor = '30s'", "missing field `latency`"),
        ("[[phase]]\nfor = '30s'\nlatency = '1s'\nfailures = 3", "unknown field `failures`"),
        ("[[phase]]\nfor = '30s'\nlatency = '1s'\nwell = 'yes'", "well = 'yes'"),
        ("phase = [{ for = '5days', latency = '1s' }, { for = '3days', latency = '1s' }]", "8days"),
    ] {
        let error = refusal(text);
        assert!(error.contains(expected), "{text:?} gave {error}");
    }
    let once = refusal("[[phase]]\nfor = '1s'\nlatency = '1s'\nfailure_percent = 101");
    assert_eq!(once, "refused:\n  phase 1: failure_percent is 101; it must be 0 to 100");
    let many = "[[phase]]\nfor = '1s'\nlatency = '1s'\n".repeat(1_001);
    assert!(refusal(&many).contains("1001 phases"));
}
