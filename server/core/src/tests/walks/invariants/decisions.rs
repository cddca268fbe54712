//! Which answers a call can get.

use super::super::walker::{Answer, Subject};
use super::{Past, max_probes};
use crate::{AllowReason, Decision, DenyReason, Mode, StateKind, Time};

pub(super) fn check_decision(answer: &Answer, after: &Subject, past: &Past, now: Time) {
    let Some(decision) = answer.decision else { return };
    let (state, mode) = (after.breaker.state(), after.breaker.mode());
    match decision {
        Decision::Allowed(AllowReason::Closed) => assert_eq!(state, StateKind::Closed),
        Decision::Allowed(AllowReason::Probe(permit)) => {
            assert_eq!(state, StateKind::HalfOpen);
            assert_eq!(permit.deadline, now + after.config.call_timeout());
            assert!(!past.permits.contains(&permit.id));
            let out = after.breaker.probes().unwrap().out();
            assert!(out.contains(&permit) && out.len() <= max_probes(after));
        }
        Decision::Allowed(AllowReason::Ramp) => {
            assert_eq!(state, StateKind::HalfOpen);
            assert!(after.breaker.admit_percent(&after.config).is_some());
        }
        Decision::Allowed(AllowReason::ForcedClosed) => assert_eq!(mode, Mode::ForcedClosed),
        Decision::Allowed(AllowReason::Disabled) => assert_eq!(mode, Mode::Disabled),
        Decision::Allowed(AllowReason::Shadow) => {
            assert_eq!(mode, Mode::Shadow);
            assert_ne!(state, StateKind::Closed);
        }
        Decision::Denied { reason: DenyReason::ForcedOpen, .. } => {
            assert_eq!(mode, Mode::ForcedOpen);
        }
        Decision::Denied { reason: DenyReason::Open, retry_after } => {
            assert_eq!((state, mode), (StateKind::Open, Mode::Normal));
            assert_eq!(retry_after.map(|after| now + after), after.breaker.retry_at());
        }
        Decision::Denied { reason: DenyReason::Ramp, retry_after } => {
            assert_eq!((state, mode), (StateKind::HalfOpen, Mode::Normal));
            assert_eq!(retry_after, None);
            assert!(after.breaker.admit_percent(&after.config).is_some_and(|share| share < 100));
        }
        Decision::Denied { reason: DenyReason::NoPermit, retry_after } => {
            assert_eq!((state, mode), (StateKind::HalfOpen, Mode::Normal));
            let probes = after.breaker.probes().unwrap();
            let judged = (probes.successes() + probes.failures()) as usize;
            let wanted = after.config.probe_calls().map_or(usize::MAX, |p| p.calls as usize);
            let out = probes.out();
            assert!(out.len() >= max_probes(after) || judged + out.len() >= wanted);
            let first = out.iter().map(|permit| permit.deadline).min();
            assert!(first.is_some(), "nothing would ever end this");
            assert_eq!(retry_after.map(|after| now + after), first);
        }
    }
}
