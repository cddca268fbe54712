use std::io;

use breaker_proto::v1;
use clap::Args;
use tonic::{Status, Streaming};

use crate::connection::Connection;
use crate::error::Error;
use crate::output::{self, Format, notice};
use crate::stream::{Follower, follow};
use crate::{Context, json, table};

/// Transitions asked for at once.
const PAGE_SIZE: u32 = 500;

#[derive(Debug, Args)]
pub struct HistoryArguments {
    /// Only transitions of breakers whose name matches.
    selector: Option<String>,
    /// At most so many transitions.
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u32,
    /// Write the latest transition last, and go on with those that happen from now on.
    #[arg(long, short)]
    follow: bool,
}

impl HistoryArguments {
    pub(crate) async fn command(&self, context: &Context) -> anyhow::Result<()> {
        let selector = self.selector.clone().unwrap_or_default();
        if self.follow {
            return self.follow(context, selector).await;
        }
        let transitions = latest(&context.connection, &selector, self.limit).await?;
        match context.format {
            Format::Json => output::objects(transitions.iter().map(json::transition))?,
            Format::Table => table::transitions(&transitions)?,
        }
        Ok(())
    }

    async fn follow(&self, context: &Context, selector: String) -> anyhow::Result<()> {
        // The latest of all is asked for first: what follows it can be listed or followed, but not
        // missed between the two.
        let newest = latest(&context.connection, "", 1).await?;
        let mut transitions = latest(&context.connection, &selector, self.limit).await?;
        transitions.reverse();
        let known = newest.iter().chain(&transitions).map(|t| t.id);
        let after = Some(known.max().unwrap_or(0));
        show_lines(context.format, &transitions)?;
        let request = v1::WatchTransitionsRequest { selector, after };
        match follow(context, &mut Tail { request, format: context.format }).await? {}
    }
}

/// The latest transitions, the latest first.
async fn latest(
    connection: &Connection,
    selector: &str,
    limit: u32,
) -> Result<Vec<v1::Transition>, Error> {
    let mut transitions = Vec::new();
    let mut page_token = String::new();
    let mut wanted = limit;
    while wanted > 0 {
        let request = v1::ListTransitionsRequest {
            selector: selector.to_owned(),
            page_size: wanted.min(PAGE_SIZE),
            page_token,
        };
        let page = connection
            .admin(&request, async |mut admin, request| admin.list_transitions(request).await)
            .await?;
        wanted = wanted.saturating_sub(u32::try_from(page.transitions.len()).unwrap_or(u32::MAX));
        transitions.extend(page.transitions);
        page_token = page.next_page_token;
        if page_token.is_empty() {
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
        let request = v1::WatchTransitionsRequest { selector: "a/*".into(), after: Some(3) };
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
