//! Reports that were encoded before, so that the client that sends them is not what is measured.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;
use breaker_proto::v1::{self, Outcome, ReportRequest, ReportResponse};
use breaker_tests::{Chance, Clients, acquire, create};
use bytes::{BufMut, Bytes};
use http::uri::PathAndQuery;
use prost::Message;
use tokio::task::JoinSet;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::clock;
use crate::population::name;

/// Breakers that a report is about, and runs of each of them.
pub(crate) const BREAKERS: u64 = 100;
pub(crate) const RUNS_OF_A_BREAKER: u64 = 10;
/// One run in so many failed.
const FAILS_EACH: u64 = 10;
const CONNECTIONS: usize = 4;
const IN_FLIGHT: usize = 2;
const REPORT: PathAndQuery = PathAndQuery::from_static("/breaker.v1.BreakerService/Report");

/// Whether the run of this number failed.
pub(crate) const fn has_failed(run: u64) -> bool {
    run.is_multiple_of(FAILS_EACH)
}

/// Makes the breakers that are reported, with a threshold that is never reached: each outcome
/// counts, and opens nothing.
pub(crate) async fn create_breakers(address: SocketAddr) -> anyhow::Result<()> {
    let mut clients = Clients::of(&address.to_string())?;
    let config = v1::BreakerConfig { failure_threshold: Some(1_000_000), ..Default::default() };
    for number in 0..BREAKERS {
        clients.admin.create_breaker(create(&name(number), config.clone())).await?;
    }
    let answer = clients.breakers.acquire(acquire(&name(0))).await?.into_inner();
    ensure!(answer.generation == GENERATION, "breakers begin at {GENERATION}: {answer:?}");
    Ok(())
}

/// What breakers of a server that was just made begin at.
const GENERATION: u64 = 1;

/// What a report says of its breakers, in runs of so many calls, as a smart client would tell it.
pub(crate) fn encoded(calls_of_a_run: u32) -> Bytes {
    let duration = |millis: u32| {
        let nanos = (millis % 1_000) as i32 * 1_000_000;
        Some(prost_types::Duration { seconds: i64::from(millis / 1_000), nanos })
    };
    let run = |number| {
        let failed = has_failed(number);
        v1::Run {
            outcome: if failed { Outcome::Failure } else { Outcome::Success }.into(),
            count: calls_of_a_run,
            total_duration: duration(30 * calls_of_a_run),
            max_duration: duration(30),
            error_kind: if failed { "http.503".to_owned() } else { String::new() },
            age: duration(20),
            ..v1::Run::default()
        }
    };
    let report = |number| v1::BreakerReport {
        breaker: name(number),
        generation: GENERATION,
        runs: (0..RUNS_OF_A_BREAKER).map(run).collect(),
        late: false,
    };
    let reports = (0..BREAKERS).map(report).collect();
    ReportRequest { reports, ..ReportRequest::default() }.encode_to_vec().into()
}

/// Sends such reports for a while; returns how many were counted, and within which time.
pub(crate) async fn send(
    address: SocketAddr,
    duration: Duration,
    mut chance: Chance,
    reports: &Bytes,
) -> anyhow::Result<(u64, Duration)> {
    let mut senders = JoinSet::new();
    let mut channels = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        channels.push(Endpoint::from_shared(format!("http://{address}"))?.connect().await?);
    }
    let begin = clock::now();
    for channel in channels {
        for _ in 0..IN_FLIGHT {
            let reporter_id = format!("reporter-{}", chance.below(u64::MAX));
            let (client, reports) = (Grpc::new(channel.clone()), reports.clone());
            senders.spawn(async move {
                let mut sequence = 0;
                let mut sender = Sender { client, reporter_id, reports };
                while begin.elapsed() < duration {
                    sequence += 1;
                    sender.send(sequence).await?;
                }
                anyhow::Ok(sequence)
            });
        }
    }
    let mut sent = 0;
    while let Some(sender) = senders.join_next().await {
        sent += sender??;
    }
    Ok((sent, begin.elapsed()))
}

struct Sender {
    client: Grpc<Channel>,
    reporter_id: String,
    reports: Bytes,
}

impl Sender {
    async fn send(&mut self, sequence: u64) -> anyhow::Result<()> {
        self.client.ready().await?;
        let (reporter_id, reports) = (self.reporter_id.clone(), Vec::new());
        let beginning = ReportRequest { reporter_id, sequence, reports };
        let request = Request::new((beginning, self.reports.clone()));
        let answer = self.client.unary(request, REPORT, AsEncoded).await?.into_inner();
        ensure!(!answer.duplicate && answer.states.is_empty(), "it counts, and opens nothing");
        Ok(())
    }
}

/// Requests of two parts, the second encoded before: on the wire a message is the sum of its parts.
#[derive(Debug)]
struct AsEncoded;

impl Codec for AsEncoded {
    type Encode = (ReportRequest, Bytes);
    type Decode = ReportResponse;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for AsEncoded {
    type Item = (ReportRequest, Bytes);
    type Error = Status;

    fn encode(
        &mut self,
        (beginning, rest): Self::Item,
        buffer: &mut EncodeBuf<'_>,
    ) -> Result<(), Status> {
        beginning.encode_raw(buffer);
        buffer.put(rest);
        Ok(())
    }
}

impl Decoder for AsEncoded {
    type Item = ReportResponse;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<ReportResponse>, Status> {
        let decoded = ReportResponse::decode(buffer);
        decoded.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
