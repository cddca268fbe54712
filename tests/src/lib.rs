//! What the end-to-end tests share: real processes, and servers with a clock of the test's choice.

mod daemon;
mod hosted;
mod requests;

pub use daemon::{Daemon, binary};
pub use hosted::{Hosted, start_in_memory};
pub use requests::{acquire, create, report_of, run_of, selecting, states_in};

use breaker_proto::v1::breaker_admin_client::BreakerAdminClient;
use breaker_proto::v1::breaker_service_client::BreakerServiceClient;
use tonic::transport::{Channel, Endpoint};

/// The clients of one server, over one connection.
#[derive(Clone, Debug)]
pub struct Clients {
    /// What replicas call.
    pub breakers: BreakerServiceClient<Channel>,
    /// What admins call.
    pub admin: BreakerAdminClient<Channel>,
}

impl Clients {
    /// A new connection to a server; made at the first call.
    ///
    /// # Errors
    /// If the address is none.
    pub fn of(address: &str) -> anyhow::Result<Self> {
        let channel = Endpoint::from_shared(format!("http://{address}"))?.connect_lazy();
        Ok(Self {
            breakers: BreakerServiceClient::new(channel.clone()),
            admin: BreakerAdminClient::new(channel),
        })
    }
}
