//! A replica of the fleet: calls the upstream over HTTP again and again, each call guarded through
//! breakerd, and follows the breaker's state. Tells what happened as JSON lines; ends when its
//! standard input does.

mod clock;
mod line;
mod upstream;

use std::time::Duration;

use breaker_client::{Breaker, Client};
use clap::Parser;
use tokio::io::{AsyncReadExt, stdin};
use tokio::time::{sleep, timeout};

use crate::upstream::Upstream;

#[derive(Parser)]
struct Arguments {
    /// Where breakerd listens.
    #[arg(long)]
    breakerd: String,
    /// Where the upstream listens.
    #[arg(long)]
    upstream: String,
    /// The breaker that guards it.
    #[arg(long)]
    breaker: String,
    /// Which of the replicas this is.
    #[arg(long)]
    name: String,
    /// How many calls it makes at a time.
    #[arg(long)]
    workers: usize,
    /// How long a worker rests between two calls, in milliseconds.
    #[arg(long)]
    rest_ms: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let client =
        Client::builder().address(&arguments.breakerd).client_id(&arguments.name).build()?;
    let breaker = client.breaker(&arguments.breaker)?;
    let upstream = Upstream::new(&arguments.upstream)?;
    let rest = Duration::from_millis(arguments.rest_ms);
    for worker in 0..arguments.workers {
        tokio::spawn(work(worker, breaker.clone(), upstream.clone(), rest));
    }
    tokio::spawn(follow(client.clone(), arguments.breaker));
    until_told_to_end().await?;
    client.shutdown().await?;
    Ok(())
}

async fn until_told_to_end() -> anyhow::Result<()> {
    let mut ignored = Vec::new();
    stdin().read_to_end(&mut ignored).await?;
    Ok(())
}

async fn work(worker: usize, breaker: Breaker, upstream: Upstream, rest: Duration) {
    loop {
        line::write(&call(worker, &breaker, &upstream).await);
        sleep(rest).await;
    }
}

async fn call(worker: usize, breaker: &Breaker, upstream: &Upstream) -> serde_json::Value {
    let began_ns = clock::now_ns();
    let guard = match breaker.acquire().await {
        Ok(guard) => guard,
        Err(denial) => return line::denied(worker, began_ns, &denial),
    };
    let generation = guard.generation();
    let is_probe = guard.permit().is_some();
    let answer = timeout(guard.call_timeout(), upstream.call(generation)).await;
    let seconds = guard.elapsed().as_secs_f64();
    let outcome = match answer {
        Ok(Ok(())) => {
            guard.success();
            "success"
        }
        Ok(Err(kind)) => {
            guard.failure(&kind);
            "failure"
        }
        Err(_) => {
            guard.timeout();
            "timeout"
        }
    };
    line::called(worker, began_ns, outcome, generation, is_probe, seconds)
}

async fn follow(client: Client, breaker: String) {
    let mut watch = client.watch([breaker]);
    while let Some(event) = watch.next().await {
        if let Some(line) = line::seen(&event) {
            line::write(&line);
        }
    }
}
