//! Watch streams as raw HTTP/2: cheap to read, so that what is measured is the server, and for clients
//! that do not behave as those of tonic do.

use std::future;
use std::net::SocketAddr;

use anyhow::{Context, ensure};
use breaker_proto::v1::WatchRequest;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::RecvStream;
use h2::client::{Builder, SendRequest};
use http::{Request, StatusCode, header};
use prost::Message;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::gist::Gist;

/// A flag and a length stand before each message.
const PREFIX_BYTES: usize = 5;
/// What may be under way to one stream, and to a connection, before something is read.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 1 << 24;
/// Nobody says more to a connection at once; whoever does waits.
const MAX_WAITING_WORDS: usize = 1;

/// One connection. Dropped, it is cut off without a word.
#[derive(Debug)]
pub struct RawConnection {
    requests: SendRequest<Bytes>,
    uri: String,
    words: mpsc::Sender<Word>,
    _driver: JoinSet<anyhow::Result<()>>,
}

/// The messages of one stream. Dropped, it is reset.
#[derive(Debug)]
pub struct RawStream {
    body: RecvStream,
    /// What has come of the next message.
    begun: BytesMut,
}

/// What is said to a connection.
#[derive(Debug)]
enum Word {
    StreamWindow(u32),
    Freeze,
}

impl RawConnection {
    /// Connects.
    ///
    /// # Errors
    /// If nobody listens there.
    pub async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let (requests, connection) = Builder::new()
            .initial_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .handshake(socket)
            .await?;
        let (words, said) = mpsc::channel(MAX_WAITING_WORDS);
        let mut driver = JoinSet::new();
        driver.spawn(drive(connection, said));
        let uri = format!("http://{address}/breaker.v1.BreakerService/Watch");
        Ok(Self { requests, uri, words, _driver: driver })
    }

    /// Opens a stream, and waits for the head of the answer.
    ///
    /// # Errors
    /// If the server does not take it.
    pub async fn watch(
        &self,
        selectors: Vec<String>,
        resume_token: Bytes,
    ) -> anyhow::Result<RawStream> {
        let request = Request::post(&self.uri)
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .body(())?;
        let mut requests = self.requests.clone().ready().await?;
        let (answer, mut body) = requests.send_request(request, false)?;
        let message = WatchRequest { selectors, resume_token: resume_token.to_vec() };
        let mut framed = BytesMut::new();
        framed.put_u8(0);
        framed.put_u32(u32::try_from(message.encoded_len())?);
        message.encode(&mut framed)?;
        body.send_data(framed.freeze(), true)?;
        let answer = answer.await?;
        let refused = answer.headers().get("grpc-status");
        ensure!(answer.status() == StatusCode::OK && refused.is_none(), "refused: {answer:?}");
        Ok(RawStream { body: answer.into_body(), begun: BytesMut::new() })
    }

    /// Lets the server send at most so many bytes ahead on each stream, the open ones included.
    ///
    /// # Errors
    /// If the connection has ended.
    pub async fn set_stream_window(&self, bytes: u32) -> anyhow::Result<()> {
        self.words.send(Word::StreamWindow(bytes)).await.context("the connection has ended")
    }

    /// From now on nothing is read from the connection, and nothing written to it, as if its
    /// process hung.
    ///
    /// # Errors
    /// If the connection has ended.
    pub async fn freeze(&self) -> anyhow::Result<()> {
        self.words.send(Word::Freeze).await.context("the connection has ended")
    }
}

async fn drive(
    mut connection: h2::client::Connection<TcpStream, Bytes>,
    mut said: mpsc::Receiver<Word>,
) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            ended = &mut connection => return Ok(ended?),
            Some(word) = said.recv() => match word {
                Word::StreamWindow(bytes) => connection.set_initial_window_size(bytes)?,
                Word::Freeze => return future::pending().await,
            },
        }
    }
}

impl RawStream {
    /// The next message.
    ///
    /// # Errors
    /// At the end of the stream: none ends by itself.
    pub async fn next(&mut self) -> anyhow::Result<Gist> {
        loop {
            if let Some(message) = self.take_whole()? {
                return Gist::of(message);
            }
            let data = self.body.data().await.context("the stream has ended")??;
            self.body.flow_control().release_capacity(data.len())?;
            self.begun.extend_from_slice(&data);
        }
    }

    fn take_whole(&mut self) -> anyhow::Result<Option<Bytes>> {
        let Some((prefix, rest)) = self.begun.split_first_chunk::<PREFIX_BYTES>() else {
            return Ok(None);
        };
        let [flag, length @ ..] = *prefix;
        ensure!(flag == 0, "a message is compressed");
        let length = u32::from_be_bytes(length) as usize;
        if rest.len() < length {
            return Ok(None);
        }
        self.begun.advance(PREFIX_BYTES);
        Ok(Some(self.begun.split_to(length).freeze()))
    }
}
