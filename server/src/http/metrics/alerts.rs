//! Alerts, and who was told of them.

use breaker_core::Time;
use breaker_engine::{AlertFilter, Engine, Severity};

use super::family::{Kind, Page, Value};
use crate::notify::{Dropped, Ledger, Notifier};

/// What the server raises.
pub(super) fn read(engine: &Engine, page: &mut Page) {
    let counts = engine.alert_counts(&AlertFilter::default(), Time::from_nanos(u64::MAX));
    let mut firing = page.labelled("alerts_firing", "Alerts that fire", Kind::Gauge);
    for severity in Severity::ALL {
        let count = counts.by_severity[severity as usize];
        let labels = vec![("severity", severity.as_str().to_owned())];
        firing.point(labels, Value::Level(count.into()));
    }
    page.counter(
        "alerts_suppressed",
        "Alerts that were raised while too many fired, and are told nobody",
        engine.suppressed_alerts(),
    );
}

/// What became of what receivers were to be told.
pub(super) fn read_receivers(notifier: &Notifier, page: &mut Page) {
    let mut counted = |name, help, count: fn(&Ledger) -> u64| {
        let mut family = page.labelled(name, help, Kind::Counter);
        for (receiver, ledger) in notifier.ledgers() {
            family.point(vec![("receiver", receiver.to_owned())], Value::Count(count(ledger)));
        }
    };
    counted("alert_notifications", "Notifications that a receiver took", Ledger::delivered);
    counted(
        "alert_notification_failures",
        "Attempts to notify a receiver that failed",
        Ledger::failed_attempts,
    );
    let help = "Notifications that a receiver never got";
    let mut family = page.labelled("alert_notifications_dropped", help, Kind::Counter);
    for (receiver, ledger) in notifier.ledgers() {
        for reason in Dropped::ALL {
            let labels =
                vec![("receiver", receiver.to_owned()), ("reason", reason.as_str().to_owned())];
            family.point(labels, Value::Count(ledger.dropped_for(reason)));
        }
    }
    let help = "Notifications that wait for a receiver";
    let mut family = page.labelled("alert_notifications_waiting", help, Kind::Gauge);
    for (receiver, ledger) in notifier.ledgers() {
        let labels = vec![("receiver", receiver.to_owned())];
        family.point(labels, Value::Level(ledger.waiting() as f64));
    }
}
