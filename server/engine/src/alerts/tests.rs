use std::collections::HashMap;

use breaker_core::{AlertPatch, Attribution, Cause, Counts, Flapping, StateKind, Time, Transition};
use proptest::prelude::*;

use super::kept::MAX_ALERTS;
use super::*;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// A book, and breakers that are what the test says.
struct World {
    book: Book,
    now: Time,
    rules: AlertRules,
    states: HashMap<BreakerName, (StateKind, Mode)>,
}

fn name(text: &str) -> BreakerName {
    BreakerName::new(text).unwrap()
}

impl World {
    fn new() -> Self {
        Self {
            book: Book::new(Vec::new(), 1 << 40, Some(30 * Duration::from_secs(1))),
            now: Time::from_millis(1_000_000),
            rules: AlertRules::default(),
            states: HashMap::new(),
        }
    }

    fn shift(&mut self, breaker: &str, to: StateKind, to_mode: Mode) {
        let breaker = name(breaker);
        let before = self.states.insert(breaker.clone(), (to, to_mode));
        let (from, from_mode) = before.unwrap_or((StateKind::Closed, Mode::Normal));
        let transition = Transition {
            from,
            to,
            from_mode,
            to_mode,
            from_level: None,
            to_level: None,
            generation: 1,
            cause: Cause::FailureThreshold,
            by: Attribution::default(),
            at: self.now,
            counts: Counts::default(),
        };
        self.book.take(&breaker, &transition, &self.rules, self.now);
    }

    fn go(&mut self, breaker: &str, to: StateKind) {
        self.shift(breaker, to, Mode::Normal);
    }

    /// Lets time pass, and the rules look whenever they want to.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(next) = self.book.next_deadline().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            while let Some(due) = self.book.pop_due(self.now) {
                self.book.look_at(&due, &self.rules, self.now);
            }
            self.book.look_at_storage(self.now);
        }
        self.now = until;
    }

    /// Those that fire: rule, breaker, how often told again.
    fn firing(&self) -> Vec<(AlertRule, String, u32)> {
        let rows = self.book.kept.after(0).filter(|row| row.is_firing());
        let mut firing: Vec<_> = rows
            .map(|row| {
                let breaker = row.breaker.as_ref().map(ToString::to_string).unwrap_or_default();
                (row.rule, breaker, row.repeat_count)
            })
            .collect();
        firing.sort();
        firing
    }

    fn all(&self) -> Vec<Arc<AlertRow>> {
        self.book.kept.after(0).cloned().collect()
    }
}

fn fires(rule: AlertRule, count: u32) -> (AlertRule, String, u32) {
    (rule, "a/b".to_owned(), count)
}

use AlertRule::{
    Flapping as Flaps, ForcedTooLong, ProlongedOutage, ReportersLost, StateChange, StorageDegraded,
};
use StateKind::{Closed, HalfOpen, Open};

#[test]
fn each_change_of_state_is_an_alert_and_ends_the_one_before() {
    let mut world = World::new();
    world.go("a/b", Open);
    assert_eq!(world.firing(), [fires(StateChange, 0)]);
    world.go("a/b", HalfOpen);
    world.go("a/b", Closed);
    assert_eq!(world.firing(), []);
    let told: Vec<_> = world.all().iter().map(|row| row.severity).collect();
    assert_eq!(told, [Severity::High, Severity::Medium, Severity::Medium]);
    assert_eq!(world.all()[0].summary, "a/b went from CLOSED to OPEN: too many calls failed");
    world.rules.state_change = false;
    world.go("a/b", Open);
    assert_eq!(world.firing(), []);
}

#[test]
fn an_outage_is_told_once_again_after_a_while_and_until_it_is_over() {
    let mut world = World::new();
    world.rules.state_change = false;
    world.go("a/b", Open);
    world.pass(4 * MINUTE);
    world.go("a/b", HalfOpen);
    world.go("a/b", Open);
    assert_eq!(world.firing(), []);
    world.pass(MINUTE);
    assert_eq!(world.firing(), [fires(ProlongedOutage, 0)]);
    assert_eq!(world.all()[0].summary, "a/b has not been CLOSED for 5 min");
    assert_eq!(world.all()[0].severity, Severity::Critical);
    world.pass(HOUR - Duration::from_secs(1));
    assert_eq!(world.firing(), [fires(ProlongedOutage, 0)]);
    world.pass(2 * HOUR);
    assert_eq!(world.firing(), [fires(ProlongedOutage, 2)]);
    let id = world.all()[0].id;
    let seen = Acknowledgement { actor: "me".into(), comment: String::new(), at: world.now };
    world.book.kept.acknowledge(id, seen).unwrap();
    world.pass(10 * HOUR);
    assert_eq!(world.firing(), [fires(ProlongedOutage, 2)], "somebody has seen it");
    world.go("a/b", Closed);
    assert_eq!(world.firing(), []);
    assert_eq!(world.all()[0].ended_at, Some(world.now));
    world.go("a/b", Open);
    world.pass(5 * MINUTE);
    assert_eq!(world.all().len(), 2, "the next outage is another one");
}

