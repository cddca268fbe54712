//! A client that reports under sequence numbers and repeats what may not have arrived.

use std::collections::BTreeMap;
use std::time::Duration;

use breaker_proto::v1::{self, Outcome};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::requests::{report_of, run_of};
use crate::{Chance, Clients};

/// How many reports of one breaker can be told apart in its counts.
const TOLD_APART: u64 = 10;
/// The server remembers so many of a reporter.
const REMEMBERED: u64 = 128;
/// A teller rests between its reports.
const REST: Duration = Duration::from_millis(4);
/// Nobody waits longer for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// One report after another, each with a number of calls of its own: of the reports about one
/// breaker the n-th tells of 4^n successes. How often each was counted are the digits of the
/// breaker's successes to the base of four.
#[derive(Debug)]
pub struct Teller {
    reporter: String,
    chance: Chance,
    /// The last report that was sent.
    sequence: u64,
    is_answered: bool,
}

/// How often reports were counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Reports that were counted once.
    pub once: u64,
    /// Reports that are known, and whose counts a crash has taken.
    pub lost: u64,
}

impl Teller {
    /// One that has not reported yet.
    pub fn new(number: u64, chance: Chance) -> Self {
        Self { reporter: format!("teller-{number}"), chance, sequence: 0, is_answered: true }
    }

    /// Reports to one of some servers until told to stop, or until nobody answers any more.
    ///
    /// # Errors
    /// If the address is none, or if what was never sent is a repetition.
    pub async fn work(mut self, address: String, stop: CancellationToken) -> anyhow::Result<Self> {
        let mut clients = Clients::of(&address)?;
        while !stop.is_cancelled() {
            let is_new = self.is_answered;
            self.sequence += u64::from(is_new);
            self.is_answered = false;
            let Ok(is_repetition) = self.send(&mut clients, self.sequence).await else { break };
            anyhow::ensure!(!(is_new && is_repetition), "{self:?}: it was never sent before");
            self.is_answered = true;
            sleep(REST).await;
        }
        Ok(self)
    }

    /// Repeats what may not have arrived, and some of what did.
    ///
    /// # Errors
    /// If the server does not answer.
    pub async fn repeat(&mut self, clients: &mut Clients) -> anyhow::Result<()> {
        let first = self.sequence.saturating_sub(self.chance.below(REMEMBERED - 1)).max(1);
        for sequence in first..=self.sequence {
            self.send(clients, sequence).await?;
        }
        self.is_answered = true;
        Ok(())
    }

    /// Looks how often each report was counted.
    ///
    /// # Errors
    /// If one was counted twice.
    pub async fn check(&self, clients: &mut Clients) -> anyhow::Result<Counted> {
        let mut successes = BTreeMap::new();
        let mut counted = Counted::default();
        for sequence in 1..=self.sequence {
            let name = self.breaker(sequence);
            if !successes.contains_key(&name) {
                let found = look(clients, &name).await?;
                successes.insert(name.clone(), found);
            }
            match successes[&name] >> (2 * (sequence % TOLD_APART)) & 0b11 {
                0 => counted.lost += 1,
                1 => counted.once += 1,
                times => anyhow::bail!("{}: {sequence} counted {times} times", self.reporter),
            }
        }
        Ok(counted)
    }

    fn breaker(&self, sequence: u64) -> String {
        format!("told/{}/{}", self.reporter, sequence / TOLD_APART)
    }

    async fn send(&self, clients: &mut Clients, sequence: u64) -> Result<bool, Status> {
        let run = run_of(Outcome::Success, 1 << (2 * (sequence % TOLD_APART)));
        let request = v1::ReportRequest {
            reporter_id: self.reporter.clone(),
            sequence,
            ..report_of(&self.breaker(sequence), 0, vec![run])
        };
        let answered = timeout(PATIENCE, clients.breakers.report(request)).await;
        let answer = answered.map_err(|_| Status::deadline_exceeded(format!("{PATIENCE:?}")))??;
        Ok(answer.into_inner().duplicate)
    }
}

/// The successes of a breaker; none of one that a crash has taken.
async fn look(clients: &mut Clients, name: &str) -> anyhow::Result<u64> {
    let request = v1::GetBreakerRequest { name: name.to_owned() };
    match clients.admin.get_breaker(request).await {
        Ok(answer) => {
            let metrics = answer.into_inner().breaker.and_then(|breaker| breaker.metrics);
            Ok(metrics.map_or(0, |metrics| metrics.successes))
        }
        Err(status) if status.code() == tonic::Code::NotFound => Ok(0),
        Err(status) => Err(status.into()),
    }
}
