//! What the end-to-end tests share: real processes, and servers with a clock of the test's choice.

mod admins;
mod chance;
pub mod clock;
mod copy;
mod crowd;
mod daemon;
mod disk;
mod flood;
mod following;
mod gist;
mod hosted;
mod link;
pub mod load;
mod patience;
mod pulse;
mod raw;
mod requests;
mod teller;
mod ticks;
pub mod web;
mod witness;

pub use admins::{Admin, Tally, is_refused_for_storage};
pub use chance::Chance;
pub use copy::{Copy, Follower};
pub use crowd::{Account, Crowd, Doing};
pub use daemon::{Daemon, binary, free_port, metric_of};
pub use disk::DiskProbe;
pub use flood::Flood;
pub use following::Following;
pub use gist::Gist;
pub use hosted::{Hosted, start_in_memory};
pub use link::Link;
pub use patience::eventually;
pub use pulse::{Beat, Pulse};
pub use raw::{RawConnection, RawStream};
pub use requests::{Shown, acquire, create, report_of, run_of, selecting, states_in};
pub use teller::{Counted, Teller};
pub use witness::{Sighting, Witness, history_after};

use breaker_proto::v1::breaker_admin_client::BreakerAdminClient;
use breaker_proto::v1::breaker_monitor_client::BreakerMonitorClient;
use breaker_proto::v1::breaker_service_client::BreakerServiceClient;
use tonic::transport::{Channel, Endpoint};

/// The clients of one server, over one connection.
#[derive(Clone, Debug)]
pub struct Clients {
    /// What replicas call.
    pub breakers: BreakerServiceClient<Channel>,
    /// What admins call.
    pub admin: BreakerAdminClient<Channel>,
    /// What people look at.
    pub monitor: BreakerMonitorClient<Channel>,
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
            admin: BreakerAdminClient::new(channel.clone()),
            monitor: BreakerMonitorClient::new(channel),
        })
    }
}
