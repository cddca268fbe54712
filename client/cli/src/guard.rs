//! `breakerctl run`: guards a command by a breaker.

mod ending;
mod process;
mod report;
mod terminal;

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use breaker_proto::v1;
use clap::{Args, ValueEnum};
use serde_json::json;
use tonic::Code;

use crate::connection::Patience;
use crate::error::{Error, exit};
use crate::output::{self, Format, notice};
use crate::time::{duration, rough_duration_text};
use crate::words::word;
use crate::{Context, clock};

#[derive(Debug, Args)]
pub struct RunArguments {
    /// The name of the breaker, `namespace/name`.
    name: String,
    /// Run this by `sh -c` if the call is denied, and exit as it does.
    #[arg(long, value_name = "COMMAND")]
    fallback: Option<String>,
    /// What to do if no server answers.
    #[arg(long, value_enum, default_value_t)]
    on_unavailable: OnUnavailable,
    /// The command. Exit code 0 is reported as a success, another one as a failure of the kind
    /// `exit.<code>`, a signal as `signal.<number>`; past the breaker's call_timeout the command
    /// and all that it started is ended and reported as a timeout.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum OnUnavailable {
    /// Run the command.
    #[default]
    Allow,
    /// Do as if the breaker had denied it.
    Deny,
}

/// What the breaker said to the call.
#[derive(Debug, PartialEq)]
enum Answer {
    Allowed(Admission),
    Denied(Denial),
    /// No server answered, and the command runs all the same.
    Unguarded,
}

/// Leave to run the command.
#[derive(Debug, Default, PartialEq)]
struct Admission {
    generation: u64,
    /// 0 without a permit, as in `Run.permit_id`.
    permit_id: u64,
    call_timeout: Option<Duration>,
}

/// Why the command does not run.
#[derive(Debug, PartialEq)]
struct Denial {
    reason: String,
    state: Option<String>,
    retry_after: Option<String>,
}

impl RunArguments {
    pub(crate) async fn command(&self, context: &Context) -> anyhow::Result<u8> {
        let reporter_id = format!("breakerctl-{:016x}", clock::unique_number());
        match self.ask(context, &reporter_id).await? {
            Answer::Denied(denial) => {
                self.tell(context, &denial);
                Ok(self.instead())
            }
            Answer::Unguarded => Ok(process::run(&self.command, None).await?.exit_code()),
            Answer::Allowed(admission) => {
                let ending = process::run(&self.command, admission.call_timeout).await?;
                let report = report::of(&self.name, &admission, &ending);
                report::send(&context.connection, &reporter_id, &report, &ending).await;
                Ok(ending.exit_code())
            }
        }
    }

    async fn ask(&self, context: &Context, client_id: &str) -> Result<Answer, Error> {
        let request =
            v1::AcquireRequest { breaker: self.name.clone(), client_id: client_id.to_owned() };
        // A takeover of the servers is no reason to make the command wait.
        let answer = context
            .connection
            .service(Patience::OneRound, &request, async |mut service, request| {
                service.acquire(request).await
            })
            .await;
        match answer {
            Ok(answer) => Ok(Answer::from(answer)),
            Err(error) if is_a_wrong_question(&error) => Err(error),
            // A server in trouble must not stop the command any more than one that is away.
            Err(error) => Ok(self.without_server(&error)),
        }
    }

    fn without_server(&self, error: &Error) -> Answer {
        match self.on_unavailable {
            OnUnavailable::Allow => {
                notice(format_args!("warning: the command runs unguarded: {error}"));
                Answer::Unguarded
            }
            OnUnavailable::Deny => {
                Answer::Denied(Denial { reason: error.to_string(), state: None, retry_after: None })
            }
        }
    }

    fn tell(&self, context: &Context, denial: &Denial) {
        let Denial { reason, state, retry_after } = denial;
        match context.format {
            Format::Json => output::diagnostic(json!({
                "denied": self.name,
                "reason": reason,
                "state": state,
                "retry_after": retry_after,
            })),
            Format::Table => notice(format_args!("denied: {}: {}", self.name, denial.text())),
        }
    }

    /// Becomes the fallback, if there is one; comes back only if that cannot be.
    fn instead(&self) -> u8 {
        let Some(fallback) = &self.fallback else { return exit::DENIED };
        let error = Command::new("sh").arg("-c").arg(fallback).exec();
        notice(format_args!("cannot run the fallback: sh: {error}"));
        exit::NOT_EXECUTABLE
    }
}

/// Whether it is the caller who has to mend something.
fn is_a_wrong_question(error: &Error) -> bool {
    match error {
        Error::Refused(status) => matches!(
            status.code(),
            Code::InvalidArgument
                | Code::PermissionDenied
                | Code::Unauthenticated
                | Code::Unimplemented
        ),
        Error::Unavailable { .. } => false,
        _ => true,
    }
}

impl Denial {
    fn text(&self) -> String {
        let mut text = match &self.state {
            Some(state) => format!("the breaker is {state} (reason: {})", self.reason),
            None => self.reason.clone(),
        };
        if let Some(retry_after) = &self.retry_after {
            text.push_str(&format!(", retry after {retry_after}"));
        }
        text
    }
}

impl From<v1::AcquireResponse> for Answer {
    fn from(answer: v1::AcquireResponse) -> Self {
        if !answer.allowed {
            return Self::Denied(Denial {
                reason: word::<v1::AcquireReason>(answer.reason),
                state: Some(word::<v1::State>(answer.state)),
                retry_after: answer.retry_after.as_ref().and_then(rough_duration_text),
            });
        }
        let settings = answer.settings.unwrap_or_default();
        Self::Allowed(Admission {
            generation: answer.generation,
            permit_id: answer.permit.map_or(0, |permit| permit.id),
            call_timeout: settings.call_timeout.as_ref().and_then(duration),
        })
    }
}

#[cfg(test)]
mod tests;
