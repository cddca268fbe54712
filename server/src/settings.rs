//! What the server is started with: flags over `BREAKERD_*` variables over a TOML file over
//! defaults.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use axum::http::Uri;
use axum::http::uri::Authority;
use breaker_core::{AlertPatch, ConfigPatch, Violation};
use breaker_engine::{Defaults, Selector, UnknownBreakers};
use breaker_store::MigrationMode;
use clap::builder::BoolishValueParser;
use clap::{Parser, Subcommand, ValueEnum};
use serde::Deserialize;
use thiserror::Error;

use crate::identity;
use crate::logging::LogFormat;
use crate::notify::{Receiver, ReceiverError, ReceiverSettings};
use crate::otlp::Otlp;

/// Most breakers, unless told otherwise. An idle one takes less than a kilobyte.
const DEFAULT_MAX_BREAKERS: usize = 1_000_000;
/// Most connections, unless told otherwise. Each takes a file handle, and some kilobytes.
const DEFAULT_MAX_CONNECTIONS: usize = 10_000;
/// Most watch streams, unless told otherwise. Each takes some kilobytes.
const DEFAULT_MAX_WATCH_STREAMS: usize = 100_000;
/// How long calls may wait before some are refused, unless told otherwise, and at least.
const DEFAULT_MAX_QUEUE_DELAY: Duration = Duration::from_millis(50);
const MIN_MAX_QUEUE_DELAY: Duration = Duration::from_millis(1);
/// How long a breaker that was made by its first use stays without any other, unless told otherwise,
/// and at least.
const DEFAULT_IDLE_TTL: Duration = Duration::from_hours(24);
const MIN_IDLE_TTL: Duration = Duration::from_secs(1);
/// Of how many breakers the monitor keeps samples, unless told otherwise, and at most: each takes up
/// to 25 kilobytes.
const DEFAULT_MONITOR_SERIES: usize = 2_000;
const MAX_MONITOR_SERIES: usize = 100_000;
/// Most breakers that the page of metrics shows one by one, unless told otherwise, and what that can
/// be. Each has a dozen lines.
const DEFAULT_METRICS_MAX_BREAKERS: usize = 100;
const METRICS_MAX_BREAKERS: RangeInclusive<usize> = 1..=10_000;
/// The share of the calls that are traced, unless told otherwise.
const DEFAULT_OTLP_SAMPLE: f64 = 0.01;
/// How a limit is turned off.
const OFF: &str = "off";
/// How long the lead lasts without a sign of life, unless told otherwise.
const DEFAULT_LEASE: Duration = Duration::from_secs(3);
/// What it can last. A shorter one would be lost whenever a machine is busy.
const LEASES: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60);

/// How long storage fails before there is an alert, unless told otherwise, and what can be told.
const DEFAULT_STORAGE_DEGRADED: Duration = Duration::from_secs(30);
const STORAGE_DEGRADED: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_hours(24);

/// How long transitions are kept, unless told otherwise, and at least.
const DEFAULT_RETENTION: Duration = Duration::from_hours(30 * 24);
const MIN_RETENTION: Duration = Duration::from_mins(1);

