use breaker_proto::v1;
use clap::Args;

use crate::error::Error;
use crate::output::Format;
use crate::{Context, json, output, table};

#[derive(Debug, Args)]
pub struct GetArguments {
    /// The name of the breaker.
    name: String,
}

impl GetArguments {
    pub(crate) async fn command(&self, context: &Context) -> anyhow::Result<()> {
        let request = v1::GetBreakerRequest { name: self.name.clone() };
        let answer = context
            .connection
            .admin(&request, async |mut admin, request| admin.get_breaker(request).await)
            .await?;
        show(context, answer.breaker)
    }
}

/// Shows a breaker that an answer must hold.
pub(crate) fn show(context: &Context, breaker: Option<v1::Breaker>) -> anyhow::Result<()> {
    let breaker = breaker.ok_or(Error::Incomplete("breaker"))?;
    match context.format {
        Format::Json => output::line(json::breaker(&breaker))?,
        Format::Table => table::breaker(&breaker)?,
    }
    Ok(())
}
