//! `apply` makes policies and breakers' own configurations what a file says, `export` writes that
//! file: what one writes changes nothing when the other reads it.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::{fs, iter};

use anyhow::Context as _;
use breaker_core::ConfigPatch;
use breaker_proto::v1;
use breaker_wire::patch_from_message;
use clap::Args;

use crate::declared::{Declared, Syntax};
use crate::error::Error;
use crate::output::{self, Format};
use crate::{Context, diff, json, list, policy};

/// Begins every exported file. It also tells one without policies from one that was cut off.
const HEADER: &str = "# Policies and breakers' own configurations; read by `breakerctl apply -f`.";

#[derive(Debug, Args)]
pub struct ApplyArguments {
    /// The file, TOML, or YAML if its name ends in `.yaml` or `.yml`; `-` reads the standard input.
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
    /// How the file is written, whatever its name.
    #[arg(long, value_enum)]
    syntax: Option<Syntax>,
    /// Change nothing, and show what would be changed.
    #[arg(long)]
    dry_run: bool,
    /// Also delete the policies that are not in the file, and take their own configuration from the
    /// breakers that are not; those live on, state and override included.
    #[arg(long)]
    prune: bool,
    /// Fail, and change nothing, if the change cannot be written to disk.
    #[arg(long)]
    require_durable: bool,
    /// Why; for the server's log.
    #[arg(long, default_value = "")]
    reason: String,
    /// Who does it; for the server's log.
    #[arg(long, env = "USER", default_value = "", hide_env_values = true)]
    actor: String,
}

#[derive(Debug, Args)]
pub struct ExportArguments {
    /// How to write the file.
    #[arg(long, value_enum, default_value_t)]
    syntax: Syntax,
}

impl ApplyArguments {
    pub(crate) async fn command(&self, context: &Context) -> anyhow::Result<()> {
        let request = self.request()?;
        let answer = context
            .connection
            .admin(&request, async |mut admin, request| admin.apply(request).await)
            .await?;
        match context.format {
            Format::Json => output::line(json::applied(&answer))?,
            Format::Table if self.dry_run => {
                diff::write(&answer.changes, "dry run, nothing was changed: ")?;
            }
            Format::Table => diff::write(&answer.changes, "")?,
        }
        output::warn(&answer.warnings);
        output::warn_unless_durable(answer.durable || self.dry_run);
        Ok(())
    }

    fn request(&self) -> anyhow::Result<v1::ApplyRequest> {
        let text = read(&self.file)?;
        if text.trim().is_empty() {
            // With --prune it would delete everything, and an export is never empty.
            return Err(Error::Usage("the file is empty".to_owned()).into());
        }
        let syntax = self.syntax.unwrap_or_else(|| Syntax::of(&self.file));
        let Declared { policies, breakers } = Declared::parse(&text, syntax)?;
        Ok(v1::ApplyRequest {
            policies,
            breakers,
            prune: self.prune,
            validate_only: self.dry_run,
            require_durable: self.require_durable,
            actor: self.actor.clone(),
            reason: self.reason.clone(),
        })
    }
}

impl ExportArguments {
    pub(crate) async fn command(&self, context: &Context) -> anyhow::Result<()> {
        let mut declared = Declared::default();
        for policy in policy::all(&context.connection).await? {
            let v1::Policy { name, selector, priority, config, alerts, .. } = policy;
            declared.policies.push(v1::PolicySpec { name, selector, priority, config, alerts });
        }
        list::each(&context.connection, |v1::Breaker { name, own_config: config, .. }| {
            if has_values(config.as_ref()) {
                declared.breakers.push(v1::BreakerSpec { name, config });
            }
        })
        .await?;
        match context.format {
            Format::Json => output::line(declared.to_value()?)?,
            Format::Table => {
                let text = declared.to_text(self.syntax)?;
                let lines = iter::once(HEADER).chain(text.lines());
                output::line(lines.collect::<Vec<_>>().join("\n"))?;
            }
        }
        Ok(())
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).context("cannot read the standard input")?;
        return Ok(text);
    }
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Whether anything is a breaker's own. What a newer server means by it cannot be told, and is
/// noticed when it is written.
fn has_values(config: Option<&v1::BreakerConfig>) -> bool {
    let patch = config.map(patch_from_message);
    patch.is_some_and(|patch| patch != Ok(ConfigPatch::default()))
}
