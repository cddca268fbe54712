//! More calls than a server can answer, from a program that has little to do for each: frames are
//! written as they were made once, and of the answers only the ends are counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::ensure;
use breaker_proto::v1::AcquireRequest;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// What a connection begins with: the preface, and settings that let the answers of a whole flood
/// come without being asked for again.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const LARGEST_WINDOW: u32 = (1 << 31) - 1;
const FIRST_WINDOW: u32 = 65_535;
/// Stream ids end here; a connection that has come so far makes no more calls.
const LAST_STREAM: u32 = LARGEST_WINDOW;

/// The kinds of frames that matter here.
mod kind {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PING: u8 = 6;
    pub(super) const GOAWAY: u8 = 7;
    pub(super) const WINDOW_UPDATE: u8 = 8;
}

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const FRAME_HEAD_BYTES: usize = 9;

/// Connections that call Acquire without end, each with so many calls in flight that never fewer
/// are. It ends when this is dropped.
#[derive(Debug)]
pub struct Flood {
    answered: Arc<AtomicU64>,
    connections: JoinSet<anyhow::Result<()>>,
}

impl Flood {
    /// Opens the connections; all of them ask for one breaker.
    ///
    /// # Errors
    /// If one cannot be opened.
    pub async fn start(
        address: &str,
        breaker: &str,
        connections: usize,
        in_flight: usize,
    ) -> anyhow::Result<Self> {
        let answered = Arc::new(AtomicU64::new(0));
        let call = Call::acquire(address, breaker);
        let mut running = JoinSet::new();
        for _ in 0..connections {
            let socket = TcpStream::connect(address).await?;
            socket.set_nodelay(true)?;
            running.spawn(call_on(socket, call.clone(), in_flight, Arc::clone(&answered)));
        }
        Ok(Self { answered, connections: running })
    }

    /// How many calls were answered, whatever the answers were.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Fails if a connection has ended.
    ///
    /// # Errors
    /// Why it has ended.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.connections.try_join_next() {
            Some(ended) => ended?,
            None => Ok(()),
        }
    }
}

/// The frames of one call, but for the id of its stream.
#[derive(Clone, Debug)]
struct Call {
    headers: Vec<u8>,
    message: Vec<u8>,
}

impl Call {
    fn acquire(address: &str, breaker: &str) -> Self {
        let request = AcquireRequest { breaker: breaker.into(), client_id: "flood".into() };
        let encoded = request.encode_to_vec();
        let mut message = vec![0];
        message.extend((encoded.len() as u32).to_be_bytes());
        message.extend(encoded);
        let mut headers = Vec::new();
        for (name, value) in [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/breaker.v1.BreakerService/Acquire"),
            (":authority", address),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        ] {
            // A literal that nobody remembers, so that every call is the same bytes.
            headers.push(0);
            for text in [name, value] {
                headers.push(u8::try_from(text.len()).unwrap_or(127) & 127);
                headers.extend(text.as_bytes());
            }
        }
        Self { headers, message }
    }

    fn write(&self, stream: u32, out: &mut Vec<u8>) {
        frame(kind::HEADERS, END_HEADERS, stream, &self.headers, out);
        frame(kind::DATA, END_STREAM, stream, &self.message, out);
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8], out: &mut Vec<u8>) {
    out.extend(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend(payload);
}

async fn call_on(
    mut socket: TcpStream,
    call: Call,
    in_flight: usize,
    answered: Arc<AtomicU64>,
) -> anyhow::Result<()> {
    let mut out = PREFACE.to_vec();
    // SETTINGS_INITIAL_WINDOW_SIZE.
    let mut settings = 4_u16.to_be_bytes().to_vec();
    settings.extend(LARGEST_WINDOW.to_be_bytes());
    frame(kind::SETTINGS, 0, 0, &settings, &mut out);
    let more = (LARGEST_WINDOW - FIRST_WINDOW).to_be_bytes();
    frame(kind::WINDOW_UPDATE, 0, 0, &more, &mut out);
    let mut next_stream = 1_u32;
    let mut to_call = in_flight;
    let mut received = Vec::new();
    let mut read = vec![0; 64 << 10];
    loop {
        while to_call > 0 && next_stream < LAST_STREAM {
            call.write(next_stream, &mut out);
            next_stream += 2;
            to_call -= 1;
        }
        socket.write_all(&out).await?;
        out.clear();
        let count = socket.read(&mut read).await?;
        ensure!(count > 0, "the server has closed a connection");
        received.extend_from_slice(&read[..count]);
        let ended = take_frames(&mut received, &mut out)?;
        answered.fetch_add(ended as u64, Ordering::Relaxed);
        to_call += ended;
    }
}

/// Takes out whole frames, answers those that want an answer, and counts the calls that ended.
fn take_frames(received: &mut Vec<u8>, out: &mut Vec<u8>) -> anyhow::Result<usize> {
    let (mut begin, mut ended) = (0, 0);
    while let Some(head) = received.get(begin..begin + FRAME_HEAD_BYTES) {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let (kind, flags) = (head[3], head[4]);
        let payload = begin + FRAME_HEAD_BYTES;
        let Some(payload) = received.get(payload..payload + length) else { break };
        match kind {
            kind::DATA | kind::HEADERS if flags & END_STREAM != 0 => ended += 1,
            kind::SETTINGS if flags & ACK == 0 => frame(kind::SETTINGS, ACK, 0, &[], out),
            kind::PING if flags & ACK == 0 => frame(kind::PING, ACK, 0, payload, out),
            kind::GOAWAY => anyhow::bail!("the server has said that it goes away"),
            kind::RST_STREAM => anyhow::bail!("the server has reset a call"),
            _ => {}
        }
        begin += FRAME_HEAD_BYTES + length;
    }
    received.drain(..begin);
    Ok(ended)
}
