//! What a guarded call and a known breaker cost in memory.
//!
//! One test, because the counter counts what all threads do.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test that cannot be set up fails")]

#[path = "support/server.rs"]
mod server;

use std::alloc::System;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use breaker_client::{Breaker, Client};
use breaker_core::ConfigPatch;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use self::server::TestServer;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CALLS: u32 = 10_000;
const THREADS: usize = 4;
const BREAKERS: usize = 10_000;
const MOST_BYTES: usize = 20 * 1024 * 1024;
const LONG: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn guarded_calls_allocate_nothing_and_known_breakers_take_little() {
    let server = TestServer::start(&ConfigPatch::default());
    for number in 0..BREAKERS {
        server.create(&format!("memory/breaker-{number}"));
    }
    let client = Client::builder()
        .address(&server.address)
        // Reports would allocate beside the calls.
        .report_interval(Duration::from_secs(3_600))
        .build()
        .unwrap();
    let breaker = client.breaker("calls/closed").unwrap();
    server.create("calls/closed");
    assert!(client.ready(LONG).await);
    while !breaker.allows_all() || breaker.status().unwrap().generation == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(allocations(&breaker), 0);
    assert!(client.flush(LONG).await);
    let counted = server.world(|world| world.totals("calls/closed"));
    assert_eq!(counted, [u64::from(CALLS) * 2 * THREADS as u64, 0, 0, 0]);

    let bytes = bytes_of_known_breakers(&server).await;
    println!("{BREAKERS} breakers take {bytes} bytes, {} each", bytes / BREAKERS);
    assert!(bytes <= MOST_BYTES, "{bytes}");
}

/// How often guarded calls of several threads allocate.
fn allocations(breaker: &Breaker) -> usize {
    let (begin, end, leave) = (barrier(), barrier(), barrier());
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                runtime.block_on(async {
                    // What is set up once for a thread is no cost of a call.
                    make_calls(breaker, 1).await;
                    begin.wait();
                    make_calls(breaker, CALLS - 1).await;
                    end.wait();
                    leave.wait();
                });
            });
        }
        begin.wait();
        let region = Region::new(ALLOCATOR);
        end.wait();
        let change = region.change();
        leave.wait();
        change.allocations + change.reallocations
    })
}

fn barrier() -> Barrier {
    Barrier::new(THREADS + 1)
}

async fn make_calls(breaker: &Breaker, times: u32) {
    for _ in 0..times {
        breaker.acquire().await.unwrap().success();
        breaker.call(async { Ok::<_, ()>(()) }).await.unwrap();
    }
}

/// What a client holds that knows all of the server's breakers.
async fn bytes_of_known_breakers(server: &TestServer) -> usize {
    let client =
        Client::builder().address(&server.address).selectors(["memory/**"]).build().unwrap();
    let region = Region::new(ALLOCATOR);
    let known: Vec<_> = {
        let names = (0..BREAKERS).map(|number| format!("memory/breaker-{number}"));
        let known = names.map(|name| client.breaker(&name).unwrap()).collect();
        assert!(client.ready(LONG).await);
        known
    };
    assert!(known.iter().all(|breaker: &Breaker| breaker.status().unwrap().generation == 1));
    // What the server and the stream hold for a moment is freed by then.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let change = region.change();
    change.bytes_allocated.saturating_sub(change.bytes_deallocated)
}
