//! Many client processes at once.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::Context;
use serde::Deserialize;

use crate::daemon::binary;

/// Client processes that make calls at an even rate. Killed when they are dropped.
#[derive(Debug)]
pub struct Crowd(Vec<Member>);

#[derive(Debug)]
struct Member {
    child: Child,
    output: BufReader<ChildStdout>,
}

/// What each process of a crowd does.
#[derive(Clone, Debug)]
pub struct Doing {
    /// The breaker that guards its calls.
    pub breaker: String,
    /// Calls a second.
    pub rate: u32,
    /// One call in so many fails; 0 for none.
    pub failure_every: u64,
    /// For how long, in seconds.
    pub seconds: u32,
}

/// What processes have told the server, by their own account.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub struct Account {
    /// Calls that succeeded.
    pub successes: u64,
    /// Calls that failed.
    pub failures: u64,
    /// Calls that were not made.
    pub denied: u64,
    /// Outcomes that the client gave up.
    pub given_up: u64,
    /// All was reported.
    pub flushed: bool,
}

impl Crowd {
    /// Starts so many.
    ///
    /// # Errors
    /// If their binary is missing, or one does not start.
    pub fn start(address: &str, processes: usize, doing: &Doing) -> anyhow::Result<Self> {
        let program = binary("crowd-member")?;
        let mut members = Vec::with_capacity(processes);
        for _ in 0..processes {
            let mut child = Command::new(&program)
                .args(["--breakerd", address, "--breaker", &doing.breaker])
                .arg(format!("--rate={}", doing.rate))
                .arg(format!("--failure-every={}", doing.failure_every))
                .arg(format!("--seconds={}", doing.seconds))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?;
            let output = child.stdout.take().context("standard output is a pipe")?;
            members.push(Member { child, output: BufReader::new(output) });
        }
        Ok(Self(members))
    }

    /// Waits until each has made its calls, and adds up what they have told.
    ///
    /// # Errors
    /// If one of them ended without saying so.
    pub fn account(&mut self) -> anyhow::Result<Account> {
        let mut sum = Account { flushed: true, ..Account::default() };
        for member in &mut self.0 {
            let mut line = String::new();
            member.output.read_line(&mut line)?;
            let own: Account =
                serde_json::from_str(&line).context("a process of the crowd died")?;
            sum = Account {
                successes: sum.successes + own.successes,
                failures: sum.failures + own.failures,
                denied: sum.denied + own.denied,
                given_up: sum.given_up + own.given_up,
                flushed: sum.flushed && own.flushed,
            };
        }
        Ok(sum)
    }

    /// Lets them end, and waits for that.
    ///
    /// # Errors
    /// If one ended in failure.
    pub fn end(mut self) -> anyhow::Result<()> {
        for member in &mut self.0 {
            drop(member.child.stdin.take());
            let status = member.child.wait()?;
            anyhow::ensure!(status.success(), "a process of the crowd ended with {status}");
        }
        Ok(())
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for member in &mut self.0 {
            // Those that have ended cannot be killed.
            let _ = member.child.kill();
            let _ = member.child.wait();
        }
    }
}
