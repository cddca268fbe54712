//! How long calls take, by method and by how they ended.
//!
//! Every call counts itself, so it must cost next to nothing: no lock, no text, no allocation but for
//! the first call that ends in its way. Calls that run at the same time count in different shards,
//! because a counter that two processors share costs more than the count.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use breaker_core::Time;
use breaker_engine::{Clock as _, Histogram, SystemClock};
use http::{HeaderMap, Response};
use prost_reflect::DescriptorPool;
use tonic::Code;

use crate::otlp::{CallSpan, Traces};

/// Shards, a power of two: as many as processors that serve, or nearly.
const SHARDS: usize = 8;
/// The codes of gRPC, from 0.
const CODES: usize = 17;

/// Bounds in nanoseconds: what a call from memory takes, and one that waits for storage.
const BOUNDS: &[u64] = &{
    const MICROS: [u64; 15] = [
        50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
        1_000_000, 5_000_000,
    ];
    let mut nanos = [0; MICROS.len()];
    let mut i = 0;
    while i < MICROS.len() {
        nanos[i] = MICROS[i] * 1_000;
        i += 1;
    }
    nanos
};

/// A method by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Method(usize);

/// A method by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MethodName {
    pub(crate) service: String,
    pub(crate) method: String,
}

/// All calls of one server.
pub(crate) struct Rpcs {
    names: Vec<MethodName>,
    by_path: HashMap<String, Method>,
    shards: [Arc<Shard>; SHARDS],
    given_out: AtomicUsize,
}

/// What every call is measured by.
#[derive(Clone)]
pub(crate) struct Measures {
    pub(crate) rpcs: Arc<Rpcs>,
    /// Where a collector is told of calls.
    pub(crate) traces: Option<Arc<Traces>>,
}

impl Measures {
    /// Begins to trace a call that came with these headers, if it is one that is traced.
    pub(crate) fn trace(&self, method: Method, headers: &HeaderMap) -> Option<CallSpan> {
        self.traces.as_ref()?.begin(headers, self.rpcs.name(method))
    }
}

/// A part of the counts. One for each connection, of which several may have the same.
pub(crate) struct Shard {
    clock: SystemClock,
    methods: Vec<[OnceLock<Histogram>; CODES]>,
}

/// What is known of the calls of one method that ended with one code.
#[derive(Debug)]
pub(crate) struct Ended<'r> {
    pub(crate) name: &'r MethodName,
    pub(crate) code: Code,
    /// In nanoseconds, as [`Histogram::buckets`].
    pub(crate) buckets: Vec<(u64, u64)>,
    pub(crate) sum: u64,
}

impl Rpcs {
    /// Knows the methods of the protocol; all others are one.
    pub(crate) fn new(pool: &DescriptorPool) -> Self {
        let (mut names, mut by_path) = (Vec::new(), HashMap::new());
        for service in pool.services() {
            for method in service.methods() {
                let path = format!("/{}/{}", service.full_name(), method.name());
                by_path.insert(path, Method(names.len()));
                let (service, method) = (service.full_name().to_owned(), method.name().to_owned());
                names.push(MethodName { service, method });
            }
        }
        names.push(MethodName { service: "other".to_owned(), method: "other".to_owned() });
        let shard = || Arc::new(Shard::new(names.len()));
        Self {
            shards: std::array::from_fn(|_| shard()),
            names,
            by_path,
            given_out: AtomicUsize::new(0),
        }
    }

    /// The method of a path.
    pub(crate) fn method(&self, path: &str) -> Method {
        let other = Method(self.names.len() - 1);
        self.by_path.get(path).copied().unwrap_or(other)
    }

    /// The name of a method.
    pub(crate) fn name(&self, method: Method) -> &MethodName {
        &self.names[method.0]
    }

    /// Where the calls of one more connection are counted.
    pub(crate) fn shard(&self) -> Arc<Shard> {
        Arc::clone(&self.shards[self.given_out.fetch_add(1, Ordering::Relaxed) % SHARDS])
    }

