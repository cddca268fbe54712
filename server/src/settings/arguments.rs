//! The flags, and the variables that stand for them.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Parser, Subcommand, ValueEnum};
use serde::Deserialize;

use crate::logging::LogFormat;

/// Keeps the circuit-breaker state of a whole fleet in one place.
///
/// Every option can also be set by a variable, or by a key of the same name (with `_` for `-`) in
/// a TOML file; a flag wins over a variable, and a variable over the file. The table `[defaults]`
/// of the file holds the configuration of breakers that have none of their own.
#[derive(Clone, Debug, Default, Parser)]
#[command(name = "breakerd", version, about)]
pub struct Arguments {
    #[command(flatten)]
    pub(super) options: CommandLine,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What to do instead of serving.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum Command {
    /// Bring the tables of the database up to date, say what was done, and exit. A server does so
    /// at its start unless told `--migrations=check`.
    Migrate,
    /// Check flags, variables and file, say what they amount to, and exit.
    CheckConfig,
}

#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct CommandLine {
    /// A TOML file with settings.
    #[arg(long, env = "BREAKERD_CONFIG", value_name = "FILE", global = true)]
    pub(super) config: Option<PathBuf>,
    /// Where state is kept: `sqlite://FILE`, `postgres://USER:PASSWORD@HOST/DATABASE`, or `memory:`
    /// for nowhere [default: sqlite://breakerd.db]
    #[arg(long, env = "BREAKERD_DATABASE", value_name = "URL", global = true)]
    pub(super) database: Option<String>,
    /// Where gRPC listens; port 0 takes a free one [default: 127.0.0.1:7420]
    #[arg(long, env = "BREAKERD_LISTEN", value_name = "ADDRESS", global = true)]
    pub(super) listen: Option<SocketAddr>,
    /// Where clients and the other servers of a Postgres database reach gRPC, `HOST:PORT` [default:
    /// what --listen says, with the name of this machine if that is every address]
    #[arg(long, env = "BREAKERD_ADVERTISE", value_name = "ADDRESS", global = true)]
    pub(super) advertise: Option<String>,
    /// How long the lead among the servers of a Postgres database lasts without a sign of life; one
    /// that stands by takes over soon after [default: 3s]
    #[arg(long, env = "BREAKERD_LEASE", value_name = "DURATION", global = true)]
    pub(super) lease: Option<String>,
    /// What is done about tables that are not up to date [default: apply]
    #[arg(long, env = "BREAKERD_MIGRATIONS", value_enum, global = true)]
    pub(super) migrations: Option<MigrationsSetting>,
    /// Where HTTP listens: dashboard, JSON API, /healthz, /readyz, /metrics [default: 127.0.0.1:7421]
    #[arg(long, env = "BREAKERD_HTTP_LISTEN", value_name = "ADDRESS", global = true)]
    pub(super) http_listen: Option<SocketAddr>,
    /// Whether requests over HTTP may change anything [default: write]
    #[arg(long, env = "BREAKERD_HTTP_ACCESS", value_enum, global = true)]
    pub(super) http_access: Option<HttpAccess>,
    /// A name under which browsers reach HTTP where it listens on loopback: that of a proxy on this
    /// machine. Can be given several times [default: localhost, and what --advertise says]
    #[arg(
        long = "http-host",
        env = "BREAKERD_HTTP_HOSTS",
        value_name = "NAME",
        value_delimiter = ',',
        global = true
    )]
    pub(super) http_hosts: Option<Vec<String>>,
    /// Breakers that /metrics shows one by one: a name, or a glob. Can be given several times
    /// [default: none]
    #[arg(
        long,
        env = "BREAKERD_METRICS_BREAKERS",
        value_name = "SELECTOR",
        value_delimiter = ',',
        global = true
    )]
    pub(super) metrics_breakers: Option<Vec<String>>,
    /// Most breakers that /metrics shows one by one; the first by name, up to 10000 [default: 100]
    #[arg(long, env = "BREAKERD_METRICS_MAX_BREAKERS", value_name = "COUNT", global = true)]
    pub(super) metrics_max_breakers: Option<usize>,
    /// A collector of OpenTelemetry, `http://HOST:PORT` of its gRPC, that spans of calls and the
    /// numbers of /metrics are sent to [default: none]
    #[arg(long, env = "BREAKERD_OTLP_ENDPOINT", value_name = "URL", global = true)]
    pub(super) otlp_endpoint: Option<String>,
    /// The share of calls that are traced, 0 to 1, where clients say nothing about it; a client that
    /// sends a W3C trace context decides itself [default: 0.01]
    #[arg(long, env = "BREAKERD_OTLP_SAMPLE", value_name = "SHARE", global = true)]
    pub(super) otlp_sample: Option<f64>,
    /// Most breakers at a time [default: 1000000]
    #[arg(long, env = "BREAKERD_MAX_BREAKERS", value_name = "COUNT", global = true)]
    pub(super) max_breakers: Option<usize>,
    /// Most gRPC connections at a time; any more are refused and closed [default: 10000]
    #[arg(long, env = "BREAKERD_MAX_CONNECTIONS", value_name = "COUNT", global = true)]
    pub(super) max_connections: Option<usize>,
    /// Most watch streams at a time; any more are refused [default: 100000]
    #[arg(long, env = "BREAKERD_MAX_WATCH_STREAMS", value_name = "COUNT", global = true)]
    pub(super) max_watch_streams: Option<usize>,
    /// Calls of Acquire and Report that one connection may make in a second, or `off`
    /// [default: off]
    #[arg(long, env = "BREAKERD_CLIENT_RATE", value_name = "COUNT", global = true)]
    pub(super) client_rate: Option<String>,
    /// While calls wait for longer than this for the server, it refuses some of them, so that the
    /// others are answered in time; 1ms or more, or `off` [default: 50ms]
    #[arg(long, env = "BREAKERD_MAX_QUEUE_DELAY", value_name = "DURATION", global = true)]
    pub(super) max_queue_delay: Option<String>,
    /// What happens at the first use of a breaker that does not exist [default: create]
    #[arg(long, env = "BREAKERD_UNKNOWN_BREAKERS", value_enum, global = true)]
    pub(super) unknown_breakers: Option<UnknownBreakersSetting>,
    /// How long a breaker that was made by its first use stays without any other, unless an admin
    /// has configured it, or it is under an override or not CLOSED; 1s or more, or `off`
    /// [default: 24h]
    #[arg(long, env = "BREAKERD_IDLE_TTL", value_name = "DURATION", global = true)]
    pub(super) idle_ttl: Option<String>,
    /// How long transitions are kept, at least; 1m or more [default: 30d]
    #[arg(long, env = "BREAKERD_HISTORY_RETENTION", value_name = "DURATION", global = true)]
    pub(super) history_retention: Option<String>,
    /// What so many breakers did in the last half hour is kept for people to look at, of those that
    /// are used most lately; each takes up to 25 kB, and 0 turns it off [default: 2000]
    #[arg(long, env = "BREAKERD_MONITOR_SERIES", value_name = "COUNT", global = true)]
    pub(super) monitor_series: Option<usize>,
    /// Listen beyond loopback although nobody is asked who they are.
    #[arg(long, env = "BREAKERD_INSECURE", value_parser = BoolishValueParser::new(), global = true)]
    pub(super) insecure: bool,
    /// How log lines look [default: auto]
    #[arg(long, env = "BREAKERD_LOG_FORMAT", value_enum, global = true)]
    pub(super) log_format: Option<LogFormat>,
    /// Which log lines come out, as `level` or `target=level,…` [default: info]
    #[arg(long, env = "BREAKERD_LOG", value_name = "FILTER", global = true)]
    pub(super) log: Option<String>,
}

/// Whether requests over HTTP may change anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HttpAccess {
    /// They may look.
    Read,
    /// They may look and change.
    #[default]
    Write,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum UnknownBreakersSetting {
    /// It is created.
    Create,
    /// The call fails with NOT_FOUND.
    Refuse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum MigrationsSetting {
    /// They are brought up to date.
    Apply,
    /// The server does not start; somebody runs `breakerd migrate`.
    Check,
}
