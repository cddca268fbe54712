//! Screens as they look.

use breaker_proto::v1::{self, Mode, State};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};

use super::super::filter::Filter;
use super::super::news::{News, Told};
use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn time(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

fn state(name: &str, state: State, mode: Mode) -> v1::BreakerState {
    v1::BreakerState {
        name: name.into(),
        state: state as i32,
        mode: mode as i32,
        since: time(40),
        ..Default::default()
    }
}

fn breaker(name: &str, total_calls: u64) -> v1::Breaker {
    let metrics = v1::Metrics {
        failure_rate: 0.625,
        total_calls,
        average_response_time_ms: 41.7,
        ..Default::default()
    };
    v1::Breaker { name: name.into(), metrics: Some(metrics), ..Default::default() }
}

fn app() -> App {
    let mut app = App::new(Filter::default());
    app.take(News::Connected("127.0.0.1:7420".into()), at(100));
    let mut stripe = state("payments/stripe-api", State::Open, Mode::Normal);
    stripe.retry_time = time(108);
    let mut fraud = state("payments/fraud-check", State::HalfOpen, Mode::Normal);
    fraud.level = Some(v1::CurrentLevel { name: "critical".into(), ..Default::default() });
    let changed = vec![
        stripe,
        fraud,
        state("inventory/stock", State::Open, Mode::ForcedOpen),
        state("search/index", State::Closed, Mode::Normal),
    ];
    let answer = v1::WatchResponse {
        changed,
        snapshot_complete: true,
        server_time: time(100),
        ..Default::default()
    };
    app.take(News::Watched(Box::new(answer)), at(100));
    app.take(News::Measured(vec![breaker("payments/stripe-api", 100)]), at(98));
    app.take(News::Measured(vec![breaker("payments/stripe-api", 125)]), at(100));
    app.take(
        News::Dashboard(Some(Box::new(v1::GetDashboardResponse {
            rates: Some(v1::Rates { calls: 87.5, failures: 12.0, denied: 3.25 }),
            alert_counts: Some(v1::AlertCounts { critical: 1, firing: 2, ..Default::default() }),
            server_version: "0.1.0".into(),
            uptime: Some(prost_types::Duration { seconds: 3_720, nanos: 0 }),
            ..Default::default()
        }))),
        at(100),
    );
    app
}

fn screen(app: &mut App, width: u16, height: u16, theme: Theme) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    fit(app, Rect::new(0, 0, width, height));
    terminal.draw(|frame| draw(frame, app, &theme, at(100))).unwrap();
    terminal.backend().buffer().clone()
}

fn lines(buffer: &Buffer) -> Vec<String> {
    let row = |y| (0..buffer.area.width).map(move |x| buffer[(x, y)].symbol()).collect::<String>();
    (0..buffer.area.height).map(|y| row(y).trim_end().to_owned()).collect()
}

fn press(app: &mut App, code: KeyCode) {
    app.key(KeyEvent::new(code, KeyModifiers::NONE));
}

#[test]
fn the_fleet_fits_a_small_terminal() {
    let seen = lines(&screen(&mut app(), 80, 24, Theme::new(true)));
    let expected = [
        "breakerd 0.1.0 127.0.0.1:7420 ● live  health 25.0 %",
        "4 breakers  ● 1 closed  ✖ 2 open  ◐ 1 half_open  1 forced_open",
        "87.5 calls/s  12.0 failed/s  3.2 denied/s  alerts firing: 2, 1 critical  storage",
        "order: state ▼  names: all  states: all  1 of 4",
        "name                  state       mode           failed calls/s    for  retry",
        "inventory/stock       ✖ open      forced_open                     1m00s",
        "payments/stripe-api   ✖ open                     62.5 %    12.5  1m00s     8s",
        "payments/fraud-check  ◐ half_open                               1m00s",
        "search/index          ● closed                                  1m00s",
    ];
    let squeezed = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    for (seen, expected) in seen.iter().zip(expected) {
        assert_eq!(squeezed(seen), squeezed(expected));
    }
    assert!(seen[23].contains("/ o filter"), "{}", seen[23]);
}

#[test]
fn a_wide_terminal_has_every_column_and_a_narrow_one_the_most_telling() {
    let wide = lines(&screen(&mut app(), 140, 12, Theme::new(true)));
    for title in ["name", "state", "mode", "level", "failed", "calls/s", "denied/s", "response"] {
        assert!(wide[4].contains(title), "{title}: {}", wide[4]);
    }
    assert!(wide[7].contains("critical"), "{}", wide[7]);
    let narrow = lines(&screen(&mut app(), 34, 12, Theme::new(true)));
    assert!(narrow[4].contains("state") && !narrow[4].contains("mode"), "{}", narrow[4]);
    for (width, height) in [(1, 1), (5, 3), (20, 6), (10, 24)] {
        for key in ['f', '?'] {
            let mut app = app();
            app.fit(height);
            press(&mut app, KeyCode::Char(key));
            let _ = screen(&mut app, width, height, Theme::new(true));
        }
    }
}

