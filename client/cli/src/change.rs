//! The commands that change breakers by hand: overrides, `release`, `trip` and `reset`.

use std::time::Duration;

use breaker_proto::v1;
use breaker_wire::{duration_to_message, parse_duration};
use clap::Args;

use crate::connection::Connection;
use crate::error::Error;
use crate::output::{self, Format};
use crate::{Context, json, table};

#[derive(Debug, Args)]
pub struct ChangeArguments {
    /// A name, or a glob: `payments/*`.
    selector: String,
    /// Why; kept with the transition.
    #[arg(long, default_value = "")]
    reason: String,
    /// Who does it; kept with the transition.
    #[arg(long, env = "USER", default_value = "", hide_env_values = true)]
    actor: String,
    /// Fail, and change nothing, if the change cannot be written to disk.
    #[arg(long)]
    require_durable: bool,
}

#[derive(Debug, Args)]
pub struct OverrideArguments {
    #[command(flatten)]
    change: ChangeArguments,
    /// End the override by itself after so long, such as `10m`.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    ttl: Option<Duration>,
}

/// A request for one of the changes.
#[derive(Debug, PartialEq)]
pub(crate) enum Change {
    ForceOpen(v1::ForceOpenRequest),
    ForceClose(v1::ForceCloseRequest),
    Disable(v1::DisableRequest),
    Shadow(v1::ShadowRequest),
    Release(v1::ReleaseRequest),
    Trip(v1::TripRequest),
    Reset(v1::ResetRequest),
}

/// Makes a change and shows the breakers that it reached.
pub(crate) async fn command(context: &Context, change: Change) -> anyhow::Result<()> {
    let result = change.make(&context.connection).await?.ok_or(Error::Incomplete("result"))?;
    match context.format {
        Format::Json => output::objects(result.breakers.iter().map(json::breaker))?,
        Format::Table => table::breakers(&result.breakers)?,
    }
    let shown = result.breakers.len();
    if usize::try_from(result.matched_count).is_ok_and(|matched| matched > shown) {
        output::notice(format_args!("{} breakers matched, {shown} shown", result.matched_count));
    }
    output::warn_unless_durable(result.durable);
    Ok(())
}

impl Change {
    pub(crate) fn force_open(arguments: &OverrideArguments) -> Self {
        let (target, time_to_live) = arguments.parts();
        Self::ForceOpen(v1::ForceOpenRequest { target, time_to_live })
    }

    pub(crate) fn force_close(arguments: &OverrideArguments) -> Self {
        let (target, time_to_live) = arguments.parts();
        Self::ForceClose(v1::ForceCloseRequest { target, time_to_live })
    }

    pub(crate) fn disable(arguments: &OverrideArguments) -> Self {
        let (target, time_to_live) = arguments.parts();
        Self::Disable(v1::DisableRequest { target, time_to_live })
    }

    pub(crate) fn shadow(arguments: &OverrideArguments) -> Self {
        let (target, time_to_live) = arguments.parts();
        Self::Shadow(v1::ShadowRequest { target, time_to_live })
    }

    pub(crate) fn release(arguments: &ChangeArguments) -> Self {
        Self::Release(v1::ReleaseRequest { target: Some(arguments.target()) })
    }

    pub(crate) fn trip(arguments: &ChangeArguments) -> Self {
        Self::Trip(v1::TripRequest { target: Some(arguments.target()) })
    }

    pub(crate) fn reset(arguments: &ChangeArguments) -> Self {
        Self::Reset(v1::ResetRequest { target: Some(arguments.target()) })
    }

    /// Asks the server for it; what came of it.
    pub(crate) async fn make(&self, to: &Connection) -> Result<Option<v1::ChangeResult>, Error> {
        Ok(match self {
            Self::ForceOpen(q) => to.admin(q, async |mut a, q| a.force_open(q).await).await?.result,
            Self::ForceClose(q) => {
                to.admin(q, async |mut a, q| a.force_close(q).await).await?.result
            }
            Self::Disable(q) => to.admin(q, async |mut a, q| a.disable(q).await).await?.result,
            Self::Shadow(q) => to.admin(q, async |mut a, q| a.shadow(q).await).await?.result,
            Self::Release(q) => to.admin(q, async |mut a, q| a.release(q).await).await?.result,
            Self::Trip(q) => to.admin(q, async |mut a, q| a.trip(q).await).await?.result,
            Self::Reset(q) => to.admin(q, async |mut a, q| a.reset(q).await).await?.result,
        })
    }
}

impl ChangeArguments {
    fn target(&self) -> v1::ChangeTarget {
        v1::ChangeTarget {
            selector: self.selector.clone(),
            actor: self.actor.clone(),
            reason: self.reason.clone(),
            require_durable: self.require_durable,
        }
    }
}

impl OverrideArguments {
    fn parts(&self) -> (Option<v1::ChangeTarget>, Option<prost_types::Duration>) {
        (Some(self.change.target()), self.ttl.map(duration_to_message))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::{Arguments, Command};

    fn parse(line: &str) -> Command {
        Arguments::try_parse_from(["breakerctl"].into_iter().chain(line.split(' ')))
            .unwrap()
            .command
    }

    #[test]
    fn an_override_becomes_a_request() {
        let line = "force-open pay/* --reason slow --ttl 10m --actor ann --require-durable";
        let Command::ForceOpen(arguments) = parse(line) else { panic!("force-open") };
        let target = v1::ChangeTarget {
            selector: "pay/*".into(),
            actor: "ann".into(),
            reason: "slow".into(),
            require_durable: true,
        };
        let time_to_live = Some(prost_types::Duration { seconds: 600, nanos: 0 });
        let request = v1::ForceOpenRequest { target: Some(target), time_to_live };
        assert_eq!(Change::force_open(&arguments), Change::ForceOpen(request));
    }

    #[test]
    fn without_a_time_to_live_only_release_ends_an_override() {
        let Command::Shadow(arguments) = parse("shadow a/b --actor ann") else { panic!("shadow") };
        let Change::Shadow(request) = Change::shadow(&arguments) else { panic!("shadow") };
        assert_eq!(request.time_to_live, None);
        assert!(!request.target.unwrap().require_durable);
    }

    #[test]
    fn a_trip_has_no_time_to_live() {
        let line = ["breakerctl", "trip", "a/b", "--ttl", "10m"];
        assert!(Arguments::try_parse_from(line).is_err());
        let Command::Trip(arguments) = parse("trip a/b --actor ann") else { panic!("trip") };
        let Change::Trip(request) = Change::trip(&arguments) else { panic!("trip") };
        assert_eq!(request.target.unwrap().actor, "ann");
    }
}
