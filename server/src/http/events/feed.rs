//! The task that follows the server for all viewers.

use std::sync::Arc;
use std::time::Duration;

use breaker_engine::{Subscription, Update};
use bytes::Bytes;
use prost::Message;
use prost_reflect::DynamicMessage;
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tonic::{Status, Streaming};

use super::Events;
use super::changes::{Changes, Told};
use crate::grpc::ended;
use crate::http::api::{Rpc, error_frame, frame, from_value, to_json, unwritable};
use crate::seat::Leading;

/// How often viewers are told what has changed.
const TURN: Duration = Duration::from_millis(250);
/// So many turns are a second: how often the whole is looked at while something changes.
const TURNS_TO_LOOK: u32 = 4;
/// How often it is looked at while nothing does. Its rates change all the same.
const TURNS_TO_LOOK_ANYWAY: u32 = 16;
/// A sign of life comes so often.
const TURNS_TO_BEAT: u32 = 12;
/// Alerts whose stream has ended are followed again after so many turns.
const TURNS_TO_FOLLOW: u32 = 20;
/// Breakers in each list of the whole.
const LIST_LENGTH: u32 = 10;
/// Namespaces that are told of: those with the lowest health.
const NAMESPACES: usize = 50;

/// One life of the feed.
pub(super) struct Feed {
    events: Arc<Events>,
    leading: Arc<Leading>,
    frames: broadcast::Sender<Bytes>,
    changes: Changes,
    /// Something has changed since the whole was last looked at.
    has_news: bool,
    turns: u32,
    turns_since_look: u32,
    /// Follows breakers from before the first viewer was greeted.
    subscription: Subscription,
    alerts: Option<Streaming<DynamicMessage>>,
    /// Alerts are known up to this revision.
    alerts_position: u64,
}

impl Feed {
    pub(super) fn new(
        events: Arc<Events>,
        leading: Arc<Leading>,
        frames: broadcast::Sender<Bytes>,
    ) -> Self {
        Self {
            subscription: leading.engine.follow_changes(),
            alerts_position: *leading.engine.alert_signal().borrow(),
            events,
            leading,
            frames,
            changes: Changes::default(),
            has_news: true,
            turns: 0,
            turns_since_look: 0,
            alerts: None,
        }
    }

    /// Goes on until nobody looks any more, or this server leads no more.
    pub(super) async fn run(mut self) {
        let over = self.leading.over.clone();
        let mut clock = turns();
        loop {
            tokio::select! {
                () = over.cancelled() => break self.say_goodbye(),
                update = self.subscription.next() => self.note(update),
                alerts = next(&mut self.alerts) => self.tell_alerts(alerts),
                _ = clock.tick() => {
                    if self.events.end_if_unseen() {
                        return;
                    }
                    self.turn().await;
                }
            }
        }
    }

    fn note(&mut self, update: Update) {
        if update.reset {
            // It was too slow for the log of changes, and would get every breaker now.
            self.subscription = self.leading.engine.follow_changes();
            self.changes.flood();
        }
        // A breaker that is in both was created anew.
        for name in update.deleted {
            self.changes.deleted(name.to_string());
        }
        for state in update.changed {
            if let Ok(Named { name }) = Named::decode(state) {
                self.changes.changed(name);
            }
        }
    }

    /// What is due every so often.
    async fn turn(&mut self) {
        self.turns = self.turns.wrapping_add(1);
        self.turns_since_look = self.turns_since_look.saturating_add(1);
        match self.changes.take() {
            Told::Nothing => {}
            Told::Resync => {
                self.has_news = true;
                self.tell(self.events.resync(self.frames.receiver_count()));
            }
            Told::Changes { changed, deleted } => {
                self.has_news = true;
                self.tell_changes(changed, deleted).await;
            }
        }
        let look_after = if self.has_news { TURNS_TO_LOOK } else { TURNS_TO_LOOK_ANYWAY };
        if self.turns_since_look >= look_after || self.turns == 1 {
            (self.has_news, self.turns_since_look) = (false, 0);
            self.tell_whole().await;
        }
        if self.alerts.is_none() && self.turns % TURNS_TO_FOLLOW == 1 {
            self.follow_alerts().await;
        }
        if self.turns.is_multiple_of(TURNS_TO_BEAT) {
            self.tell(Bytes::from_static(b": beat\n\n"));
        }
    }

