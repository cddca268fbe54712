//! The commands that look at policies and change them.

mod edit;

use breaker_proto::v1;
use clap::{Args, Subcommand};
use serde_json::json;

use self::edit::{CreateArguments, DeleteArguments, UpdateArguments};
use crate::connection::Connection;
use crate::error::Error;
use crate::output::{self, Format};
use crate::{Context, json, table};

/// Policies asked for at once: few enough that an answer stays small.
const PAGE_SIZE: u32 = 100;

#[derive(Debug, Args)]
pub struct PolicyArguments {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    /// Lists policies.
    List,
    /// Shows one policy.
    Get(GetArguments),
    /// Creates a policy.
    Create(CreateArguments),
    /// Changes a policy; its breakers follow at once and keep their state.
    Update(UpdateArguments),
    /// Deletes a policy; its breakers fall back to the next best one, or to the defaults.
    Delete(DeleteArguments),
    /// Shows how the configuration of a breaker comes about, be there such a breaker or not.
    Explain(ExplainArguments),
}

#[derive(Debug, Args)]
struct GetArguments {
    /// The name of the policy.
    name: String,
}

#[derive(Debug, Args)]
struct ExplainArguments {
    /// The name of the breaker.
    breaker: String,
}

impl PolicyArguments {
    pub(crate) async fn command(&self, context: &Context) -> anyhow::Result<()> {
        match &self.command {
            PolicyCommand::List => list(context).await,
            PolicyCommand::Get(arguments) => get(context, &arguments.name).await,
            PolicyCommand::Create(arguments) => arguments.command(context).await,
            PolicyCommand::Update(arguments) => arguments.command(context).await,
            PolicyCommand::Delete(arguments) => arguments.command(context).await,
            PolicyCommand::Explain(arguments) => explain(context, &arguments.breaker).await,
        }
    }
}

/// Every policy, by name.
pub(crate) async fn all(connection: &Connection) -> Result<Vec<v1::Policy>, Error> {
    let mut policies = Vec::new();
    let mut request = v1::ListPoliciesRequest { page_size: PAGE_SIZE, ..Default::default() };
    loop {
        let page = connection
            .admin(&request, async |mut admin, request| admin.list_policies(request).await)
            .await?;
        policies.extend(page.policies);
        if page.next_page_token.is_empty() {
            return Ok(policies);
        }
        request.page_token = page.next_page_token;
    }
}

async fn list(context: &Context) -> anyhow::Result<()> {
    let policies = all(&context.connection).await?;
    match context.format {
        Format::Json => output::objects(policies.iter().map(json::policy))?,
        Format::Table => table::policies(&policies)?,
    }
    Ok(())
}

async fn get(context: &Context, name: &str) -> anyhow::Result<()> {
    let request = v1::GetPolicyRequest { name: name.to_owned() };
    let answer = context
        .connection
        .admin(&request, async |mut admin, request| admin.get_policy(request).await)
        .await?;
    show(context, answer.policy)
}

async fn explain(context: &Context, breaker: &str) -> anyhow::Result<()> {
    let request = v1::ExplainConfigRequest { name: breaker.to_owned() };
    let answer = context
        .connection
        .admin(&request, async |mut admin, request| admin.explain_config(request).await)
        .await?;
    match context.format {
        Format::Json => output::line(json::explanation(&answer))?,
        Format::Table => table::explanation(&answer)?,
    }
    Ok(())
}

/// Shows a policy that an answer must hold.
fn show(context: &Context, policy: Option<v1::Policy>) -> anyhow::Result<()> {
    let policy = policy.ok_or(Error::Incomplete("policy"))?;
    match context.format {
        Format::Json => output::line(json::policy(&policy))?,
        Format::Table => table::policy(&policy)?,
    }
    Ok(())
}

fn show_deleted(context: &Context, name: &str) -> anyhow::Result<()> {
    match context.format {
        Format::Json => output::line(json!({ "deleted": name }))?,
        Format::Table => output::line(format_args!("deleted {name}"))?,
    }
    Ok(())
}
