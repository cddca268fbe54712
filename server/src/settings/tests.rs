use std::fs;

use clap::Parser as _;

use super::*;

fn settle(arguments: &[&str], file: &str) -> Result<Settings, SettingsError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("breakerd.toml");
    fs::write(&path, file).unwrap();
    let config = format!("--config={}", path.display());
    let all = ["breakerd", &config].into_iter().chain(arguments.iter().copied());
    Settings::settle(Arguments::parse_from(all))
}

#[test]
fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
    let file = "database = 'memory:'\nmax_breakers = 7\n[defaults]\nfailure_threshold = 9";
    let settings = settle(&["--max-breakers=8", "--listen=127.0.0.1:0"], file).unwrap();
    assert_eq!((settings.database.as_str(), settings.max_breakers), ("memory:", 8));
    assert_eq!(settings.listen.port(), 0);
    assert_eq!(settings.http_listen.port(), 7421);
}

#[test]
fn what_is_wrong_is_named() {
    let cases: [(&[&str], &str, &str); 28] = [
        (&[], "listne = 'x'", "listne"),
        (&[], "max_breakers = 'many'", "max_breakers"),
        (&[], "[defaults]\nfailure_treshold = 3", "failure_treshold"),
        (&[], "[defaults]\nopen_duration = '-5s'", "open_duration"),
        (&["--listen=0.0.0.0:0"], "", "--insecure"),
        (&[], "http_access = 'some'", "http_access"),
        (&["--http-host=http://a"], "", "http_hosts"),
        (&[], "http_hosts = ['a:80']", "http_hosts"),
        (&["--metrics-breakers=a"], "", "metrics_breakers"),
        (&[], "metrics_breakers = ['A/b']", "metrics_breakers"),
        (&["--metrics-max-breakers=0"], "", "metrics_max_breakers"),
        (&["--otlp-endpoint=collector:4317"], "", "otlp_endpoint"),
        (&[], "otlp_endpoint = 'https://a:1/b'", "otlp_endpoint"),
        (&["--otlp-sample=1.5"], "", "otlp_sample"),
        (&["--max-breakers=0"], "", "max_breakers"),
        (&["--max-connections=0"], "", "max_connections"),
        (&["--max-watch-streams=0"], "", "max_watch_streams"),
        (&["--client-rate=0"], "", "client_rate"),
        (&[], "client_rate = -1", "client_rate"),
        (&["--max-queue-delay=0s"], "", "max_queue_delay"),
        (&[], "max_queue_delay = 'soon'", "max_queue_delay"),
        (&["--idle-ttl=999ms"], "", "idle_ttl"),
        (&[], "idle_ttl = 'never'", "idle_ttl"),
        (&["--history-retention=59s"], "", "`59s` is too short; it must be 1m or more"),
        (&[], "history_retention = '30'", "`30` is not a duration"),
        (&[], "history_retention = 30", "history_retention"),
        (&["--monitor-series=100001"], "", "monitor_series is 100001; it must be 100000 or less"),
        (&[], "monitor_series = -1", "monitor_series"),
    ];
    for (arguments, file, expected) in cases {
        let error = settle(arguments, file).unwrap_err().to_string();
        assert!(error.contains(expected), "{file:?} gave {error:?}");
    }
}

#[test]
fn listening_to_the_world_takes_a_word() {
    assert!(settle(&["--listen=0.0.0.0:0", "--insecure"], "").is_ok());
    assert!(settle(&[], "listen = '0.0.0.0:0'\ninsecure = true").is_ok());
}

#[test]
fn what_http_may_do_and_is_called_can_be_said_in_both_places() {
    let of = |arguments: &[&str], file: &str| {
        let settings = settle(arguments, file).unwrap();
        (settings.http_access, settings.http_hosts)
    };
    assert_eq!(of(&[], ""), (HttpAccess::Write, vec![]));
    let file = "http_access = 'read'\nhttp_hosts = ['a', 'b.example.com']";
    assert_eq!(of(&[], file), (HttpAccess::Read, vec!["a".into(), "b.example.com".into()]));
    let given = ["--http-access=write", "--http-host=c", "--http-host=d"];
    assert_eq!(of(&given, file), (HttpAccess::Write, vec!["c".into(), "d".into()]));
}

#[test]
fn transitions_are_kept_for_thirty_days_unless_told_otherwise() {
    let kept = |arguments: &[&str], file: &str| settle(arguments, file).unwrap().history_retention;
    assert_eq!(kept(&[], ""), Duration::from_hours(30 * 24));
    assert_eq!(kept(&[], "history_retention = '1m'"), Duration::from_mins(1));
    assert_eq!(
        kept(&["--history-retention=2h"], "history_retention = '1m'"),
        Duration::from_hours(2)
    );
}

#[test]
fn a_limit_can_be_set_in_both_places_and_turned_off() {
    let settings = settle(&[], "client_rate = 500\nmax_queue_delay = '20ms'").unwrap();
    assert_eq!(settings.client_rate, NonZeroU32::new(500));
    assert_eq!(settings.max_queue_delay, Some(Duration::from_millis(20)));
    let off = ["--client-rate=off", "--max-queue-delay=off"];
    let settings = settle(&off, "client_rate = 500\nmax_queue_delay = '20ms'").unwrap();
    assert_eq!((settings.client_rate, settings.max_queue_delay), (None, None));
    let idle = |arguments: &[&str], file| settle(arguments, file).unwrap().idle_ttl;
    assert_eq!(idle(&[], ""), Some(Duration::from_hours(24)));
    assert_eq!(idle(&["--idle-ttl=1s"], "idle_ttl = 'off'"), Some(Duration::from_secs(1)));
    assert_eq!(idle(&["--idle-ttl=off"], ""), None);
    let series = |arguments: &[&str], file| settle(arguments, file).unwrap().monitor_series;
    assert_eq!(series(&[], ""), 2_000);
    assert_eq!(series(&["--monitor-series=0"], "monitor_series = 7"), 0);
    let settings = settle(&[], "client_rate = 'off'").unwrap();
    assert_eq!(settings.client_rate, None);
}
