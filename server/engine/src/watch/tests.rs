use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::log::MAX_TOMBSTONES;
use super::*;
use crate::selectors::Selector;

/// A log whose states are `name=version`, and where each breaker stands.
struct World {
    watch_log: Arc<WatchLog>,
    places: Arc<Places>,
    truth: BTreeMap<String, u32>,
}

/// Where each breaker stands.
#[derive(Default)]
struct Places(Mutex<BTreeMap<BreakerName, Option<u64>>>);

impl States for Places {
    fn names(
        &self,
        selectors: &Selectors,
        after: Option<&BreakerName>,
        limit: usize,
    ) -> Vec<BreakerName> {
        let places = self.0.lock();
        let names = places.keys().filter(|name| after.is_none_or(|after| *name > after));
        names.filter(|name| selectors.matches(name)).take(limit).cloned().collect()
    }

    fn place(&self, name: &BreakerName) -> Place {
        match self.0.lock().get(name) {
            Some(Some(position)) => Place::At(*position),
            Some(None) => Place::Later,
            None => Place::Gone,
        }
    }

    fn encoded(&self, name: &BreakerName, _: u64) -> Encoded {
        panic!("{name} was put with its state")
    }

    fn now(&self) -> Time {
        Time::EPOCH + Duration::from_millis(3)
    }
}

fn name(text: &str) -> BreakerName {
    BreakerName::new(text).unwrap()
}

fn selecting(texts: &[&str]) -> Selectors {
    Selectors::new(texts.iter().map(|text| Selector::parse(text).unwrap()))
}

impl World {
    fn new() -> Self {
        Self {
            watch_log: Arc::new(WatchLog::new(7)),
            places: Arc::default(),
            truth: BTreeMap::new(),
        }
    }

    /// Changes a breaker, and tells what is left to do for the recorder.
    fn begin_to_put(&mut self, text: &str, version: u32) -> (u64, u64) {
        let old = self.places.0.lock().insert(name(text), None).flatten().unwrap_or(0);
        self.truth.insert(text.into(), version);
        let position = self.watch_log.reserve();
        self.places.0.lock().insert(name(text), Some(position));
        (old, position)
    }

    fn put(&mut self, text: &str, version: u32) {
        let (old, position) = self.begin_to_put(text, version);
        self.watch_log.put(old, position, name(text), Bytes::from(format!("{text}={version}")));
        self.watch_log.publish(Time::EPOCH);
    }

    fn delete(&mut self, text: &str) {
        if let Some(old) = self.places.0.lock().remove(&name(text)) {
            self.watch_log.bury(old.unwrap_or(0), name(text));
            self.watch_log.publish(Time::EPOCH);
            self.truth.remove(text);
        }
    }

    fn subscribe(&self, token: &[u8]) -> Subscription {
        self.subscribe_to(&[], token)
    }

    fn subscribe_to(&self, selectors: &[&str], token: &[u8]) -> Subscription {
        let states: Arc<dyn States> = Arc::<Places>::clone(&self.places);
        self.watch_log.subscribe(states, selecting(selectors), token, Phase::default())
    }

    fn truth_of(&self, selectors: &[&str]) -> BTreeMap<String, u32> {
        let mut truth = self.truth.clone();
        truth.retain(|text, _| selecting(selectors).matches(&name(text)));
        truth
    }
}

/// A client's copy.
#[derive(Default)]
struct Copy {
    states: BTreeMap<String, u32>,
    token: Vec<u8>,
}

impl Copy {
    fn take(&mut self, update: Update) {
        if update.reset {
            self.states.clear();
        }
        for name in update.deleted {
            self.states.remove(name.as_str());
        }
        for state in update.changed {
            let text = String::from_utf8(state.to_vec()).unwrap();
            let (name, version) = text.split_once('=').unwrap();
            let version = version.parse().unwrap();
            let before = self.states.insert(name.into(), version);
            assert!(before.is_none_or(|before| before < version), "{name} went backwards");
        }
        self.token = update.token;
    }

    fn catch_up(&mut self, subscription: &mut Subscription) {
        loop {
            let update = subscription.read();
            let is_over = !update.says_something();
            self.take(update);
            if is_over {
                return;
            }
        }
    }
}

#[tokio::test]
async fn a_resumed_stream_gets_only_what_changed_since() {
    let mut world = World::new();
    for (name, version) in [("a/a", 1), ("a/b", 2), ("a/c", 3)] {
        world.put(name, version);
    }
    let mut copy = Copy::default();
    copy.catch_up(&mut world.subscribe(&[]));
    world.put("a/b", 4);
    world.delete("a/c");
    let update = world.subscribe(&copy.token).read();
    assert!(update.snapshot_complete && !update.reset);
    assert_eq!(update.changed, ["a/b=4"]);
    assert_eq!(update.deleted, [name("a/c")]);
}

