use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::selectors::Selector;

/// A log whose states are `name=version`, and where each breaker stands.
struct World {
    watch_log: Arc<WatchLog>,
    positions: BTreeMap<String, u64>,
    truth: BTreeMap<String, u32>,
}

impl World {
    fn new() -> Self {
        let watch_log = Arc::new(WatchLog::new(7));
        Self { watch_log, positions: BTreeMap::new(), truth: BTreeMap::new() }
    }

    fn put(&mut self, name: &str, version: u32) {
        let old = self.positions.get(name).copied().unwrap_or(0);
        let state = Bytes::from(format!("{name}={version}"));
        let position = self.watch_log.reserve();
        self.watch_log.put(old, position, BreakerName::new(name).unwrap(), state);
        self.positions.insert(name.into(), position);
        self.truth.insert(name.into(), version);
    }

    fn delete(&mut self, name: &str) {
        if let Some(old) = self.positions.remove(name) {
            self.watch_log.bury(old, BreakerName::new(name).unwrap());
            self.truth.remove(name);
        }
    }

    fn subscribe(&self, token: &[u8]) -> Subscription {
        self.watch_log.subscribe(Arc::new(NoStates), Selectors::default(), token)
    }
}

/// Every state of this log is encoded.
struct NoStates;

impl States for NoStates {
    fn encoded(&self, name: &BreakerName, _: u64) -> Encoded {
        panic!("{name} was put with its state")
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

#[test]
fn a_resumed_stream_gets_only_what_changed_since() {
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
    assert_eq!(update.deleted, [BreakerName::new("a/c").unwrap()]);
}

#[test]
fn a_token_of_another_life_of_other_selectors_or_of_nobody_resets() {
    let mut world = World::new();
    world.put("a/a", 1);
    let token = world.subscribe(&[]).read().token;
    assert!(!world.subscribe(&token).read().reset);
    assert!(
        World::new()
            .watch_log
            .subscribe(Arc::new(NoStates), Selectors::default(), b"garbage")
            .read()
            .reset
    );
    let other_life = Arc::new(WatchLog::new(8));
    assert!(other_life.subscribe(Arc::new(NoStates), Selectors::default(), &token).read().reset);
    let some = Selectors::new([Selector::parse("a/*").unwrap()]);
    assert!(world.watch_log.subscribe(Arc::new(NoStates), some, &token).read().reset);
}

#[test]
fn whoever_missed_a_forgotten_deletion_gets_a_new_snapshot() {
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
    assert!(world.watch_log.log.read().entries.len() <= MAX_TOMBSTONES + 1);
}

#[test]
fn a_snapshot_comes_in_chunks_and_says_when_it_is_complete() {
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

proptest! {
    /// Any schedule of changes, deletions, reads, cuts and resumptions ends with the truth.
    #[test]
    fn every_copy_converges(steps in proptest::collection::vec((0..5_u8, 0..6_u8), 1..200)) {
        let mut world = World::new();
        let mut copies = [Copy::default(), Copy::default()];
        let mut streams = [world.subscribe(&[]), world.subscribe(&[])];
        for (version, (step, which)) in steps.into_iter().enumerate() {
            let name = format!("a/{which}");
            let one = usize::from(which % 2);
            match step {
                0 | 1 => world.put(&name, version as u32 + 1),
                2 => world.delete(&name),
                3 => copies[one].take(streams[one].read()),
                _ => streams[one] = world.subscribe(&copies[one].token),
            }
        }
        for (copy, stream) in copies.iter_mut().zip(&mut streams) {
            copy.catch_up(stream);
            prop_assert_eq!(&copy.states, &world.truth);
        }
    }
}