#[test]
fn a_breaker_that_opens_again_and_again_flaps_until_it_is_calm() {
    let mut world = World::new();
    world.rules = AlertRules::settle([&AlertPatch {
        state_change: Some(false),
        flapping: Some(Some(Flapping { count: 3, within: 10 * MINUTE })),
        ..AlertPatch::default()
    }]);
    for _ in 0..3 {
        assert_eq!(world.firing(), []);
        world.go("a/b", Open);
        world.pass(MINUTE);
        world.go("a/b", Closed);
        world.pass(MINUTE);
    }
    assert_eq!(world.firing(), [fires(Flaps, 0)]);
    assert!(world.all()[0].summary.contains("3 times within 10 min"), "{:?}", world.all());
    world.pass(7 * MINUTE);
    assert_eq!(world.firing(), [fires(Flaps, 0)], "fewer times, and not calm yet");
    world.pass(MINUTE);
    assert_eq!(world.firing(), []);
    assert_eq!(world.book.followed_count(), 0);
}

#[test]
fn an_override_that_lasts_is_told_and_its_end_too() {
    let mut world = World::new();
    world.shift("a/b", Closed, Mode::Disabled);
    world.pass(HOUR);
    assert_eq!(world.firing(), [fires(ForcedTooLong, 0)]);
    assert_eq!(world.all()[0].summary, "a/b has been DISABLED for 1 h");
    world.shift("a/b", Closed, Mode::Shadow);
    assert_eq!(world.firing(), [], "another override begins anew");
    world.pass(HOUR);
    assert_eq!(world.firing(), [fires(ForcedTooLong, 0)]);
    world.shift("a/b", Closed, Mode::Normal);
    assert_eq!(world.firing(), []);
}

#[test]
fn a_breaker_that_nobody_reports_is_told_where_a_rule_asks_for_it() {
    let mut world = World::new();
    world.rules.reporters_lost = Some(MINUTE);
    let breaker = name("a/b");
    world.book.reported(&breaker, world.now, &world.rules.clone(), world.now);
    world.pass(MINUTE);
    assert_eq!(world.firing(), [fires(ReportersLost, 0)]);
    assert!(world.book.is_lost(&breaker));
    world.book.reported(&breaker, world.now, &world.rules.clone(), world.now);
    assert_eq!(world.firing(), []);
    world.rules.reporters_lost = None;
    world.pass(HOUR);
    assert_eq!(world.firing(), []);
    assert_eq!(world.book.followed_count(), 0);
}

#[test]
fn storage_that_fails_for_long_is_told_until_it_works() {
    let mut world = World::new();
    world.book.storage(Some((world.now, "disk full".into())), world.now);
    world.pass(Duration::from_secs(29));
    assert_eq!(world.firing(), []);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.firing(), [(StorageDegraded, String::new(), 0)]);
    assert!(world.all()[0].summary.ends_with("disk full"));
    world.book.storage(None, world.now);
    assert_eq!(world.firing(), []);
}

#[test]
fn a_rule_that_is_turned_off_and_a_breaker_that_goes_take_their_alerts_along() {
    let mut world = World::new();
    world.go("a/b", Open);
    world.go("a/c", Open);
    world.pass(5 * MINUTE);
    assert_eq!(world.firing().len(), 4);
    world.book.forget(&name("a/c"), world.now);
    assert_eq!(world.firing(), [fires(StateChange, 0), fires(ProlongedOutage, 0)]);
    world.rules = AlertRules::settle([&AlertPatch {
        state_change: Some(false),
        prolonged_outage: Some(None),
        ..AlertPatch::default()
    }]);
    for breaker in world.book.names() {
        world.book.look_at(&breaker, &world.rules, world.now);
    }
    assert_eq!(world.firing(), []);
}

