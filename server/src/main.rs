//! `breakerd`: keeps the circuit-breaker state of a whole fleet in one place.

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    match breakerd::run(breakerd::Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("breakerd: {error}");
            ExitCode::FAILURE
        }
    }
}
