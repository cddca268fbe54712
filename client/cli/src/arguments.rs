use std::time::Duration;

use anyhow::Context as _;
use breaker_client::servers::Address;
use breaker_wire::parse_duration;
use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::alerts::AlertsArguments;
use crate::apply::{ApplyArguments, ExportArguments};
use crate::backup::{BackupArguments, RestoreArguments};
use crate::bench::BenchArguments;
use crate::change::{Change, ChangeArguments, OverrideArguments};
use crate::connection::Connection;
use crate::definition::{CreateArguments, DeleteArguments, UpdateArguments};
use crate::demo::DemoArguments;
use crate::error::{Error, exit};
use crate::get::GetArguments;
use crate::guard::RunArguments;
use crate::health::HealthArguments;
use crate::history::HistoryArguments;
use crate::list::ListArguments;
use crate::output::Format;
use crate::policy::PolicyArguments;
use crate::simulate::{self, SimulateArguments};
use crate::top::TopArguments;
use crate::watch::WatchArguments;
use crate::{Context, change};

const AFTER_HELP: &str = "\
A SELECTOR is a name, or a glob in which `*` stays within a part and `**` does not.

Exit codes:
    0  done
    1  refused by the server, or failed
    2  the command line makes no sense
    4  there is no such breaker, or no such policy
   69  no server answers, or none leads
   75  run: the breaker denied the command
  124  run: the command took longer than call_timeout and was ended
`run` otherwise exits as its command does: 127 if it is not found, 126 if it cannot be
executed, 128 + N if signal N ended it.";

/// Looks at the circuit breakers of a breakerd, and changes them.
#[derive(Debug, Parser)]
#[command(name = "breakerctl", version, after_help = AFTER_HELP)]
pub struct Arguments {
    #[command(flatten)]
    global: GlobalArguments,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Args)]
struct GlobalArguments {
    /// Where the servers listen, `host:port`: several with commas between them, or several times.
    /// The one that leads is found by itself; it need not be among them.
    #[arg(
        long,
        global = true,
        env = "BREAKERD_ADDRESS",
        value_delimiter = ',',
        default_value = "127.0.0.1:7420",
        value_parser = address
    )]
    address: Vec<Address>,
    /// How long one server may take to answer, and how long to wait for a leader while the servers
    /// stand by.
    #[arg(long, global = true, value_name = "DURATION", default_value = "5s", value_parser = timeout)]
    timeout: Duration,
    /// How to write results.
    #[arg(short, long, global = true, value_enum, default_value_t)]
    output: Format,
}

/// What breakerctl can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Lists breakers.
    List(ListArguments),
    /// Shows one breaker with its metrics and its configuration.
    Get(GetArguments),
    /// Writes a line for each breaker, and another one whenever it changes.
    Watch(WatchArguments),
    /// Shows the live fleet in the terminal: look, filter, force open and release.
    Top(TopArguments),
    /// Shows what happened to breakers, the latest first.
    History(HistoryArguments),
    /// Shows what was raised about breakers and the server, the latest change first.
    Alerts(AlertsArguments),
    /// Denies every call, until `release` or the end of the time to live.
    ForceOpen(OverrideArguments),
    /// Allows every call, until `release` or the end of the time to live.
    ForceClose(OverrideArguments),
    /// Allows every call and records only metrics, until `release` or the end of the time to live.
    Disable(OverrideArguments),
    /// Lets transitions happen but denies no call, until `release` or the end of the time to live.
    Shadow(OverrideArguments),
    /// Ends an override: after `force-open` the breaker probes first, else it is closed.
    Release(ChangeArguments),
    /// Opens now for `open_duration`; the automatic life goes on.
    Trip(ChangeArguments),
    /// Closes now with fresh counters; the automatic life goes on.
    Reset(ChangeArguments),
    /// Creates a breaker.
    Create(CreateArguments),
    /// Changes the configuration of a breaker; its state goes on.
    Update(UpdateArguments),
    /// Deletes a breaker; its history stays.
    Delete(DeleteArguments),
    /// Looks at policies, which configure many breakers at once, and changes them.
    Policy(PolicyArguments),
    /// Makes policies and breakers' own configurations what a file says: all of it, or nothing.
    Apply(ApplyArguments),
    /// Writes the file that `apply` reads, with what is now in force.
    Export(ExportArguments),
    /// Writes all that the server knows to a file: policies, breakers as they are, and their history.
    Backup(BackupArguments),
    /// Fills an empty server with a backup, whatever database that comes from.
    Restore(RestoreArguments),
    /// Runs a command if the breaker allows it, and reports how it went.
    Run(RunArguments),
    /// Asks each server whether it lives and whether it serves.
    Health(HealthArguments),
    /// Starts a server, a flaky upstream and a small fleet to look at, until Ctrl-C; nothing stays
    /// behind.
    Demo(DemoArguments),
    /// Shows what a breaker would have decided of a trace of calls, or in a whole fleet; needs no
    /// server.
    Simulate(SimulateArguments),
    /// Puts a load on a server of your own, and tells how it bears it.
    Bench(BenchArguments),
    /// Writes a script that completes breakerctl's arguments in a shell.
    Completion(CompletionArguments),
}

