//! One process of a crowd: makes calls at an even rate, each guarded by a breaker of its own share
//! of the fleet's, and says at its end what it has told. `tests/src/crowd.rs` starts many.

use std::io::Write;
use std::time::Duration;

use breaker_client::Client;
use clap::Parser;
use serde_json::json;
use tokio::io::{AsyncReadExt, stdin};
use tokio::time::{MissedTickBehavior, interval};

#[derive(Parser)]
struct Arguments {
    /// Where breakerd listens.
    #[arg(long)]
    breakerd: String,
    /// The breaker that guards the calls.
    #[arg(long)]
    breaker: String,
    /// Calls a second.
    #[arg(long)]
    rate: u32,
    /// One call in so many fails; 0 for none.
    #[arg(long)]
    failure_every: u64,
    /// For how many seconds.
    #[arg(long)]
    seconds: u32,
}

/// How often the calls that are due are made.
const TICK: Duration = Duration::from_millis(10);

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let client = Client::new(&arguments.breakerd)?;
    let breaker = client.breaker(&arguments.breaker)?;
    client.ready(Duration::from_secs(10)).await;
    let (mut successes, mut failures, mut denied) = (0_u64, 0_u64, 0_u64);
    let per_tick = u128::from(arguments.rate) * TICK.as_millis() / 1_000;
    let ticks = u128::from(arguments.seconds) * 1_000 / TICK.as_millis();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for _ in 0..ticks {
        tick.tick().await;
        for _ in 0..per_tick {
            let Ok(guard) = breaker.acquire().await else {
                denied += 1;
                continue;
            };
            let number = successes + failures + 1;
            if arguments.failure_every > 0 && number % arguments.failure_every == 0 {
                guard.failure("crowd");
                failures += 1;
            } else {
                guard.success();
                successes += 1;
            }
        }
    }
    let flushed = client.flush(Duration::from_secs(30)).await;
    let told = json!({
        "successes": successes,
        "failures": failures,
        "denied": denied,
        "given_up": client.outcomes_given_up(),
        "flushed": flushed,
    });
    writeln!(std::io::stdout(), "{told}")?;
    // Counts are looked at while the process is still there.
    stdin().read_to_end(&mut Vec::new()).await?;
    client.shutdown().await?;
    Ok(())
}
