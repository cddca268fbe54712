use std::io::{self, IsTerminal};

use nix::sys::signal::{SigSet, Signal, killpg};
use nix::unistd::{Pid, getpgrp, tcgetpgrp, tcsetpgrp};

/// The terminal, lent to a process group: one that does not own it is stopped when it reads from
/// it. Taken back when this is dropped.
pub(super) struct Terminal {
    owner: Pid,
}

impl Terminal {
    /// Lends it, if there is one and it is breakerctl's to lend. If the output goes elsewhere it is
    /// not: a pager at the end of the pipe shares it with breakerctl.
    pub(super) fn lend(to: Pid) -> Option<Self> {
        let owner = getpgrp();
        if !io::stdout().is_terminal() || tcgetpgrp(io::stdin()).ok()? != owner {
            return None;
        }
        tcsetpgrp(io::stdin(), to).ok()?;
        // It may have read already, and been stopped.
        let _ = killpg(to, Signal::SIGCONT);
        Some(Self { owner })
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Who takes the terminal without owning it is stopped by this signal, unless it is blocked.
        let stop = SigSet::from(Signal::SIGTTOU);
        let _ = stop.thread_block();
        let _ = tcsetpgrp(io::stdin(), self.owner);
        let _ = stop.thread_unblock();
    }
}
