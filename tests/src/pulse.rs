use std::sync::Arc;
use std::time::Duration;

use breaker_core::Time;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::clock;

/// How soon a server is asked again.
const ASK_EVERY: Duration = Duration::from_millis(5);

/// What a server answered when it was asked whether it serves. When exactly it decided so is not
/// known, but that it was between these two times.
#[derive(Clone, Copy, Debug)]
pub struct Beat {
    /// When it was asked.
    pub asked: Time,
    /// When it answered.
    pub answered: Time,
    /// What.
    pub is_serving: bool,
}

/// Asks the health service of one server all the time, over one connection, and waits for each
/// answer as long as it takes.
#[derive(Debug)]
pub struct Pulse {
    beats: Arc<Mutex<Vec<Beat>>>,
    task: JoinHandle<()>,
}

impl Pulse {
    /// Begins to ask.
    ///
    /// # Errors
    /// If the address is none.
    pub fn of(address: &str) -> anyhow::Result<Self> {
        let channel = Endpoint::from_shared(format!("http://{address}"))?.connect_lazy();
        let beats = Arc::default();
        let task = tokio::spawn(ask(HealthClient::new(channel), Arc::clone(&beats)));
        Ok(Self { beats, task })
    }

    /// Every answer so far.
    pub fn beats(&self) -> Vec<Beat> {
        self.beats.lock().clone()
    }

    /// The last answer to a question after `time`.
    pub fn since(&self, time: Time) -> Option<bool> {
        let beats = self.beats.lock();
        beats.last().filter(|beat| beat.asked >= time).map(|beat| beat.is_serving)
    }

    /// The first time after `time` at which the server was heard to serve.
    pub fn serving_after(&self, time: Time) -> Option<Beat> {
        self.beats.lock().iter().find(|beat| beat.is_serving && beat.asked >= time).copied()
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn ask(mut health: HealthClient<Channel>, beats: Arc<Mutex<Vec<Beat>>>) {
    loop {
        let asked = clock::now();
        if let Ok(answer) = health.check(HealthCheckRequest::default()).await {
            let is_serving = answer.get_ref().status == ServingStatus::Serving as i32;
            beats.lock().push(Beat { asked, answered: clock::now(), is_serving });
        }
        sleep(ASK_EVERY).await;
    }
}
