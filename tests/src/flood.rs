//! More calls than a server can answer, from a program that has little to do for each: frames are
//! written as they were made once, and of the answers only the ends are counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{future, io};

use anyhow::ensure;
use breaker_core::Time;
use breaker_proto::v1::AcquireRequest;
use hdrhistogram::Histogram;
use parking_lot::Mutex;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::clock;
use crate::ticks::Ticks;

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

/// How often a connection that keeps a pace calls: its calls are due in bursts. A thread that slept
/// before every call would take a processor for itself, which the server needs.
const TICK: Duration = Duration::from_micros(500);

/// No latency is told apart from a longer one.
const LONGEST_NS: u64 = 60_000_000_000;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const FRAME_HEAD_BYTES: usize = 9;

/// Connections that call Acquire without end, each with so many calls in flight that never fewer
/// are. It ends when this is dropped.
#[derive(Debug)]
pub struct Flood {
    account: Arc<Account>,
    connections: JoinSet<anyhow::Result<()>>,
}

/// What became of the calls.
#[derive(Debug)]
struct Account {
    answered: AtomicU64,
    /// In nanoseconds, of calls that keep a pace: from when each was due to its answer.
    took: Mutex<Histogram<u64>>,
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
        Self::begin(address, breaker, connections, Pace { in_flight, per_second: None }).await
    }

    /// The same with so many calls a second in all, however many of them are answered; of those that
    /// are not there are `in_flight` on each connection at most.
    ///
    /// # Errors
    /// If a connection cannot be opened.
    pub async fn start_at(
        address: &str,
        breaker: &str,
        connections: usize,
        in_flight: usize,
        per_second: f64,
    ) -> anyhow::Result<Self> {
        let per_second = Some(per_second / connections as f64);
        Self::begin(address, breaker, connections, Pace { in_flight, per_second }).await
    }

    async fn begin(
        address: &str,
        breaker: &str,
        connections: usize,
        pace: Pace,
    ) -> anyhow::Result<Self> {
        let took = Mutex::new(Histogram::new_with_max(LONGEST_NS, 3)?);
        let account = Arc::new(Account { answered: AtomicU64::new(0), took });
        let call = Call::acquire(address, breaker);
        let mut running = JoinSet::new();
        for _ in 0..connections {
            let socket = TcpStream::connect(address).await?;
            socket.set_nodelay(true)?;
            running.spawn(call_on(socket, call.clone(), pace, Arc::clone(&account)));
        }
        Ok(Self { account, connections: running })
    }

    /// How many calls were answered, whatever the answers were.
    pub fn answered(&self) -> u64 {
        self.account.answered.load(Ordering::Relaxed)
    }

    /// How long the answers took, in nanoseconds, of those calls that were answered since the last
    /// time and keep a pace: from when each was due, so that a server that hangs makes all late that
    /// are due meanwhile.
    pub fn take_latencies(&self) -> Histogram<u64> {
        let mut took = self.account.took.lock();
        let latencies = took.clone();
        took.reset();
        latencies
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

/// How often one connection calls.
#[derive(Clone, Copy, Debug)]
struct Pace {
    in_flight: usize,
    /// As often as calls are answered if nothing is said.
    per_second: Option<f64>,
}

impl Pace {
    /// How many calls to make now.
    fn calls(self, since: Time, begun: usize, in_flight: usize) -> usize {
        let room = self.in_flight.saturating_sub(in_flight);
        let Some(per_second) = self.per_second else { return room };
        let ticks = clock::now().since(since).as_nanos() / TICK.as_nanos();
        let due = ticks as f64 * TICK.as_secs_f64() * per_second;
        room.min((due as usize).saturating_sub(begun))
    }

    /// After how long the call of this number is due.
    fn due_after(self, number: u32) -> Option<Duration> {
        let due = (f64::from(number) + 1.0) / self.per_second? / TICK.as_secs_f64();
        Some(TICK.mul_f64(due.ceil()))
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
    pace: Pace,
    account: Arc<Account>,
) -> anyhow::Result<()> {
    let mut out = PREFACE.to_vec();
    // SETTINGS_INITIAL_WINDOW_SIZE.
    let mut settings = 4_u16.to_be_bytes().to_vec();
    settings.extend(LARGEST_WINDOW.to_be_bytes());
    frame(kind::SETTINGS, 0, 0, &settings, &mut out);
    let more = (LARGEST_WINDOW - FIRST_WINDOW).to_be_bytes();
    frame(kind::WINDOW_UPDATE, 0, 0, &more, &mut out);
    let since = clock::now();
    let ticks = pace.per_second.map(|_| Ticks::every(TICK)).transpose()?;
    let (mut begun, mut ended) = (0, 0);
    let mut received = Vec::new();
    let mut read = vec![0; 64 << 10];
    loop {
        for _ in 0..pace.calls(since, begun, begun - ended) {
            let stream = u32::try_from(2 * begun + 1).unwrap_or(LAST_STREAM);
            if stream < LAST_STREAM {
                call.write(stream, &mut out);
                begun += 1;
            }
        }
        socket.write_all(&out).await?;
        out.clear();
        let count = tokio::select! {
            count = socket.read(&mut read) => count?,
            ticked = next(ticks.as_ref()) => {
                ticked?;
                continue;
            }
        };
        ensure!(count > 0, "the server has closed a connection");
        received.extend_from_slice(&read[..count]);
        let now_ended = take_frames(&mut received, &mut out)?;
        account.answered.fetch_add(now_ended.len() as u64, Ordering::Relaxed);
        ended += now_ended.len();
        let after = clock::now().since(since);
        let dues = now_ended.iter().filter_map(|stream| pace.due_after(stream / 2));
        let mut took = account.took.lock();
        for due in dues {
            took.saturating_record(after.saturating_sub(due).as_nanos() as u64);
        }
    }
}

/// Whoever keeps no pace never hears a tick.
async fn next(ticks: Option<&Ticks>) -> io::Result<()> {
    match ticks {
        Some(ticks) => ticks.next().await,
        None => future::pending().await,
    }
}

/// Takes out whole frames, answers those that want an answer, and tells the streams of the calls that
/// ended.
fn take_frames(received: &mut Vec<u8>, out: &mut Vec<u8>) -> anyhow::Result<Vec<u32>> {
    let (mut begin, mut ended) = (0, Vec::new());
    while let Some(head) = received.get(begin..begin + FRAME_HEAD_BYTES) {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let (kind, flags) = (head[3], head[4]);
        let payload = begin + FRAME_HEAD_BYTES;
        let Some(payload) = received.get(payload..payload + length) else { break };
        match kind {
            kind::DATA | kind::HEADERS if flags & END_STREAM != 0 => ended.push(stream),
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
