use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use breaker_client::{Client, ClientBuilder, Guard, OnUnavailable, Verdict};
use breaker_tests::clock;
use breaker_wire::patch_from_value;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tokio::time::sleep;

use crate::answer;
use crate::command::{Build, Call, Command, Outcome};

/// Those of the contract, where a scenario does not say one of them.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// A client and what the suite has had it do.
#[derive(Default)]
pub(crate) struct Driver {
    client: Option<Client>,
    guards: HashMap<String, Guard<'static>>,
    heard: Arc<Mutex<Heard>>,
}

#[derive(Default)]
struct Heard {
    transitions: Vec<Value>,
    states: Vec<&'static str>,
}

impl Driver {
    pub(crate) async fn obey(&mut self, command: Command) -> anyhow::Result<Value> {
        match command {
            Command::Build(build) => self.build(*build),
            Command::Ready { timeout } => {
                Ok(json!({ "ready": self.client()?.ready(timeout.into()).await }))
            }
            Command::Breaker { breaker } => {
                self.client()?.breaker(&breaker)?;
                Ok(json!({}))
            }
            Command::Call(call) => self.call(call).await,
            Command::Acquire { breaker, r#as } => self.acquire(&breaker, r#as).await,
            Command::Finish { guard, outcome, kind } => {
                let kept = self.guards.remove(&guard);
                let kept = kept.with_context(|| format!("there is no guard `{guard}`"))?;
                kept.finish(verdict(outcome, kind.as_deref()));
                Ok(json!({}))
            }
            Command::Drop { guard } => {
                drop(self.guards.remove(&guard));
                Ok(json!({}))
            }
            Command::Status { breaker } => {
                let client = self.client()?;
                let view = client.breaker(&breaker)?.status();
                Ok(answer::status(client.state().state, view.as_ref()))
            }
            Command::Events => {
                let Heard { transitions, states } = std::mem::take(&mut *self.heard.lock());
                Ok(json!({ "transitions": transitions, "states": states }))
            }
            Command::Flush { timeout } => {
                Ok(json!({ "flushed": self.client()?.flush(timeout.into()).await }))
            }
            Command::Counts => {
                let client = self.client()?;
                let (given_up, waiting) = (client.outcomes_given_up(), client.waiting_runs());
                Ok(json!({ "given_up": given_up, "waiting": waiting }))
            }
            Command::Shutdown => Ok(json!({ "flushed": self.client()?.shutdown().await.is_ok() })),
        }
    }

    fn client(&self) -> anyhow::Result<&Client> {
        self.client.as_ref().context("no client was built")
    }

    fn build(&mut self, build: Build) -> anyhow::Result<Value> {
        let listens = build.listen;
        let client = builder(build)?.build()?;
        if listens {
            let heard = Arc::clone(&self.heard);
            let tell = move |transition: &_| {
                heard.lock().transitions.push(answer::transition(transition));
            };
            client.on_transition(tell).keep();
            let heard = Arc::clone(&self.heard);
            client.on_state(move |state| heard.lock().states.push(state.as_str())).keep();
        }
        self.client = Some(client);
        Ok(json!({}))
    }

    async fn call(&self, call: Call) -> anyhow::Result<Value> {
        let breaker = self.client()?.breaker(&call.breaker)?;
        let (mut allowed, mut denied, mut slowest) = (0, 0, Duration::ZERO);
        let mut last_denial = Value::Object(Map::new());
        for _ in 0..call.times {
            let began_at = clock::now();
            let answer = breaker.acquire().await;
            slowest = slowest.max(clock::now().since(began_at));
            match answer {
                Ok(guard) => {
                    allowed += 1;
                    let duration: Duration = call.duration.into();
                    if !duration.is_zero() {
                        sleep(duration).await;
                    }
                    guard.finish(verdict(call.outcome, call.kind.as_deref()));
                }
                Err(denial) => {
                    denied += 1;
                    last_denial = answer::denial(&denial);
                }
            }
        }
        last_denial["allowed"] = json!(allowed);
        last_denial["denied"] = json!(denied);
        last_denial["decided_in"] = json!(slowest.as_micros() as u64);
        Ok(last_denial)
    }

    async fn acquire(&mut self, breaker: &str, name: String) -> anyhow::Result<Value> {
        let breaker = self.client()?.breaker(breaker)?;
        Ok(match breaker.acquire_owned().await {
            Ok(guard) => {
                let (generation, probe) = (guard.generation(), guard.permit().is_some());
                self.guards.insert(name, guard);
                json!({ "allowed": true, "probe": probe, "generation": generation })
            }
            Err(denial) => {
                let mut answer = answer::denial(&denial);
                answer["allowed"] = json!(false);
                answer
            }
        })
    }
}

/// Sets one of the builder's times.
type Setter = fn(ClientBuilder, Duration) -> ClientBuilder;

fn builder(build: Build) -> anyhow::Result<ClientBuilder> {
    let mut builder = Client::builder().addresses(build.addresses).selectors(build.selectors);
    if let Some(client_id) = build.client_id {
        builder = builder.client_id(client_id);
    }
    if let Some(word) = build.on_unavailable {
        builder = builder.on_unavailable(on_unavailable(&word)?);
    }
    if let Some(token) = build.token {
        builder = builder.token(token);
    }
    if let Some(guard) = build.local_guard {
        let patch = patch_from_value(&guard)
            .map_err(|violations| anyhow::anyhow!("local_guard: {violations:?}"))?;
        builder = builder.local_guard_with(patch);
    }
    let times: [(_, Setter); 5] = [
        (build.stale_after, ClientBuilder::stale_after),
        (build.max_staleness, ClientBuilder::max_staleness),
        (build.permit_timeout, ClientBuilder::permit_timeout),
        (build.request_timeout, ClientBuilder::request_timeout),
        (build.report_interval, ClientBuilder::report_interval),
    ];
    for (time, set) in times {
        if let Some(time) = time {
            builder = set(builder, time.into());
        }
    }
    let (least, most) = (build.backoff_least, build.backoff_most);
    if least.is_some() || most.is_some() {
        let least = least.map_or(BACKOFF.0, Into::into);
        builder = builder.backoff(least, most.map_or(BACKOFF.1, Into::into));
    }
    Ok(builder)
}

fn on_unavailable(word: &str) -> anyhow::Result<OnUnavailable> {
    Ok(match word {
        "allow" => OnUnavailable::Allow,
        "deny" => OnUnavailable::Deny,
        "local" => OnUnavailable::Local,
        other => bail!("`{other}` is not allow, deny or local"),
    })
}

fn verdict(outcome: Outcome, kind: Option<&str>) -> Verdict {
    match outcome {
        Outcome::Success => Verdict::Success,
        Outcome::Failure => Verdict::failure(kind.unwrap_or_default()),
        Outcome::Timeout => Verdict::Timeout,
        Outcome::Ignored => Verdict::Ignored,
    }
}
