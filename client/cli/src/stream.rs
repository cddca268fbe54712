//! Streams that outlive the connections they come over.

use std::convert::Infallible;
use std::time::Duration;

use breaker_client::servers::Step;
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};

use crate::Context;
use crate::backoff::Backoff;
use crate::connection::Connection;
use crate::error::{Error, is_transient};
use crate::output::notice;
use crate::words::printable;

/// How long a stream may be silent. The server gives a sign of life at least every 5 s.
const MAX_SILENCE: Duration = Duration::from_secs(15);

/// What is followed, and where it has got to.
pub(crate) trait Follower {
    /// A message of the stream.
    type Answer;

    /// Opens the stream where the last one ended.
    async fn open(&self, connection: &Connection) -> Result<Streaming<Self::Answer>, Error>;

    /// Takes a message, and shows what it holds.
    fn take(&mut self, answer: Self::Answer) -> anyhow::Result<()>;

    /// The server cannot go on where the last stream ended; says so, and begins anew.
    fn begin_anew(&mut self, status: &Status);
}

/// Follows until something fails that trying again does not mend. A server that does not answer at
/// the very first attempt is such a failure: the address is more likely wrong than the server away.
pub(crate) async fn follow<F: Follower>(
    context: &Context,
    follower: &mut F,
) -> anyhow::Result<Infallible> {
    let mut pace = Pace::default();
    let mut stream = follower.open(&context.connection).await?;
    loop {
        let take = async |answer| follower.take(answer);
        let cut = read::<_, anyhow::Error>(&mut stream, &mut pace, take).await?;
        let is_refused = cut.code() == Code::OutOfRange;
        if is_refused {
            follower.begin_anew(&cut);
            pace.backoff.wait().await;
        } else {
            notice(format_args!("the stream is cut, trying again: {}", printable(cut.message())));
            pace.wait(context.connection.stream_was_cut(&cut)).await;
        }
        stream = loop {
            match follower.open(&context.connection).await {
                Ok(stream) => break stream,
                Err(error) if error.is_transient() => pace.backoff.wait().await,
                Err(error) => return Err(error.into()),
            }
        };
        if !is_refused {
            notice("connected again");
        }
    }
}

/// Reads until the stream is cut, and says how. Fails with what trying again does not mend.
pub(crate) async fn read<A, E: From<Error>>(
    stream: &mut Streaming<A>,
    pace: &mut Pace,
    mut take: impl AsyncFnMut(A) -> Result<(), E>,
) -> Result<Status, E> {
    loop {
        let Ok(answer) = timeout(MAX_SILENCE, stream.message()).await else {
            return Ok(Status::unavailable("the server has gone silent"));
        };
        match answer {
            Ok(Some(answer)) => {
                pace.reset();
                take(answer).await?;
            }
            Ok(None) => return Ok(Status::unavailable("the server has ended the stream")),
            Err(status) if status.code() == Code::OutOfRange || is_transient(status.code()) => {
                return Ok(status);
            }
            Err(status) => return Err(Error::Refused(Box::new(status)).into()),
        }
    }
}

/// When to connect again.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    backoff: Backoff,
    /// A leader that was named was gone to at once, and no message has come since. Another one
    /// is waited for: two servers may take each other for the leader.
    has_hopped: bool,
}

impl Pace {
    /// A message has come.
    const fn reset(&mut self) {
        self.backoff.reset();
        self.has_hopped = false;
    }

    /// Waits after a cut, but for a leader that was named.
    pub(crate) async fn wait(&mut self, step: Step) {
        if step == Step::Leader && !self.has_hopped {
            self.has_hopped = true;
        } else {
            self.backoff.wait().await;
        }
    }
}

#[cfg(test)]
mod tests;
