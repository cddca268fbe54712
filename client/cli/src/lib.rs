//! `breakerctl`, the command-line client of breakerd.
//!
//! `arguments` says what can be typed; each command has a module that turns its arguments into a
//! request and shows the answer. `json` and `table` are the two ways to show one.

mod alerts;
mod apply;
mod arguments;
mod backoff;
mod backup;
mod bench;
mod change;
mod clock;
mod colour;
mod connection;
mod declared;
mod definition;
mod demo;
mod diff;
mod edit;
mod error;
mod get;
mod guard;
mod health;
mod history;
mod json;
mod list;
mod output;
mod policy;
mod signals;
pub mod simulate;
mod stream;
mod table;
#[cfg(test)]
mod test_server;
mod time;
mod top;
mod watch;
mod words;

use std::io;

pub use arguments::{Arguments, Command};
pub use error::{Error, exit, exit_code};
pub use output::Format;

use connection::Connection;

/// What every command that asks a server needs.
#[derive(Debug)]
struct Context {
    connection: Connection,
    format: Format,
}

/// Runs a command, says on the standard error what went wrong, and gives the code to exit with.
pub fn run(arguments: &Arguments) -> u8 {
    match arguments.execute() {
        Ok(code) => code,
        // Whoever read the output has seen enough: `breakerctl list | head`.
        Err(error) if is_broken_pipe(&error) => exit::OK,
        Err(error) => {
            output::notice(format_args!("{error:#}"));
            exit_code(&error)
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}
