use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use breaker_core::Violation;
use thiserror::Error;

use super::MAX_MONITOR_SERIES;
use crate::notify::ReceiverError;

/// Why the settings were refused.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("in the configuration file {}: {source}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// Values of the breakers' default configuration.
    #[error("in [defaults] of the configuration file:{}", lines(.0))]
    Defaults(Vec<Violation>),
    /// Values of the rules of alerts.
    #[error("in [alerts] of the configuration file:{}", lines(.0))]
    Alerts(Vec<Violation>),
    /// Who is to be told of alerts.
    #[error("in [[receivers]] of the configuration file: {0}")]
    Receivers(#[from] ReceiverError),
    /// An address beyond loopback.
    #[error(
        "{option} {address} is reachable from other machines, and nobody is asked who they are; \
             listen on 127.0.0.1, or say --insecure if the network is trusted"
    )]
    NotLoopback {
        /// The option.
        option: &'static str,
        /// Its value.
        address: SocketAddr,
    },
    /// There would be no room for a single breaker.
    #[error("max_breakers is 0; it must be 1 or more")]
    NoBreakers,
    /// Nobody could connect.
    #[error("max_connections is 0; it must be 1 or more")]
    NoConnections,
    /// Nobody could watch.
    #[error("max_watch_streams is 0; it must be 1 or more")]
    NoWatchStreams,
    /// They would take too much memory.
    #[error("monitor_series is {0}; it must be {MAX_MONITOR_SERIES} or less, or 0 for none")]
    MonitorSeries(usize),
    /// Not a number of calls.
    #[error("client_rate is `{0}`; it must be 1 to 4294967295 calls a second, or `off`")]
    ClientRate(String),
    /// Not a duration that calls can wait for.
    #[error(
        "max_queue_delay is `{0}`; it must be a duration of 1ms or more, such as 50ms, or `off`"
    )]
    MaxQueueDelay(String),
    /// Not a duration that a breaker can stay without use.
    #[error("idle_ttl is `{0}`; it must be a duration of 1s or more, such as 24h, or `off`")]
    IdleTtl(String),
    /// Not a duration that a lease can have.
    #[error("lease is `{0}`; it must be a duration from 1s to 60s, such as 3s")]
    Lease(String),
    /// Not an address that others could use.
    #[error("advertise is `{0}`; it must be HOST:PORT as others reach this server")]
    Advertise(String),
    /// Not a name that a browser could ask for.
    #[error(
        "http_hosts has `{0}`; it must be the name of a host without scheme and port, such as \
         breakers.example.com"
    )]
    HttpHost(String),
    /// Neither a name nor a glob.
    #[error("metrics_breakers has `{selector}`: {problem}")]
    MetricsBreakers {
        /// The text.
        selector: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Too few, or more than a page of metrics can hold.
    #[error("metrics_max_breakers is {0}; it must be 1 to 10000")]
    MetricsMaxBreakers(usize),
    /// Not where a collector could be.
    #[error("otlp_endpoint is `{0}`; it must be http://HOST:PORT of a collector's gRPC")]
    OtlpEndpoint(String),
    /// Not a share.
    #[error("otlp_sample is {0}; it must be a share of the calls, 0 to 1")]
    OtlpSample(f64),
    /// Transitions cannot be kept for so long.
    #[error("history_retention: {0}")]
    HistoryRetention(String),
}

fn lines(violations: &[Violation]) -> String {
    violations.iter().map(|violation| format!("\n  {violation}")).collect()
}
