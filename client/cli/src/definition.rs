//! The commands that create, change and delete breakers.

use breaker_core::Key;
use breaker_proto::v1;
use breaker_wire::patch_to_message;
use clap::Args;
use serde_json::json;

use crate::Context;
use crate::edit::{SetArguments, mask, parse_key};
use crate::get::show;
use crate::output::{self, Format};

#[derive(Debug, Args)]
pub struct CreateArguments {
    /// The name of the breaker, `namespace/name`.
    name: String,
    #[command(flatten)]
    set: SetArguments,
    /// Fail, and change nothing, if the change cannot be written to disk.
    #[arg(long)]
    require_durable: bool,
}

#[derive(Debug, Args)]
pub struct UpdateArguments {
    /// The name of the breaker.
    name: String,
    #[command(flatten)]
    set: SetArguments,
    /// A key that goes back to the breaker's policy and the defaults; may be given several times.
    #[arg(long, value_name = "KEY", value_parser = parse_key)]
    unset: Vec<Key>,
    /// Change it only if it still has this etag, as `get` shows it.
    #[arg(long, default_value = "")]
    etag: String,
    /// Fail, and change nothing, if the change cannot be written to disk.
    #[arg(long)]
    require_durable: bool,
}

#[derive(Debug, Args)]
pub struct DeleteArguments {
    /// The name of the breaker.
    name: String,
    /// Delete it only if it still has this etag, as `get` shows it.
    #[arg(long, default_value = "")]
    etag: String,
    /// Fail, and change nothing, if the change cannot be written to disk.
    #[arg(long)]
    require_durable: bool,
}

impl CreateArguments {
    pub(crate) async fn command(&self, context: &Context) -> anyhow::Result<()> {
        let request = self.request()?;
        let answer = context
            .connection
            .admin(&request, async |mut admin, request| admin.create_breaker(request).await)
            .await?;
        show(context, answer.breaker)?;
        output::warn(&answer.warnings);
        output::warn_unless_durable(answer.durable);
        Ok(())
    }

    fn request(&self) -> anyhow::Result<v1::CreateBreakerRequest> {
        Ok(v1::CreateBreakerRequest {
            name: self.name.clone(),
            config: Some(patch_to_message(&self.set.patch()?)),
            require_durable: self.require_durable,
        })
    }
}

impl UpdateArguments {
    pub(crate) async fn command(&self, context: &Context) -> anyhow::Result<()> {
        let request = self.request()?;
        let answer = context
            .connection
            .admin(&request, async |mut admin, request| admin.update_breaker(request).await)
            .await?;
        show(context, answer.breaker)?;
        output::warn(&answer.warnings);
        output::warn_unless_durable(answer.durable);
        Ok(())
    }

    fn request(&self) -> anyhow::Result<v1::UpdateBreakerRequest> {
        let patch = self.set.patch()?;
        let paths = mask(&patch, &self.unset)?;
        Ok(v1::UpdateBreakerRequest {
            name: self.name.clone(),
            config: Some(patch_to_message(&patch)),
            update_mask: Some(prost_types::FieldMask { paths }),
            etag: self.etag.clone(),
            require_durable: self.require_durable,
        })
    }
}

impl DeleteArguments {
    pub(crate) async fn command(&self, context: &Context) -> anyhow::Result<()> {
        let request = self.request();
        let answer = context
            .connection
            .admin(&request, async |mut admin, request| admin.delete_breaker(request).await)
            .await?;
        match context.format {
            Format::Json => output::line(json!({ "deleted": self.name }))?,
            Format::Table => output::line(format_args!("deleted {}", self.name))?,
        }
        output::warn_unless_durable(answer.durable);
        Ok(())
    }

    fn request(&self) -> v1::DeleteBreakerRequest {
        v1::DeleteBreakerRequest {
            name: self.name.clone(),
            etag: self.etag.clone(),
            require_durable: self.require_durable,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::{Arguments, Command, exit_code};

    fn update(line: &str) -> anyhow::Result<v1::UpdateBreakerRequest> {
        let words = ["breakerctl", "update", "a/b"].into_iter().chain(line.split_whitespace());
        match Arguments::try_parse_from(words).unwrap().command {
            Command::Update(arguments) => arguments.request(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_update_names_what_it_sets_and_what_it_unsets() {
        let request =
            update("--set failure_threshold=7 --unset open_duration --etag e1 --require-durable")
                .unwrap();
        let config = request.config.unwrap();
        assert_eq!((config.failure_threshold, config.open_duration), (Some(7), None));
        assert_eq!(request.update_mask.unwrap().paths, ["failure_threshold", "open_duration"]);
        assert_eq!((request.name.as_str(), request.etag.as_str()), ("a/b", "e1"));
        assert!(request.require_durable);
    }

    #[test]
    fn an_update_that_changes_nothing_or_cannot_be_read_is_a_usage_error() {
        for line in ["", "--set failure_threshold=x", "--set window.calls=1 --unset window"] {
            assert_eq!(exit_code(&update(line).unwrap_err()), 2, "{line}");
        }
    }

    #[test]
    fn create_and_delete_become_requests() {
        let words = ["breakerctl", "create", "a/b", "--set", "open_duration=30s"];
        let Command::Create(create) = Arguments::try_parse_from(words).unwrap().command else {
            panic!("create")
        };
        let config = create.request().unwrap().config.unwrap();
        assert_eq!(config.open_duration.unwrap().seconds, 30);
        let words = ["breakerctl", "delete", "a/b", "--etag", "e2"];
        let Command::Delete(delete) = Arguments::try_parse_from(words).unwrap().command else {
            panic!("delete")
        };
        assert_eq!((delete.request().name, delete.request().etag), ("a/b".into(), "e2".into()));
    }
}