    async fn tell_changes(&mut self, changed: Vec<String>, deleted: Vec<String>) {
        let breakers = if changed.is_empty() {
            Ok(Vec::new())
        } else {
            let request = json!({ "names": changed, "view": "BREAKER_VIEW_BASIC" });
            self.ask(&self.events.rpcs.breakers, request)
                .await
                .map(|answer| take(answer, "breakers"))
        };
        match breakers {
            Ok(breakers) => {
                let told = json!({ "breakers": breakers, "deleted": deleted });
                self.tell(frame(Some("changes"), told.to_string().as_bytes()));
            }
            Err(error) => {
                tracing::debug!(%error, "changes cannot be told to dashboards one by one");
                self.changes.flood();
            }
        }
    }

    async fn tell_whole(&self) {
        match self.whole().await {
            Ok(frames) => {
                self.events.keep_whole(frames.clone());
                frames.into_iter().for_each(|frame| self.tell(frame));
            }
            Err(error) => tracing::debug!(%error, "there is nothing to show on dashboards"),
        }
    }

    async fn whole(&self) -> Result<[Bytes; 2], Status> {
        let rpcs = &self.events.rpcs;
        let dashboard = self.ask(&rpcs.dashboard, json!({ "limit": LIST_LENGTH })).await?;
        let mut health = self.ask(&rpcs.health, json!({})).await?;
        if let Some(health) = health.as_object_mut() {
            // They stand in the other one.
            health.remove("unhealthy");
            if let Some(Value::Array(namespaces)) = health.get_mut("namespaces") {
                namespaces.truncate(NAMESPACES);
            }
        }
        let named = |name, told: &Value| frame(Some(name), told.to_string().as_bytes());
        Ok([named("dashboard", &dashboard), named("health", &health)])
    }

    fn tell_alerts(&mut self, message: Result<Option<DynamicMessage>, Status>) {
        let Ok(Some(message)) = message else {
            // It is followed again after a while.
            self.alerts = None;
            return;
        };
        if let Some(position) = message.get_field_by_name("position") {
            self.alerts_position = position.as_u64().unwrap_or(self.alerts_position);
        }
        let alerts = value_of(&message).map(|message| take(message, "alerts"));
        if let Ok(alerts) = alerts
            && !alerts.is_empty()
        {
            self.has_news = true;
            let told = json!({ "alerts": alerts });
            self.tell(frame(Some("alerts"), told.to_string().as_bytes()));
        }
    }

    /// Goes on where the last stream has ended.
    async fn follow_alerts(&mut self) {
        let (inside, rpc) = (self.events.api.inside(), &self.events.rpcs.alerts);
        let request = json!({ "after": self.alerts_position.to_string() });
        let Ok(request) = from_value(&rpc.method().input(), request) else { return };
        match inside.stream(rpc, request, None).await {
            Ok(alerts) => self.alerts = Some(alerts),
            Err(error) => tracing::debug!(%error, "alerts cannot be told to dashboards"),
        }
    }

    async fn ask(&self, rpc: &Rpc, request: Value) -> Result<Value, Status> {
        let request = from_value(&rpc.method().input(), request);
        let request = request.map_err(|violation| Status::internal(violation.to_string()))?;
        value_of(&self.events.api.inside().call(rpc, request, None).await?)
    }

    /// Gives a frame to all viewers. That there are none is found in the next turn.
    fn tell(&self, frame: Bytes) {
        let _ = self.frames.send(frame);
    }

    fn say_goodbye(&self) {
        let problem = self.events.api.problems().of(&ended(self.events.api.seat()));
        self.events.end();
        self.tell(error_frame(&problem));
    }
}

/// The part of a state that says whose it is; the rest is not even read.
#[derive(Clone, PartialEq, Message)]
struct Named {
    #[prost(string, tag = "1")]
    name: String,
}

fn turns() -> Interval {
    let mut turns = interval(TURN);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    turns
}

/// The next message, if anything is followed.
async fn next(
    alerts: &mut Option<Streaming<DynamicMessage>>,
) -> Result<Option<DynamicMessage>, Status> {
    match alerts {
        Some(alerts) => alerts.message().await,
        None => std::future::pending().await,
    }
}

fn value_of(message: &DynamicMessage) -> Result<Value, Status> {
    let json = to_json(message).map_err(unwritable)?;
    serde_json::from_slice(&json).map_err(unwritable)
}

fn take(mut message: Value, list: &str) -> Vec<Value> {
    match message.get_mut(list).map(Value::take) {
        Some(Value::Array(values)) => values,
        _ => Vec::new(),
    }
}