#[tokio::test]
async fn a_token_of_another_life_of_other_selectors_or_of_nobody_resets() {
    let mut world = World::new();
    world.put("a/a", 1);
    let token = world.subscribe(&[]).read().token;
    assert!(!world.subscribe(&token).read().reset);
    assert!(World::new().subscribe(b"garbage").read().reset);
    let other_life = World { watch_log: Arc::new(WatchLog::new(8)), ..World::new() };
    assert!(other_life.subscribe(&token).read().reset);
    assert!(world.subscribe_to(&["a/*"], &token).read().reset);
}

#[tokio::test]
async fn a_snapshot_that_was_cut_begins_anew() {
    let mut world = World::new();
    for index in 0..1_500 {
        world.put(&format!("a/{index}"), 1);
    }
    let mut copy = Copy::default();
    copy.take(world.subscribe(&[]).read());
    assert_eq!(copy.states.len(), 1_000);
    let told = copy.states.keys().next().unwrap().clone();
    world.delete(&told);
    let mut again = world.subscribe(&copy.token);
    let update = again.read();
    assert!(update.reset, "what was deleted meanwhile is not to stay in the copy");
    copy.take(update);
    copy.catch_up(&mut again);
    assert_eq!(copy.states, world.truth);
}

#[tokio::test]
async fn a_change_wakes_those_whom_it_concerns_and_goes_into_no_other_log() {
    let mut world = World::new();
    for text in ["payments/card", "orders/new"] {
        world.put(text, 1);
    }
    let mut payments = world.subscribe_to(&["payments/*"], &[]);
    let mut orders = world.subscribe_to(&["orders/new", "orders/old"], &[]);
    let mut both = world.subscribe_to(&["orders/*", "payments/**"], &[]);
    let mut wide = world.subscribe_to(&["*/card"], &[]);
    let mut all = world.subscribe(&[]);
    let is_woken = |subscription: &mut Subscription| {
        let mut next = std::pin::pin!(subscription.next());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        next.as_mut().poll(&mut context).is_ready()
    };
    for subscription in [&mut payments, &mut orders, &mut both, &mut wide, &mut all] {
        assert!(is_woken(subscription), "the snapshot");
        assert!(!is_woken(subscription));
    }
    world.put("payments/card", 2);
    assert!(!is_woken(&mut orders));
    for subscription in [&mut payments, &mut both, &mut wide, &mut all] {
        assert!(is_woken(subscription));
        assert!(!is_woken(subscription));
    }
    world.put("orders/new", 2);
    assert!(!is_woken(&mut payments) && !is_woken(&mut wide));
    assert!(is_woken(&mut orders) && is_woken(&mut both) && is_woken(&mut all));
    let lengths = [&payments, &orders, &both, &wide, &all]
        .map(|subscription| subscription.group_log_len().unwrap_or(99));
    assert_eq!(lengths, [1, 1, 2, 1, 99]);
}

#[tokio::test]
async fn subscribers_with_the_same_selectors_share_a_group_that_goes_with_the_last_of_them() {
    let world = World::new();
    let one = world.subscribe_to(&["a/b", "c/*", "a/b"], &[]);
    let other = world.subscribe_to(&["c/*", "a/b"], &[]);
    let third = world.subscribe(&[]);
    assert_eq!(world.watch_log.group_count(), 2);
    drop((one, third));
    assert_eq!(world.watch_log.group_count(), 1);
    drop(other);
    assert_eq!(world.watch_log.group_count(), 0);
}

#[tokio::test]
async fn a_million_changes_of_one_breaker_cost_a_sleeper_one_state() {
    let mut world = World::new();
    world.put("a/busy", 0);
    let mut copy = Copy::default();
    let mut sleeper = world.subscribe_to(&["a/busy"], &[]);
    copy.catch_up(&mut sleeper);
    for version in 1..=1_000_000 {
        world.put("a/busy", version);
    }
    assert_eq!(sleeper.group_log_len(), Some(1));
    let update = sleeper.read();
    assert_eq!(update.changed, ["a/busy=1000000"]);
    assert!(!sleeper.read().says_something());
}

#[tokio::test]
async fn a_snapshot_is_complete_only_with_what_was_changing_when_it_came_by() {
    let mut world = World::new();
    world.put("a/a", 1);
    world.put("a/b", 1);
    let (old, position) = world.begin_to_put("a/b", 2);
    let mut subscription = world.subscribe_to(&["a/*"], &[]);
    let update = subscription.read();
    assert_eq!((update.changed, update.snapshot_complete), (vec!["a/a=1".into()], false));
    world.watch_log.put(old, position, name("a/b"), "a/b=2".into());
    world.watch_log.publish(Time::EPOCH);
    let update = subscription.read();
    assert_eq!((update.changed, update.snapshot_complete), (vec!["a/b=2".into()], true));
}