#[test]
fn colours_are_left_out_where_they_are_not_wanted_and_the_words_stay() {
    let coloured = screen(&mut app(), 80, 24, Theme::new(true));
    let open = coloured[(lines(&coloured)[6].find("✖").unwrap() as u16, 6)].clone();
    assert_eq!((open.symbol(), open.fg), ("✖", Color::Red));
    let plain = screen(&mut app(), 80, 24, Theme::new(false));
    assert!(plain.content().iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
    assert_eq!(lines(&plain), lines(&coloured));
}

#[test]
fn what_was_last_known_is_dim_while_the_connection_is_lost() {
    let mut app = app();
    app.take(News::Cut("the server has gone silent".into()), at(95));
    let seen = screen(&mut app, 100, 24, Theme::new(true));
    let first = &lines(&seen)[0];
    assert!(first.contains("✖ connection lost 5s ago, reconnecting"), "{first}");
    assert!(seen[(0, 6)].modifier.contains(Modifier::DIM));
    assert!(!seen[(0, 0)].modifier.contains(Modifier::DIM));
    assert!(lines(&seen)[6].contains("payments/stripe-api"));
}

#[test]
fn an_older_server_shows_what_watch_tells() {
    let mut app = app();
    app.take(News::Dashboard(None), at(100));
    let seen = lines(&screen(&mut app, 80, 24, Theme::new(true)));
    assert!(seen[0].contains("health 25.0 %"), "{}", seen[0]);
    assert!(seen[2].contains("does not tell"), "{}", seen[2]);
}

#[test]
fn a_page_tells_all_of_a_breaker() {
    let mut app = app();
    app.fit(40);
    press(&mut app, KeyCode::Down);
    press(&mut app, KeyCode::Enter);
    let asking = lines(&screen(&mut app, 100, 40, Theme::new(true)));
    assert!(asking[4].starts_with("payments/stripe-api  ✖ open  for 1m00s  retry in 8s"));
    assert_eq!(asking[5], "asking …");
    let transition = v1::Transition {
        breaker: "payments/stripe-api".into(),
        from_state: State::Closed as i32,
        from_mode: Mode::Normal as i32,
        to_state: State::Open as i32,
        to_mode: Mode::Normal as i32,
        cause: v1::Cause::Tripped as i32,
        actor: "ann".into(),
        ..Default::default()
    };
    let sample = v1::ActivitySample { time: time(100), failures: 7, ..Default::default() };
    let reporter = v1::BreakerReporter {
        reporter_id: "checkout-1\u{1b}[2J".into(),
        calls: 12,
        ..Default::default()
    };
    let activity = v1::GetBreakerActivityResponse {
        samples: vec![sample],
        reporters: vec![reporter],
        server_time: time(100),
        ..Default::default()
    };
    let mut told = Told { transitions: vec![transition], ..Told::default() };
    told.breaker = breaker("payments/stripe-api", 125);
    told.activity = Some(activity);
    app.take(News::Details("payments/stripe-api".into(), Ok(Box::new(told))), at(100));
    let seen = lines(&screen(&mut app, 100, 40, Theme::new(true))).join("\n");
    for part in [
        "failure rate",
        "up to 7",
        "62.5 % failed",
        "closed → open  tripped, by: ann",
        "checkout-1\\u{1b}[2J  12 calls",
        "Esc back",
    ] {
        assert!(seen.contains(part), "nothing of `{part}` in\n{seen}");
    }
}

#[test]
fn a_long_refusal_is_told_to_its_end() {
    let mut app = app();
    let text = format!("trip a/b: {}to the end", "a reason and ".repeat(10));
    app.take(News::Changed(Err(text)), at(100));
    let seen = lines(&screen(&mut app, 80, 24, Theme::new(true))).join(" ");
    assert!(seen.contains("trip a/b") && seen.contains("to the end"), "{seen}");
}

#[test]
fn a_change_names_the_breaker_and_what_will_happen() {
    let mut app = app();
    app.fit(24);
    press(&mut app, KeyCode::Char('f'));
    let seen = lines(&screen(&mut app, 80, 24, Theme::new(true))).join("\n");
    for part in ["inventory/stock", "Every call is denied until release", "time to live", "Esc"] {
        assert!(seen.contains(part), "nothing of `{part}` in\n{seen}");
    }
}
