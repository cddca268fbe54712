//! Tells the story: chapter by chapter to the fleet, and line by line to whoever reads along.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use breaker_proto::v1;
use breaker_wire::duration_to_message;
use parking_lot::Mutex;
use tokio::time::{sleep, sleep_until};
use tonic::Streaming;

use super::speed::Speed;
use super::story::{Chapter, ForceOpen, Promise, STORY};
use super::upstream::Skies;
use crate::colour::{self, HEADING};
use crate::connection::Connection;
use crate::error::Error;
use crate::words::{printable, word};
use crate::{clock, output, table, time};

/// Who is named for what the admin of the story does.
const ACTOR: &str = "ann, on call";
/// How often it is looked whether promises are kept.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// How long a promise may be late, whatever the speed; twice the chapter comes on top of it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most transitions that are kept of a chapter, which has some dozens.
const MAX_SEEN: usize = 10_000;

/// Whoever tells the story.
#[derive(Debug)]
pub(super) struct Teller {
    pub(super) connection: Connection,
    pub(super) skies: Skies,
    pub(super) speed: Speed,
    pub(super) seen: Seen,
}

/// The transitions of the chapter. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen(Arc<Mutex<VecDeque<v1::Transition>>>);

impl Teller {
    /// Tells it once; how many promises were broken.
    pub(super) async fn tell(&self) -> anyhow::Result<usize> {
        let mut broken = 0;
        for (number, chapter) in STORY.iter().enumerate() {
            say(&format!("{HEADING}{}. {}{HEADING:#}", number + 1, chapter.title))?;
            broken += self.tell_chapter(chapter).await?;
        }
        Ok(broken)
    }

    async fn tell_chapter(&self, chapter: &Chapter) -> anyhow::Result<usize> {
        self.seen.0.lock().clear();
        if let Some((dependency, weather)) = chapter.weather {
            self.skies.set(dependency, weather);
        }
        if let Some(force_open) = &chapter.force_open {
            self.force_open(force_open).await?;
        }
        let lasts = self.speed.hastened(chapter.lasts);
        let end = clock::now() + lasts;
        let at_last = end + lasts * 2 + PATIENCE;
        sleep_until(end).await;
        loop {
            let broken = self.broken(chapter).await?;
            if broken.is_empty() {
                return Ok(0);
            }
            if clock::now() >= at_last {
                for promise in &broken {
                    say(&format!("   did not come in time: {promise}"))?;
                }
                return Ok(broken.len());
            }
            sleep(LOOK_INTERVAL).await;
        }
    }

    /// The promises that are not kept, or not yet.
    async fn broken(&self, chapter: &Chapter) -> Result<Vec<Promise>, Error> {
        let mut broken = Vec::new();
        for promise in chapter.promises {
            let now = self.state_of(promise.breaker).await?;
            if !promise.is_kept(self.seen.0.lock().make_contiguous(), &now) {
                broken.push(*promise);
            }
        }
        Ok(broken)
    }

    async fn state_of(&self, breaker: &str) -> Result<v1::BreakerState, Error> {
        let request = v1::GetBreakerRequest { name: breaker.to_owned() };
        let answer = self
            .connection
            .admin(&request, async |mut admin, request| admin.get_breaker(request).await)
            .await;
        match answer {
            Ok(answer) => Ok(answer.breaker.and_then(|breaker| breaker.state).unwrap_or_default()),
            // Nobody has called it yet.
            Err(Error::NotFound(_)) => Ok(v1::BreakerState::default()),
            Err(error) => Err(error),
        }
    }

    async fn force_open(&self, force_open: &ForceOpen) -> Result<(), Error> {
        let target = v1::ChangeTarget {
            selector: force_open.selector.to_owned(),
            actor: ACTOR.to_owned(),
            reason: force_open.reason.to_owned(),
            require_durable: false,
        };
        let time_to_live = duration_to_message(self.speed.hastened(force_open.time_to_live));
        let request =
            v1::ForceOpenRequest { target: Some(target), time_to_live: Some(time_to_live) };
        self.connection
            .admin(&request, async |mut admin, request| admin.force_open(request).await)
            .await?;
        Ok(())
    }
}

/// Writes every transition as it happens, and keeps it for the promises; comes back only when the
/// stream is cut.
pub(super) async fn write_along(
    mut transitions: Streaming<v1::WatchTransitionsResponse>,
    seen: Seen,
) -> anyhow::Result<std::convert::Infallible> {
    while let Some(answer) = transitions.message().await? {
        for transition in answer.transitions {
            say(&line_of(&transition))?;
            let mut seen = seen.0.lock();
            if seen.len() == MAX_SEEN {
                seen.pop_front();
            }
            seen.push_back(transition);
        }
    }
    anyhow::bail!("the server has ended the stream of transitions")
}

/// Writes a line with the time before it.
pub(super) fn say(text: &str) -> std::io::Result<()> {
    let now = time::Zone::Local.clock_text(clock::wall_time());
    output::coloured_line(format_args!("{now}  {text}"))
}

/// `payments/stripe-api  closed → open  failure_threshold`.
fn line_of(transition: &v1::Transition) -> String {
    let v1::Transition { breaker, from_state, from_mode, from_level, .. } = transition;
    let v1::Transition { to_state, to_mode, to_level, cause, actor, reason, .. } = transition;
    let (before, after) = (
        table::side(*from_state, *from_mode, from_level),
        table::side(*to_state, *to_mode, to_level),
    );
    let style = colour::of(*to_state, *to_mode);
    let mut line = format!(
        "   {:<24} {before} → {style}{after}{style:#}  {}",
        printable(breaker),
        word::<v1::Cause>(*cause)
    );
    for (what, said) in [("by", actor), ("because", reason)] {
        if !said.is_empty() {
            line.push_str(&format!(", {what}: {}", printable(said)));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transition_is_a_line_for_people() {
        let transition = v1::Transition {
            breaker: "a/b".into(),
            from_state: v1::State::Closed as i32,
            from_mode: v1::Mode::Normal as i32,
            to_state: v1::State::Open as i32,
            to_mode: v1::Mode::ForcedOpen as i32,
            cause: v1::Cause::ForcedOpen as i32,
            actor: "ann".into(),
            reason: "the\u{7} sale".into(),
            ..Default::default()
        };
        let line = anstream::adapter::strip_str(&line_of(&transition)).to_string();
        let expected = "closed → open (forced_open)  forced_open, by: ann, because: the\\u{7} sale";
        assert!(line.starts_with("   a/b ") && line.ends_with(expected), "{line}");
    }
}