#[derive(Debug, Args)]
pub struct CompletionArguments {
    /// For which shell.
    shell: Shell,
}

impl Arguments {
    /// The code to exit with.
    pub(crate) fn execute(&self) -> anyhow::Result<u8> {
        match &self.command {
            Command::Simulate(arguments) => {
                simulate::command(arguments, self.global.output.into())?;
                Ok(exit::OK)
            }
            Command::Completion(arguments) => {
                let mut script = Vec::new();
                clap_complete::generate(
                    arguments.shell,
                    &mut Self::command(),
                    "breakerctl",
                    &mut script,
                );
                std::io::Write::write_all(&mut std::io::stdout(), &script)?;
                Ok(exit::OK)
            }
            // The fleet and its upstream are too much for one thread.
            Command::Demo(_) if self.global.output == Format::Json => {
                let text = "demo is for people; `breakerctl history -f -o json` tells as JSON what \
                            happens at its server";
                Err(Error::Usage(text.to_owned()).into())
            }
            Command::Demo(arguments) => tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .context("cannot start")?
                .block_on(arguments.command()),
            command @ Command::Bench(arguments) => {
                arguments.runtime().context("cannot start")?.block_on(self.ask(command))
            }
            command => tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .context("cannot start")?
                .block_on(self.ask(command)),
        }
    }

    async fn ask(&self, command: &Command) -> anyhow::Result<u8> {
        let context = Context {
            connection: Connection::new(&self.global.address, self.global.timeout)?,
            format: self.global.output,
        };
        let context = &context;
        match command {
            Command::List(arguments) => arguments.command(context).await?,
            Command::Get(arguments) => arguments.command(context).await?,
            Command::Watch(arguments) => arguments.command(context).await?,
            Command::Top(arguments) => return arguments.command(context).await,
            Command::History(arguments) => arguments.command(context).await?,
            Command::Alerts(arguments) => arguments.command(context).await?,
            Command::ForceOpen(a) => change::command(context, Change::force_open(a)).await?,
            Command::ForceClose(a) => change::command(context, Change::force_close(a)).await?,
            Command::Disable(a) => change::command(context, Change::disable(a)).await?,
            Command::Shadow(a) => change::command(context, Change::shadow(a)).await?,
            Command::Release(a) => change::command(context, Change::release(a)).await?,
            Command::Trip(a) => change::command(context, Change::trip(a)).await?,
            Command::Reset(a) => change::command(context, Change::reset(a)).await?,
            Command::Create(arguments) => arguments.command(context).await?,
            Command::Update(arguments) => arguments.command(context).await?,
            Command::Delete(arguments) => arguments.command(context).await?,
            Command::Policy(arguments) => arguments.command(context).await?,
            Command::Apply(arguments) => arguments.command(context).await?,
            Command::Export(arguments) => arguments.command(context).await?,
            Command::Backup(arguments) => arguments.command(context).await?,
            Command::Restore(arguments) => arguments.command(context).await?,
            Command::Run(arguments) => return arguments.command(context).await,
            Command::Health(arguments) => {
                return arguments.command(context, &self.global.address).await;
            }
            Command::Bench(arguments) => return arguments.command(context).await,
            // They ask no server that is there.
            Command::Demo(_) | Command::Simulate(_) | Command::Completion(_) => {}
        }
        Ok(exit::OK)
    }
}

impl From<Format> for simulate::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Table => Self::Summary,
            Format::Json => Self::Json,
        }
    }
}

pub(crate) fn address(text: &str) -> Result<Address, String> {
    Address::parse(text).map_err(|error| match error {
        breaker_client::Error::Address { reason, .. } => format!("{reason}; write it as host:port"),
        error => error.to_string(),
    })
}

fn timeout(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("it must be longer than 0".to_owned()),
        duration => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(arguments: &[&str]) -> Result<Vec<String>, clap::Error> {
        let line = ["breakerctl", "list"].iter().chain(arguments);
        let addresses = Arguments::try_parse_from(line)?.global.address;
        Ok(addresses.iter().map(Address::to_string).collect())
    }

    #[test]
    fn addresses_have_commas_between_them_or_come_one_by_one() {
        for several in [
            &["--address", "a:1,http://b:2,c:3"][..],
            &["--address", "a:1", "--address", "b:2", "--address=c:3"],
            &["--address=a:1,b:2", "--address=c:3"],
        ] {
            assert_eq!(addresses(several).unwrap(), ["a:1", "b:2", "c:3"]);
        }
    }

    #[test]
    fn an_address_without_a_port_is_refused() {
        let error = addresses(&["--address", "a:1,breakerd"]).unwrap_err().to_string();
        assert!(error.contains("the port is missing; write it as host:port"), "{error}");
    }
}
