use super::*;
use crate::clock;

const CLIENT: ClientState = ClientState::Ready;
const LOCAL: OnUnavailable = OnUnavailable::Local;

/// A breaker as words: `normal closed`, `shadow open 5`, `normal half_open 25%`, `forced_open 5`,
/// `absent`, `unknown`. A number is how many seconds of OPEN or of the override are left.
fn held(words: &str, now: Instant) -> Held {
    let words: Vec<_> = words.split(' ').collect();
    let left = |word: usize| {
        let seconds = words.get(word).and_then(|word| word.parse().ok());
        seconds.map(|seconds| now + Duration::from_secs(seconds))
    };
    let percent = words.get(2).and_then(|word| word.strip_suffix('%')?.parse().ok());
    let (mode, state) = match words[0] {
        "unknown" => return Held::Unknown,
        "absent" => return Held::Absent,
        "forced_open" => (Mode::ForcedOpen, StateKind::Open),
        "forced_closed" => (Mode::ForcedClosed, StateKind::Closed),
        "disabled" => (Mode::Disabled, StateKind::Closed),
        mode => {
            let state = match words[1] {
                "closed" => StateKind::Closed,
                "open" => StateKind::Open,
                _ => StateKind::HalfOpen,
            };
            (if mode == "shadow" { Mode::Shadow } else { Mode::Normal }, state)
        }
    };
    Held::Known(Box::new(Known {
        state,
        mode,
        generation: 7,
        revision: 9,
        config: Arc::default(),
        retry_at: left(2),
        override_ends_at: left(1),
        admit_percent: percent,
        level: None,
        max_probes: 3,
    }))
}

fn words(step: Step) -> String {
    match step {
        Step::Allow { generation } => format!("allow {generation}"),
        Step::Deny { reason, retry_after: None } => format!("deny {}", reason.as_str()),
        Step::Deny { reason, retry_after: Some(left) } => {
            format!("deny {} {}", reason.as_str(), left.as_secs())
        }
        Step::Ask { most, is_shadow: false } => format!("ask {most}"),
        Step::Ask { most, is_shadow: true } => format!("ask {most} shadow"),
        Step::Alone => "alone".to_owned(),
    }
}

/// Checks what a breaker says to a call two seconds after it was told of, and that the hot path
/// takes it for one that allows all calls only if it allows this one whatever comes.
#[track_caller]
fn check(client: ClientState, breaker: &str, expected: &str) {
    let now = clock::now();
    let held = held(breaker, now);
    let step = held.decide(client, LOCAL, &mut 0, now + Duration::from_secs(2));
    assert_eq!(words(step), expected, "{breaker} in {client:?}");
    let allows_all = held.allows_all(client, OnUnavailable::Local);
    let is_settled = matches!(breaker.split(' ').nth(1), None | Some("closed"));
    assert_eq!(allows_all, is_settled && expected.starts_with("allow"), "{breaker}");
}

#[tokio::test(start_paused = true)]
async fn what_the_copy_says_for_every_mode_and_state() {
    let table = [
        ("unknown", "alone"),
        ("absent", "allow 0"),
        ("normal closed", "allow 7"),
        ("normal open 5", "deny open 3"),
        ("normal open 2", "ask 3"),
        ("normal open 1", "ask 3"),
        ("normal open", "deny open"),
        ("normal half_open", "ask 3"),
        ("normal half_open 99%", "deny ramp"),
        ("normal half_open 100%", "allow 7"),
        ("forced_open", "deny forced_open"),
        ("forced_open 5", "deny forced_open 3"),
        ("forced_open 1", "deny forced_open 0"),
        ("forced_closed", "allow 7"),
        ("disabled", "allow 7"),
        ("shadow closed", "allow 7"),
        ("shadow open 5", "allow 7"),
        ("shadow open 1", "ask 3 shadow"),
        ("shadow half_open", "ask 3 shadow"),
        ("shadow half_open 1%", "allow 7"),
    ];
    for (breaker, expected) in table {
        check(CLIENT, breaker, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn in_fallback_nothing_is_said() {
    for breaker in ["unknown", "absent", "normal closed", "normal open 5", "forced_open"] {
        check(ClientState::Fallback, breaker, "alone");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stale_copy_says_what_it_said_except_of_calls_that_flow() {
    for (breaker, expected) in [
        ("unknown", "alone"),
        ("absent", "alone"),
        ("normal closed", "alone"),
        ("normal open 5", "deny open 3"),
        ("normal open 1", "ask 3"),
        ("normal half_open", "ask 3"),
        ("forced_open", "deny forced_open"),
        ("forced_closed", "allow 7"),
        ("disabled", "allow 7"),
        ("shadow closed", "allow 7"),
    ] {
        check(ClientState::Stale, breaker, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn the_share_of_a_ramp_is_exact_whatever_the_credit_at_first() {
    let now = clock::now();
    for percent in [1, 5, 33, 50, 99] {
        let held = held(&format!("normal half_open {percent}%"), now);
        for credit in [0, 42, 99] {
            let mut credit = credit;
            let allows = |credit: &mut u32| {
                matches!(held.decide(CLIENT, LOCAL, credit, now), Step::Allow { .. })
            };
            let allowed = (0..100).filter(|_| allows(&mut credit)).count();
            assert_eq!(allowed, percent);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn on_unavailable_is_the_breakers_or_else_the_builders() {
    let now = clock::now();
    let known = held("normal closed", now);
    assert_eq!(known.on_unavailable(OnUnavailable::Deny), OnUnavailable::Local);
    for other in ["unknown", "absent"] {
        let held = held(other, now);
        assert_eq!(held.on_unavailable(OnUnavailable::Deny), OnUnavailable::Deny);
        for client in [ClientState::Fallback, ClientState::Stale] {
            assert!(held.allows_all(client, OnUnavailable::Allow));
        }
    }
}
