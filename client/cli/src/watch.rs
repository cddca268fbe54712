use std::collections::HashMap;

use breaker_proto::v1;
use clap::Args;
use jiff::Timestamp;
use serde_json::json;
use tonic::{Status, Streaming};

use crate::connection::{Connection, Patience};
use crate::error::Error;
use crate::output::{self, Format, notice};
use crate::stream::{Follower, follow};
use crate::time::{Zone, timestamp};
use crate::words::printable;
use crate::{Context, clock, json, table};

#[derive(Debug, Args)]
pub struct WatchArguments {
    /// Only breakers whose name matches one of these; every breaker without any.
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,
    /// Write times in UTC, not as the clock of this machine shows them. JSON has them in UTC always.
    #[arg(long)]
    utc: bool,
}

impl WatchArguments {
    pub(crate) async fn command(&self, context: &Context) -> anyhow::Result<()> {
        let mut watcher = Watcher {
            request: v1::WatchRequest { selectors: self.selectors.clone(), resume_token: vec![] },
            seen: Seen::default(),
            format: context.format,
            zone: if self.utc { Zone::Utc } else { Zone::Local },
        };
        match follow(context, &mut watcher).await? {}
    }
}

struct Watcher {
    /// With the token of the last message.
    request: v1::WatchRequest,
    seen: Seen,
    format: Format,
    zone: Zone,
}

impl Follower for Watcher {
    type Answer = v1::WatchResponse;

    async fn open(&self, connection: &Connection) -> Result<Streaming<Self::Answer>, Error> {
        connection
            .service(Patience::UntilTimeout, &self.request, async |mut service, request| {
                service.watch(request).await
            })
            .await
    }

    fn take(&mut self, answer: v1::WatchResponse) -> anyhow::Result<()> {
        if !answer.resume_token.is_empty() {
            self.request.resume_token.clone_from(&answer.resume_token);
        }
        // By the server's clock, like all the other times of a line.
        let time = answer.server_time.as_ref().and_then(timestamp);
        let time = time.unwrap_or_else(clock::wall_time);
        for change in self.seen.changes(answer) {
            match self.format {
                Format::Json => output::line(change_json(&change))?,
                Format::Table => {
                    output::coloured_line(change_line(&change, time, self.zone))?;
                }
            }
        }
        Ok(())
    }

    fn begin_anew(&mut self, status: &Status) {
        notice(format_args!("the server cannot go on from here: {}", status.message()));
        self.request.resume_token.clear();
    }
}

/// What became of a breaker.
#[derive(Debug, PartialEq)]
enum Change {
    Changed(Box<v1::BreakerState>),
    Deleted(String),
}

/// The breakers as they were shown. A snapshot repeats what is known; this leaves only the news.
///
/// A state is news if anything but its revision differs: a server that starts again gives every
/// breaker a new one.
#[derive(Debug, Default)]
struct Seen {
    /// The state last shown, by name.
    states: HashMap<String, v1::BreakerState>,
    /// While a snapshot goes on: those known from before that it has not named yet.
    unconfirmed: HashMap<String, v1::BreakerState>,
}

impl Seen {
    fn changes(&mut self, answer: v1::WatchResponse) -> Vec<Change> {
        if answer.reset {
            self.unconfirmed.extend(self.states.drain());
        }
        let mut changes = Vec::new();
        for state in answer.changed {
            let seen = v1::BreakerState { revision: 0, ..state.clone() };
            let confirmed = self.unconfirmed.remove(&state.name);
            let before = self.states.insert(state.name.clone(), seen.clone()).or(confirmed);
            if before != Some(seen) {
                changes.push(Change::Changed(Box::new(state)));
            }
        }
        for name in answer.deleted {
            let was_known = self.unconfirmed.remove(&name).or(self.states.remove(&name));
            changes.extend(was_known.map(|_| Change::Deleted(name)));
        }
        if answer.snapshot_complete {
            let gone = self.unconfirmed.drain().map(|(name, _)| Change::Deleted(name));
            changes.extend(gone);
        }
        changes
    }
}

fn change_json(change: &Change) -> serde_json::Value {
    match change {
        Change::Changed(state) => json::merged(json!({ "event": "changed" }), json::state(state)),
        Change::Deleted(name) => json!({ "event": "deleted", "name": name }),
    }
}

