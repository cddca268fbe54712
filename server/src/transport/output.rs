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
