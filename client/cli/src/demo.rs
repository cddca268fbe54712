//! `breakerctl demo`: a server, a flaky upstream and a small fleet to look at.
//!
//! The server is a process of its own, in a folder that goes with it; the upstream and the replicas
//! are tasks of this process. Everything is owned by `command`, so that whatever ends the demo ends
//! all of it.

mod cast;
mod fleet;
mod server;
mod speed;
mod story;
mod teller;
mod upstream;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use breaker_client::servers::Address;
use breaker_proto::v1;
use clap::Args;
use nix::sys::signal::Signal;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::connection::Connection;
use crate::declared::Declared;
use crate::error::exit;
use crate::output;
use crate::signals::{self, Signals};
use fleet::Fleet;
use server::Server;
use speed::Speed;
use teller::{Seen, Teller, say};
use upstream::Skies;

/// How long the server may take to answer. It may have to share a processor with the fleet.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long a server that has ended may take to be seen so.
const LAST_WORDS: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub struct DemoArguments {
    /// The server's program, if it is neither beside breakerctl nor in PATH.
    #[arg(long, value_name = "PATH")]
    breakerd: Option<PathBuf>,
    /// How many times as fast the story is told, 0.1 to 20; configurations have shorter durations.
    #[arg(long, value_name = "TIMES", default_value = "1", value_parser = Speed::parse)]
    speed: Speed,
    /// Where chance begins: which calls fail, and how long they take.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Tell the story once, and fail if something that it promises has not happened.
    #[arg(long)]
    once: bool,
}

impl DemoArguments {
    /// The code to exit with. Nothing of the demo is left then.
    pub(crate) async fn command(&self) -> anyhow::Result<u8> {
        // Before anything is started: a signal that came between would leave it behind.
        let mut signals = Signals::new()?;
        let program = server::find(self.breakerd.as_deref())?;
        let mut server = tokio::select! {
            server = Server::start(&program) => server?,
            signal = signals.next() => return Ok(self.interrupted(signal)),
        };
        let (grpc, http) = (server.grpc.clone(), server.http.clone());
        let end = tokio::select! {
            end = self.play(&grpc, &http) => end,
            why = server.ended() => Err(why),
            signal = signals.next() => Ok(self.interrupted(signal)),
        };
        let end = match end {
            Ok(code) => Ok(code),
            // More often than not it is the server's end that everything else fails of.
            Err(error) => Err(timeout(LAST_WORDS, server.ended()).await.unwrap_or(error)),
        };
        server.end().await?;
        if end.is_ok() {
            say("The demo is over; nothing of it is left.")?;
        }
        end
    }

    /// Without `--once` being told to end is the only end there is, and no failure.
    fn interrupted(&self, signal: Signal) -> u8 {
        if self.once { signals::exit_code(signal as i32) } else { exit::OK }
    }

    async fn play(&self, grpc: &str, http: &str) -> anyhow::Result<u8> {
        welcome(grpc, http)?;
        let address = Address::parse(grpc).context("the server listens somewhere odd")?;
        let connection = Connection::new(&[address], TIMEOUT)?;
        configure(&connection, cast::declared(self.speed)?).await?;
        let question = v1::WatchTransitionsRequest { after: Some(0), ..Default::default() };
        let transitions = connection
            .admin(&question, async |mut admin, question| admin.watch_transitions(question).await)
            .await?;

        let mut upstream = JoinSet::new();
        let skies = Skies::fair(self.seed);
        let url = upstream::serve(skies.clone(), self.speed, &mut upstream).await?;
        let fleet = Fleet::start(grpc, &url, self.speed, self.seed)?;
        let teller = Teller { connection, skies, speed: self.speed, seen: Seen::default() };
        let seen = teller.seen.clone();
        let told = tokio::select! {
            told = self.tell(&teller) => told,
            cut = teller::write_along(transitions, seen) => match cut? {},
        };
        fleet.end().await;
        told
    }

    async fn tell(&self, teller: &Teller) -> anyhow::Result<u8> {
        loop {
            let broken = teller.tell().await?;
            match (self.once, broken) {
                (false, _) => say("The story begins again; Ctrl-C ends it.")?,
                (true, 0) => return Ok(exit::OK),
                (true, _) => {
                    output::notice(format_args!("{broken} promises of the story were not kept"));
                    return Ok(exit::FAILED);
                }
            }
        }
    }
}

fn welcome(grpc: &str, http: &str) -> std::io::Result<()> {
    output::line(format_args!(
        "dashboard: http://{http}/

In another terminal:
  export BREAKERD_ADDRESS={grpc}
  breakerctl top                                         # the live fleet
  breakerctl watch                                       # every change, as it happens
  breakerctl force-open payments/paypal --ttl 1m         # stops every replica at once

Ctrl-C ends the demo and everything that it has started.
"
    ))
}

async fn configure(connection: &Connection, declared: Declared) -> anyhow::Result<()> {
    let Declared { policies, breakers } = declared;
    let request = v1::ApplyRequest { policies, breakers, ..Default::default() };
    connection
        .admin(&request, async |mut admin, request| admin.apply(request).await)
        .await
        .context("the server refuses the configuration of the demo")?;
    Ok(())
}
