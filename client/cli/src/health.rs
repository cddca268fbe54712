//! Asks every server by itself whether it lives, and whether it leads.

use breaker_client::servers::{Address, Servers};
use clap::Args;
use serde_json::json;
use tokio::time::timeout;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::error::{Error, exit};
use crate::output::Format;
use crate::{Context, output};

#[derive(Debug, Args)]
pub struct HealthArguments {
    /// Be content with servers that stand by: exit with 0 if every one of them answers. For the
    /// health check of a container, which must not restart a server for not leading.
    #[arg(long)]
    alive: bool,
}

impl HealthArguments {
    /// The code to exit with: 0 if every server answers and one serves.
    pub(crate) async fn command(
        &self,
        context: &Context,
        addresses: &[Address],
    ) -> anyhow::Result<u8> {
        let mut answers = Vec::new();
        for address in addresses {
            answers.push((address.as_str(), ask(context, address).await?));
        }
        match context.format {
            Format::Json => {
                for (address, status) in &answers {
                    let status = status.as_ref().map_or("UNREACHABLE", |s| s.as_str_name());
                    output::line(json!({ "address": address, "status": status }))?;
                }
            }
            Format::Table => {
                let row = |(address, status): &(&str, Option<ServingStatus>)| {
                    [(*address).to_owned(), told(*status).to_owned()]
                };
                output::table(["server", "status"], answers.iter().map(row))?;
            }
        }
        let all_answer = answers.iter().all(|(_, status)| status.is_some());
        let one_serves = answers.iter().any(|(_, status)| *status == Some(ServingStatus::Serving));
        let is_good = all_answer && (self.alive || one_serves);
        Ok(if is_good { exit::OK } else { exit::UNAVAILABLE })
    }
}

fn told(status: Option<ServingStatus>) -> &'static str {
    match status {
        Some(ServingStatus::Serving) => "serving",
        Some(ServingStatus::NotServing) => "alive; stands by, or goes down",
        Some(_) => "alive; says nothing of itself",
        None => "does not answer",
    }
}

/// What one server says; `None` if it does not answer.
async fn ask(context: &Context, address: &Address) -> Result<Option<ServingStatus>, Error> {
    let patience = context.connection.timeout();
    let servers = Servers::new([address.clone()], patience)
        .map_err(|error| Error::Usage(error.to_string()))?;
    let mut health = HealthClient::new(servers.begin().server().channel());
    let answer = timeout(patience, health.check(HealthCheckRequest::default())).await;
    Ok(answer.ok().and_then(Result::ok).map(|response| response.get_ref().status()))
}