    /// All that was counted.
    pub(crate) fn ended(&self) -> Vec<Ended<'_>> {
        let mut all = Vec::new();
        for (index, name) in self.names.iter().enumerate() {
            for code in 0..CODES {
                let shards = self.shards.iter();
                let counted = shards.filter_map(|shard| shard.methods[index][code].get());
                let mut ended: Option<Ended<'_>> = None;
                for histogram in counted {
                    let code = Code::from_i32(code as i32);
                    let ended = ended.get_or_insert_with(|| {
                        let buckets = histogram.buckets().map(|(bound, _)| (bound, 0)).collect();
                        Ended { name, code, buckets, sum: 0 }
                    });
                    ended.sum += histogram.sum();
                    for (sum, (_, count)) in ended.buckets.iter_mut().zip(histogram.buckets()) {
                        sum.1 += count;
                    }
                }
                all.extend(ended);
            }
        }
        all
    }
}

impl Shard {
    fn new(methods: usize) -> Self {
        let methods = (0..methods).map(|_| std::array::from_fn(|_| OnceLock::new())).collect();
        Self { clock: SystemClock::start(), methods }
    }

    /// The time that calls are measured by, which is not the one that breakers live by.
    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    /// Counts a call that began then and has ended.
    pub(crate) fn count(&self, method: Method, code: Code, took: Duration) {
        let of_code = &self.methods[method.0][code as usize % CODES];
        of_code.get_or_init(|| Histogram::new(BOUNDS)).count_duration(took);
    }
}

/// An answer that counts itself when it is there. That of a stream is there when the stream begins.
pub(crate) struct Measured<F> {
    answer: F,
    span: Option<CallSpan>,
    shard: Arc<Shard>,
    method: Method,
    began: Time,
}

impl<F> Measured<F> {
    pub(crate) fn new(
        answer: F,
        span: Option<CallSpan>,
        shard: &Arc<Shard>,
        method: Method,
    ) -> Self {
        Self { answer, span, shard: Arc::clone(shard), method, began: shard.now() }
    }
}

impl<F, B, E> Future for Measured<F>
where
    F: Future<Output = Result<Response<B>, E>> + Unpin,
{
    type Output = Result<Response<B>, E>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.answer).poll(context));
        if let Ok(response) = &answer {
            let took = self.shard.now().since(self.began);
            let code = code_of(response);
            self.shard.count(self.method, code, took);
            if let Some(span) = self.span.take() {
                span.end(code);
            }
        }
        Poll::Ready(answer)
    }
}

/// How a call has ended: one that has not failed at once has its code behind its answer, and it is OK.
pub(crate) fn code_of<B>(response: &Response<B>) -> Code {
    response.headers().get("grpc-status").map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()))
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn rpcs() -> Rpcs {
        Rpcs::new(&DescriptorPool::decode(breaker_proto::FILE_DESCRIPTOR_SET).unwrap())
    }

    #[test]
    fn calls_of_all_connections_are_counted_by_method_and_code() {
        let rpcs = rpcs();
        let acquire = rpcs.method("/breaker.v1.BreakerService/Acquire");
        assert_eq!(rpcs.names[acquire.0].method, "Acquire");
        assert_eq!(rpcs.names[rpcs.method("/no.Such/Thing").0].method, "other");
        for _ in 0..2 * SHARDS {
            rpcs.shard().count(acquire, Code::Ok, Duration::from_micros(60));
        }
        rpcs.shard().count(acquire, Code::NotFound, Duration::from_secs(60));
        let ended = rpcs.ended();
        let counts = |ended: &Ended<'_>| -> Vec<_> {
            ended.buckets.iter().filter(|(_, count)| *count > 0).copied().collect()
        };
        assert_eq!(ended.len(), 2);
        assert_eq!((ended[0].code, counts(&ended[0])), (Code::Ok, vec![(100_000, 16)]));
        assert_eq!(ended[0].sum, 16 * 60_000);
        assert_eq!((ended[1].code, counts(&ended[1])), (Code::NotFound, vec![(u64::MAX, 1)]));
    }

    #[test]
    fn an_answer_counts_itself_by_its_code() {
        let rpcs = rpcs();
        let shard = rpcs.shard();
        let method = rpcs.method("/breaker.v1.BreakerAdmin/Trip");
        let ok = Response::new(());
        let mut refused = Response::new(());
        refused.headers_mut().insert("grpc-status", 8.into());
        for response in [ok, refused] {
            let answer = std::future::ready(Ok::<_, ()>(response));
            Measured::new(answer, None, &shard, method).now_or_never().unwrap().unwrap();
        }
        let codes: Vec<_> = rpcs.ended().iter().map(|ended| ended.code).collect();
        assert_eq!(codes, [Code::Ok, Code::ResourceExhausted]);
    }
}
