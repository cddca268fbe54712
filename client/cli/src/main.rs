//! The program `breakerctl`; all of it is in the library.

use std::process::ExitCode;

use breakerctl::Arguments;
use clap::Parser;

fn main() -> ExitCode {
    ExitCode::from(breakerctl::run(&Arguments::parse()))
}
