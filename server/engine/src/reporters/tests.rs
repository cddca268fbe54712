use super::*;

fn at(seconds: u64) -> Time {
    Time::from_millis(1_000 * seconds)
}

fn kept(reporters: &Reporters) -> usize {
    let of = |part: &Mutex<Part>| {
        let part = part.lock();
        part.young.len() + part.old.len()
    };
    reporters.parts.iter().map(of).sum()
}

#[test]
fn a_sequence_counts_once_in_whatever_order_it_comes() {
    let reporters = Reporters::new();
    let note = |reporter, sequence| reporters.note(reporter, sequence, at(0));
    for sequence in [1, 3, 2, 10, 137] {
        assert!(note("a", sequence), "{sequence} is new");
        assert!(!note("a", sequence), "{sequence} was seen");
    }
    assert!(!note("a", 9), "128 behind the highest is too old to tell");
    assert!(note("a", 11), "within the last 128 it can be told");
    assert!(note("b", 10), "another reporter counts by itself");
    assert!(note("a", u64::MAX));
    assert!(!note("a", 138));
}

#[test]
fn the_reporters_heard_of_last_are_remembered_and_memory_is_bounded() {
    let reporters = Reporters::new();
    for reporter in 0..3 * MAX_REPORTERS {
        let now = at(reporter as u64);
        reporters.note("steady", 1 + reporter as u64, now);
        reporters.note(&format!("reporter-{reporter}"), 1, now);
    }
    assert!(!reporters.note("steady", 3 * MAX_REPORTERS as u64, at(0)));
    let kept = kept(&reporters);
    assert!(kept <= MAX_REPORTERS + 2 * PARTS, "{kept}");

    let horizon = reporters.forgotten_before();
    assert!(horizon > at(MAX_REPORTERS as u64), "{horizon:?}");
    let unwritten = reporters.take_unwritten();
    assert_eq!(unwritten.len(), kept, "whoever was forgotten waits for storage no longer");
    assert!(unwritten.iter().all(|row| row.heard_at >= horizon));
}

#[test]
fn only_what_storage_does_not_know_is_taken_and_what_it_refused_is_taken_again() {
    let reporters = Reporters::new();
    let taken = || {
        let mut rows = reporters.take_unwritten();
        rows.sort_by(|a, b| a.id.cmp(&b.id));
        rows.into_iter().map(|row| (row.id, row.highest, row.recent)).collect::<Vec<_>>()
    };
    reporters.note("a", 1, at(0));
    reporters.note("a", 3, at(1));
    reporters.note("b", 1, at(2));
    let rows = reporters.take_unwritten();
    assert_eq!(rows.len(), 2);
    assert_eq!(taken(), []);
    reporters.note("b", 1, at(3));
    assert_eq!(taken(), [], "a repetition is nothing new");
    reporters.note("a", 2, at(4));
    reporters.write_again(rows);
    assert_eq!(taken(), [("a".into(), 3, 0b111), ("b".into(), 1, 1)]);
}

#[test]
fn those_that_storage_knew_are_known_and_the_ones_heard_of_last_above_all() {
    let reporters = Reporters::new();
    let row = |number: u64| ReporterRow {
        id: format!("reporter-{number}").into(),
        highest: 10,
        recent: 0b101,
        heard_at: at(number),
    };
    let (count, now) = (2 * MAX_REPORTERS as u64, at(1_900_000));
    (0..count).for_each(|number| reporters.load(row(number), now));
    assert!(reporters.take_unwritten().is_empty(), "storage knows them");
    assert!(kept(&reporters) <= MAX_REPORTERS + 2 * PARTS);
    assert!(reporters.forgotten_before() > at(0));
    for number in count - MAX_REPORTERS as u64 / 3..count {
        let id = &*row(number).id;
        assert!(!reporters.note(id, 10, now) && !reporters.note(id, 8, now), "{id}");
        assert!(reporters.note(id, 9, now), "{id}");
    }

    reporters.load(ReporterRow { id: "ahead".into(), heard_at: at(2_000_000), ..row(0) }, now);
    let of_ahead = |row: &ReporterRow| (*row.id == *"ahead").then_some(row.heard_at);
    let taken: Vec<_> = reporters.take_unwritten().iter().filter_map(of_ahead).collect();
    assert_eq!(taken, [now], "a clock that was set back");
}

#[test]
fn a_reporter_that_comes_back_as_its_half_is_forgotten_still_waits_for_storage() {
    let mut part = Part::default();
    part.note("returning", 1, at(0));
    for other in 1..2 * MAX_YOUNG {
        part.note(&format!("other-{other}"), 1, at(1));
    }
    assert_eq!((part.young.len(), part.old.len()), (MAX_YOUNG, MAX_YOUNG));
    part.note("returning", 2, at(2));
    assert_eq!((part.young.len(), part.old.len()), (1, MAX_YOUNG));
    let mut rows = Vec::new();
    part.take_unwritten(&mut rows);
    let returning = rows.iter().find(|row| *row.id == *"returning");
    assert_eq!(returning.map(|row| (row.highest, row.recent)), Some((2, 0b11)));
    assert_eq!(rows.len(), 1 + MAX_YOUNG);
}
