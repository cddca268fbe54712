//! Streams that outlive the connections they come over.

use std::convert::Infallible;
use std::time::Duration;

use tokio::time::timeout;
use tonic::{Code, Status, Streaming};

use crate::Context;
use crate::backoff::Backoff;
use crate::connection::Connection;
use crate::error::{Error, is_transient};
use crate::output::notice;

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
    let mut backoff = Backoff::default();
    let mut stream = follower.open(&context.connection).await?;
    loop {
        let cut = read(&mut stream, follower, &mut backoff).await?;
        let is_refused = cut.code() == Code::OutOfRange;
        if is_refused {
            follower.begin_anew(&cut);
        } else {
            notice(format_args!("the stream is cut, trying again: {}", cut.message()));
        }
        stream = loop {
            backoff.wait().await;
            match follower.open(&context.connection).await {
                Ok(stream) => break stream,
                Err(error) if error.is_transient() => {}
                Err(error) => return Err(error.into()),
            }
        };
        if !is_refused {
            notice("connected again");
        }
    }
}

/// Reads until the stream is cut, and says how.
async fn read<F: Follower>(
    stream: &mut Streaming<F::Answer>,
    follower: &mut F,
    backoff: &mut Backoff,
) -> anyhow::Result<Status> {
    loop {
        let Ok(answer) = timeout(MAX_SILENCE, stream.message()).await else {
            return Ok(Status::unavailable("the server has gone silent"));
        };
        match answer {
            Ok(Some(answer)) => {
                backoff.reset();
                follower.take(answer)?;
            }
            Ok(None) => return Ok(Status::unavailable("the server has ended the stream")),
            Err(status) if status.code() == Code::OutOfRange || is_transient(status.code()) => {
                return Ok(status);
            }
            Err(status) => return Err(Error::Refused(Box::new(status)).into()),
        }
    }
}