#[tokio::test]
async fn whoever_missed_a_forgotten_deletion_gets_a_new_snapshot() {
    let mut world = World::new();
    world.put("a/keep", 1);
    world.put("a/gone", 1);
    let mut copy = Copy::default();
    let mut slow = world.subscribe(&[]);
    copy.catch_up(&mut slow);
    world.delete("a/gone");
    for index in 0..=MAX_TOMBSTONES {
        let name = format!("b/{index}");
        world.put(&name, 1);
        world.delete(&name);
    }
    let token = copy.token.clone();
    copy.catch_up(&mut slow);
    assert_eq!(copy.states, world.truth, "a slow reader converges");
    assert!(world.subscribe(&token).read().reset);
    assert!(world.watch_log.log.read().len() <= MAX_TOMBSTONES + 1);
}

#[tokio::test]
async fn a_snapshot_comes_in_chunks_and_says_when_it_is_complete() {
    let mut world = World::new();
    for index in 0..2_500 {
        world.put(&format!("a/{index}"), 1);
    }
    let mut subscription = world.subscribe(&[]);
    let sizes: Vec<_> = std::iter::from_fn(|| {
        let update = subscription.read();
        update.says_something().then_some((update.changed.len(), update.snapshot_complete))
    })
    .collect();
    assert_eq!(sizes, [(1_000, false), (1_000, false), (500, true)]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_gives_a_sign_of_life_within_the_promised_time() {
    let world = World::new();
    let mut subscription = world.subscribe(&[]);
    assert!(subscription.next().await.snapshot_complete);
    let sign = tokio::time::timeout(Duration::from_secs(5), subscription.next()).await.unwrap();
    assert!(!sign.says_something() && !sign.token.is_empty());
}

const SELECTIONS: [&[&str]; 5] =
    [&[], &["a/*"], &["a/1", "b/2", "b/3"], &["**/2", "b/*"], &["c/*"]];

proptest! {
    /// Any schedule of changes, deletions, reads, cuts and resumptions ends with the truth, whatever
    /// is selected.
    #[test]
    fn every_copy_converges(steps in proptest::collection::vec((0..6_u8, 0..12_u8), 1..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _inside = runtime.enter();
        let mut world = World::new();
        let mut copies = SELECTIONS.map(|_| Copy::default());
        let mut streams = SELECTIONS.map(|selectors| Some(world.subscribe_to(selectors, &[])));
        for (version, (step, which)) in steps.into_iter().enumerate() {
            let text = format!("{}/{}", if which % 2 == 0 { "a" } else { "b" }, which / 2);
            let one = usize::from(which) % SELECTIONS.len();
            match step {
                0 | 1 => world.put(&text, version as u32 + 1),
                2 => world.delete(&text),
                3 => {
                    if let Some(stream) = &mut streams[one] {
                        copies[one].take(stream.read());
                    }
                }
                4 => streams[one] = None,
                _ => streams[one] = Some(world.subscribe_to(SELECTIONS[one], &copies[one].token)),
            }
        }
        for ((copy, stream), selectors) in copies.iter_mut().zip(streams).zip(SELECTIONS) {
            let mut stream =
                stream.unwrap_or_else(|| world.subscribe_to(selectors, &copy.token));
            copy.catch_up(&mut stream);
            prop_assert_eq!(&copy.states, &world.truth_of(selectors));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn how_long_news_waits_and_who_begins_anew_is_counted() {
    let mut world = World::new();
    world.put("a/b", 1);
    let mut reader = world.subscribe(&[]);
    reader.next().await;
    let counts = |world: &World| -> u64 {
        world.watch_log.stats().lag.buckets().map(|(_, count)| count).sum()
    };
    assert_eq!(counts(&world), 0, "a snapshot has not waited");
    world.put("a/b", 2);
    world.put("a/b", 3);
    reader.next().await;
    assert_eq!(counts(&world), 1, "what is read together has waited together");
    // The world publishes at the first moment and is read three milliseconds later.
    assert_eq!(world.watch_log.stats().lag.sum(), 3_000_000 - 1);
    assert_eq!(world.watch_log.stats().resets(), 0);
    world.subscribe(b"nonsense").next().await;
    assert_eq!(world.watch_log.stats().resets(), 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_follows_from_here_hears_nothing_of_what_was() {
    let mut world = World::new();
    world.put("a/b", 1);
    world.put("a/c", 1);
    let states: Arc<dyn States> = Arc::<Places>::clone(&world.places);
    let mut follower = world.watch_log.follow(states);
    world.put("a/c", 2);
    world.delete("a/b");
    let update = follower.next().await;
    assert_eq!(update.changed, [Bytes::from("a/c=2")]);
    assert_eq!(update.deleted, [name("a/b")]);
    assert!(!update.reset);
}
