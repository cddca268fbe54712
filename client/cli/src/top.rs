//! `breakerctl top`: the live fleet in the terminal.
//!
//! `app` is what is shown and what keys and news make of it, `draw` is how it looks, and both are
//! pure. `feed` asks the servers, `terminal` has the terminal, and `command` here joins them.

mod app;
mod change;
mod draw;
mod feed;
mod filter;
mod fleet;
mod input;
mod news;
mod terminal;

use std::time::Duration;

use clap::Args;
use crossterm::event::{Event, EventStream, KeyEventKind};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{MissedTickBehavior, interval};
use tokio_stream::StreamExt;

use crate::error::{Error, exit};
use crate::output::Format;
use crate::signals::{self, Signals};
use crate::{Context, clock};
use app::{App, Effect};
use draw::Theme;
use feed::Sender;
use filter::Filter;
use terminal::Terminal;

/// News that wait to be shown. When it is full the stream from the server is read no further.
const MAX_NEWS: usize = 256;
/// How often news are shown at most; keys are answered at once.
const FRAME: Duration = Duration::from_millis(100);
/// After so many frames without news the times are shown anew.
const IDLE_FRAMES: u32 = 10;
/// Changes that are under way at once.
const MAX_CHANGES: usize = 4;

#[derive(Debug, Args)]
pub struct TopArguments {
    /// Only breakers whose name holds this text or, with a star in it, that it matches as a glob.
    /// `/` changes it.
    #[arg(value_name = "FILTER", default_value = "")]
    filter: String,
    /// Who makes changes; kept with the transition.
    #[arg(long, env = "USER", default_value = "", hide_env_values = true)]
    actor: String,
}

/// Everything that runs while `top` does; all of it ends when this is dropped.
struct Running<'a> {
    context: &'a Context,
    actor: &'a str,
    feeds: JoinSet<Result<(), Error>>,
    changes: JoinSet<Result<(), Error>>,
    news: Sender,
}

impl TopArguments {
    /// The code to exit with.
    pub(crate) async fn command(&self, context: &Context) -> anyhow::Result<u8> {
        // What asks a server stays on this thread, which has little to do.
        LocalSet::new().run_until(self.show(context)).await
    }

    async fn show(&self, context: &Context) -> anyhow::Result<u8> {
        if context.format == Format::Json {
            let text = "top is for people; `breakerctl watch -o json` tells changes as JSON";
            return Err(Error::Usage(text.to_owned()).into());
        }
        let mut filter = Filter::default();
        filter.set_names(&self.filter).map_err(|error| Error::Usage(format!("filter: {error}")))?;
        // Before the terminal is changed: a signal that came between would leave it so.
        let mut signals = Signals::new()?;
        let mut terminal = Terminal::take()?;
        let mut keys = EventStream::new();
        let (sender, mut news) = mpsc::channel(MAX_NEWS);
        let (wants, wanted) = watch::channel(app::Wanted::default());
        let mut running = Running {
            context,
            actor: &self.actor,
            feeds: JoinSet::new(),
            changes: JoinSet::new(),
            news: sender.clone(),
        };
        running.feeds.spawn_local(feed::follow(context.connection.another()?, sender.clone()));
        running.feeds.spawn_local(feed::poll(context.connection.another()?, wanted, sender));

        let mut app = App::new(filter);
        let theme = Theme::of_environment();
        let mut frames = interval(FRAME);
        frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Frames since something was drawn, and whether there is something new to draw.
        let (mut idle, mut is_new) = (0, true);
        loop {
            let is_due = tokio::select! {
                biased;
                signal = signals.next() => return Ok(signals::exit_code(signal as i32)),
                event = keys.next() => match event {
                    Some(Ok(Event::Key(key))) if key.kind != KeyEventKind::Release => {
                        match app.key(key) {
                            Effect::Quit => return Ok(exit::OK),
                            Effect::Make(order) => running.make(&mut app, order)?,
                            Effect::Nothing => {}
                        }
                        true
                    }
                    Some(Ok(Event::Resize(..))) => true,
                    Some(Ok(_)) => false,
                    // The terminal is gone.
                    Some(Err(_)) | None => return Ok(exit::FAILED),
                },
                Some(told) = news.recv() => {
                    app.take(told, clock::wall_time());
                    is_new = true;
                    false
                }
                Some(ended) = running.feeds.join_next() => match ended {
                    // It ends by itself only with what trying again does not mend.
                    Ok(ended) => return ended.map(|()| exit::OK).map_err(Into::into),
                    Err(panic) => return Err(panic.into()),
                },
                Some(_) = running.changes.join_next() => false,
                _ = frames.tick() => {
                    idle += 1;
                    is_new || idle >= IDLE_FRAMES
                }
            };
            if is_due {
                terminal.show(&mut app, &theme, clock::wall_time())?;
                (idle, is_new) = (0, false);
                let now_wanted = app.wanted();
                wants.send_if_modified(|wanted| {
                    let is_other = *wanted != now_wanted;
                    *wanted = now_wanted;
                    is_other
                });
            }
        }
    }
}

impl Running<'_> {
    fn make(&mut self, app: &mut App, order: change::Order) -> Result<(), Error> {
        if self.changes.len() >= MAX_CHANGES {
            let text = "wait until the changes before are made".to_owned();
            app.message = Some(app::Message::Bad(text));
            return Ok(());
        }
        let connection = self.context.connection.another()?;
        let (actor, news) = (self.actor.to_owned(), self.news.clone());
        self.changes.spawn_local(feed::make(connection, order, actor, news));
        Ok(())
    }
}
