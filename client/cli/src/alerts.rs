//! The commands that look at alerts, and note that somebody has seen one.

use std::io;

use breaker_proto::v1;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use tonic::{Status, Streaming};

use crate::connection::Connection;
use crate::error::Error;
use crate::output::{self, Format, notice};
use crate::stream::{Follower, follow};
use crate::words::{Word, words};
use crate::{Context, json, table};

/// Alerts asked for at once.
const PAGE_SIZE: u32 = 500;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct AlertsArguments {
    #[command(subcommand)]
    command: Option<AlertsCommand>,
    #[command(flatten)]
    list: ListArguments,
}

#[derive(Debug, Subcommand)]
enum AlertsCommand {
    /// Notes that somebody has seen an alert; it is not told again while it fires.
    Ack(AckArguments),
}

#[derive(Debug, Args)]
struct ListArguments {
    /// Only alerts about breakers whose name matches.
    selector: Option<String>,
    /// Only alerts that fire.
    #[arg(long, conflicts_with = "follow")]
    firing: bool,
    /// Only alerts that are so bad, or worse.
    #[arg(long, value_name = "SEVERITY", value_parser = word_of::<v1::AlertSeverity>())]
    severity: Option<v1::AlertSeverity>,
    /// Only alerts of this rule; can be given several times.
    #[arg(
        long,
        value_name = "RULE",
        value_parser = word_of::<v1::AlertRule>(),
        conflicts_with = "follow"
    )]
    rule: Vec<v1::AlertRule>,
    /// At most so many alerts.
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u32,
    /// Write the alert that changed last last, and go on with whatever changes from now on.
    #[arg(long, short)]
    follow: bool,
}

#[derive(Debug, Args)]
struct AckArguments {
    /// The id of the alert.
    id: u64,
    /// Who has seen it.
    #[arg(long, env = "USER", value_name = "NAME")]
    actor: String,
    /// What there is to say of it.
    #[arg(long, default_value = "")]
    comment: String,
}

fn word_of<W: Word + Copy + Clone + Send + Sync + 'static>() -> impl TypedValueParser<Value = W> {
    let all: Vec<_> = words::<W>().map(|(word, _)| word).collect();
    PossibleValuesParser::new(all).try_map(|given| {
        let known = words::<W>().find(|(word, _)| *word == given);
        known.map(|(_, value)| value).ok_or("this is none of the words")
    })
}

impl AlertsArguments {
    pub(crate) async fn command(&self, context: &Context) -> anyhow::Result<()> {
        match &self.command {
            Some(AlertsCommand::Ack(arguments)) => arguments.command(context).await,
            None => self.list.command(context).await,
        }
    }
}

impl AckArguments {
    async fn command(&self, context: &Context) -> anyhow::Result<()> {
        let request = v1::AcknowledgeAlertRequest {
            id: self.id,
            actor: self.actor.clone(),
            comment: self.comment.clone(),
        };
        let answer = context
            .connection
            .monitor(&request, async |mut monitor, request| {
                monitor.acknowledge_alert(request).await
            })
            .await?;
        show_lines(context.format, &[answer.alert.ok_or(Error::Incomplete("alert"))?])?;
        Ok(())
    }
}

impl ListArguments {
    async fn command(&self, context: &Context) -> anyhow::Result<()> {
        let mut alerts = self.latest(&context.connection).await?;
        if self.follow {
            return self.follow(context, alerts).await;
        }
        match context.format {
            Format::Json => output::objects(alerts.iter().map(json::alert))?,
            Format::Table => {
                alerts.sort_by_key(|alert| std::cmp::Reverse(alert.revision));
                table::alerts(&alerts)?;
            }
        }
        Ok(())
    }

    /// The alerts that changed last, the last first.
    async fn latest(&self, connection: &Connection) -> Result<Vec<v1::Alert>, Error> {
        let state = if self.firing { v1::AlertState::Firing } else { v1::AlertState::Unspecified };
        let mut request = v1::ListAlertsRequest {
            selector: self.selector.clone().unwrap_or_default(),
            state: state.into(),
            min_severity: self.min_severity(),
            rules: self.rule.iter().map(|&rule| rule.into()).collect(),
            ..v1::ListAlertsRequest::default()
        };
        let mut alerts = Vec::new();
        let mut wanted = self.limit;
        while wanted > 0 {
            request.page_size = wanted.min(PAGE_SIZE);
            let page = connection
                .monitor(&request, async |mut monitor, request| monitor.list_alerts(request).await)
                .await?;
            wanted = wanted.saturating_sub(u32::try_from(page.alerts.len()).unwrap_or(u32::MAX));
            alerts.extend(page.alerts);
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                break;
            }
        }
        Ok(alerts)
    }

    async fn follow(&self, context: &Context, mut shown: Vec<v1::Alert>) -> anyhow::Result<()> {
        shown.reverse();
        show_lines(context.format, &shown)?;
        let request = v1::WatchAlertsRequest {
            // Without any shown, those that there are do not pass the filter; new ones are told.
            after: shown.last().map(|alert| alert.revision),
            selector: self.selector.clone().unwrap_or_default(),
            min_severity: self.min_severity(),
        };
        match follow(context, &mut Tail { request, format: context.format }).await? {}
    }

    fn min_severity(&self) -> i32 {
        self.severity.unwrap_or(v1::AlertSeverity::Unspecified).into()
    }
}

fn show_lines(format: Format, alerts: &[v1::Alert]) -> io::Result<()> {
    alerts.iter().try_for_each(|alert| match format {
        Format::Json => output::line(json::alert(alert)),
        Format::Table => output::line(table::alert_line(alert)),
    })
}

struct Tail {
    /// After the last change that was shown.
    request: v1::WatchAlertsRequest,
    format: Format,
}

impl Follower for Tail {
    type Answer = v1::WatchAlertsResponse;

    async fn open(&self, connection: &Connection) -> Result<Streaming<Self::Answer>, Error> {
        connection
            .monitor(&self.request, async |mut monitor, request| {
                monitor.watch_alerts(request).await
            })
            .await
    }

    fn take(&mut self, answer: v1::WatchAlertsResponse) -> anyhow::Result<()> {
        show_lines(self.format, &answer.alerts)?;
        self.request.after = Some(answer.position);
        Ok(())
    }

    fn begin_anew(&mut self, status: &Status) {
        self.request.after = None;
        notice(format_args!("going on with the next change: {}", status.message()));
    }
}
