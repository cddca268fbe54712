use std::io;

use breaker_proto::v1;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use jiff::Timestamp;
use tonic::{Status, Streaming};

use crate::connection::Connection;
use crate::error::Error;
use crate::output::{self, Format, notice};
use crate::stream::{Follower, follow};
use crate::time::{time_of, time_to_message};
use crate::words::words;
use crate::{Context, clock, json, table};

/// Transitions asked for at once.
const PAGE_SIZE: u32 = 500;

const TIMES: &str = "\
A TIME is one of RFC 3339 (2026-01-31T08:30:00Z), a date (2026-01-31, midnight UTC), or how long
ago it was (30m, 2h, 7days).";

#[derive(Debug, Args)]
#[command(after_help = TIMES)]
pub struct HistoryArguments {
    /// Only transitions of breakers whose name matches.
    selector: Option<String>,
    /// Only transitions of this cause; can be given several times.
    #[arg(long, value_name = "CAUSE", value_parser = causes())]
    cause: Vec<v1::Cause>,
    /// Only transitions that exactly this actor is named for.
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Only transitions at this TIME or later.
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Only transitions before this TIME.
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "follow")]
    until: Option<Timestamp>,
    /// At most so many transitions.
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u32,
    /// Write the latest transition last, and go on with those that happen from now on.
    #[arg(long, short)]
    follow: bool,
}

fn causes() -> impl TypedValueParser<Value = v1::Cause> {
    let all: Vec<_> = words::<v1::Cause>().map(|(word, _)| word).collect();
    PossibleValuesParser::new(all).map(|given| {
        let known = words().find(|(word, _)| *word == given);
        known.map_or(v1::Cause::Unspecified, |(_, cause)| cause)
    })
}

fn time(text: &str) -> Result<Timestamp, String> {
    time_of(text, clock::wall_time())
}

impl HistoryArguments {
    pub(crate) async fn command(&self, context: &Context) -> anyhow::Result<()> {
        if self.follow {
            return self.follow(context).await;
        }
        let transitions = latest(&context.connection, self.request(), self.limit).await?;
        match context.format {
            Format::Json => output::objects(transitions.iter().map(json::transition))?,
            Format::Table => table::transitions(&transitions)?,
        }
        Ok(())
    }

    /// Asks for the first page of what is wanted.
    fn request(&self) -> v1::ListTransitionsRequest {
        v1::ListTransitionsRequest {
            selector: self.selector.clone().unwrap_or_default(),
            causes: self.cause.iter().map(|&cause| cause.into()).collect(),
            actor: self.actor.clone().unwrap_or_default(),
            start_time: self.since.map(time_to_message),
            end_time: self.until.map(time_to_message),
            ..v1::ListTransitionsRequest::default()
        }
    }

    async fn follow(&self, context: &Context) -> anyhow::Result<()> {
        // The latest of all is asked for first: what follows it can be listed or followed, but not
        // missed between the two.
        let everything = v1::ListTransitionsRequest::default();
        let newest = latest(&context.connection, everything, 1).await?;
        let mut transitions = latest(&context.connection, self.request(), self.limit).await?;
        transitions.reverse();
        let known = newest.iter().chain(&transitions).map(|t| t.id);
        let after = Some(known.max().unwrap_or(0));
        show_lines(context.format, &transitions)?;
        let v1::ListTransitionsRequest { selector, causes, actor, .. } = self.request();
        let request = v1::WatchTransitionsRequest { selector, after, causes, actor };
        match follow(context, &mut Tail { request, format: context.format }).await? {}
    }
}

/// The latest of the transitions that a request asks for, the latest first.
async fn latest(
    connection: &Connection,
    mut request: v1::ListTransitionsRequest,
    limit: u32,
) -> Result<Vec<v1::Transition>, Error> {
    let mut transitions = Vec::new();
    let mut wanted = limit;
    while wanted > 0 {
        request.page_size = wanted.min(PAGE_SIZE);
        let page = connection
            .admin(&request, async |mut admin, request| admin.list_transitions(request).await)
            .await?;
        wanted = wanted.saturating_sub(u32::try_from(page.transitions.len()).unwrap_or(u32::MAX));
        transitions.extend(page.transitions);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    Ok(transitions)
}

fn show_lines(format: Format, transitions: &[v1::Transition]) -> io::Result<()> {
    transitions.iter().try_for_each(|transition| match format {
        Format::Json => output::line(json::transition(transition)),
        Format::Table => output::line(table::transition_line(transition)),
    })
}

struct Tail {
    /// After the last transition that was shown.
    request: v1::WatchTransitionsRequest,
    format: Format,
}

impl Follower for Tail {
    type Answer = v1::WatchTransitionsResponse;

    async fn open(&self, connection: &Connection) -> Result<Streaming<Self::Answer>, Error> {
        connection
            .admin(&self.request, async |mut admin, request| admin.watch_transitions(request).await)
            .await
    }

    fn take(&mut self, answer: v1::WatchTransitionsResponse) -> anyhow::Result<()> {
        show_lines(self.format, &answer.transitions)?;
        self.request.after = Some(answer.position);
        Ok(())
    }

    fn begin_anew(&mut self, status: &Status) {
        // First from the beginning, which a server with another history has. Where the beginning is
        // not kept either, only the next transition is sure to be there.
        self.request.after = match self.request.after {
            None | Some(0) => None,
            Some(_) => Some(0),
        };
        let message = status.message();
        match self.request.after {
            Some(_) => notice(format_args!("going on from the beginning: {message}")),
            None => notice(format_args!(
                "transitions are missing here, going on with the next one: {message}"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_goes_on_after_what_was_shown() {
        let request = v1::WatchTransitionsRequest {
            selector: "a/*".into(),
            after: Some(3),
            ..v1::WatchTransitionsRequest::default()
        };
        let mut tail = Tail { request, format: Format::Json };
        tail.take(v1::WatchTransitionsResponse { transitions: vec![], position: 9 }).unwrap();
        assert_eq!(tail.request.after, Some(9));
        tail.begin_anew(&Status::out_of_range("has not happened"));
        assert_eq!(tail.request.after, Some(0));
        tail.begin_anew(&Status::out_of_range("not kept"));
        assert_eq!(tail.request.after, None);
        assert_eq!(tail.request.selector, "a/*");
    }
}
