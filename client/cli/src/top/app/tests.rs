//! Stories of keys and news.

use breaker_proto::v1::{Mode, State};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::super::change::Target;
use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn time(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

fn told(states: &[(&str, State)]) -> News {
    let changed = states.iter().map(|&(name, state)| v1::BreakerState {
        name: name.into(),
        state: state as i32,
        mode: Mode::Normal as i32,
        since: time(1_000),
        ..Default::default()
    });
    News::Watched(Box::new(v1::WatchResponse {
        changed: changed.collect(),
        snapshot_complete: true,
        server_time: time(1_060),
        ..Default::default()
    }))
}

/// With a fleet on a screen of four rows.
fn app() -> App {
    let mut app = App::new(Filter::default());
    app.take(News::Connected("here:1".into()), at(50));
    let names = ["pay/a", "pay/b", "pay/c", "search/a", "search/b", "ship/a"];
    let states: Vec<_> = names.iter().map(|name| (*name, State::Closed)).collect();
    app.take(told(&states), at(60));
    app.fit(LINES_ABOVE + LINES_BELOW + 4);
    app
}

fn press(app: &mut App, code: KeyCode) -> Effect {
    app.key(KeyEvent::new(code, KeyModifiers::NONE))
}

fn type_in(app: &mut App, text: &str) {
    for letter in text.chars() {
        assert_eq!(press(app, KeyCode::Char(letter)), Effect::Nothing);
    }
}

fn visible(app: &App) -> Vec<&str> {
    app.visible().iter().map(|name| &**name).collect()
}

fn selected(app: &App) -> &str {
    app.selected.as_deref().unwrap()
}

#[test]
fn the_screen_follows_what_is_selected() {
    let mut app = app();
    assert_eq!((selected(&app), app.place()), ("pay/a", (6, 1)));
    for _ in 0..4 {
        press(&mut app, KeyCode::Down);
    }
    assert_eq!((selected(&app), visible(&app)[0]), ("search/b", "pay/b"));
    press(&mut app, KeyCode::End);
    assert_eq!((selected(&app), visible(&app)[3]), ("ship/a", "ship/a"));
    press(&mut app, KeyCode::Down);
    assert_eq!(selected(&app), "ship/a", "there is nothing below");
    press(&mut app, KeyCode::PageUp);
    assert_eq!(selected(&app), "pay/b");
    press(&mut app, KeyCode::Home);
    assert_eq!(visible(&app)[0], "pay/a");
}

#[test]
fn what_is_selected_stays_so_when_the_order_changes_by_itself() {
    let mut app = app();
    press(&mut app, KeyCode::Down);
    app.take(told(&[("ship/a", State::Open)]), at(61));
    app.fit(LINES_ABOVE + LINES_BELOW + 4);
    assert_eq!((visible(&app)[0], selected(&app)), ("ship/a", "pay/b"));
}

#[test]
fn a_screen_without_room_and_a_fleet_without_breakers_are_no_trouble() {
    let mut app = App::new(Filter::default());
    for height in [0, 1, 6, 24] {
        app.fit(height);
        for code in [KeyCode::Down, KeyCode::End, KeyCode::Enter, KeyCode::PageUp] {
            press(&mut app, code);
        }
        assert_eq!((app.place(), app.wanted()), ((0, 0), Wanted::default()));
    }
    press(&mut app, KeyCode::Char('f'));
    assert_eq!(app.message, Some(Message::Bad("there is no breaker to change".into())));
}

#[test]
fn a_filter_is_typed_and_taken_back() {
    let mut app = app();
    press(&mut app, KeyCode::Char('/'));
    type_in(&mut app, "searchx");
    press(&mut app, KeyCode::Backspace);
    press(&mut app, KeyCode::Enter);
    assert_eq!(visible(&app), ["search/a", "search/b"]);
    press(&mut app, KeyCode::Char('o'));
    assert!(visible(&app).is_empty(), "none of them is unhealthy");
    press(&mut app, KeyCode::Esc);
    assert_eq!(app.place().0, 6);

    press(&mut app, KeyCode::Char('/'));
    type_in(&mut app, "NO WAY/*");
    press(&mut app, KeyCode::Enter);
    assert!(matches!(&app.message, Some(Message::Bad(text)) if text.contains("NO WAY/*")));
    assert!(matches!(app.overlay, Some(Overlay::Filter(_))), "it can be mended");
}

#[test]
fn what_is_on_the_screen_is_asked_for_and_all_in_turn_if_the_order_needs_it() {
    let mut app = app();
    assert_eq!(app.wanted().measures, ["pay/a", "pay/b", "pay/c", "search/a"]);
    for _ in 0..2 {
        press(&mut app, KeyCode::Char('s'));
    }
    assert!(app.order.is_measured());
    let wanted = app.wanted().measures;
    assert!(wanted.len() <= MAX_WANTED && wanted.contains(&"ship/a".to_owned()), "{wanted:?}");

    press(&mut app, KeyCode::Enter);
    assert_eq!(app.wanted().details.as_deref(), Some("pay/a"));
    let news = News::Details("other/one".into(), Err("gone".into()));
    app.take(news, at(61));
    assert_eq!(app.details.as_ref().unwrap().error, None, "it was not asked for");
    press(&mut app, KeyCode::Esc);
    assert!(app.details.is_none());
}

#[test]
fn a_breaker_is_forced_open_after_a_reason_and_a_confirmation() {
    let mut app = app();
    press(&mut app, KeyCode::Char('f'));
    type_in(&mut app, "the sale");
    press(&mut app, KeyCode::Enter);
    type_in(&mut app, "ten");
    press(&mut app, KeyCode::Enter);
    assert_eq!(press(&mut app, KeyCode::Enter), Effect::Nothing);
    let Some(Overlay::Change(dialog)) = &app.overlay else { panic!("it goes on") };
    assert!(dialog.error.as_ref().unwrap().contains("time to live"), "{dialog:?}");
    assert!(dialog.question().contains("force open pay/a"));
    press(&mut app, KeyCode::Up);
    for _ in 0..3 {
        press(&mut app, KeyCode::Backspace);
    }
    type_in(&mut app, "10m");
    press(&mut app, KeyCode::Enter);
    let Effect::Make(order) = press(&mut app, KeyCode::Enter) else { panic!("it is meant") };
    assert_eq!(order.target.selectors(), ["pay/a"]);
    assert_eq!((&*order.reason, order.time_to_live), ("the sale", Some(Duration::from_mins(10))));
    assert!(app.overlay.is_none());
    app.take(News::Changed(Err("refused".into())), at(61));
    assert_eq!(app.message, Some(Message::Bad("refused".into())));
}

#[test]
fn several_are_changed_only_after_a_yes() {
    let mut app = app();
    press(&mut app, KeyCode::Char('/'));
    type_in(&mut app, "pay/*");
    press(&mut app, KeyCode::Enter);
    press(&mut app, KeyCode::Char('t'));
    press(&mut app, KeyCode::Tab);
    press(&mut app, KeyCode::Enter);
    assert_eq!(press(&mut app, KeyCode::Enter), Effect::Nothing);
    let Some(Overlay::Change(dialog)) = &app.overlay else { panic!("it goes on") };
    assert!(dialog.question().contains("trip all 3 of pay/*"), "{}", dialog.question());
    assert!(dialog.error.is_some());
    type_in(&mut app, "yes");
    let Effect::Make(order) = press(&mut app, KeyCode::Enter) else { panic!("it is meant") };
    assert_eq!(order.target, Target::Glob { selector: "pay/*".into(), count: 3 });
    assert_eq!(order.time_to_live, None);
}

#[test]
fn what_no_glob_can_say_is_changed_by_name_and_without_a_filter_only_one_is() {
    let mut app = app();
    press(&mut app, KeyCode::Char('r'));
    let Some(Overlay::Change(dialog)) = &app.overlay else { panic!("it begins") };
    assert!(!dialog.has_other_target());
    press(&mut app, KeyCode::Esc);
    press(&mut app, KeyCode::Char('/'));
    type_in(&mut app, "h/");
    press(&mut app, KeyCode::Enter);
    press(&mut app, KeyCode::Char('r'));
    press(&mut app, KeyCode::Tab);
    press(&mut app, KeyCode::Enter);
    type_in(&mut app, "yes");
    let Effect::Make(order) = press(&mut app, KeyCode::Enter) else { panic!("it is meant") };
    assert_eq!(order.target.selectors(), ["search/a", "search/b"]);
}

#[test]
fn a_change_that_is_given_up_changes_nothing() {
    let mut app = app();
    press(&mut app, KeyCode::Char('x'));
    type_in(&mut app, "q");
    assert_eq!(press(&mut app, KeyCode::Esc), Effect::Nothing);
    assert!(app.overlay.is_none() && app.message.is_none());
    assert_eq!(press(&mut app, KeyCode::Char('q')), Effect::Quit);
    let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    press(&mut app, KeyCode::Char('f'));
    assert_eq!(app.key(ctrl_c), Effect::Quit, "from anywhere");
}

#[test]
fn times_are_by_the_clock_of_the_server() {
    let app = app();
    // This machine's clock said 60 when the server's said 1,060.
    assert_eq!(app.elapsed(&time(1_000).unwrap(), at(60)), Duration::from_secs(60));
    assert_eq!(app.remaining(&time(1_070).unwrap(), at(65)), Duration::from_secs(5));
    assert_eq!(app.remaining(&time(1_000).unwrap(), at(65)), Duration::ZERO);
}

#[test]
fn a_connection_is_lost_since_the_first_cut() {
    let mut app = app();
    app.take(News::Cut("gone".into()), at(70));
    app.take(News::Cut("refused".into()), at(80));
    assert_eq!(app.link, Link::Lost(at(70), "refused".into()));
    assert_eq!(app.place().0, 6, "what was known stays");
    app.take(News::Connected("there:2".into()), at(90));
    assert!(app.is_live());
}