/// Keeps the circuit-breaker state of a whole fleet in one place.
///
/// Every option can also be set by a variable, or by a key of the same name (with `_` for `-`) in
/// a TOML file; a flag wins over a variable, and a variable over the file. The table `[defaults]`
/// of the file holds the configuration of breakers that have none of their own.
#[derive(Clone, Debug, Default, Parser)]
#[command(name = "breakerd", version, about)]
pub struct Arguments {
    #[command(flatten)]
    options: CommandLine,
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
struct CommandLine {
    /// A TOML file with settings.
    #[arg(long, env = "BREAKERD_CONFIG", value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Where state is kept: `sqlite://FILE`, `postgres://USER:PASSWORD@HOST/DATABASE`, or `memory:`
    /// for nowhere [default: sqlite://breakerd.db]
    #[arg(long, env = "BREAKERD_DATABASE", value_name = "URL", global = true)]
    database: Option<String>,
    /// Where gRPC listens; port 0 takes a free one [default: 127.0.0.1:7420]
    #[arg(long, env = "BREAKERD_LISTEN", value_name = "ADDRESS", global = true)]
    listen: Option<SocketAddr>,
    /// Where clients and the other servers of a Postgres database reach gRPC, `HOST:PORT` [default:
    /// what --listen says, with the name of this machine if that is every address]
    #[arg(long, env = "BREAKERD_ADVERTISE", value_name = "ADDRESS", global = true)]
    advertise: Option<String>,
    /// How long the lead among the servers of a Postgres database lasts without a sign of life; one
    /// that stands by takes over soon after [default: 3s]
    #[arg(long, env = "BREAKERD_LEASE", value_name = "DURATION", global = true)]
    lease: Option<String>,
    /// What is done about tables that are not up to date [default: apply]
    #[arg(long, env = "BREAKERD_MIGRATIONS", value_enum, global = true)]
    migrations: Option<MigrationsSetting>,
    /// Where HTTP listens: dashboard, JSON API, /healthz, /readyz, /metrics [default: 127.0.0.1:7421]
    #[arg(long, env = "BREAKERD_HTTP_LISTEN", value_name = "ADDRESS", global = true)]
    http_listen: Option<SocketAddr>,
    /// Whether requests over HTTP may change anything [default: write]
    #[arg(long, env = "BREAKERD_HTTP_ACCESS", value_enum, global = true)]
    http_access: Option<HttpAccess>,
    /// A name under which browsers reach HTTP where it listens on loopback: that of a proxy on this
    /// machine. Can be given several times [default: localhost, and what --advertise says]
    #[arg(
        long = "http-host",
        env = "BREAKERD_HTTP_HOSTS",
        value_name = "NAME",
        value_delimiter = ',',
        global = true
    )]
    http_hosts: Option<Vec<String>>,
    /// Breakers that /metrics shows one by one: a name, or a glob. Can be given several times
    /// [default: none]
    #[arg(
        long,
        env = "BREAKERD_METRICS_BREAKERS",
        value_name = "SELECTOR",
        value_delimiter = ',',
        global = true
    )]
    metrics_breakers: Option<Vec<String>>,
    /// Most breakers that /metrics shows one by one; the first by name, up to 10000 [default: 100]
    #[arg(long, env = "BREAKERD_METRICS_MAX_BREAKERS", value_name = "COUNT", global = true)]
    metrics_max_breakers: Option<usize>,
    /// A collector of OpenTelemetry, `http://HOST:PORT` of its gRPC, that spans of calls and the
    /// numbers of /metrics are sent to [default: none]
    #[arg(long, env = "BREAKERD_OTLP_ENDPOINT", value_name = "URL", global = true)]
    otlp_endpoint: Option<String>,
    /// The share of calls that are traced, 0 to 1, where clients say nothing about it; a client that
    /// sends a W3C trace context decides itself [default: 0.01]
    #[arg(long, env = "BREAKERD_OTLP_SAMPLE", value_name = "SHARE", global = true)]
    otlp_sample: Option<f64>,
    /// Most breakers at a time [default: 1000000]
    #[arg(long, env = "BREAKERD_MAX_BREAKERS", value_name = "COUNT", global = true)]
    max_breakers: Option<usize>,
    /// Most gRPC connections at a time; any more are refused and closed [default: 10000]
    #[arg(long, env = "BREAKERD_MAX_CONNECTIONS", value_name = "COUNT", global = true)]
    max_connections: Option<usize>,
    /// Most watch streams at a time; any more are refused [default: 100000]
    #[arg(long, env = "BREAKERD_MAX_WATCH_STREAMS", value_name = "COUNT", global = true)]
    max_watch_streams: Option<usize>,
    /// Calls of Acquire and Report that one connection may make in a second, or `off`
    /// [default: off]
    #[arg(long, env = "BREAKERD_CLIENT_RATE", value_name = "COUNT", global = true)]
    client_rate: Option<String>,
    /// While calls wait for longer than this for the server, it refuses some of them, so that the
    /// others are answered in time; 1ms or more, or `off` [default: 50ms]
    #[arg(long, env = "BREAKERD_MAX_QUEUE_DELAY", value_name = "DURATION", global = true)]
    max_queue_delay: Option<String>,
    /// What happens at the first use of a breaker that does not exist [default: create]
    #[arg(long, env = "BREAKERD_UNKNOWN_BREAKERS", value_enum, global = true)]
    unknown_breakers: Option<UnknownBreakersSetting>,
    /// How long a breaker that was made by its first use stays without any other, unless an admin
    /// has configured it, or it is under an override or not CLOSED; 1s or more, or `off`
    /// [default: 24h]
    #[arg(long, env = "BREAKERD_IDLE_TTL", value_name = "DURATION", global = true)]
    idle_ttl: Option<String>,
    /// How long transitions are kept, at least; 1m or more [default: 30d]
    #[arg(long, env = "BREAKERD_HISTORY_RETENTION", value_name = "DURATION", global = true)]
    history_retention: Option<String>,
    /// What so many breakers did in the last half hour is kept for people to look at, of those that
    /// are used most lately; each takes up to 25 kB, and 0 turns it off [default: 2000]
    #[arg(long, env = "BREAKERD_MONITOR_SERIES", value_name = "COUNT", global = true)]
    monitor_series: Option<usize>,
    /// Listen beyond loopback although nobody is asked who they are.
    #[arg(long, env = "BREAKERD_INSECURE", value_parser = BoolishValueParser::new(), global = true)]
    insecure: bool,
    /// How log lines look [default: auto]
    #[arg(long, env = "BREAKERD_LOG_FORMAT", value_enum, global = true)]
    log_format: Option<LogFormat>,
    /// Which log lines come out, as `level` or `target=level,…` [default: info]
    #[arg(long, env = "BREAKERD_LOG", value_name = "FILTER", global = true)]
    log: Option<String>,
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
enum UnknownBreakersSetting {
    /// It is created.
    Create,
    /// The call fails with NOT_FOUND.
    Refuse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
enum MigrationsSetting {
    /// They are brought up to date.
    Apply,
    /// The server does not start; somebody runs `breakerd migrate`.
    Check,
}

/// The keys of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    database: Option<String>,
    listen: Option<SocketAddr>,
    http_listen: Option<SocketAddr>,
    http_access: Option<HttpAccess>,
    http_hosts: Option<Vec<String>>,
    metrics_breakers: Option<Vec<String>>,
    metrics_max_breakers: Option<usize>,
    otlp_endpoint: Option<String>,
    otlp_sample: Option<f64>,
    advertise: Option<String>,
    lease: Option<String>,
    migrations: Option<MigrationsSetting>,
    max_breakers: Option<usize>,
    max_connections: Option<usize>,
    max_watch_streams: Option<usize>,
    client_rate: Option<toml::Value>,
    max_queue_delay: Option<String>,
    unknown_breakers: Option<UnknownBreakersSetting>,
    idle_ttl: Option<String>,
    history_retention: Option<String>,
    monitor_series: Option<usize>,
    insecure: Option<bool>,
    log_format: Option<LogFormat>,
    log: Option<String>,
    defaults: Option<serde_json::Value>,
    alerts: Option<serde_json::Value>,
    #[serde(default)]
    receivers: Vec<ReceiverSettings>,
}

