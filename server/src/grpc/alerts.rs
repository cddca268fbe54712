//! Alerts: pages of them, a stream that goes on, and what people note about them.

use std::sync::Arc;

use breaker_engine::{AlertFilter, AlertRow, AlertRule, Engine, EngineError, Severity};
use breaker_proto::v1;
use breaker_wire::time_to_message;
use tonic::Status;

use super::error::to_status;
use super::follow::{CHUNK, FollowStream, Read, Tail, follow};
use super::page_token;
use super::requests::{Check, attribution, known, page_size, selector};
use crate::http::StreamGuard;
use crate::seat::{Leading, Seat};

/// Those who follow alerts.
pub(crate) type AlertStream = FollowStream<v1::WatchAlertsResponse>;

/// A page of alerts.
pub(crate) fn list(
    engine: &Engine,
    request: &v1::ListAlertsRequest,
) -> Result<v1::ListAlertsResponse, Status> {
    let mut check = Check::default();
    let v1::ListAlertsRequest { selector: selected, state, min_severity, rules, .. } = request;
    let hash = page_token::query_hash(&(selected, state, min_severity, rules));
    let filter = AlertFilter {
        selector: selector(&mut check, selected),
        is_firing: state_of(&mut check, *state),
        min_severity: severity_of(&mut check, *min_severity),
        rules: known(&mut check, "rules", rules, rule_from_message),
    };
    let limit = page_size(&mut check, request.page_size);
    let before = check.checked(page_token::to_number(&request.page_token, hash)).flatten();
    check.finish(Some(()))?;
    let (rows, has_more) = engine.list_alerts(&filter, before.unwrap_or(u64::MAX), limit);
    let next = rows.last().filter(|_| has_more);
    Ok(v1::ListAlertsResponse {
        next_page_token: next
            .map(|row| page_token::from_number(hash, row.revision))
            .unwrap_or_default(),
        alerts: rows.iter().map(|row| row_to_message(row)).collect(),
    })
}

/// Notes that somebody has seen an alert.
pub(crate) fn acknowledge(
    engine: &Engine,
    request: v1::AcknowledgeAlertRequest,
) -> Result<v1::AcknowledgeAlertResponse, Status> {
    let mut check = Check::default();
    let v1::AcknowledgeAlertRequest { id, actor, comment } = request;
    if actor.is_empty() {
        check.refuse("actor", "it is empty; say who has seen the alert");
    }
    let by = attribution(&mut check, ["actor", "comment"], &actor, &comment);
    check.finish(by)?;
    let row = engine.acknowledge_alert(id, actor, comment).map_err(to_status)?;
    Ok(v1::AcknowledgeAlertResponse { alert: Some(row_to_message(&row)) })
}

struct AlertTail {
    filter: AlertFilter,
    position: u64,
    _guard: StreamGuard,
}

/// Every alert that changes after a revision, until the server drains or leads no more.
pub(crate) fn stream(
    seat: Arc<Seat>,
    leading: Arc<Leading>,
    request: &v1::WatchAlertsRequest,
    guard: StreamGuard,
) -> Result<AlertStream, Status> {
    let mut check = Check::default();
    let filter = AlertFilter {
        selector: selector(&mut check, &request.selector),
        min_severity: severity_of(&mut check, request.min_severity),
        ..AlertFilter::default()
    };
    check.finish(Some(()))?;
    let news = leading.engine.alert_signal();
    let position = request.after.unwrap_or_else(|| *news.borrow());
    Ok(follow(seat, leading, AlertTail { filter, position, _guard: guard }, news))
}

impl Tail for AlertTail {
    type Message = v1::WatchAlertsResponse;

    async fn read(&mut self, engine: &Engine) -> Result<Read<Self::Message>, EngineError> {
        let rows = engine.alerts_after(self.position, CHUNK);
        self.position = rows.last().map_or(self.position, |last| last.revision);
        let selected = rows.iter().filter(|row| self.filter.selects(row));
        let alerts: Vec<_> = selected.map(|row| row_to_message(row)).collect();
        Ok(Read {
            is_any: !rows.is_empty(),
            is_selected: !alerts.is_empty(),
            message: v1::WatchAlertsResponse { alerts, position: self.position },
        })
    }
}

/// An alert as a message.
pub(crate) fn row_to_message(row: &AlertRow) -> v1::Alert {
    let state = if row.is_firing() { v1::AlertState::Firing } else { v1::AlertState::Resolved };
    v1::Alert {
        id: row.id,
        revision: row.revision,
        rule: rule_to_message(row.rule).into(),
        severity: severity_to_message(row.severity).into(),
        state: state.into(),
        breaker: row.breaker.as_ref().map(ToString::to_string).unwrap_or_default(),
        summary: row.summary.clone(),
        start_time: Some(time_to_message(row.started_at)),
        end_time: row.ended_at.map(time_to_message),
        notify_time: Some(time_to_message(row.notified_at)),
        repeat_count: row.repeat_count,
        acknowledgement: row.acknowledgement.as_ref().map(|seen| v1::Acknowledgement {
            actor: seen.actor.clone(),
            comment: seen.comment.clone(),
            time: Some(time_to_message(seen.at)),
        }),
    }
}

const fn rule_to_message(rule: AlertRule) -> v1::AlertRule {
    match rule {
        AlertRule::StateChange => v1::AlertRule::StateChange,
        AlertRule::ProlongedOutage => v1::AlertRule::ProlongedOutage,
        AlertRule::Flapping => v1::AlertRule::Flapping,
        AlertRule::ForcedTooLong => v1::AlertRule::ForcedTooLong,
        AlertRule::ReportersLost => v1::AlertRule::ReportersLost,
        AlertRule::StorageDegraded => v1::AlertRule::StorageDegraded,
    }
}

fn rule_from_message(value: i32) -> Option<AlertRule> {
    AlertRule::ALL.into_iter().find(|rule| rule_to_message(*rule) as i32 == value)
}

const fn severity_to_message(severity: Severity) -> v1::AlertSeverity {
    match severity {
        Severity::Medium => v1::AlertSeverity::Medium,
        Severity::High => v1::AlertSeverity::High,
        Severity::Critical => v1::AlertSeverity::Critical,
    }
}

/// The least severity that is asked for; 0 is any.
fn severity_of(check: &mut Check, value: i32) -> Option<Severity> {
    let found = Severity::ALL.into_iter().find(|s| severity_to_message(*s) as i32 == value);
    if found.is_none() && value != 0 {
        check.refuse("min_severity", format!("{value} is not a severity"));
    }
    found
}

/// Whether alerts are asked for that fire, or that do not; 0 is any.
fn state_of(check: &mut Check, value: i32) -> Option<bool> {
    match v1::AlertState::try_from(value) {
        Ok(v1::AlertState::Firing) => Some(true),
        Ok(v1::AlertState::Resolved) => Some(false),
        Ok(v1::AlertState::Unspecified) => None,
        Err(_) => {
            check.refuse("state", format!("{value} is not a state of an alert"));
            None
        }
    }
}
