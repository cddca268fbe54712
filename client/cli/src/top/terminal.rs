use std::io::{self, IsTerminal};

use anyhow::Context as _;
use jiff::Timestamp;
use ratatui::DefaultTerminal;

use super::app::App;
use super::draw::{Theme, draw, fit};
use crate::error::Error;

/// The terminal, with the screen as it was kept aside. Given back when this is dropped, and before
/// a panic is written.
pub(super) struct Terminal(DefaultTerminal);

impl Terminal {
    pub(super) fn take() -> anyhow::Result<Self> {
        if !(io::stdout().is_terminal() && io::stdin().is_terminal()) {
            let text = "top needs a terminal; for scripts there are `breakerctl list -o json` and \
                        `breakerctl watch -o json`";
            return Err(Error::Usage(text.to_owned()).into());
        }
        let terminal = ratatui::try_init().inspect_err(|_| {
            // Half of it may be done.
            let _ = ratatui::try_restore();
        });
        Ok(Self(terminal.context("cannot use the terminal")?))
    }

    pub(super) fn show(&mut self, app: &mut App, theme: &Theme, now: Timestamp) -> io::Result<()> {
        self.0.draw(|frame| {
            fit(app, frame.area());
            draw(frame, app, theme, now);
        })?;
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        let _ = ratatui::try_restore();
    }
}
