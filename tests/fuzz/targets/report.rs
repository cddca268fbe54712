//! Whatever a Report holds, a server counts it or refuses it with a reason, and goes on.
#![no_main]

use std::sync::{LazyLock, Mutex};

use breaker_core::Time;
use breaker_proto::v1;
use breaker_tests::Hosted;
use libfuzzer_sys::fuzz_target;
use prost::Message;
use tokio::runtime::Runtime;
use tonic::Code;

struct Served {
    runtime: Runtime,
    hosted: Hosted,
}

static SERVED: LazyLock<Mutex<Served>> = LazyLock::new(|| {
    let runtime = Runtime::new().expect("a runtime");
    let now = Time::from_millis(1_700_000_000_000);
    let hosted = runtime.block_on(Hosted::start(now)).expect("a server");
    Mutex::new(Served { runtime, hosted })
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(request) = v1::ReportRequest::decode(bytes) else { return };
    let mut served = SERVED.lock().expect("one target at a time");
    let Served { runtime, hosted } = &mut *served;
    match runtime.block_on(hosted.clients.breakers.report(request)) {
        Ok(_) => {}
        Err(status) => assert!(
            matches!(status.code(), Code::InvalidArgument | Code::ResourceExhausted | Code::NotFound),
            "{status:?}"
        ),
    }
});
