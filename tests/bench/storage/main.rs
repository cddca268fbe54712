//! How long transitions take to get onto the disk of a real Postgres, at a given rate.
//!
//! Breakers fail, wait, are probed and close again, evenly over time. What is shown is what
//! `/metrics` shows as `breakerd_storage_lag_seconds`: from a transition to the end of the commit
//! that wrote it. The same again on a cluster that never waits for its disk (`fsync = off`) tells
//! the disk's share.
//!
//! `cargo run --release -p breaker-tests --bin bench-storage [-- --rate 5000 --seconds 20]`

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use breaker_core::{BreakerName, ConfigPatch, Outcome, PermitId, Run};
use breaker_engine::{
    Admitted, BreakerReport, Clock, Defaults, Engine, Histogram, Member, Options, SharedDatabase,
    SystemClock, UnknownBreakers,
};
use breaker_store::{MigrationMode, PostgresDatabase};
use bytes::Bytes;
use clap::Parser;
use throwaway_postgres::Cluster;

/// Measures how long transitions take to get onto the disk of Postgres.
#[derive(Debug, Parser)]
struct Arguments {
    /// Transitions each second.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(300..=100_000))]
    rate: u32,
    /// How long, with and without waiting for the disk each.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(2..=600))]
    seconds: u32,
}

/// A breaker goes through CLOSED, OPEN and HALF_OPEN.
const TRANSITIONS_OF_A_CYCLE: u32 = 3;
/// How long a breaker is OPEN, and then waits for its probe.
const OPEN: Duration = Duration::from_millis(500);
const PROBE_AFTER: Duration = Duration::from_millis(600);
/// The load comes in steps.
const STEP: Duration = Duration::from_millis(5);
/// What comes before is not counted: connections and plans are made, caches filled.
const WARM_UP: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    println!("{} transitions/s for {} s", arguments.rate, arguments.seconds);
    for fsync in ["on", "off"] {
        let cluster = Cluster::start_with(&[&format!("fsync={fsync}")])?;
        println!("\nfsync = {fsync}");
        run(&cluster.database()?.url, &arguments).await?;
    }
    Ok(())
}

