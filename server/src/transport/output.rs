//! The socket of a connection. What is written gathers here until the end of the turn.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::Brake;

/// When so many bytes wait, the socket has to take them before there are more.
const MAX_WAITING_BYTES: usize = 64 << 10;
/// A buffer that was larger once is given back when it is empty: most connections say little.
const MAX_IDLE_BYTES: usize = 4 << 10;

/// Shared by the protocol, which reads and writes, and the connection, which says when what was
/// written goes out. They are one task, so that neither ever waits for the other.
#[derive(Clone)]
pub(super) struct Output {
    socket: Arc<Mutex<Socket>>,
    brake: Arc<Brake>,
}

struct Socket {
    stream: TcpStream,
    waiting: BytesMut,
}

impl Output {
    pub(super) fn new(stream: TcpStream, brake: Arc<Brake>) -> Self {
        let socket = Socket { stream, waiting: BytesMut::new() };
        Self { socket: Arc::new(Mutex::new(socket)), brake }
    }

    /// Sends what waits, as far as the socket takes it.
    pub(super) fn poll_send(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.lock().poll_send(context)
    }
}

impl Socket {
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(context, &self.waiting))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.waiting.advance(sent);
        }
        if self.waiting.capacity() > MAX_IDLE_BYTES {
            self.waiting = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }

    /// Waits until there is room.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.waiting.len() < MAX_WAITING_BYTES {
            return Poll::Ready(Ok(()));
        }
        self.poll_send(context)
    }
}

impl AsyncRead for Output {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.brake.rest().is_some() {
            // The connection comes again when it has rested.
            return Poll::Pending;
        }
        Pin::new(&mut self.socket.lock().stream).poll_read(context, into)
    }
}

impl AsyncWrite for Output {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut socket = self.socket.lock();
        ready!(socket.poll_room(context))?;
        for part in parts {
            socket.waiting.extend_from_slice(part);
        }
        Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// The protocol asks for it after every frame that is not small. All goes out after the turn.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut socket = self.socket.lock();
        ready!(socket.poll_send(context))?;
        Pin::new(&mut socket.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> io::Result<(Output, TcpStream, Arc<Brake>)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (peer, accepted) =
            tokio::join!(TcpStream::connect(listener.local_addr()?), listener.accept());
        let brake = Arc::<Brake>::default();
        Ok((Output::new(accepted?.0, Arc::clone(&brake)), peer?, brake))
    }

    /// What a poll says at once.
    fn now<T>(poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        poll(&mut Context::from_waker(std::task::Waker::noop()))
    }

    #[tokio::test]
    async fn what_is_written_goes_out_at_the_end_of_the_turn() -> io::Result<()> {
        let (mut output, mut peer, _) = pair().await?;
        output.write_all(b"one").await?;
        output.write_all(b"two").await?;
        output.flush().await?;
        assert!(
            now(|context| {
                let mut bytes = [0; 8];
                Pin::new(&mut peer).poll_read(context, &mut ReadBuf::new(&mut bytes))
            })
            .is_pending()
        );
        std::future::poll_fn(|context| output.poll_send(context)).await?;
        let mut bytes = [0; 6];
        peer.read_exact(&mut bytes).await?;
        assert_eq!(&bytes, b"onetwo");
        Ok(())
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_lets_only_so_much_gather() -> io::Result<()> {
        let (mut output, mut peer, _) = pair().await?;
        let mut written = 0;
        let part = [7; 16 << 10];
        while let Poll::Ready(count) =
            now(|context| Pin::new(&mut output).poll_write(context, &part))
        {
            written += count?;
        }
        assert!(output.socket.lock().waiting.len() < MAX_WAITING_BYTES + part.len());
        drop(tokio::spawn(async move {
            let mut left = written;
            let mut bytes = vec![0; 64 << 10];
            while left > 0 {
                left -= peer.read(&mut bytes).await?;
            }
            io::Result::Ok(peer)
        }));
        std::future::poll_fn(|context| output.poll_send(context)).await?;
        assert!(output.socket.lock().waiting.capacity() <= MAX_IDLE_BYTES, "it is given back");
        Ok(())
    }

    #[tokio::test]
    async fn nothing_is_read_while_the_brake_is_pressed() -> io::Result<()> {
        let (mut output, mut peer, brake) = pair().await?;
        peer.write_all(b"more").await?;
        brake.press(Duration::from_millis(5));
        let mut bytes = [0; 4];
        let read =
            now(|context| Pin::new(&mut output).poll_read(context, &mut ReadBuf::new(&mut bytes)));
        assert!(read.is_pending());
        brake.release();
        output.read_exact(&mut bytes).await?;
        assert_eq!(&bytes, b"more");
        Ok(())
    }
}
