//! What a recorder of the application hears.

use std::collections::BTreeMap;

use breaker_core::ConfigPatch;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

use super::server::{REFUSED, TestServer};
use super::support::{LONG, NAME, allowed, client_of, denied, eventually, ready, trips_at_once};

/// All that was recorded, as `name{label=value,…}` and a whole number; counters begin anew.
fn recorded(snapshotter: &Snapshotter) -> BTreeMap<String, i64> {
    let snapshot = snapshotter.snapshot().into_vec();
    let recorded = snapshot.into_iter().map(|(key, _, _, value)| {
        let labels = key.key().labels().map(|label| format!("{}={}", label.key(), label.value()));
        let labels = labels.collect::<Vec<_>>().join(",");
        let value = match value {
            DebugValue::Counter(count) => i64::try_from(count).unwrap(),
            DebugValue::Gauge(level) => level.into_inner() as i64,
            DebugValue::Histogram(_) => panic!("there are none"),
        };
        (format!("{}{{{labels}}}", key.key().name()), value)
    });
    recorded.collect()
}

#[tokio::test]
async fn calls_denials_states_and_losses_are_counted() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    // The client's tasks run on this thread, too.
    let _local = metrics::set_default_local_recorder(&recorder);
    let server = TestServer::start(&ConfigPatch::default());
    server.create(NAME);
    server.create(REFUSED);
    let client = client_of(&server);
    let breaker = ready(&client, NAME).await;
    let refused = ready(&client, REFUSED).await;
    for _ in 0..3 {
        allowed(&breaker).await.success();
    }
    allowed(&breaker).await.failure("http.503");
    allowed(&breaker).await.timeout();
    allowed(&breaker).await.ignored();
    allowed(&refused).await.failure("");
    assert!(client.flush(LONG).await);
    server.configure(NAME, &trips_at_once());
    server.trip(NAME);
    eventually(|| !breaker.allows_all()).await;
    for _ in 0..2 {
        denied(&breaker).await;
    }
    let recorded = recorded(&snapshotter);
    let of = |name: &str| recorded.get(name).copied();
    let calls =
        |outcome| of(&format!("breaker_client_calls_total{{breaker={NAME},outcome={outcome}}}"));
    assert_eq!(calls("success"), Some(3), "{recorded:?}");
    assert_eq!(["failure", "timeout", "ignored"].map(calls), [Some(1); 3]);
    let denials = format!("breaker_client_denied_calls_total{{breaker={NAME},reason=open}}");
    assert_eq!(of(&denials), Some(2));
    assert_eq!(of("breaker_client_outcomes_given_up_total{}"), Some(1));
    let states = ["ready", "stale", "fallback"]
        .map(|state| of(&format!("breaker_client_state{{state={state}}}")));
    assert_eq!(states, [Some(1), Some(0), Some(0)]);
}