/// What all of it amounts to.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where state is kept.
    pub database: String,
    /// Where gRPC listens.
    pub listen: SocketAddr,
    /// Where HTTP listens.
    pub http_listen: SocketAddr,
    /// Whether requests over HTTP may change anything.
    pub http_access: HttpAccess,
    /// The names under which browsers reach HTTP where it listens on loopback.
    pub http_hosts: Vec<String>,
    /// The breakers that /metrics shows one by one.
    pub metrics_breakers: Vec<Selector>,
    /// Most of them.
    pub metrics_max_breakers: usize,
    /// The collector of OpenTelemetry, and what it gets.
    pub otlp: Option<Otlp>,
    /// Where others reach gRPC, if not where it listens.
    pub advertise: Option<String>,
    /// How long the lead lasts without a sign of life.
    pub lease: Duration,
    /// What is done about tables that are not up to date.
    pub migrations: MigrationMode,
    /// Most breakers at a time.
    pub max_breakers: usize,
    /// Most gRPC connections at a time.
    pub max_connections: usize,
    /// Most watch streams at a time.
    pub max_watch_streams: usize,
    /// Calls of Acquire and Report that one connection may make in a second.
    pub client_rate: Option<NonZeroU32>,
    /// How long calls may wait for the server before it refuses some.
    pub max_queue_delay: Option<Duration>,
    /// What happens at the first use of a breaker that does not exist.
    pub unknown_breakers: UnknownBreakers,
    /// How long a breaker that was made by its first use stays without any other.
    pub idle_ttl: Option<Duration>,
    /// How long transitions are kept.
    pub history_retention: Duration,
    /// Of how many breakers samples are kept.
    pub monitor_series: usize,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Which log lines come out.
    pub log: String,
    /// For how long storage fails before there is an alert.
    pub storage_degraded: Option<Duration>,
    /// Who is told of alerts.
    pub(crate) receivers: Vec<Receiver>,
    /// The configuration of breakers that have none of their own.
    pub defaults: Defaults,
}

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

