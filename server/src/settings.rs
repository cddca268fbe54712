//! What the server is started with: flags over `BREAKERD_*` variables over a TOML file over
//! defaults.

mod arguments;
mod error;

use std::fs;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use axum::http::Uri;
use axum::http::uri::Authority;
use breaker_core::{AlertPatch, ConfigPatch, Violation};
use breaker_engine::{Defaults, Selector, UnknownBreakers};
use breaker_store::MigrationMode;
use serde::Deserialize;

use self::arguments::{MigrationsSetting, UnknownBreakersSetting};
use crate::identity;
use crate::logging::LogFormat;
use crate::notify::{Receiver, ReceiverSettings};
use crate::otlp::Otlp;

pub use self::arguments::Arguments;
pub(crate) use self::arguments::{Command, HttpAccess};
pub use self::error::SettingsError;

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

#[cfg(test)]
mod tests;
