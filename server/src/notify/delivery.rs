//! One receiver: tells it one thing after another, and tries again until it has taken it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{error, io};

use backon::{ExponentialBuilder, Retryable as _};
use breaker_engine::Clock;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::receiver::Kind;
use super::{Dropped, Feed, Notice, Receiver, Recipient, body, signature};

/// Pauses between attempts: the first, and the longest. Up to as much again comes on top by chance.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// A receiver is left alone for no longer than this, whatever it asks for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);
/// What a receiver did not take for so long after it happened is dropped.
const GIVE_UP_AFTER: Duration = Duration::from_hours(1);
/// An Alertmanager forgets what it does not hear of for five minutes.
const REMIND_EVERY: Duration = Duration::from_secs(60);
/// Of an answer no more is read.
const MAX_ANSWER_BYTES: usize = 64 << 10;
/// Alerts that an Alertmanager is reminded of at once.
const REMINDED_AT_ONCE: usize = 1_000;

/// Brings notices to one receiver.
pub(super) struct Courier {
    pub(super) to: Recipient,
    /// The revision of the last change that the receiver was told of before this server led.
    pub(super) begins_after: u64,
    /// Whether it knows everything from before that.
    pub(super) is_caught_up: Arc<AtomicBool>,
    pub(super) feed: Arc<dyn Feed>,
    pub(super) http: Http,
    pub(super) clock: Arc<dyn Clock>,
}