impl Settings {
    /// Settles the arguments, variables included, with the file that they name.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn settle(arguments: Arguments) -> Result<Self, SettingsError> {
        let options = arguments.options;
        let file = options.config.as_deref().map(read).transpose()?.unwrap_or_default();
        let defaults = file
            .defaults
            .map_or(Ok(ConfigPatch::default()), |value| breaker_wire::patch_from_value(&value));
        let defaults = defaults.and_then(Defaults::new).map_err(SettingsError::Defaults)?;
        let (alerts, storage_degraded) =
            alerts_of(file.alerts.unwrap_or_default()).map_err(SettingsError::Alerts)?;
        let defaults = defaults.with_alerts(alerts);
        let unknown = options.unknown_breakers.or(file.unknown_breakers);
        let retention = options.history_retention.or(file.history_retention);
        let settings = Self {
            history_retention: retention
                .map_or(Ok(DEFAULT_RETENTION), |text| retention_of(&text))
                .map_err(SettingsError::HistoryRetention)?,
            database: options.database.or(file.database).unwrap_or("sqlite://breakerd.db".into()),
            listen: options.listen.or(file.listen).unwrap_or(loopback(7420)),
            http_listen: options.http_listen.or(file.http_listen).unwrap_or(loopback(7421)),
            http_access: options.http_access.or(file.http_access).unwrap_or_default(),
            http_hosts: options
                .http_hosts
                .or(file.http_hosts)
                .unwrap_or_default()
                .into_iter()
                .map(http_host)
                .collect::<Result<_, _>>()?,
            metrics_breakers: options
                .metrics_breakers
                .or(file.metrics_breakers)
                .unwrap_or_default()
                .into_iter()
                .map(metrics_breakers)
                .collect::<Result<_, _>>()?,
            metrics_max_breakers: options
                .metrics_max_breakers
                .or(file.metrics_max_breakers)
                .unwrap_or(DEFAULT_METRICS_MAX_BREAKERS),
            otlp: otlp(
                options.otlp_endpoint.or(file.otlp_endpoint),
                options.otlp_sample.or(file.otlp_sample),
            )?,
            advertise: options.advertise.or(file.advertise).map(advertised).transpose()?,
            lease: options.lease.or(file.lease).map_or(Ok(DEFAULT_LEASE), |text| lease(&text))?,
            migrations: match options.migrations.or(file.migrations) {
                None | Some(MigrationsSetting::Apply) => MigrationMode::Apply,
                Some(MigrationsSetting::Check) => MigrationMode::Check,
            },
            max_breakers: options
                .max_breakers
                .or(file.max_breakers)
                .unwrap_or(DEFAULT_MAX_BREAKERS),
            max_connections: options
                .max_connections
                .or(file.max_connections)
                .unwrap_or(DEFAULT_MAX_CONNECTIONS),
            max_watch_streams: options
                .max_watch_streams
                .or(file.max_watch_streams)
                .unwrap_or(DEFAULT_MAX_WATCH_STREAMS),
            client_rate: options
                .client_rate
                .or(file.client_rate.map(plain_text))
                .map_or(Ok(None), |text| client_rate(&text))?,
            max_queue_delay: options
                .max_queue_delay
                .or(file.max_queue_delay)
                .map_or(Ok(Some(DEFAULT_MAX_QUEUE_DELAY)), |text| max_queue_delay(&text))?,
            unknown_breakers: match unknown.unwrap_or(UnknownBreakersSetting::Create) {
                UnknownBreakersSetting::Create => UnknownBreakers::Create,
                UnknownBreakersSetting::Refuse => UnknownBreakers::Refuse,
            },
            idle_ttl: options
                .idle_ttl
                .or(file.idle_ttl)
                .map_or(Ok(Some(DEFAULT_IDLE_TTL)), |text| idle_ttl(&text))?,
            monitor_series: options
                .monitor_series
                .or(file.monitor_series)
                .unwrap_or(DEFAULT_MONITOR_SERIES),
            log_format: options.log_format.or(file.log_format).unwrap_or_default(),
            log: options.log.or(file.log).unwrap_or("info".into()),
            storage_degraded,
            receivers: Receiver::check_all(file.receivers)?,
            defaults,
        };
        if settings.max_breakers == 0 {
            return Err(SettingsError::NoBreakers);
        }
        if !METRICS_MAX_BREAKERS.contains(&settings.metrics_max_breakers) {
            return Err(SettingsError::MetricsMaxBreakers(settings.metrics_max_breakers));
        }
        if settings.max_connections == 0 {
            return Err(SettingsError::NoConnections);
        }
        if settings.max_watch_streams == 0 {
            return Err(SettingsError::NoWatchStreams);
        }
        if settings.monitor_series > MAX_MONITOR_SERIES {
            return Err(SettingsError::MonitorSeries(settings.monitor_series));
        }
        if !options.insecure && !file.insecure.unwrap_or(false) {
            refuse_beyond_loopback("--listen", settings.listen)?;
            refuse_beyond_loopback("--http-listen", settings.http_listen)?;
        }
        Ok(settings)
    }

    /// Whether requests over HTTP may change anything, as it stands in a file.
    pub(crate) const fn http_access_word(&self) -> &'static str {
        match self.http_access {
            HttpAccess::Read => "read",
            HttpAccess::Write => "write",
        }
    }

    /// What is done about tables that are not up to date, as it stands in a file.
    pub(crate) const fn migrations_word(&self) -> &'static str {
        match self.migrations {
            MigrationMode::Apply => "apply",
            MigrationMode::Check => "check",
        }
    }

    /// Where clients and other servers reach gRPC, which listens at an address.
    pub(crate) fn advertised(&self, listening: SocketAddr) -> String {
        match &self.advertise {
            Some(address) => address.clone(),
            None if listening.ip().is_unspecified() => {
                format!("{}:{}", identity::host(), listening.port())
            }
            None => listening.to_string(),
        }
    }

    /// What happens at the first use of a breaker that does not exist, as it stands in a file.
    pub(crate) const fn unknown_breakers_word(&self) -> &'static str {
        match self.unknown_breakers {
            UnknownBreakers::Create => "create",
            UnknownBreakers::Refuse => "refuse",
        }
    }
}