fn change_line(change: &Change, time: Timestamp, zone: Zone) -> String {
    let time = zone.text(time);
    match change {
        Change::Changed(state) => format!("{time}  {}", table::state_line(state, zone)),
        Change::Deleted(name) => format!("{time}  {}  deleted", printable(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(name: &str, generation: u64) -> v1::BreakerState {
        v1::BreakerState { name: name.into(), generation, ..Default::default() }
    }

    fn answer(changed: &[(&str, u64)]) -> v1::WatchResponse {
        let changed = changed.iter().map(|&(name, n)| state(name, n)).collect();
        v1::WatchResponse { changed, ..Default::default() }
    }

    fn changed(name: &str, generation: u64) -> Change {
        Change::Changed(Box::new(state(name, generation)))
    }

    #[test]
    fn a_line_has_a_time_and_the_colour_of_the_state() {
        let state = v1::BreakerState {
            name: "a/b".into(),
            state: v1::State::Open as i32,
            mode: v1::Mode::Normal as i32,
            since: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
            generation: 2,
            ..Default::default()
        };
        let time = "2023-11-14T22:13:21Z".parse().unwrap();
        let line = change_line(&Change::Changed(Box::new(state)), time, Zone::Utc);
        assert!(line.contains("\u{1b}[31mopen  normal\u{1b}[0m"), "{line:?}");
        let plain = anstream::adapter::strip_str(&line).to_string();
        let expected =
            "2023-11-14 22:13:21  a/b  open  normal  since 2023-11-14 22:13:20  generation 2";
        assert_eq!(plain, expected);
        let gone = change_line(&Change::Deleted("a/b".into()), time, Zone::Utc);
        assert_eq!(gone, "2023-11-14 22:13:21  a/b  deleted");
    }

    #[test]
    fn a_new_revision_alone_is_no_news() {
        let mut seen = Seen::default();
        let mut again = answer(&[("a/a", 1)]);
        assert_eq!(seen.changes(again.clone()), [changed("a/a", 1)]);
        again.changed[0].revision = 1 << 40;
        assert_eq!(seen.changes(again), []);
    }

    #[test]
    fn a_new_snapshot_shows_only_what_is_news() {
        let mut seen = Seen::default();
        let first =
            v1::WatchResponse { snapshot_complete: true, ..answer(&[("a/a", 1), ("a/b", 2)]) };
        assert_eq!(seen.changes(first), [changed("a/a", 1), changed("a/b", 2)]);

        let reset = v1::WatchResponse { reset: true, ..answer(&[("a/b", 5)]) };
        assert_eq!(seen.changes(reset), [changed("a/b", 5)]);
        let rest = v1::WatchResponse { snapshot_complete: true, ..answer(&[("a/c", 1)]) };
        let gone = Change::Deleted("a/a".into());
        assert_eq!(seen.changes(rest), [changed("a/c", 1), gone]);

        let same = v1::WatchResponse {
            reset: true,
            snapshot_complete: true,
            ..answer(&[("a/b", 5), ("a/c", 1)])
        };
        assert_eq!(seen.changes(same), []);
    }

    #[test]
    fn a_snapshot_that_is_cut_forgets_nothing() {
        let mut seen = Seen::default();
        let _ = seen.changes(answer(&[("a/a", 1), ("a/b", 1)]));
        let _ = seen.changes(v1::WatchResponse { reset: true, ..answer(&[("a/a", 1)]) });
        // Cut here; the next stream begins with a snapshot once more.
        let again =
            v1::WatchResponse { reset: true, snapshot_complete: true, ..answer(&[("a/a", 1)]) };
        assert_eq!(seen.changes(again), [Change::Deleted("a/b".into())]);
    }

    #[test]
    fn a_breaker_that_was_never_shown_is_not_said_to_be_gone() {
        let mut seen = Seen::default();
        let gone = v1::WatchResponse { deleted: vec!["a/a".into()], ..Default::default() };
        assert_eq!(seen.changes(gone.clone()), []);
        let _ = seen.changes(answer(&[("a/a", 3)]));
        assert_eq!(seen.changes(gone), [Change::Deleted("a/a".into())]);
        assert_eq!(change_json(&changed("a/a", 3))["event"], "changed");
    }
}