/// The client for all receivers. It follows no redirect: whoever moves says so to an admin.
pub(super) type Http = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Why an attempt failed. The URL is in none of them: it can hold a secret.
#[derive(Debug, Error)]
enum Failure {
    #[error("the receiver cannot be reached: {}", root(.0))]
    Transport(#[source] hyper_util::client::legacy::Error),
    #[error("the receiver has not answered within {0:?}")]
    Timeout(Duration),
    #[error("the request cannot be made: {0}")]
    Request(#[from] http::Error),
    #[error("the receiver answered {status}")]
    Answer { status: StatusCode, retry_after: Option<Duration> },
}

/// A client that reaches these receivers. Where all of them are reached without TLS, the machine need
/// not trust any certificate.
pub(super) fn client(receivers: &[Receiver]) -> io::Result<Http> {
    let builder = HttpsConnectorBuilder::new();
    let builder = if receivers.iter().any(Receiver::uses_tls) {
        builder.with_provider_and_native_roots(ring::default_provider())?
    } else {
        let trusts_nobody = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        builder.with_tls_config(trusts_nobody)
    };
    let connector = builder.https_or_http().enable_http1().build();
    Ok(Client::builder(TokioExecutor::new()).build(connector))
}

/// The last of the causes of an error, which tells most.
fn root(error: &dyn error::Error) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}

impl Courier {
    /// Until there are no more notices.
    pub(super) async fn run(self, mut notices: mpsc::Receiver<Notice>) {
        self.catch_up().await;
        self.is_caught_up.store(true, Ordering::Release);
        let mut reminders = interval(REMIND_EVERY);
        reminders.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                notice = notices.recv() => match notice {
                    Some(notice) => {
                        self.tell(&notice).await;
                        self.note(notice.alert.revision);
                    }
                    None => return,
                },
                _ = reminders.tick(), if self.to.receiver.kind == Kind::Alertmanager => {
                    self.remind().await;
                }
            }
        }
    }

    /// Tells what servers before this one did not get to. What has changed since this one leads comes
    /// as a notice.
    async fn catch_up(&self) {
        let (mut position, head) = (self.begins_after, self.feed.head());
        while position < head {
            let alerts = self.feed.changed_after(position).await;
            if alerts.is_empty() {
                return;
            }
            for alert in alerts {
                position = alert.revision;
                if position > head {
                    return;
                }
                let notice = Notice::after_an_absence(alert, self.clock.now());
                if let Some(notice) = notice.filter(|notice| self.to.receiver.wants(&notice.alert))
                {
                    self.to.ledger.wait();
                    self.tell(&notice).await;
                }
                self.note(position);
            }
        }
    }

    /// Notes that the receiver knows of everything up to a revision.
    fn note(&self, revision: u64) {
        self.feed.note_told(self.to.receiver.name(), revision);
    }

    /// Tells one thing, however often it takes.
    async fn tell(&self, notice: &Notice) {
        let (receiver, alert) = (self.to.receiver.name(), notice.alert.id);
        let is_too_old = || self.clock.now().since(notice.at) >= GIVE_UP_AFTER;
        if is_too_old() {
            self.to.ledger.dropped(Dropped::Expired);
            tracing::error!(
                receiver,
                alert,
                "the receiver is not told of the alert: it is too old"
            );
            return;
        }
        let (body, key) = (self.body(notice), notice.key());
        let pauses = ExponentialBuilder::default()
            .with_min_delay(PAUSE.0)
            .with_max_delay(PAUSE.1)
            .without_max_times()
            .with_jitter();
        let told = (|| self.post(&body, Some(&key)))
            .retry(pauses)
            .when(|failure| failure.is_passing() && !is_too_old())
            // Asked for no pause at all, it would be told again and again.
            .adjust(|failure, pause| pause.max(pause.and_then(|_| failure.pause())))
            .notify(|error, pause| {
                self.to.ledger.failed();
                tracing::debug!(receiver, alert, %error, ?pause, "the receiver was not reached");
            })
            .await;
        match told {
            Ok(()) => self.to.ledger.took(),
            Err(error) => {
                self.to.ledger.failed();
                let is_final = !error.is_passing();
                self.to.ledger.dropped(if is_final { Dropped::Refused } else { Dropped::Expired });
                tracing::error!(receiver, alert, %error, "the receiver is not told of the alert");
            }
        }
    }

    /// Tells an Alertmanager all that still fires. One attempt: the next reminder comes soon.
    async fn remind(&self) {
        let mut before = u64::MAX;
        loop {
            let firing = self.feed.firing(before, REMINDED_AT_ONCE);
            let Some(last) = firing.last() else { return };
            before = last.revision;
            let wanted: Vec<_> =
                firing.iter().filter(|alert| self.to.receiver.wants(alert)).collect();
            if wanted.is_empty() {
                continue;
            }
            if let Err(error) = self.post(&body::alertmanager(wanted), None).await {
                self.to.ledger.failed();
                let receiver = self.to.receiver.name();
                tracing::debug!(receiver, %error, "no reminder got through");
                return;
            }
        }
    }

    fn body(&self, notice: &Notice) -> Value {
        match self.to.receiver.kind {
            Kind::Webhook => body::webhook(notice),
            Kind::Slack => body::slack(notice),
            Kind::Alertmanager => body::alertmanager([&notice.alert]),
        }
    }

    async fn post(&self, body: &Value, key: Option<&str>) -> Result<(), Failure> {
        let Receiver { url, secret, timeout: patience, .. } = &*self.to.receiver;
        let body = body.to_string();
        let mut request = Request::post(url)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("breakerd/", env!("CARGO_PKG_VERSION")));
        if let Some(authority) = url.authority() {
            request = request.header(HOST, authority.as_str());
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(secret) = secret {
            let now = body::seconds(self.clock.now());
            request =
                request.header(signature::HEADER, signature::sign(secret, now, body.as_bytes()));
        }
        let request = request.body(Full::from(body))?;
        let answer = timeout(*patience, self.http.request(request));
        let answer = answer.await.map_err(|_| Failure::Timeout(*patience))?;
        let (head, rest) = answer.map_err(Failure::Transport)?.into_parts();
        // Read, so that the connection serves again; whatever it says.
        let _ = timeout(*patience, Limited::new(rest, MAX_ANSWER_BYTES).collect()).await;
        if head.status.is_success() { Ok(()) } else { Err(Failure::of(head.status, &head.headers)) }
    }
}

impl Failure {
    fn of(status: StatusCode, headers: &HeaderMap) -> Self {
        let retry_after = headers
            .get(RETRY_AFTER)
            .and_then(|seconds| seconds.to_str().ok()?.parse().ok())
            .map(|seconds| Duration::from_secs(seconds).min(MAX_RETRY_AFTER));
        Self::Answer { status, retry_after }
    }

    /// Whether another attempt may succeed.
    fn is_passing(&self) -> bool {
        match self {
            Self::Transport(_) | Self::Timeout(_) => true,
            Self::Request(_) => false,
            Self::Answer { status, .. } => {
                status.is_server_error()
                    || matches!(
                        *status,
                        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
                    )
            }
        }
    }

    /// How long the receiver asked to be left alone.
    const fn pause(&self) -> Option<Duration> {
        match self {
            Self::Transport(_) | Self::Timeout(_) | Self::Request(_) => None,
            Self::Answer { retry_after, .. } => *retry_after,
        }
    }
}
