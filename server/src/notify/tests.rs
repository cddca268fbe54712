use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::routing::post;
use breaker_engine::{ManualClock, SystemClock};
use hmac::{Hmac, KeyInit as _, Mac as _};
use parking_lot::Mutex;
use serde_json::Value;
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// Alerts that the test makes up. What there is when its server begins to lead was there before.
#[derive(Default)]
struct Made {
    alerts: watch::Sender<Vec<v1::Alert>>,
    /// How far each receiver was told.
    told: Mutex<HashMap<String, u64>>,
    head: AtomicU64,
}

impl Made {
    fn new() -> Arc<Self> {
        Arc::default()
    }

    fn change(&self, alert: v1::Alert) {
        self.alerts.send_modify(|alerts| {
            let revision = alerts.len() as u64 + 1;
            alerts.push(v1::Alert { revision, ..alert });
        });
    }

    fn fire(&self, id: u64) {
        self.change(firing(id));
    }
}

fn firing(id: u64) -> v1::Alert {
    v1::Alert {
        id,
        rule: v1::AlertRule::StateChange.into(),
        severity: v1::AlertSeverity::High.into(),
        state: v1::AlertState::Firing.into(),
        breaker: "payments/stripe".into(),
        summary: format!("alert {id}"),
        ..Default::default()
    }
}

/// One that was over at this second.
fn over(id: u64, second: i64) -> v1::Alert {
    let state = v1::AlertState::Resolved.into();
    v1::Alert { state, end_time: at(second), ..firing(id) }
}

/// One that somebody saw at this second.
fn seen_at(second: i64, alert: v1::Alert) -> v1::Alert {
    let seen = v1::Acknowledgement { time: at(second), ..Default::default() };
    v1::Alert { acknowledgement: Some(seen), ..alert }
}

const fn second(second: u64) -> Time {
    Time::from_millis(second * 1_000)
}

fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

#[async_trait]
impl Feed for Made {
    fn head(&self) -> u64 {
        self.head.load(Ordering::Relaxed)
    }

    fn told(&self, receiver: &str) -> u64 {
        *self.told.lock().entry(receiver.to_owned()).or_insert(self.head())
    }

    fn note_told(&self, receiver: &str, revision: u64) {
        self.told.lock().insert(receiver.to_owned(), revision);
    }

    async fn changed_after(&self, revision: u64) -> Vec<v1::Alert> {
        let mut alerts = self.alerts.subscribe();
        let after = |alerts: &Vec<v1::Alert>| alerts.len() as u64 > revision;
        let alerts = alerts.wait_for(after).await.unwrap();
        // Of what was there before only the last change is known.
        let (before, _) = alerts.split_at(self.head() as usize);
        let is_last = |alert: &v1::Alert| {
            !before.iter().any(|other| other.id == alert.id && other.revision > alert.revision)
        };
        let news = alerts[revision as usize..].iter();
        news.filter(|alert| alert.revision > self.head() || is_last(alert)).cloned().collect()
    }

    fn firing(&self, before: u64, limit: usize) -> Vec<v1::Alert> {
        let alerts = self.alerts.borrow();
        let is_firing =
            |alert: &&v1::Alert| alert.state() == v1::AlertState::Firing && alert.revision < before;
        alerts.iter().rev().filter(is_firing).take(limit).cloned().collect()
    }
}

/// A receiver as its owner sees it.
#[derive(Default)]
struct Seen {
    posts: Mutex<Vec<(HeaderMap, Bytes)>>,
    /// The answers of so many attempts.
    failures: AtomicU32,
    failing_status: AtomicU32,
    /// Every attempt, those that failed included.
    attempts: AtomicU32,
    is_stuck: AtomicBool,
}

impl Seen {
    async fn serve(self: &Arc<Self>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/hook", post(take))
            .route("/am/api/v2/alerts", post(take))
            .with_state(Arc::clone(self));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        address
    }

    fn keys(&self) -> Vec<String> {
        let posts = self.posts.lock();
        let key = |(headers, _): &(HeaderMap, Bytes)| {
            headers["idempotency-key"].to_str().unwrap().to_owned()
        };
        posts.iter().map(key).collect()
    }
}

