//! One receiver: tells it one thing after another, and tries again until it has taken it.

use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use breaker_engine::Clock;
use breaker_proto::v1;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use reqwest::Response;
use serde_json::Value;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::receiver::Kind;
use super::{Dropped, Feed, Ledger, Notice, Receiver, body, signature};

/// Pauses between attempts: the first, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));
/// What a receiver did not take for so long after it happened is dropped.
const GIVE_UP_AFTER: Duration = Duration::from_hours(1);
/// An Alertmanager forgets what it does not hear of for five minutes.
const REMIND_EVERY: Duration = Duration::from_secs(60);
/// Most alerts that an Alertmanager is reminded of at once.
const MAX_REMINDED: usize = 1_000;

/// Brings notices to one receiver.
pub(super) struct Courier {
    pub(super) receiver: Arc<Receiver>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) feed: Arc<dyn Feed>,
    pub(super) http: reqwest::Client,
    pub(super) clock: Arc<dyn Clock>,
}

/// Why an attempt failed. The URL is in none of them: it can hold a secret.
#[derive(Debug, Error)]
enum Failure {
    #[error("{0}")]
    Transport(#[source] reqwest::Error),
    #[error("the receiver answered {status}")]
    Answer { status: StatusCode, retry_after: Option<Duration> },
}

/// The client for all receivers.
pub(super) fn client() -> Result<reqwest::Client, reqwest::Error> {
    // sqlx has its own way; whoever was first has chosen the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .user_agent(concat!("breakerd/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .build()
}

impl Courier {
    /// Until there are no more notices.
    pub(super) async fn run(self, mut notices: mpsc::Receiver<Notice>) {
        let mut reminders = interval(REMIND_EVERY);
        reminders.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                notice = notices.recv() => match notice {
                    Some(notice) => self.tell(&notice).await,
                    None => return,
                },
                _ = reminders.tick(), if self.receiver.kind == Kind::Alertmanager => {
                    self.remind().await;
                }
            }
        }
    }

    /// Tells one thing, however often it takes.
    async fn tell(&self, notice: &Notice) {
        let (body, key) = (self.body(notice), notice.key());
        let waited = self.clock.now().since(notice.at);
        let pauses = ExponentialBuilder::default()
            .with_min_delay(PAUSE.0)
            .with_max_delay(PAUSE.1)
            .without_max_times()
            .with_total_delay(Some(GIVE_UP_AFTER.saturating_sub(waited)))
            .with_jitter();
        let (receiver, alert) = (self.receiver.name(), notice.alert.id);
        let told = (|| self.post(&body, Some(&key)))
            .retry(pauses)
            .when(Failure::is_passing)
            .adjust(|failure, pause| pause.map(|pause| failure.pause().unwrap_or(pause)))
            .notify(|error, pause| {
                self.ledger.failed();
                tracing::debug!(receiver, alert, %error, ?pause, "the receiver was not reached");
            })
            .await;
        match told {
            Ok(()) => self.ledger.took(),
            Err(error) => {
                self.ledger.failed();
                let is_final = !error.is_passing();
                self.ledger.dropped(if is_final { Dropped::Refused } else { Dropped::Expired });
                tracing::error!(receiver, alert, %error, "the receiver is not told of the alert");
            }
        }
    }

    /// Tells an Alertmanager what still fires. One attempt: the next reminder comes soon.
    async fn remind(&self) {
        let firing = self.feed.firing(MAX_REMINDED);
        let wanted: Vec<&v1::Alert> =
            firing.iter().filter(|alert| self.receiver.wants(alert)).collect();
        if wanted.is_empty() {
            return;
        }
        if let Err(error) = self.post(&body::alertmanager(wanted), None).await {
            self.ledger.failed();
            tracing::debug!(receiver = self.receiver.name(), %error, "no reminder got through");
        }
    }

    fn body(&self, notice: &Notice) -> Value {
        match self.receiver.kind {
            Kind::Webhook => body::webhook(notice),
            Kind::Slack => body::slack(notice),
            Kind::Alertmanager => body::alertmanager([&notice.alert]),
        }
    }

    async fn post(&self, body: &Value, key: Option<&str>) -> Result<(), Failure> {
        let Receiver { kind, url, secret, timeout, .. } = &*self.receiver;
        let mut url = url.clone();
        if *kind == Kind::Alertmanager
            && let Ok(mut path) = url.path_segments_mut()
        {
            path.pop_if_empty().extend(["api", "v2", "alerts"]);
        }
        let body = body.to_string();
        let mut request = self.http.post(url).timeout(*timeout);
        request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(secret) = secret {
            let now = body::seconds(self.clock.now());
            request =
                request.header(signature::HEADER, signature::sign(secret, now, body.as_bytes()));
        }
        let answer = request.body(body).send().await;
        let answer = answer.map_err(|error| Failure::Transport(error.without_url()))?;
        if answer.status().is_success() { Ok(()) } else { Err(Failure::of(&answer)) }
    }
}

impl Failure {
    fn of(answer: &Response) -> Self {
        let retry_after = answer.headers().get(RETRY_AFTER);
        let retry_after = retry_after
            .and_then(|seconds| seconds.to_str().ok()?.parse().ok())
            .map(|seconds| Duration::from_secs(seconds).min(PAUSE.1));
        Self::Answer { status: answer.status(), retry_after }
    }

    /// Whether another attempt may succeed.
    fn is_passing(&self) -> bool {
        match self {
            Self::Transport(_) => true,
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
            Self::Transport(_) => None,
            Self::Answer { retry_after, .. } => *retry_after,
        }
    }
}