async fn run(url: &str, arguments: &Arguments) -> anyhow::Result<()> {
    let me = Member { id: "bench".to_owned(), address: "127.0.0.1:1".to_owned() };
    let database = PostgresDatabase::connect(url, me, MigrationMode::Apply).await?;
    let term = database.take(&database.look().await?).await?;
    let store = term.ok_or_else(|| anyhow::anyhow!("nobody else takes the lead"))?.store;
    let defaults = ConfigPatch {
        failure_threshold: Some(1),
        open_duration: Some(OPEN),
        success_threshold: Some(1),
        ..ConfigPatch::default()
    };
    let options = Options {
        defaults: Defaults::new(defaults).map_err(|refused| anyhow::anyhow!("{refused:?}"))?,
        max_breakers: 1_000_000,
        unknown_breakers: UnknownBreakers::Create,
        idle_ttl: None,
        history_retention: Duration::from_secs(24 * 60 * 60),
        storage_degraded: None,
        monitor_series: 0,
        life: || 1,
        encode: |_| Bytes::new(),
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let (engine, tasks) = Engine::start(options, store, clock).await?;
    let mut load = Load::new(Arc::clone(&engine), arguments.rate);
    load.run(WARM_UP).await?;
    let before = counts(&engine.stats().storage().lag);
    let made_before = load.made;
    load.run(Duration::from_secs(arguments.seconds.into())).await?;
    let lags = counts(&engine.stats().storage().lag);
    let lags = lags.iter().zip(&before).map(|(&(bound, now), (_, then))| (bound, now - then));
    print(&lags.collect::<Vec<_>>(), load.made - made_before);
    let storage = engine.stats().storage();
    let (commits, rows) =
        (storage.batch_size.buckets().map(|(_, n)| n).sum::<u64>(), storage.batch_size.sum());
    println!(
        "{commits} commits of {:.0} rows each; {} waited at the end, {} were dropped",
        rows as f64 / commits as f64,
        engine.waiting_transitions(),
        engine.stats().dropped_transitions()
    );
    tasks.shut_down().await?;
    Ok(())
}

struct Load {
    engine: Arc<Engine>,
    breakers: Vec<BreakerName>,
    /// The breaker that fails next.
    next: usize,
    /// Those that have failed, and when each is to be probed.
    failed: VecDeque<(usize, breaker_core::Time)>,
    cycles_per_step: f64,
    owed: f64,
    made: u64,
}

impl Load {
    fn new(engine: Arc<Engine>, rate: u32) -> Self {
        let cycles_per_second = f64::from(rate / TRANSITIONS_OF_A_CYCLE);
        // Twice as many as are under way at a time.
        let breakers = (cycles_per_second * 2.0) as usize;
        let name = |i| BreakerName::new(&format!("bench/{i}"));
        Self {
            engine,
            breakers: (0..breakers).filter_map(|i| name(i).ok()).collect(),
            next: 0,
            failed: VecDeque::new(),
            cycles_per_step: cycles_per_second * STEP.as_secs_f64(),
            owed: 0.0,
            made: 0,
        }
    }

    async fn run(&mut self, time: Duration) -> anyhow::Result<()> {
        let end = self.engine.now() + time;
        let mut steps = tokio::time::interval(STEP);
        while self.engine.now() < end {
            steps.tick().await;
            self.owed += self.cycles_per_step;
            while self.owed >= 1.0 {
                self.owed -= 1.0;
                self.fail_one()?;
            }
            while let Some(&(breaker, at)) = self.failed.front()
                && at <= self.engine.now()
            {
                self.failed.pop_front();
                self.probe(breaker)?;
            }
        }
        Ok(())
    }

    fn fail_one(&mut self) -> anyhow::Result<()> {
        let breaker = self.next;
        self.next = (self.next + 1) % self.breakers.len();
        self.report(breaker, Outcome::Failure, None)?;
        self.failed.push_back((breaker, self.engine.now() + PROBE_AFTER));
        // OPEN now, and HALF_OPEN by the timer.
        self.made += 2;
        Ok(())
    }

    fn probe(&mut self, breaker: usize) -> anyhow::Result<()> {
        let acquired = self.engine.acquire(self.breakers[breaker].as_str())?;
        if let Some(permit) = acquired.decision.permit() {
            self.report(breaker, Outcome::Success, Some(permit.id))?;
            self.made += 1;
        }
        Ok(())
    }

    fn report(
        &self,
        breaker: usize,
        outcome: Outcome,
        permit: Option<PermitId>,
    ) -> anyhow::Result<()> {
        let report = BreakerReport {
            breaker: self.breakers[breaker].clone(),
            admitted: Admitted::Current,
            runs: vec![(Run::new(outcome, 1), permit)],
        };
        self.engine.report("bench", 0, &[report])?;
        Ok(())
    }
}

fn counts(histogram: &Histogram) -> Vec<(u64, u64)> {
    histogram.buckets().collect()
}

fn print(lags: &[(u64, u64)], made: u64) {
    let total: u64 = lags.iter().map(|(_, count)| count).sum();
    println!("{made} transitions made, {total} written in this time");
    println!("{:>12} {:>9} {:>8}", "lag up to", "count", "share");
    let mut so_far = 0;
    let (mut median, mut p99) = (None, None);
    for &(bound, count) in lags.iter().filter(|(_, count)| *count > 0) {
        so_far += count;
        let share = so_far as f64 / total as f64;
        let told = match bound {
            u64::MAX => "more".to_owned(),
            bound => format!("{:?}", Duration::from_nanos(bound)),
        };
        println!("{told:>12} {count:>9} {:>7.2}%", share * 100.0);
        if share >= 0.5 {
            median.get_or_insert(told.clone());
        }
        if share >= 0.99 {
            p99.get_or_insert(told);
        }
    }
    println!(
        "p50 at most {}, p99 at most {}  (goal: p99 at most 50ms)",
        median.unwrap_or_default(),
        p99.unwrap_or_default()
    );
}
