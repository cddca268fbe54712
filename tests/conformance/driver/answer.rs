use breaker_client::{BreakerView, ClientState, Denial, Mode, StateKind, Transition};
use serde_json::{Value, json};

pub(crate) fn error(error: &anyhow::Error) -> Value {
    json!({ "error": format!("{error:#}") })
}

/// Why a call was denied.
pub(crate) fn denial(denial: &Denial) -> Value {
    json!({
        "reason": denial.reason.as_str(),
        "retry_after": denial.retry_after.map(|after| after.as_secs_f64() * 1_000.0),
        "level": denial.level.as_ref().map(|level| level.number),
        "serve": denial.serve(),
    })
}

/// What the client knows of a breaker.
pub(crate) fn status(client: ClientState, view: Option<&BreakerView>) -> Value {
    let Some(view) = view.filter(|view| view.revision > 0) else {
        return json!({ "client": client.as_str(), "state": "unknown" });
    };
    json!({
        "client": client.as_str(),
        "state": state(view.state),
        "mode": mode(view.mode),
        "generation": view.generation,
        "revision": view.revision,
        "level": view.level.as_ref().map(|level| level.number),
    })
}

pub(crate) fn transition(transition: &Transition) -> Value {
    json!({
        "breaker": transition.breaker.as_str(),
        "from": state(transition.from.state),
        "to": state(transition.to.state),
        "from_mode": mode(transition.from.mode),
        "to_mode": mode(transition.to.mode),
    })
}

const fn state(state: StateKind) -> &'static str {
    match state {
        StateKind::Closed => "closed",
        StateKind::Open => "open",
        StateKind::HalfOpen => "half_open",
    }
}

const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Normal => "normal",
        Mode::ForcedOpen => "forced_open",
        Mode::ForcedClosed => "forced_closed",
        Mode::Disabled => "disabled",
        Mode::Shadow => "shadow",
    }
}
