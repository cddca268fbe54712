//! The commands that create, change and delete policies.

use breaker_core::{AlertKey, Key};
use breaker_proto::v1;
use breaker_wire::{alerts_to_message, patch_to_message};
use clap::Args;

use super::{show, show_deleted};
use crate::edit::{AlertSetArguments, SetArguments, keys_of, mask, parse_alert_key, parse_key};
use crate::error::Error;
use crate::{Context, output};

#[derive(Debug, Args)]
pub(super) struct CreateArguments {
    /// The name of the policy.
    name: String,
    /// The breakers that it is for: a name, or a glob such as `payments/*`.
    #[arg(long = "match", value_name = "SELECTOR")]
    selector: String,
    /// Of several policies that match a breaker, the one with the highest priority is in force.
    #[arg(long, value_name = "N", default_value_t, allow_negative_numbers = true)]
    priority: i32,
    #[command(flatten)]
    set: SetArguments,
    #[command(flatten)]
    alerts: AlertSetArguments,
    /// Fail, and change nothing, if the change cannot be written to disk.
    #[arg(long)]
    require_durable: bool,
}

#[derive(Debug, Args)]
pub(super) struct UpdateArguments {
    /// The name of the policy.
    name: String,
    /// The breakers that it is for from now on.
    #[arg(long = "match", value_name = "SELECTOR")]
    selector: Option<String>,
    /// Its priority from now on.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i32>,
    #[command(flatten)]
    set: SetArguments,
    #[command(flatten)]
    alerts: AlertSetArguments,
    /// A key that goes back to the defaults; may be given several times.
    #[arg(long, value_name = "KEY", value_parser = parse_key)]
    unset: Vec<Key>,
    /// A rule of alerts that goes back to the server's; may be given several times.
    #[arg(long, value_name = "RULE", value_parser = parse_alert_key)]
    unset_alert: Vec<AlertKey>,
    /// Change it only if it still has this etag, as `get` shows it.
    #[arg(long, default_value = "")]
    etag: String,
    /// Fail, and change nothing, if the change cannot be written to disk.
    #[arg(long)]
    require_durable: bool,
}

#[derive(Debug, Args)]
pub(super) struct DeleteArguments {
    /// The name of the policy.
    name: String,
    /// Delete it only if it still has this etag, as `get` shows it.
    #[arg(long, default_value = "")]
    etag: String,
    /// Fail, and change nothing, if the change cannot be written to disk.
    #[arg(long)]
    require_durable: bool,
}

impl CreateArguments {
    pub(super) async fn command(&self, context: &Context) -> anyhow::Result<()> {
        let request = v1::CreatePolicyRequest {
            name: self.name.clone(),
            selector: self.selector.clone(),
            priority: self.priority,
            config: Some(patch_to_message(&self.set.patch()?)),
            alerts: Some(alerts_to_message(&self.alerts.patch()?)),
            require_durable: self.require_durable,
        };
        let answer = context
            .connection
            .admin(&request, async |mut admin, request| admin.create_policy(request).await)
            .await?;
        show(context, answer.policy)?;
        output::warn(&answer.warnings);
        output::warn_unless_durable(answer.durable);
        Ok(())
    }
}

impl UpdateArguments {
    pub(super) async fn command(&self, context: &Context) -> anyhow::Result<()> {
        let request = self.request()?;
        let answer = context
            .connection
            .admin(&request, async |mut admin, request| admin.update_policy(request).await)
            .await?;
        show(context, answer.policy)?;
        output::warn(&answer.warnings);
        output::warn_unless_durable(answer.durable);
        Ok(())
    }

    fn request(&self) -> anyhow::Result<v1::UpdatePolicyRequest> {
        let patch = self.set.patch()?;
        let mut paths = Vec::new();
        if !self.unset.is_empty() || keys_of(&patch).next().is_some() {
            let keys = mask(&patch, &self.unset)?;
            paths.extend(keys.into_iter().map(|key| format!("config.{key}")));
        }
        let alerts = self.alerts.patch()?;
        for key in AlertKey::ALL {
            match (alerts.sets(key), self.unset_alert.contains(&key)) {
                (false, false) => {}
                (true, true) => {
                    let message = format!("alert {} is both set and unset", key.as_str());
                    return Err(Error::Usage(message).into());
                }
                _ => paths.push(format!("alerts.{}", key.as_str())),
            }
        }
        paths.extend(self.selector.as_ref().map(|_| "selector".to_owned()));
        paths.extend(self.priority.map(|_| "priority".to_owned()));
        if paths.is_empty() {
            let message = "nothing to change: give --match, --priority, --set, --unset, --config, --alert \
                           or --unset-alert";
            return Err(Error::Usage(message.to_owned()).into());
        }
        Ok(v1::UpdatePolicyRequest {
            name: self.name.clone(),
            selector: self.selector.clone().unwrap_or_default(),
            priority: self.priority,
            config: Some(patch_to_message(&patch)),
            alerts: Some(alerts_to_message(&alerts)),
            update_mask: Some(prost_types::FieldMask { paths }),
            etag: self.etag.clone(),
            require_durable: self.require_durable,
        })
    }
}

impl DeleteArguments {
    pub(super) async fn command(&self, context: &Context) -> anyhow::Result<()> {
        let request = v1::DeletePolicyRequest {
            name: self.name.clone(),
            etag: self.etag.clone(),
            require_durable: self.require_durable,
        };
        let answer = context
            .connection
            .admin(&request, async |mut admin, request| admin.delete_policy(request).await)
            .await?;
        show_deleted(context, &self.name)?;
        output::warn_unless_durable(answer.durable);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::{Parser, Subcommand};

    use super::*;
    use crate::exit_code;
    use crate::policy::PolicyCommand;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        command: Commands,
    }

    #[derive(Debug, Subcommand)]
    enum Commands {
        Policy(crate::policy::PolicyArguments),
    }

    fn update(line: &str) -> anyhow::Result<v1::UpdatePolicyRequest> {
        let words = ["breakerctl", "policy", "update", "pay"];
        let words = words.into_iter().chain(line.split_whitespace());
        let Commands::Policy(policy) = Line::try_parse_from(words).unwrap().command;
        match policy.command {
            PolicyCommand::Update(arguments) => arguments.request(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_update_names_what_it_changes() {
        let line = "--match pay/** --priority -3 --set failure_threshold=7 --unset open_duration";
        let request = update(line).unwrap();
        assert_eq!((request.selector.as_str(), request.priority), ("pay/**", Some(-3)));
        let paths = request.update_mask.unwrap().paths;
        let expected = ["config.failure_threshold", "config.open_duration", "selector", "priority"];
        assert_eq!(paths, expected);
        let paths = update("--priority 1").unwrap().update_mask.unwrap().paths;
        assert_eq!(paths, ["priority"]);
    }

    #[test]
    fn an_update_that_changes_nothing_is_a_usage_error() {
        for line in ["", "--etag 7", "--set window.calls=1 --unset window"] {
            assert_eq!(exit_code(&update(line).unwrap_err()), 2, "{line}");
        }
    }
}
