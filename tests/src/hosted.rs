use std::sync::Arc;

use breaker_core::Time;
use breaker_engine::{Clock, ManualClock};
use breakerd::{Arguments, Server, Settings};
use clap::Parser;

use crate::Clients;

/// A server within the test's process: real sockets, a clock that stands still until it is told to
/// go on, and no database.
pub struct Hosted {
    /// The clock that breakers live by.
    pub clock: Arc<ManualClock>,
    /// Connections to the server.
    pub clients: Clients,
    server: Server,
}

impl Hosted {
    /// Starts a server whose clock stands at `now`.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start(now: Time) -> anyhow::Result<Self> {
        let clock = Arc::new(ManualClock::at(now));
        let shared: Arc<ManualClock> = Arc::clone(&clock);
        let server = start_in_memory(shared).await?;
        let clients = Clients::of(&server.grpc_address().to_string())?;
        Ok(Self { clock, clients, server })
    }

    /// Where gRPC listens.
    pub fn address(&self) -> String {
        self.server.grpc_address().to_string()
    }

    /// Ends the server.
    ///
    /// # Errors
    /// If something could not be written.
    pub async fn stop(self) -> anyhow::Result<()> {
        Ok(self.server.shut_down().await?)
    }
}

/// Starts a server on free ports and without a database, within this process.
///
/// # Errors
/// If it does not start.
pub async fn start_in_memory(clock: Arc<dyn Clock>) -> anyhow::Result<Server> {
    let arguments = Arguments::try_parse_from([
        "breakerd",
        "--database=memory:",
        "--listen=127.0.0.1:0",
        "--http-listen=127.0.0.1:0",
        // It shares its thread with the tests, which it is not to take for overload.
        "--max-queue-delay=off",
    ])?;
    Ok(Server::start(Settings::settle(arguments)?, clock).await?)
}
