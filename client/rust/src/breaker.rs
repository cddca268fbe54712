use std::sync::Arc;
use std::time::Duration;

use breaker_core::{BreakerName, Decision, OnUnavailable};
use breaker_proto::v1;
use parking_lot::Mutex;

use crate::admission::{Admission, Answer, Denial, DenyReason};
use crate::call::{CallError, Caller};
use crate::client::Client;
use crate::clock;
use crate::error::Error;
use crate::guard::{Guard, Right};
use crate::local::{LocalBreaker, LocalDecision};
use crate::settings::Settings;

/// One breaker, to make calls under. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Breaker {
    client: Client,
    name: BreakerName,
    memory: Arc<Memory>,
}

/// What a client remembers of a breaker from one call to the next.
#[derive(Debug)]
pub(crate) struct Memory(Mutex<Remembered>);

#[derive(Debug)]
struct Remembered {
    settings: Settings,
    /// There while the server is away and `on_unavailable` is `local`.
    local: Option<LocalBreaker>,
}

impl Memory {
    pub(crate) const fn new(settings: Settings) -> Self {
        Self(Mutex::new(Remembered { settings, local: None }))
    }
}

impl Breaker {
    pub(crate) const fn new(client: Client, name: BreakerName, memory: Arc<Memory>) -> Self {
        Self { client, name, memory }
    }

    /// The name.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    pub(crate) const fn breaker_name(&self) -> &BreakerName {
        &self.name
    }

    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    /// Asks the server whether a call may be made.
    ///
    /// # Errors
    /// If the server is away or refused the request. [`admit`](Self::admit) always has an answer.
    pub async fn acquire(&self) -> Result<Admission, Error> {
        let response = self.client.acquire(&self.name).await?;
        let call_timeout = self.remember(&response)?;
        Ok(match Answer::try_from(response)? {
            Answer::Denied(denial) => Admission::Denied(denial),
            Answer::Allowed { generation, probe } => {
                let permit = probe.map(|probe| probe.permit);
                let time_left = probe.and_then(|probe| probe.time_left);
                let call_timeout = time_left.map_or(call_timeout, |left| left.min(call_timeout));
                self.allowed(Right::Server { generation, permit }, call_timeout)
            }
        })
    }

    /// Asks the server whether a call may be made; if that fails, decides as `on_unavailable`
    /// says: as the server last told it for this breaker, or else as the client was built.
    ///
    /// With `local` a breaker of this process decides until the server answers again. It knows
    /// the `call_timeout` of the breaker; the rest of its configuration is the default.
    pub async fn admit(&self) -> Admission {
        match self.acquire().await {
            Ok(admission) => admission,
            Err(error) => {
                tracing::debug!(breaker = %self.name, %error, "no answer to a call");
                self.decide_alone()
            }
        }
    }

    /// Makes a call if it may be made, and reports how it ended. Every error is a failure; to
    /// judge otherwise, or to stop earlier, see [`caller`](Self::caller).
    ///
    /// # Errors
    /// If the call was denied, took longer than the breaker's `call_timeout`, or failed.
    pub async fn call<T, E>(
        &self,
        future: impl Future<Output = Result<T, E>>,
    ) -> Result<T, CallError<E>> {
        self.caller().call(future).await
    }

    /// A way to make calls under this breaker that can be adjusted.
    pub fn caller(&self) -> Caller {
        Caller::new(self.clone())
    }

    /// Takes over what the server told, and ends the local breaker's time.
    fn remember(&self, response: &v1::AcquireResponse) -> Result<Duration, Error> {
        let mut remembered = self.memory.0.lock();
        remembered.local = None;
        remembered.settings = remembered.settings.updated(response.settings)?;
        Ok(remembered.settings.call_timeout)
    }

    fn decide_alone(&self) -> Admission {
        let mut remembered = self.memory.0.lock();
        let Settings { call_timeout, on_unavailable } = remembered.settings;
        match on_unavailable {
            OnUnavailable::Allow => self.allowed(Right::Unguarded, call_timeout),
            OnUnavailable::Deny => Admission::Denied(Denial {
                reason: DenyReason::Unavailable,
                state: None,
                mode: None,
                retry_after: None,
            }),
            OnUnavailable::Local => {
                let now = clock::now();
                let local = remembered
                    .local
                    .get_or_insert_with(|| LocalBreaker::new(call_timeout, now))
                    .clone();
                drop(remembered);
                let decided = local.acquire(now);
                self.decided_locally(local, decided, call_timeout)
            }
        }
    }

    fn decided_locally(
        &self,
        breaker: LocalBreaker,
        decided: LocalDecision,
        call_timeout: Duration,
    ) -> Admission {
        let LocalDecision { decision, generation, state, mode } = decided;
        match decision {
            Decision::Allowed(_) => {
                let permit = decision.permit().map(|permit| permit.id);
                self.allowed(Right::Local { breaker, generation, permit }, call_timeout)
            }
            Decision::Denied { reason, retry_after } => Admission::Denied(Denial {
                reason: reason.into(),
                state: Some(state),
                mode: Some(mode),
                retry_after,
            }),
        }
    }

    fn allowed(&self, right: Right, call_timeout: Duration) -> Admission {
        Admission::Allowed(Guard::new(self.clone(), right, call_timeout))
    }
}
