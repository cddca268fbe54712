use std::sync::Arc;

use async_trait::async_trait;
use breaker_engine::{AlertFilter, Engine};
use breaker_proto::v1;

use super::Feed;
use crate::grpc::alert_to_message;

/// Alerts that are taken at once.
const CHUNK: usize = 500;

/// The alerts of an engine.
pub(crate) struct EngineFeed(pub(crate) Arc<Engine>);

#[async_trait]
impl Feed for EngineFeed {
    fn head(&self) -> u64 {
        self.0.alerts_known_before()
    }

    fn told(&self, receiver: &str) -> u64 {
        self.0.alerts_told(receiver)
    }

    fn note_told(&self, receiver: &str, revision: u64) {
        self.0.note_alerts_told(receiver, revision);
    }

    async fn changed_after(&self, revision: u64) -> Vec<v1::Alert> {
        let mut news = self.0.alert_signal();
        // The sender lives as long as the engine.
        let _ = news.wait_for(|latest| *latest > revision).await;
        let rows = self.0.alerts_after(revision, CHUNK);
        rows.iter().map(|row| alert_to_message(row)).collect()
    }

    fn firing(&self, before: u64, limit: usize) -> Vec<v1::Alert> {
        let filter = AlertFilter { is_firing: Some(true), ..AlertFilter::default() };
        let (rows, _) = self.0.list_alerts(&filter, before, limit);
        rows.iter().map(|row| alert_to_message(row)).collect()
    }
}
