use std::time::Duration;

use breaker_proto::v1;
use breaker_wire::duration_to_message;
use tokio::time::timeout;

use super::Admission;
use super::ending::Ending;
use crate::backoff::Backoff;
use crate::clock;
use crate::connection::{Connection, Patience};
use crate::error::Error;
use crate::output::notice;

/// How often the server is told, until it has understood.
const ATTEMPTS: u32 = 4;
/// How long all of that may take: somebody waits for the exit of the command.
const MAX_TIME: Duration = Duration::from_secs(3);

/// What is reported of a command.
pub(super) fn of(breaker: &str, admission: &Admission, ending: &Ending) -> v1::BreakerReport {
    let (outcome, error_kind) = ending.end.outcome();
    let run = v1::Run {
        outcome: outcome.into(),
        count: 1,
        total_duration: Some(duration_to_message(ending.duration)),
        error_kind,
        permit_id: admission.permit_id,
        ..Default::default()
    };
    let generation = admission.generation;
    v1::BreakerReport { breaker: breaker.to_owned(), generation, runs: vec![run], late: false }
}

/// A report as it is sent after so long. Its sequence is always the same: it counts once.
pub(super) fn request(
    reporter_id: &str,
    mut report: v1::BreakerReport,
    age: Duration,
) -> v1::ReportRequest {
    for run in &mut report.runs {
        run.age = Some(duration_to_message(age));
    }
    v1::ReportRequest { reporter_id: reporter_id.to_owned(), sequence: 1, reports: vec![report] }
}

/// Sends a report, several times if need be, but not for long. One that is lost is no failure of
/// the command.
pub(super) async fn send(
    connection: &Connection,
    reporter_id: &str,
    report: &v1::BreakerReport,
    ending: &Ending,
) {
    let attempts = attempt(connection, reporter_id, report, ending);
    let reason = match timeout(MAX_TIME, attempts).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no server took it within {}", humantime::format_duration(MAX_TIME)),
    };
    notice(format_args!("warning: the outcome could not be reported: {reason}"));
}

async fn attempt(
    connection: &Connection,
    reporter_id: &str,
    report: &v1::BreakerReport,
    ending: &Ending,
) -> Result<(), Error> {
    let mut backoff = Backoff::default();
    let mut attempt = 1;
    loop {
        let age = clock::now().duration_since(ending.at);
        let request = request(reporter_id, report.clone(), age);
        let answer = connection
            .service(Patience::UntilTimeout, &request, async |mut service, request| {
                service.report(request).await
            })
            .await;
        match answer {
            Err(error) if error.is_transient() && attempt < ATTEMPTS => backoff.wait().await,
            answer => return answer.map(drop),
        }
        attempt += 1;
    }
}
