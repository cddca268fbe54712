use breaker_core::Time;

use super::*;

const SECONDS: Duration = Duration::from_secs(5);

fn taken(name: &str, calls: u32, denied: u32, average_response_time_ms: f64) -> Taken {
    let sample = ActivitySample {
        at: Time::EPOCH,
        successes: calls,
        failures: 0,
        timeouts: 0,
        denied,
        failure_rate: 0.0,
        slow_rate: 0.0,
        average_response_time_ms,
    };
    Taken { name: BreakerName::new(name).unwrap(), sample }
}

fn sample_of(all: &[Taken]) -> Sample {
    let mut making = Making::new();
    all.iter().for_each(|taken| making.add(taken));
    making.choose_namespaces();
    all.iter().for_each(|taken| making.list(taken));
    making.finish(SECONDS)
}

fn names(list: &[Taken]) -> Vec<&str> {
    list.iter().map(|taken| taken.name.as_str()).collect()
}

#[test]
fn each_list_goes_by_its_own_order_and_then_by_name() {
    let all = [
        taken("a/idle", 0, 0, 0.0),
        taken("a/slow", 1, 0, 900.0),
        taken("b/busy", 9, 0, 1.0),
        taken("b/also", 9, 3, 0.5),
        taken("b/denied", 0, 7, 0.0),
    ];
    let sample = sample_of(&all);
    let lists = sample.lists(None).unwrap();
    assert_eq!(names(&lists.busiest), ["b/also", "b/busy", "a/slow"]);
    assert_eq!(names(&lists.slowest), ["a/slow", "b/busy", "b/also"]);
    assert_eq!(names(&lists.most_denied), ["b/denied", "b/also"]);
    let lists = sample.lists(Some("a")).unwrap();
    assert_eq!(names(&lists.busiest), ["a/slow"]);
    assert_eq!(sample.rates(None), CallRates { calls: 3.8, failures: 0.0, denied: 2.0 });
    assert_eq!(sample.rates(Some("b")), CallRates { calls: 3.6, failures: 0.0, denied: 2.0 });
    assert_eq!(sample.rates(Some("c")), CallRates::default());
    assert!(sample.lists(Some("c")).is_none());
}

#[test]
fn lists_are_bounded_and_so_are_namespaces_with_lists() {
    let calls = |number: u32| 1 + number * 7 % 1_501;
    let all: Vec<_> =
        (0..1_500).map(|number| taken(&format!("n{number}/a"), calls(number), 0, 0.0)).collect();
    let sample = sample_of(&all);
    let busiest = &sample.lists(None).unwrap().busiest;
    let mut expected: Vec<_> = all.iter().map(|taken| taken.sample.calls()).collect();
    expected.sort_unstable_by(|a, b| b.cmp(a));
    let shown: Vec<_> = busiest.iter().map(|taken| taken.sample.calls()).collect();
    assert_eq!(shown, expected[..MAX_LISTED]);

    let least = expected[MAX_NAMESPACES - 1];
    for taken in &all {
        let namespace = namespace_of(&taken.name);
        let has_lists = sample.lists(Some(namespace)).is_some();
        assert_eq!(has_lists, taken.sample.calls() >= least, "{namespace}");
        assert!(sample.rates(Some(namespace)).calls > 0.0, "{namespace}");
    }

    let many: Vec<_> = (0..50).map(|number| taken(&format!("n/{number}"), 1, 0, 0.0)).collect();
    let of_namespace = sample_of(&many);
    assert_eq!(of_namespace.lists(Some("n")).unwrap().busiest.len(), MAX_LISTED_OF_NAMESPACE);
}

#[test]
fn a_sample_of_nothing_has_no_rates() {
    assert_eq!(Sample::default().rates(None), CallRates::default());
}