async fn take(
    State(seen): State<Arc<Seen>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, [(HeaderName, &'static str); 1]) {
    // At once again, if it were asked.
    let retry_after = [(RETRY_AFTER, "0")];
    seen.attempts.fetch_add(1, Ordering::Relaxed);
    if seen.is_stuck.load(Ordering::Relaxed) {
        sleep(Duration::from_secs(3_600)).await;
    }
    let left =
        seen.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
    if left.is_ok() {
        let status = seen.failing_status.load(Ordering::Relaxed) as u16;
        return (StatusCode::from_u16(status).unwrap(), retry_after);
    }
    seen.posts.lock().push((headers, body));
    (StatusCode::OK, retry_after)
}

struct Running {
    notifier: Notifier,
    feed: Arc<Made>,
    over: CancellationToken,
    drain: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn start(receivers: &[String]) -> Self {
        Self::start_with(receivers, Made::new(), Arc::new(ManualClock::at(second(10))))
    }

    fn start_with(receivers: &[String], feed: Arc<Made>, clock: Arc<dyn Clock>) -> Self {
        feed.head.store(feed.alerts.borrow().len() as u64, Ordering::Relaxed);
        let receivers =
            receivers.iter().map(|receiver| Receiver::from_toml(receiver).unwrap()).collect();
        let notifier = Notifier::new(receivers, clock).unwrap();
        let drain = CancellationToken::new();
        let over = drain.child_token();
        let task = tokio::spawn({
            let (notifier, feed) = (notifier.clone(), Arc::clone(&feed));
            let (over, drain) = (over.clone(), drain.clone());
            async move { notifier.run(feed, over, drain).await }
        });
        Self { notifier, feed, over, drain, task }
    }

    fn ledger(&self, name: &str) -> &Ledger {
        self.notifier.ledgers().find(|(known, _)| *known == name).unwrap().1
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let wait = async {
            while !is_so(self) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("never: {what}"));
    }

    /// Ends as when the server goes down.
    async fn end(self) -> Notifier {
        self.drain.cancel();
        timeout(PATIENCE, self.task).await.unwrap().unwrap();
        self.notifier
    }
}

fn receiver(name: &str, address: SocketAddr, more: &str) -> String {
    format!("name = '{name}'\nkind = 'webhook'\nurl = 'http://{address}/hook'\n{more}")
}

#[tokio::test]
async fn a_webhook_gets_each_event_once_and_can_check_who_sent_it() {
    let seen = Arc::<Seen>::default();
    let running = Running::start(&[receiver("ops", seen.serve().await, "secret = 'hush'")]);
    tokio::task::yield_now().await;
    running.feed.fire(1);
    running.until("the first is told", |running| running.ledger("ops").delivered() == 1).await;
    running.feed.change(v1::Alert { repeat_count: 1, ..firing(1) });
    // However long ago that was when it was noticed.
    running.feed.change(over(1, -9_000));
    running.until("all is told", |running| running.ledger("ops").delivered() == 3).await;
    assert_eq!(seen.keys(), ["1-fired", "1-repeated-1", "1-resolved"]);

    let (headers, body) = seen.posts.lock()[0].clone();
    let signature = headers[signature::HEADER].to_str().unwrap();
    let (time, mac) = signature.split_once(",v1=").unwrap();
    let mut expected = Hmac::<Sha256>::new_from_slice(b"hush").unwrap();
    expected.update(time.trim_start_matches("t=").as_bytes());
    expected.update(b".");
    expected.update(&body);
    expected.verify_slice(&hex::decode(mac).unwrap()).unwrap();
    let told: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&told["event"], &told["alert"]["id"]), (&"fired".into(), &"1".into()));
    running.end().await;
}

#[tokio::test]
async fn nobody_is_told_that_somebody_has_seen_an_alert() {
    let seen = Arc::<Seen>::default();
    let running = Running::start(&[receiver("ops", seen.serve().await, "")]);
    tokio::task::yield_now().await;
    for alert in [
        // One that fired in another life of the server.
        seen_at(1, firing(1)),
        seen_at(1, over(1, 2)),
        // One that was seen when it was over.
        over(2, 3),
        seen_at(4, over(2, 3)),
    ] {
        running.feed.change(alert);
    }
    running.feed.fire(3);
    running.until("the last is told", |running| running.ledger("ops").delivered() == 3).await;
    assert_eq!(seen.keys(), ["1-resolved", "2-resolved", "3-fired"]);
    running.end().await;
}

#[tokio::test]
async fn what_a_receiver_did_not_take_for_an_hour_is_dropped() {
    let seen = Arc::<Seen>::default();
    seen.failures.store(u32::MAX, Ordering::Relaxed);
    seen.failing_status.store(503, Ordering::Relaxed);
    let clock = Arc::new(ManualClock::at(Time::from_millis(1_000_000)));
    let receivers = [receiver("ops", seen.serve().await, "")];
    let running = Running::start_with(&receivers, Made::new(), Arc::clone(&clock) as _);
    tokio::task::yield_now().await;
    running.feed.fire(1);
    running.feed.fire(2);
    running.until("it is told twice", |running| running.ledger("ops").failed_attempts() == 2).await;
    // It asked to be told again at once, which is not done.
    assert_eq!(seen.attempts.load(Ordering::Relaxed), 2);
    assert_eq!(running.ledger("ops").waiting(), 2);
    clock.advance_to(clock.now() + Duration::from_secs(3_600));
    running.until("nothing waits", |running| running.ledger("ops").waiting() == 0).await;
    assert_eq!(running.ledger("ops").dropped_for(Dropped::Expired), 2);
    assert_eq!(
        seen.attempts.load(Ordering::Relaxed),
        3,
        "the second waited for too long to be told"
    );
    running.end().await;
}

