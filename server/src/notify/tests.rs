use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use breaker_engine::SystemClock;
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

/// Alerts that the test makes up.
struct Made {
    alerts: watch::Sender<Vec<v1::Alert>>,
}

impl Made {
    fn new() -> Arc<Self> {
        Arc::new(Self { alerts: watch::Sender::default() })
    }

    fn change(&self, id: u64, state: v1::AlertState, repeat_count: u32) {
        self.alerts.send_modify(|alerts| {
            alerts.push(v1::Alert {
                id,
                revision: alerts.len() as u64 + 1,
                rule: v1::AlertRule::StateChange.into(),
                severity: v1::AlertSeverity::High.into(),
                state: state.into(),
                breaker: "payments/stripe".into(),
                summary: format!("alert {id}"),
                repeat_count,
                ..Default::default()
            });
        });
    }

    fn fire(&self, id: u64) {
        self.change(id, v1::AlertState::Firing, 0);
    }
}

#[async_trait]
impl Feed for Made {
    fn head(&self) -> u64 {
        self.alerts.borrow().len() as u64
    }

    async fn changed_after(&self, revision: u64) -> Vec<v1::Alert> {
        let mut alerts = self.alerts.subscribe();
        let after = |alerts: &Vec<v1::Alert>| alerts.len() as u64 > revision;
        let alerts = alerts.wait_for(after).await.unwrap();
        alerts[revision as usize..].to_vec()
    }

    fn firing(&self, limit: usize) -> Vec<v1::Alert> {
        let alerts = self.alerts.borrow();
        let firing = alerts.iter().filter(|alert| alert.state() == v1::AlertState::Firing);
        firing.take(limit).cloned().collect()
    }
}

/// A receiver as its owner sees it.
#[derive(Default)]
struct Seen {
    posts: Mutex<Vec<(HeaderMap, Bytes)>>,
    /// The answers of so many attempts.
    failures: AtomicU32,
    failing_status: AtomicU32,
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
) -> (StatusCode, &'static str) {
    if seen.is_stuck.load(Ordering::Relaxed) {
        sleep(Duration::from_secs(3_600)).await;
    }
    let left =
        seen.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
    if left.is_ok() {
        let status = seen.failing_status.load(Ordering::Relaxed) as u16;
        return (StatusCode::from_u16(status).unwrap(), "no");
    }
    seen.posts.lock().push((headers, body));
    (StatusCode::OK, "thanks")
}

struct Running {
    notifier: Notifier,
    feed: Arc<Made>,
    over: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn start(receivers: &[String]) -> Self {
        let receivers =
            receivers.iter().map(|receiver| Receiver::from_toml(receiver).unwrap()).collect();
        let notifier = Notifier::new(receivers, Arc::new(SystemClock::start())).unwrap();
        let (feed, over) = (Made::new(), CancellationToken::new());
        let task = tokio::spawn({
            let (notifier, feed, over) = (notifier.clone(), Arc::clone(&feed), over.clone());
            async move { notifier.run(feed, over).await }
        });
        Self { notifier, feed, over, task }
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

    async fn end(self) -> Notifier {
        self.over.cancel();
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
    // An acknowledgement, and what comes again.
    running.feed.fire(1);
    running.feed.change(1, v1::AlertState::Firing, 1);
    running.feed.change(1, v1::AlertState::Resolved, 1);
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
    for name in ["dead", "stuck"] {
        let ledger = running.ledger(name);
        let (waiting, dropped) = (ledger.waiting(), ledger.dropped_for(Dropped::QueueFull));
        assert_eq!(waiting + dropped, count, "{name}");
        assert!(waiting <= QUEUE as u64 + 1 && dropped >= 199, "{name}: {waiting} wait");
    }
    let notifier = running.end().await;
    for (name, ledger) in notifier.ledgers().filter(|(name, _)| *name != "good") {
        let dropped: u64 = Dropped::ALL.iter().map(|reason| ledger.dropped_for(*reason)).sum();
        assert_eq!((dropped, ledger.waiting()), (count, 0), "{name}");
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
