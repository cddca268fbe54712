//! The Rust client's driver of the conformance suite: does what standard input says, one JSON
//! object a line, and answers on standard output. `client/README.md` has the commands.

mod answer;
mod command;
mod driver;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, stdin, stdout};

use crate::driver::Driver;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut lines = BufReader::new(stdin()).lines();
    let mut output = stdout();
    let mut driver = Driver::default();
    while let Some(line) = lines.next_line().await? {
        let answer = match serde_json::from_str(&line) {
            Ok(command) => driver.obey(command).await,
            Err(error) => Err(error.into()),
        };
        let answer = answer.unwrap_or_else(|error| answer::error(&error));
        output.write_all(format!("{answer}\n").as_bytes()).await?;
        output.flush().await?;
    }
    Ok(())
}