#[tokio::test]
async fn one_that_fails_and_recovers_gets_everything_once_and_in_order() {
    let seen = Arc::<Seen>::default();
    seen.failures.store(2, Ordering::Relaxed);
    seen.failing_status.store(500, Ordering::Relaxed);
    let running = Running::start(&[receiver("ops", seen.serve().await, "")]);
    tokio::task::yield_now().await;
    (1..=3).for_each(|id| running.feed.fire(id));
    running.until("all is told", |running| running.ledger("ops").delivered() == 3).await;
    assert_eq!(seen.keys(), ["1-fired", "2-fired", "3-fired"]);
    let ledger = running.ledger("ops");
    assert_eq!((ledger.failed_attempts(), ledger.waiting()), (2, 0));
    assert!(Dropped::ALL.iter().all(|reason| ledger.dropped_for(*reason) == 0));
    running.end().await;
}

#[tokio::test]
async fn what_is_refused_for_good_is_dropped_and_the_next_is_told() {
    let seen = Arc::<Seen>::default();
    seen.failures.store(1, Ordering::Relaxed);
    seen.failing_status.store(400, Ordering::Relaxed);
    let running = Running::start(&[receiver("ops", seen.serve().await, "")]);
    tokio::task::yield_now().await;
    running.feed.fire(1);
    running.feed.fire(2);
    running.until("the second is told", |running| running.ledger("ops").delivered() == 1).await;
    assert_eq!(seen.keys(), ["2-fired"]);
    assert_eq!(running.ledger("ops").dropped_for(Dropped::Refused), 1);
    running.end().await;
}

#[tokio::test]
async fn dead_and_stuck_receivers_harm_nobody_and_what_they_miss_is_counted() {
    let (good, stuck) = (Arc::<Seen>::default(), Arc::<Seen>::default());
    stuck.is_stuck.store(true, Ordering::Relaxed);
    let dead = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let running = Running::start(&[
        receiver("dead", dead, ""),
        receiver("stuck", stuck.serve().await, ""),
        receiver("good", good.serve().await, ""),
    ]);
    tokio::task::yield_now().await;
    let count = QUEUE as u64 + 200;
    for id in 1..=count {
        running.feed.fire(id);
    }
    running
        .until("the good one knows all", |running| {
            let ledger = running.ledger("good");
            ledger.delivered() + ledger.dropped_for(Dropped::QueueFull) == count
        })
        .await;
    // One is under way and so many wait.
    let dropped_of = |ledger: &Ledger| ledger.dropped_for(Dropped::QueueFull);
    for name in ["dead", "stuck"] {
        let ledger = running.ledger(name);
        let (waiting, dropped) = (ledger.waiting(), dropped_of(ledger));
        assert_eq!(waiting + dropped, count, "{name}");
        assert!(waiting <= QUEUE as u64 + 1 && dropped >= 199, "{name}: {waiting} wait");
    }
    let notifier = running.end().await;
    for (name, ledger) in notifier.ledgers().filter(|(name, _)| *name != "good") {
        assert_eq!(ledger.waiting(), 0, "{name}: what is left is for the next server");
        assert!((199..=200).contains(&dropped_of(ledger)), "{name}");
    }
}

#[tokio::test]
async fn an_alertmanager_is_told_in_its_own_way_and_hears_what_fires_at_once() {
    let seen = Arc::<Seen>::default();
    let address = seen.serve().await;
    let receiver = format!("name = 'am'\nkind = 'alertmanager'\nurl = 'http://{address}/am/'");
    let running = Running::start(&[receiver]);
    tokio::task::yield_now().await;
    running.feed.fire(1);
    running.until("it is told", |running| running.ledger("am").delivered() == 1).await;
    let told: Value = serde_json::from_slice(&seen.posts.lock()[0].1).unwrap();
    assert_eq!(told[0]["labels"]["alertname"], "BreakerStateChange");
    running.end().await;
}

#[tokio::test]
async fn an_alertmanager_is_reminded_of_all_that_fires() {
    let seen = Arc::<Seen>::default();
    let address = seen.serve().await;
    let receiver = format!("name = 'am'\nkind = 'alertmanager'\nurl = 'http://{address}/am'");
    let feed = Made::new();
    (1..=2_500).for_each(|id| feed.fire(id));
    let running = Running::start_with(&[receiver], feed, Arc::new(SystemClock::start()));
    running.until("it was reminded", |_| seen.posts.lock().len() == 3).await;
    let ids: HashSet<_> = seen
        .posts
        .lock()
        .iter()
        .flat_map(|(_, body)| serde_json::from_slice::<Vec<Value>>(body).unwrap())
        .map(|alert| alert["annotations"]["id"].to_string())
        .collect();
    assert_eq!(ids.len(), 2_500);
    assert_eq!(running.ledger("am").delivered(), 0, "it was no news");
    running.end().await;
}

