use std::time::Duration;

use breaker_proto::v1::Outcome;
use nix::sys::signal::Signal;
use tokio::time::Instant;

use crate::error::exit;
use crate::signals;

/// How a guarded command ended.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) end: End,
    pub(super) duration: Duration,
    pub(super) at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With a code of its own.
    Exited(i32),
    /// By a signal that breakerctl has nothing to do with.
    Signalled(i32),
    /// It took longer than `call_timeout`.
    TimedOut,
    /// Whoever started breakerctl ended it, and so the command; with the code to exit with.
    Interrupted(u8),
    /// There is no such program.
    NotFound,
    /// The program could not be executed.
    NotExecutable,
}

impl Ending {
    pub(super) fn exit_code(&self) -> u8 {
        self.end.exit_code()
    }
}

impl End {
    /// What is reported: the outcome, and the kind of its error.
    pub(super) fn outcome(self) -> (Outcome, String) {
        match self {
            Self::Exited(0) => (Outcome::Success, String::new()),
            Self::Exited(code) => (Outcome::Failure, format!("exit.{code}")),
            Self::Signalled(signal) => (Outcome::Failure, format!("signal.{signal}")),
            Self::TimedOut => (Outcome::Timeout, String::new()),
            // None of them says anything about what the breaker protects.
            Self::Interrupted(_) | Self::NotFound | Self::NotExecutable => {
                (Outcome::Ignored, String::new())
            }
        }
    }

    /// What breakerctl exits with.
    pub(super) fn exit_code(self) -> u8 {
        match self {
            Self::Exited(code) => u8::try_from(code).unwrap_or(exit::FAILED),
            Self::Signalled(signal) => signals::exit_code(signal),
            Self::TimedOut => exit::TIMED_OUT,
            Self::Interrupted(code) => code,
            Self::NotFound => exit::COMMAND_NOT_FOUND,
            Self::NotExecutable => exit::NOT_EXECUTABLE,
        }
    }

    /// The same end, of a command that was interrupted: what it makes of that is no failure.
    pub(super) fn interrupted(self) -> Self {
        match self {
            Self::Exited(0) => self,
            other => Self::Interrupted(other.exit_code()),
        }
    }

    /// The same end, of a command that owned the terminal: there Ctrl-C reaches it, not breakerctl.
    pub(super) fn at_terminal(self) -> Self {
        match self {
            Self::Signalled(signal) if signal == Signal::SIGINT as i32 => self.interrupted(),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_reported_as_an_outcome_and_passed_on_as_an_exit_code() {
        let cases = [
            (End::Exited(0), Outcome::Success, "", 0),
            (End::Exited(3), Outcome::Failure, "exit.3", 3),
            (End::Signalled(9), Outcome::Failure, "signal.9", 137),
            (End::TimedOut, Outcome::Timeout, "", 124),
            (End::NotFound, Outcome::Ignored, "", 127),
            (End::NotExecutable, Outcome::Ignored, "", 126),
            (End::Signalled(15).interrupted(), Outcome::Ignored, "", 143),
            (End::Exited(0).interrupted(), Outcome::Success, "", 0),
            (End::Signalled(2).at_terminal(), Outcome::Ignored, "", 130),
            (End::Signalled(15).at_terminal(), Outcome::Failure, "signal.15", 143),
        ];
        for (end, outcome, kind, code) in cases {
            assert_eq!(end.outcome(), (outcome, kind.to_owned()), "{end:?}");
            assert_eq!(end.exit_code(), code, "{end:?}");
        }
    }
}
