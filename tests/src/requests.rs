//! Requests as the tests say them.

use std::collections::BTreeMap;

use breaker_proto::v1;
use breaker_proto::v1::breaker_admin_client::BreakerAdminClient;
use tonic::transport::Channel;

/// One call asks for leave.
pub fn acquire(breaker: &str) -> v1::AcquireRequest {
    v1::AcquireRequest { breaker: breaker.into(), client_id: "test".into() }
}

/// Creates a breaker with a configuration of its own.
pub fn create(name: &str, config: v1::BreakerConfig) -> v1::CreateBreakerRequest {
    v1::CreateBreakerRequest { name: name.into(), config: Some(config), require_durable: false }
}

/// Calls of one outcome.
pub fn run_of(outcome: v1::Outcome, count: u32) -> v1::Run {
    v1::Run { outcome: outcome.into(), count, ..v1::Run::default() }
}

/// A report about one breaker.
pub fn report_of(breaker: &str, generation: u64, runs: Vec<v1::Run>) -> v1::ReportRequest {
    let report = v1::BreakerReport { breaker: breaker.into(), generation, runs, late: false };
    v1::ReportRequest { reports: vec![report], ..v1::ReportRequest::default() }
}

/// The target of a change.
pub fn selecting(selector: &str) -> Option<v1::ChangeTarget> {
    Some(v1::ChangeTarget {
        selector: selector.into(),
        actor: "test".into(),
        reason: "because".into(),
        require_durable: false,
    })
}

/// What is shown of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// A `State`.
    pub state: i32,
    /// A `Mode`.
    pub mode: i32,
    /// Its generation.
    pub generation: u64,
    /// Its revision.
    pub revision: u64,
}

impl Shown {
    /// The gist of a state.
    pub const fn of(state: &v1::BreakerState) -> Self {
        let v1::BreakerState { state, mode, generation, revision, .. } = state;
        Self { state: *state, mode: *mode, generation: *generation, revision: *revision }
    }
}

/// What List shows of every breaker.
///
/// # Errors
/// If the server does not answer.
pub async fn states_in(
    admin: &mut BreakerAdminClient<Channel>,
) -> anyhow::Result<BTreeMap<String, Shown>> {
    let mut states = BTreeMap::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListBreakersRequest {
            page_size: 7,
            page_token: page_token.clone(),
            ..v1::ListBreakersRequest::default()
        };
        let page = admin.list_breakers(request).await?.into_inner();
        for state in page.breakers.into_iter().filter_map(|breaker| breaker.state) {
            states.insert(state.name.clone(), Shown::of(&state));
        }
        if page.next_page_token.is_empty() {
            return Ok(states);
        }
        page_token = page.next_page_token;
    }
}