#[tokio::test]
async fn a_server_that_leads_no_more_tells_nothing_more_at_once() {
    let seen = Arc::<Seen>::default();
    seen.is_stuck.store(true, Ordering::Relaxed);
    let running = Running::start(&[receiver("stuck", seen.serve().await, "")]);
    tokio::task::yield_now().await;
    (1..=3).for_each(|id| running.feed.fire(id));
    running.until("it is told", |_| seen.attempts.load(Ordering::Relaxed) == 1).await;
    running.over.cancel();
    timeout(LAST_WORDS / 2, running.task).await.expect("it does not wait").unwrap();
    let (_, ledger) = running.notifier.ledgers().next().unwrap();
    assert_eq!((ledger.delivered(), ledger.waiting()), (0, 0));
    assert_eq!(running.feed.told("stuck"), 0, "the next one begins where this one did");
}

#[tokio::test]
async fn what_one_server_did_not_get_to_the_next_one_tells() {
    let (ops, slow) = (Arc::<Seen>::default(), Arc::<Seen>::default());
    let receivers =
        [receiver("ops", ops.serve().await, ""), receiver("slow", slow.serve().await, "")];
    let running = Running::start(&receivers);
    tokio::task::yield_now().await;
    running.feed.fire(1);
    running.until("the first is told", |running| running.ledger("slow").delivered() == 1).await;
    slow.is_stuck.store(true, Ordering::Relaxed);
    (2..=3).for_each(|id| running.feed.fire(id));
    running.until("one knows all", |running| running.ledger("ops").delivered() == 3).await;
    let feed = Arc::clone(&running.feed);
    running.end().await;

    slow.is_stuck.store(false, Ordering::Relaxed);
    feed.change(over(3, 9));
    // That somebody has seen it since is no reason to keep from others that it is over.
    feed.change(seen_at(10, over(3, 9)));
    let running = Running::start_with(&receivers, feed, Arc::new(ManualClock::at(second(10))));
    running.feed.fire(4);
    running.until("the other knows all", |running| running.ledger("slow").delivered() == 3).await;
    running.until("both do", |running| running.ledger("ops").delivered() == 2).await;
    assert_eq!(slow.keys(), ["1-fired", "2-fired", "3-resolved", "4-fired"]);
    assert_eq!(ops.keys(), ["1-fired", "2-fired", "3-fired", "3-resolved", "4-fired"]);
    assert!(["ops", "slow"].iter().all(|name| running.feed.told(name) == 6));
    running.end().await;
}

#[tokio::test]
async fn a_server_that_begins_with_more_than_a_queue_holds_drops_nothing_of_it() {
    let seen = Arc::<Seen>::default();
    let (feed, count) = (Made::new(), QUEUE as u64 + 500);
    assert_eq!(feed.told("ops"), 0);
    (1..=count).for_each(|id| feed.fire(id));
    let receivers = [receiver("ops", seen.serve().await, "")];
    let running = Running::start_with(&receivers, feed, Arc::new(ManualClock::at(second(10))));
    running.until("all is told", |running| running.ledger("ops").delivered() == count).await;
    assert_eq!(running.ledger("ops").dropped_for(Dropped::QueueFull), 0);
    running.end().await;
}

#[tokio::test]
async fn after_a_long_absence_what_fires_is_told_and_what_was_over_long_ago_is_not() {
    let seen = Arc::<Seen>::default();
    let receivers = [receiver("ops", seen.serve().await, "min_severity = 'high'")];
    let feed = Made::new();
    assert_eq!(feed.told("ops"), 0);
    feed.change(over(1, 9));
    feed.fire(2);
    feed.change(v1::Alert { severity: v1::AlertSeverity::Medium.into(), ..firing(3) });
    let an_hour_later = Arc::new(ManualClock::at(second(9 + 3_600)));
    let running = Running::start_with(&receivers, Arc::clone(&feed), an_hour_later);
    running.until("one is told", |running| running.ledger("ops").delivered() == 1).await;
    assert_eq!(seen.keys(), ["2-fired"]);
    assert_eq!(running.ledger("ops").dropped_for(Dropped::Expired), 1);
    // Nor is it offered anew what it does not want.
    feed.change(v1::Alert { severity: v1::AlertSeverity::Medium.into(), ..firing(4) });
    running.until("that is passed over", |running| running.feed.told("ops") == 4).await;
    running.end().await;
}
