//! What dashboards and scrapes cost those who call: Acquire with twenty viewers and without, in turns,
//! among a hundred thousand breakers of which some change all the time.

use std::time::Duration;

use anyhow::Context;
use breaker_proto::v1::{self, Outcome};
use breaker_tests::web::Web;
use breaker_tests::{Daemon, Flood, run_of, selecting};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};

use crate::figure::{Figure, Goal, Rounds};
use crate::runtimes::{CALLERS, SERVER, one_thread_on};
use crate::{Pace, clock};

const BREAKERS: u32 = 100_000;
const AT_ONCE: u32 = 5_000;
const VIEWERS: usize = 20;
/// What is on the screen of a viewer, which asks for it so often.
const ROWS: u32 = 40;
const ROWS_EVERY: Duration = Duration::from_secs(2);
/// A scrape of the metrics; once in a while by each viewer, as by so many Prometheus servers.
const SCRAPE_EVERY: Duration = Duration::from_secs(5);
const CHANGE_EVERY: Duration = Duration::from_millis(20);
const CONNECTIONS: usize = 4;
const IN_FLIGHT: usize = 64;
const WARM_UP: Duration = Duration::from_secs(1);

pub(crate) fn measure(pace: Pace) -> anyhow::Result<Vec<Figure>> {
    // The server has a processor for itself. What viewers and callers do with what they get is not its
    // work, and they are not on its machine.
    let (place, clients) = (one_thread_on(0, SERVER)?, one_thread_on(1, CALLERS)?);
    let start = async { Daemon::start_on("memory:", ["--log=warn"]) };
    let server = place.block_on(place.spawn(start))??;
    clients.block_on(run(server, pace))
}

async fn run(server: Daemon, pace: Pace) -> anyhow::Result<Vec<Figure>> {
    let mut others = server.clients()?;
    for first in (0..BREAKERS).step_by(AT_ONCE as usize) {
        let report = |number| {
            let runs = vec![run_of(Outcome::Success, 1)];
            v1::BreakerReport { breaker: name(number), generation: 0, runs, late: false }
        };
        let reports = (first..first + AT_ONCE).map(report).collect();
        others.breakers.report(v1::ReportRequest { reports, ..Default::default() }).await?;
    }
    let mut changing = JoinSet::new();
    changing.spawn(change(others));

    let title = format!("Acquire beside {VIEWERS} viewers and {BREAKERS} breakers");
    let mut rates = Rounds::begin(&title, "without viewers", "calls/s");
    let window = Duration::from_secs(pace.seconds);
    // One flood for all rounds: which connections share a thread of the server makes more of a
    // difference than the viewers do.
    let mut flood = Flood::start(&server.grpc, &name(1), CONNECTIONS, IN_FLIGHT).await?;
    for round in 0..pace.rounds {
        // What changes with time is for neither side.
        let (without, with) = if round % 2 == 0 {
            let without = answered(&server, &mut flood, 0, window).await?;
            (without, answered(&server, &mut flood, VIEWERS, window).await?)
        } else {
            let with = answered(&server, &mut flood, VIEWERS, window).await?;
            (answered(&server, &mut flood, 0, window).await?, with)
        };
        rates.add(without, with);
    }
    drop(flood);
    if let Some(ended) = changing.try_join_next() {
        ended?.context("the changes have ended")?;
    }
    server.terminate()?;
    Ok(vec![rates.end(Some(Goal::RatioAtLeast(0.95)))])
}

fn name(number: u32) -> String {
    format!("bench-{}/breaker-{number:06}", number % 50)
}

/// Calls that are answered in a second beside so many viewers.
async fn answered(
    server: &Daemon,
    flood: &mut Flood,
    viewers: usize,
    window: Duration,
) -> anyhow::Result<f64> {
    let mut looking = JoinSet::new();
    for viewer in 0..viewers {
        looking.spawn(look(server.http.clone(), viewer as u32));
    }
    sleep(WARM_UP).await;
    let (begun, before) = (clock::now(), flood.answered());
    sleep(window).await;
    flood.check()?;
    let rate = (flood.answered() - before) as f64 / begun.elapsed().as_secs_f64();
    if let Some(ended) = looking.try_join_next() {
        ended?.context("a viewer has ended")?;
    }
    looking.shutdown().await;
    Ok(rate)
}

/// Does what the page of a dashboard does, and scrapes. What comes is read and not looked at.
async fn look(address: String, viewer: u32) -> anyhow::Result<()> {
    let web = Web::of(&address);
    let mut events = web.request(Method::GET, "events").send().await?.error_for_status()?;
    let (mut rows, mut scrapes) = (interval(ROWS_EVERY), interval(SCRAPE_EVERY));
    let first = viewer * ROWS;
    let names: Vec<_> = (first..first + ROWS).map(name).collect();
    let wanted = json!({ "names": names, "view": "BREAKER_VIEW_BASIC" }).to_string();
    let rows_of =
        || web.request(Method::POST, "breakers:batchGet").header(CONTENT_TYPE, "application/json");
    loop {
        tokio::select! {
            piece = events.chunk() => drop(piece?.context("the stream of events has ended")?),
            _ = rows.tick() => read(rows_of().body(wanted.clone())).await?,
            _ = scrapes.tick() => read(web.page("/metrics")).await?,
        }
    }
}

async fn read(request: RequestBuilder) -> anyhow::Result<()> {
    let mut response = request.send().await?.error_for_status()?;
    while response.chunk().await?.is_some() {}
    Ok(())
}

/// Trips and resets breakers in turns, for ever.
async fn change(mut clients: breaker_tests::Clients) -> anyhow::Result<()> {
    let mut ticks = interval(CHANGE_EVERY);
    for number in (0..BREAKERS / 2).cycle() {
        ticks.tick().await;
        let target = selecting(&name(number % 1_000));
        if number / 1_000 % 2 == 0 {
            clients.admin.trip(v1::TripRequest { target }).await?;
        } else {
            clients.admin.reset(v1::ResetRequest { target }).await?;
        }
    }
    Ok(())
}
