//! What an idle stream takes of the memory of the real `breakerd`.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use breaker_proto::v1::{self, Outcome};
use breaker_tests::{Clients, Daemon, run_of};
use tokio::time::sleep;

use super::streams::{Shape, Streams, connect};
use crate::figure::{Figure, Goal};
use crate::runtimes::{READERS, one_thread};

const SHAPE: Shape = Shape { connections: 100, streams_per_connection: 100 };
const NAMES_OF_A_STREAM: usize = 10;
const BREAKERS: usize = SHAPE.streams() * NAMES_OF_A_STREAM;
/// Breakers in one report.
const REPORTED_AT_ONCE: usize = 500;
/// Longer than the time between two signs of life: every stream has had one.
const SETTLE: Duration = Duration::from_secs(8);
const BYTES_OF_A_STREAM: f64 = 8.0 * 1024.0;

/// Streams on ten names of their own each, and on one selector that all of them share.
pub(crate) fn measure() -> anyhow::Result<Vec<Figure>> {
    let readers = one_thread(READERS)?;
    let own = readers.block_on(bytes_of_a_stream(|stream| {
        (0..NAMES_OF_A_STREAM).map(|number| name(stream * NAMES_OF_A_STREAM + number)).collect()
    }))?;
    let same = readers.block_on(bytes_of_a_stream(|_| vec!["bench/shared/*".to_owned()]))?;
    Ok(vec![
        Figure::new("memory of an idle stream on 10 names of its own", own, "bytes")
            .with(Goal::AtMost(BYTES_OF_A_STREAM)),
        Figure::new("memory of an idle stream on the selector of all", same, "bytes")
            .with(Goal::AtMost(BYTES_OF_A_STREAM)),
    ])
}

fn name(number: usize) -> String {
    format!("bench/dependency-{number}")
}

async fn bytes_of_a_stream(selectors: impl Fn(usize) -> Vec<String>) -> anyhow::Result<f64> {
    let daemon = Daemon::start_on("memory:", [] as [&str; 0])?;
    create_breakers(&mut daemon.clients()?).await?;
    let connections = connect(daemon.grpc.parse()?, SHAPE.connections).await?;
    sleep(SETTLE).await;
    let without = resident_bytes(daemon.process_id())?;
    let mut streams = Streams::on(connections, SHAPE, selectors).await?;
    sleep(SETTLE).await;
    let with = resident_bytes(daemon.process_id())?;
    streams.check()?;
    Ok((with as f64 - without as f64) / SHAPE.streams() as f64)
}

/// The breakers are there with or without streams.
async fn create_breakers(clients: &mut Clients) -> anyhow::Result<()> {
    for first in (0..BREAKERS).step_by(REPORTED_AT_ONCE) {
        let report = |number| v1::BreakerReport {
            breaker: name(number),
            generation: 0,
            runs: vec![run_of(Outcome::Success, 1)],
            late: false,
        };
        let reports = (first..first + REPORTED_AT_ONCE).map(report).collect();
        clients.breakers.report(v1::ReportRequest { reports, ..Default::default() }).await?;
    }
    Ok(())
}

fn resident_bytes(process: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).context("VmRSS is told")?;
    Ok(kib.parse::<u64>()? * 1024)
}