/// The rules of alerts, and the one that is not about breakers and so of no policy.
fn alerts_of(
    mut table: serde_json::Value,
) -> Result<(AlertPatch, Option<Duration>), Vec<Violation>> {
    const KEY: &str = "storage_degraded";
    let storage = table.as_object_mut().and_then(|table| table.remove(KEY));
    let storage = match storage {
        None => Ok(Some(DEFAULT_STORAGE_DEGRADED)),
        Some(serde_json::Value::Bool(false)) => Ok(None),
        Some(value) => match value.as_str().map(breaker_wire::parse_duration) {
            Some(Ok(duration)) if STORAGE_DEGRADED.contains(&duration) => Ok(Some(duration)),
            _ => Err(Violation::new(
                KEY,
                format!("{value} is not a duration from 1s to 1d, such as \"30s\", or false"),
            )),
        },
    };
    let rules = match table {
        serde_json::Value::Null => Ok(AlertPatch::default()),
        table => breaker_wire::alerts_from_value(&table),
    };
    match (rules, storage) {
        (Ok(rules), Ok(storage)) => Ok((rules, storage)),
        (rules, storage) => {
            let refused = rules.err().into_iter().flatten();
            Err(refused.chain(storage.err()).collect())
        }
    }
}

fn advertised(address: String) -> Result<String, SettingsError> {
    let is_good = address.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse().is_ok_and(|port: u16| port > 0)
    }) && Uri::try_from(format!("http://{address}"))
        .is_ok_and(|uri| uri.path() == "/");
    if is_good { Ok(address) } else { Err(SettingsError::Advertise(address)) }
}

