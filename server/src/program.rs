//! The program: from the arguments to the exit.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use breaker_engine::{Selector, SystemClock};
use serde_json::json;
use tracing_subscriber::EnvFilter;

use crate::logging;
use crate::otlp::Otlp;
use crate::server::Server;
use crate::settings::{Arguments, Command, Settings};
use crate::shutdown::StopSignals;

const DAY_S: u64 = 24 * 60 * 60;

/// Serves until told to stop, or does what the arguments ask for instead.
///
/// # Errors
/// What kept the server from starting, from going on or from writing everything at its end.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let command = arguments.command;
    let settings = Settings::settle(arguments)?;
    let filter = EnvFilter::try_new(&settings.log)
        .map_err(|error| anyhow!("--log {:?} is not a log filter: {error}", settings.log))?;
    match command {
        Some(Command::CheckConfig) => {
            print!("{}", described(&settings));
            for warning in settings.defaults.warnings() {
                eprintln!("warning: in [defaults], {warning}");
            }
            Ok(())
        }
        Some(Command::Migrate) => {
            let applied = breaker_store::migrate(&settings.database).await?;
            for migration in &applied {
                println!("applied {migration}");
            }
            println!("{} is up to date", without_password(&settings.database));
            Ok(())
        }
        None => {
            logging::start(settings.log_format, filter);
            serve(settings).await
        }
    }
}

async fn serve(settings: Settings) -> anyhow::Result<()> {
    let database = without_password(&settings.database);
    for warning in settings.defaults.warnings() {
        tracing::warn!(%warning, "a value of [defaults] makes no sense");
    }
    // Whoever reads that the server listens may stop it at once.
    let mut stop = StopSignals::listen()?;
    let mut server = tokio::select! {
        started = Server::start(settings, Arc::new(SystemClock::start())) => started?,
        () = stop.next() => {
            tracing::info!("stopped before it had started");
            return Ok(());
        }
    };
    print!("{}", welcome(&server, &database));
    let failed = tokio::select! {
        () = stop.next() => None,
        task = server.failed() => Some(task),
    };
    if let Some(task) = failed {
        anyhow::bail!(task);
    }
    tracing::info!("draining: streams end, everything is written");
    tokio::select! {
        stopped = server.shut_down() => {
            stopped.map_err(|error| anyhow!("not everything could be written: {error}"))?;
        }
        () = stop.next() => {
            anyhow::bail!("told twice to stop: ended before everything was written");
        }
    }
    tracing::info!("stopped; everything is written");
    Ok(())
}

fn welcome(server: &Server, database: &str) -> String {
    let (grpc, http) = (server.grpc_address(), server.http_address());
    format!(
        "breakerd {version} on {database}: {role}
grpc listening on {grpc}
http listening on {http}

Try, in another terminal:
  cargo install --path client/cli                        # breakerctl, once
  export BREAKERD_ADDRESS={grpc}
  breakerctl watch                                       # every change, as it happens
  breakerctl run demo/shop -- false                      # a guarded command that fails; five times open the breaker
  breakerctl list                                        # what the fleet knows now
  breakerctl force-open demo/shop --reason maintenance   # stops every replica at once
  breakerctl release demo/shop
  curl http://{http}/metrics
",
        version = env!("CARGO_PKG_VERSION"),
        role = server.role(),
    )
}

/// A URL of a database as it can be shown.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    // Parameters can hold one, too, and a password any character but these.
    let (place, _) = rest.split_once('?').unwrap_or((rest, ""));
    match place.rsplit_once('@') {
        Some((user, place)) => {
            let (user, _) = user.split_once(':').unwrap_or((user, ""));
            format!("{scheme}://{user}@{place}")
        }
        None => format!("{scheme}://{place}"),
    }
}

/// A duration in days where it is one in days: people do not count in months of 30.44.
fn days_text(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds % DAY_S == 0 && duration.subsec_nanos() == 0 => {
            format!("{}d", seconds / DAY_S)
        }
        _ => breaker_wire::duration_text(duration),
    }
}

fn described(settings: &Settings) -> String {
    let defaults = breaker_wire::patch_to_value(&settings.defaults.values());
    // Written as one file, because tables within the table are named by it.
    let mut alerts = breaker_wire::alerts_to_value(&settings.defaults.alert_rules().to_patch());
    alerts["storage_degraded"] = settings
        .storage_degraded
        .map_or(false.into(), |limit| breaker_wire::duration_text(limit).into());
    let table = json!({ "defaults": defaults, "alerts": alerts });
    let table = toml::to_string(&table).unwrap_or_default();
    let receivers = settings.receivers.iter();
    let receivers: String =
        receivers.map(|receiver| format!("\n# alerts go to {}", receiver.shown())).collect();
    let advertise = settings.advertise.as_ref();
    let advertise = advertise.map_or(String::new(), |address| format!("advertise = {address:?}\n"));
    let otlp = settings.otlp.as_ref().map_or(String::new(), |Otlp { endpoint, sample }| {
        format!("otlp_endpoint = {endpoint:?}\notlp_sample = {sample:?}\n")
    });
    format!(
        "The configuration is good:
database = \"{}\"
listen = \"{}\"
http_listen = \"{}\"
http_access = \"{}\"
http_hosts = {}
metrics_breakers = {}
metrics_max_breakers = {}
{otlp}{advertise}lease = \"{}\"
migrations = \"{}\"
max_breakers = {}
max_connections = {}
max_watch_streams = {}
client_rate = {}
max_queue_delay = \"{}\"
unknown_breakers = \"{}\"
idle_ttl = \"{}\"
history_retention = \"{}\"
monitor_series = {}

{table}{receivers}",
        without_password(&settings.database),
        settings.listen,
        settings.http_listen,
        settings.http_access_word(),
        json!(settings.http_hosts),
        json!(settings.metrics_breakers.iter().map(Selector::as_str).collect::<Vec<_>>()),
        settings.metrics_max_breakers,
        humantime::format_duration(settings.lease),
        settings.migrations_word(),
        settings.max_breakers,
        settings.max_connections,
        settings.max_watch_streams,
        settings.client_rate.map_or("\"off\"".to_owned(), |rate| rate.to_string()),
        settings.max_queue_delay.map_or("off".to_owned(), breaker_wire::duration_text),
        settings.unknown_breakers_word(),
        settings.idle_ttl.map_or("off".to_owned(), days_text),
        days_text(settings.history_retention),
        settings.monitor_series,
    )
}
