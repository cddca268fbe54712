//! The fleet: replicas that call the upstream through breakers, each with a client of its own.

use std::time::Duration;

use breaker_client::tower::status_verdict;
use breaker_client::{Breaker, Client, Verdict};
use bytes::Bytes;
use http::{Response, Uri};
use http_body_util::Empty;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::cast::DEPENDENCIES;
use super::speed::Speed;

/// The replicas, as the server's logs and reporters name them.
const REPLICAS: [&str; 5] =
    ["storefront-1", "storefront-2", "checkout-1", "checkout-2", "back-office-1"];
/// How long outcomes wait that are no failures, at the usual speed.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// How long the replicas may take to report what is left.
const FAREWELL: Duration = Duration::from_secs(2);

/// Replicas that make calls until they are told to end.
#[derive(Debug)]
pub(super) struct Fleet {
    clients: Vec<Client>,
    /// They end when this is dropped.
    calls: JoinSet<()>,
}

/// Calls without a body, over plain HTTP.
type Http = legacy::Client<HttpConnector, Empty<Bytes>>;

/// One that makes calls of one dependency.
struct Caller {
    breaker: Breaker,
    http: Http,
    url: Uri,
    /// Between two calls, on average.
    interval: Duration,
    rng: Xoshiro256PlusPlus,
}

impl Fleet {
    /// Starts the replicas: with breakers at this server, and calls to this upstream.
    pub(super) fn start(
        server: &str,
        upstream: &str,
        speed: Speed,
        seed: u64,
    ) -> anyhow::Result<Self> {
        let http: Http = legacy::Client::builder(TokioExecutor::new()).build_http();
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut fleet = Self { clients: Vec::new(), calls: JoinSet::new() };
        for replica in REPLICAS {
            let client = Client::builder()
                .address(server)
                .client_id(replica)
                .report_interval(speed.hastened(REPORT_INTERVAL))
                .build()?;
            for dependency in &DEPENDENCIES {
                let caller = Caller {
                    breaker: client.breaker(dependency.name)?,
                    http: http.clone(),
                    url: format!("{upstream}/{}", dependency.name).parse()?,
                    interval: speed.interval(dependency.calls_per_second / REPLICAS.len() as f64),
                    rng: Xoshiro256PlusPlus::seed_from_u64(rng.random()),
                };
                fleet.calls.spawn(caller.call_forever());
            }
            fleet.clients.push(client);
        }
        Ok(fleet)
    }

    /// Makes no more calls, and reports what is left.
    pub(super) async fn end(mut self) {
        self.calls.shutdown().await;
        for client in &self.clients {
            // What is not reported now counts for nothing: the server goes, too.
            let _ = timeout(FAREWELL, client.shutdown()).await;
        }
    }
}

impl Caller {
    async fn call_forever(mut self) {
        let caller = self.breaker.caller().classify(judge);
        loop {
            sleep(self.interval.mul_f64(self.rng.random_range(0.5..1.5))).await;
            // Denied, failed or answered: the breaker knows, and a shop would go on, too.
            let _ = caller.call(self.http.get(self.url.clone())).await;
        }
    }
}

fn judge<B>(result: &Result<Response<B>, legacy::Error>) -> Verdict {
    match result {
        Ok(response) => status_verdict(response.status()),
        Err(_) => Verdict::failure("http.error"),
    }
}
