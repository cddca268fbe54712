//! What `deploy/compose.yaml` starts, started as processes: no container can be built everywhere,
//! but its servers, their settings and their health check can run.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, ensure};
use breaker_tests::{Daemon, binary};
use serde_json::Value;
use throwaway_postgres::Database;

struct Service {
    name: String,
    /// The flags that its variables stand for.
    settings: Vec<(String, String)>,
    published: Vec<String>,
}

fn deploy(file: &str) -> anyhow::Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(file);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// The services that run breakerd.
fn services() -> anyhow::Result<Vec<Service>> {
    let mut file: serde_norway::Value = serde_norway::from_str(&deploy("compose.yaml")?)?;
    file.apply_merge()?;
    let file = serde_json::to_value(file)?;
    let services = file["services"].as_object().context("the file has services")?;
    let ours = services.iter().filter(|(_, service)| service["image"] == "breakerd");
    ours.map(|(name, service)| {
        let variables = service["environment"].as_object().context("it has an environment")?;
        let setting = |(variable, value): (&String, &Value)| {
            let flag = variable.strip_prefix("BREAKERD_").context("another program's variable")?;
            let value = value.as_str().context("variables are texts")?.to_owned();
            Ok((flag.to_lowercase().replace('_', "-"), value))
        };
        let settings = variables.iter().map(setting).collect::<anyhow::Result<_>>()?;
        let ports = service["ports"].as_array().context("it publishes ports")?;
        let published = ports.iter().filter_map(|port| port.as_str().map(str::to_owned)).collect();
        Ok(Service { name: name.clone(), settings, published })
    })
    .collect()
}

impl Service {
    fn setting(&self, name: &str) -> anyhow::Result<&str> {
        let found = self.settings.iter().find(|(setting, _)| setting == name);
        found.map(|(_, value)| value.as_str()).with_context(|| format!("{}: {name}", self.name))
    }

    /// Starts it on this machine, with what differs between machines replaced.
    fn start(&self, database: &Database) -> anyhow::Result<Daemon> {
        // Nobody else is told of the port before it is used again.
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let mut arguments = Vec::new();
        for (name, value) in &self.settings {
            let value = match name.as_str() {
                "database" => continue,
                "listen" | "advertise" => listen.clone(),
                "http-listen" => "127.0.0.1:0".to_owned(),
                // A switch has no value on the command line.
                "insecure" => {
                    arguments.push("--insecure".to_owned());
                    continue;
                }
                _ => value.clone(),
            };
            arguments.extend([format!("--{name}"), value]);
        }
        Daemon::start_on(&database.url, arguments)
    }
}

fn health(addresses: &str, arguments: &[&str]) -> anyhow::Result<ExitStatus> {
    let breakerctl = Command::new(binary("breakerctl")?)
        .args(["--address", addresses])
        .args(arguments)
        .output()?;
    Ok(breakerctl.status)
}

/// The health check of the image, without the quotes and commas of its list.
fn health_check() -> anyhow::Result<Vec<String>> {
    let file = deploy("Dockerfile")?;
    let line = file.lines().find(|line| line.trim_start().starts_with("CMD ["));
    let list = line.context("there is a health check")?.trim().trim_start_matches("CMD ");
    let words: Vec<String> = serde_json::from_str(list)?;
    ensure!(words[0] == "breakerctl", "{words:?}");
    Ok(words[1..].to_vec())
}

#[test]
fn every_service_is_reached_where_it_says() -> anyhow::Result<()> {
    let services = services()?;
    assert_eq!(services.len(), 2);
    for service in &services {
        let (_, port) = service.setting("listen")?.rsplit_once(':').context("a port")?;
        assert_eq!(service.setting("advertise")?, format!("{}:{port}", service.name));
        let (_, http) = service.setting("http-listen")?.rsplit_once(':').context("a port")?;
        for inner in [port, http] {
            let is_published = |published: &String| {
                published.starts_with("127.0.0.1:") && published.ends_with(&format!(":{inner}"))
            };
            assert!(service.published.iter().any(is_published), "{}: {inner}", service.name);
        }
        assert!(service.setting("database")?.starts_with("postgres://"));
    }
    Ok(())
}

#[test]
fn one_of_its_servers_leads_and_the_other_takes_over() -> anyhow::Result<()> {
    let database = Database::in_shared_cluster()?;
    let services = services()?;
    let first = services[0].start(&database)?;
    let second = services[1].start(&database)?;
    let both = format!("{},{}", first.grpc, second.grpc);
    assert!(health(&both, &["health"])?.success());
    assert!(!health(&second.grpc, &["health"])?.success(), "it stands by");
    let check = health_check()?;
    let check: Vec<_> = check.iter().map(String::as_str).collect();
    for server in [&first, &second] {
        assert!(health(&server.grpc, &check)?.success(), "both are alive");
    }
    let address = first.grpc.clone();
    first.kill()?;
    assert!(!health(&address, &check)?.success());
    // A lease of 3 s, asked ten times a second.
    for _ in 0..200 {
        if health(&second.grpc, &["health"])?.success() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    anyhow::bail!("nobody takes over")
}
