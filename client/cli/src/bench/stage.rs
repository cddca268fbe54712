use super::Scenario;
use super::breakers::{self, RunId};
use super::fan_out::{self, Layout};
use super::interrupt::Interrupt;
use super::load;
use super::mix::{Mix, ReportShape};
use super::options::{LoadArguments, WatchArguments};
use super::output::{Calls, Changes};
use super::schedule::Schedule;
use super::streams::Streams;
use super::watchers::Watchers;
use crate::connection::Leader;
use crate::error::Error;
use crate::{Context, clock};

const INTERRUPTED: &str = "interrupted before the load began";

/// What a scenario plays on.
pub(super) struct Stage<'a> {
    pub(super) context: &'a Context,
    pub(super) run_id: RunId,
    pub(super) connections: Vec<Leader>,
    pub(super) interrupt: &'a Interrupt,
}

/// What became of a scenario.
pub(super) enum Played {
    Calls(Box<Calls>),
    Changes(Box<Changes>),
}

impl Played {
    pub(super) fn has_succeeded(&self) -> bool {
        match self {
            Self::Calls(calls) => {
                calls.outcome.acquire.answered + calls.outcome.report.answered > 0
            }
            Self::Changes(changes) => changes.outcome.latency.count() > 0,
        }
    }
}

/// Which calls are made, and whether streams watch meanwhile.
struct Shares {
    report_percent: u64,
    report: ReportShape,
    streams: Option<u64>,
}

impl Stage<'_> {
    pub(super) async fn play(&self, scenario: &Scenario) -> anyhow::Result<Played> {
        let (load, shares) = match scenario {
            Scenario::Watch(watch) => return self.changes(watch).await,
            Scenario::Acquire(load) => {
                let report = ReportShape::default();
                (load, Shares { report_percent: 0, report, streams: None })
            }
            Scenario::Report(arguments) => {
                let report = arguments.report.shape();
                (&arguments.load, Shares { report_percent: 100, report, streams: None })
            }
            Scenario::Mixed(mixed) => {
                let (report_percent, report) = (mixed.report_percent, mixed.report.shape());
                let streams = Some(mixed.streams);
                (&mixed.load, Shares { report_percent, report, streams })
            }
        };
        self.calls(load, shares).await
    }

    async fn calls(&self, load: &LoadArguments, shares: Shares) -> anyhow::Result<Played> {
        let breakers: Vec<_> = (0..load.breakers).map(|n| self.run_id.breaker(n)).collect();
        self.make(&breakers).await?;
        let watchers = match shares.streams {
            Some(count) => Some(self.watch(count).await?),
            None => None,
        };
        let mix = Mix {
            breakers,
            client_id: load.client_id.clone(),
            reporter_id: format!("{}-{}", load.client_id, self.run_id.as_str()),
            report_percent: shares.report_percent,
            report: shares.report,
        };
        let plan = load::Plan {
            mix,
            schedule: Schedule::new(clock::now(), load.warmup, load.duration, load.rate),
            in_flight: load.in_flight,
            timeout: self.context.connection.timeout(),
        };
        let outcome = load::run(plan, &self.connections, self.interrupt).await?;
        Ok(Played::Calls(Box::new(Calls {
            in_flight: load.in_flight,
            breakers: load.breakers,
            report_percent: shares.report_percent,
            report: shares.report,
            outcome,
            watched: watchers.map(|watchers| watchers.watched()),
        })))
    }

    async fn make(&self, breakers: &[String]) -> anyhow::Result<()> {
        breakers::make(&self.context.connection, breakers, self.interrupt).await?;
        anyhow::ensure!(self.interrupt.signal().is_none(), INTERRUPTED);
        Ok(())
    }

    /// Streams that watch all breakers of the load.
    async fn watch(&self, count: u64) -> anyhow::Result<Watchers> {
        let selectors = (0..usize::try_from(count)?).map(|_| self.run_id.all());
        let limit = self.context.connection.timeout();
        let streams = Streams::open(&self.connections, selectors, limit);
        Ok(Watchers::count(self.unless_interrupted(streams).await?, count))
    }

    async fn changes(&self, watch: &WatchArguments) -> anyhow::Result<Played> {
        let plan = fan_out::Plan {
            streams: usize::try_from(watch.streams)?,
            changes: watch.changes,
            layout: if watch.spread { Layout::Apart } else { Layout::Together },
            rate: watch.rate,
            timeout: self.context.connection.timeout(),
        };
        let breakers = plan.breakers(&self.run_id);
        self.make(&breakers).await?;
        let streams = Streams::open(&self.connections, plan.selectors(&self.run_id), plan.timeout);
        let streams = self.unless_interrupted(streams).await?;
        let leader = self.connections.first().ok_or(Error::Incomplete("leader"))?;
        let outcome =
            fan_out::run(&plan, leader.admin(), streams, breakers, self.interrupt).await?;
        let changes = Changes { streams: plan.streams, layout: plan.layout, outcome };
        Ok(Played::Changes(Box::new(changes)))
    }

    async fn unless_interrupted<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> anyhow::Result<T> {
        tokio::select! {
            done = work => Ok(done?),
            () = self.interrupt.first() => anyhow::bail!(INTERRUPTED),
        }
    }
}