fn otlp(endpoint: Option<String>, sample: Option<f64>) -> Result<Option<Otlp>, SettingsError> {
    let sample = sample.unwrap_or(DEFAULT_OTLP_SAMPLE);
    if !(0.0..=1.0).contains(&sample) {
        return Err(SettingsError::OtlpSample(sample));
    }
    let Some(endpoint) = endpoint else { return Ok(None) };
    let is_good = endpoint.parse::<Uri>().is_ok_and(|uri| {
        uri.scheme_str() == Some("http") && uri.port().is_some() && uri.path() == "/"
    });
    if is_good {
        Ok(Some(Otlp { endpoint, sample }))
    } else {
        Err(SettingsError::OtlpEndpoint(endpoint))
    }
}

fn metrics_breakers(selector: String) -> Result<Selector, SettingsError> {
    Selector::parse(&selector)
        .map_err(|problem| SettingsError::MetricsBreakers { selector, problem })
}

fn http_host(name: String) -> Result<String, SettingsError> {
    match name.parse::<Authority>() {
        Ok(authority) if authority.host() == name => Ok(name),
        Ok(_) | Err(_) => Err(SettingsError::HttpHost(name)),
    }
}

/// A value of the file as it would be on the command line.
fn plain_text(value: toml::Value) -> String {
    match value {
        toml::Value::String(text) => text,
        other => other.to_string(),
    }
}

fn client_rate(text: &str) -> Result<Option<NonZeroU32>, SettingsError> {
    match text {
        OFF => Ok(None),
        _ => text.parse().map(Some).map_err(|_| SettingsError::ClientRate(text.to_owned())),
    }
}

fn max_queue_delay(text: &str) -> Result<Option<Duration>, SettingsError> {
    off_or_at_least(MIN_MAX_QUEUE_DELAY, text, SettingsError::MaxQueueDelay)
}

fn idle_ttl(text: &str) -> Result<Option<Duration>, SettingsError> {
    off_or_at_least(MIN_IDLE_TTL, text, SettingsError::IdleTtl)
}

fn off_or_at_least(
    least: Duration,
    text: &str,
    refused: fn(String) -> SettingsError,
) -> Result<Option<Duration>, SettingsError> {
    match breaker_wire::parse_duration(text) {
        _ if text == OFF => Ok(None),
        Ok(duration) if duration >= least => Ok(Some(duration)),
        Ok(_) | Err(_) => Err(refused(text.to_owned())),
    }
}

fn lease(text: &str) -> Result<Duration, SettingsError> {
    humantime::parse_duration(text)
        .ok()
        .filter(|lease| LEASES.contains(lease))
        .ok_or_else(|| SettingsError::Lease(text.to_owned()))
}

fn retention_of(text: &str) -> Result<Duration, String> {
    match breaker_wire::parse_duration(text)? {
        retention if retention < MIN_RETENTION => {
            Err(format!("`{text}` is too short; it must be 1m or more"))
        }
        retention => Ok(retention),
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn refuse_beyond_loopback(option: &'static str, address: SocketAddr) -> Result<(), SettingsError> {
    if address.ip().is_loopback() {
        Ok(())
    } else {
        Err(SettingsError::NotLoopback { option, address })
    }
}

fn read(path: &Path) -> Result<File, SettingsError> {
    let text = fs::read_to_string(path)
        .map_err(|source| SettingsError::Unreadable { path: path.to_owned(), source })?;
    toml::from_str(&text)
        .map_err(|source| SettingsError::Malformed { path: path.to_owned(), source: source.into() })
}

fn lines(violations: &[Violation]) -> String {
    violations.iter().map(|violation| format!("\n  {violation}")).collect()
}

#[cfg(test)]
mod tests;