#[test]
fn the_last_are_kept_and_those_that_fire_for_as_long_as_they_do() {
    let mut world = World::new();
    world.rules.flapping = None;
    world.go("a/first", Open);
    for round in 0..2 * MAX_ALERTS {
        let breaker = format!("b/{}", round % 7);
        world.go(&breaker, Open);
        world.go(&breaker, Closed);
    }
    let kept = world.all();
    assert_eq!(kept.len(), MAX_ALERTS);
    assert_eq!(world.firing(), [(StateChange, "a/first".to_owned(), 0)]);
    let mut batch = Batch::default();
    world.book.kept.gather(&mut batch);
    assert!(batch.alert_deletions.is_empty(), "what was never written need not be deleted");
    world.book.kept.settle(&batch);
    world.go("b/1", Open);
    world.go("b/1", Closed);
    let mut batch = Batch::default();
    world.book.kept.gather(&mut batch);
    assert_eq!((batch.alerts.len(), batch.alert_deletions.len()), (2, 2));
}

#[test]
fn what_was_stored_goes_on_and_is_over_where_the_breaker_came_back() {
    let mut world = World::new();
    for breaker in ["a/out", "a/back"] {
        world.go(breaker, Open);
    }
    world.pass(5 * MINUTE);
    let rows: Vec<_> = world.all().iter().map(|row| AlertRow::clone(row)).collect();
    let began = rows[0].started_at;
    let last = rows.iter().map(|row| row.revision).max().unwrap();

    let mut book = Book::new(rows, 1 << 40, None);
    let found = Followed::found(HalfOpen, Mode::Normal, world.now, None);
    book.find(&name("a/out"), found, world.now);
    book.settle_found(world.now);
    world.book = book;
    assert_eq!(
        world.firing(),
        [(StateChange, "a/out".to_owned(), 0), (ProlongedOutage, "a/out".to_owned(), 0)]
    );
    assert!(world.book.kept.latest() > last, "numbers go on");
    world.pass(2 * HOUR);
    let outage = (ProlongedOutage, Some(name("a/out")));
    assert_eq!(world.book.kept.firing(&outage).unwrap().repeat_count, 2);
    assert_eq!(world.book.kept.firing(&outage).unwrap().started_at, began + 5 * MINUTE);
}

proptest! {
    /// However a fleet behaves: of each rule one alert fires for a breaker at most, nothing fires
    /// about a breaker that is well, numbers only rise, and the book is empty once all are well.
    #[test]
    fn every_alert_ends(steps in prop::collection::vec((0..4_usize, 0..6_u8, 0..900_u64), 1..200)) {
        let mut world = World::new();
        let mut latest = 0;
        for (which, step, seconds) in steps {
            let breaker = format!("a/{which}");
            let (state, mode) =
                *world.states.get(&name(&breaker)).unwrap_or(&(Closed, Mode::Normal));
            match step {
                0 => world.shift(&breaker, Open, mode),
                1 if state == Open => world.shift(&breaker, HalfOpen, mode),
                1 | 2 => world.shift(&breaker, Closed, mode),
                3 => world.shift(&breaker, Open, Mode::ForcedOpen),
                4 => world.shift(&breaker, Closed, Mode::Normal),
                _ => world.book.forget(&name(&breaker), world.now),
            }
            world.pass(Duration::from_secs(seconds));
            let firing = world.firing();
            let mut keys: Vec<_> = firing.iter().map(|(rule, name, _)| (rule, name)).collect();
            keys.dedup();
            prop_assert_eq!(keys.len(), firing.len());
            for (rule, breaker, _) in &firing {
                let (state, mode) = world.states[&name(breaker)];
                let holds = match rule {
                    StateChange | ProlongedOutage => state != Closed,
                    ForcedTooLong => mode != Mode::Normal,
                    _ => true,
                };
                prop_assert!(holds, "{:?} fires about {} in {:?}, {:?}", rule, breaker, state, mode);
            }
            prop_assert!(world.book.kept.latest() >= latest);
            latest = world.book.kept.latest();
        }
        for which in 0..4 {
            world.go(&format!("a/{which}"), Closed);
        }
        world.pass(HOUR);
        prop_assert_eq!(world.firing(), []);
        prop_assert_eq!(world.book.followed_count(), 0);
    }
}
