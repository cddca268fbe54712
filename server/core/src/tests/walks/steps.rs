//! What can happen on a walk, in words that mean something at any moment of it. Times are short
//! and counts small, so that everything happens often and much of it at the same instant.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;

use super::configs::{config, config_without_jitter, millis};
use crate::{ConfigPatch, ErrorKind, Outcome, OverrideKind, Run};

/// How time passes before something happens.
#[derive(Clone, Debug)]
pub(super) enum Wait {
    Nothing,
    For(Duration),
    UntilDeadline,
    JustPastDeadline,
    /// A clock that is set back.
    Back(Duration),
}

/// Which generation a report names: that of its permit, or the current one, less so many.
#[derive(Clone, Debug)]
pub(super) enum Of {
    Unknown,
    Right,
    Older(u64),
}

/// Which permit a report names.
#[derive(Clone, Debug)]
pub(super) enum Which {
    Nothing,
    /// One of those that are out, if any are.
    Out(Index),
    /// One of those that were ever handed out.
    Ever(Index),
}

#[derive(Clone, Debug)]
pub(super) enum Act {
    Advance,
    Acquire,
    Record {
        run: Run<'static>,
        of: Of,
        permit: Which,
        reporter: &'static str,
    },
    Override(OverrideKind, Option<Duration>),
    Release,
    Trip,
    Reset,
    Reconfigure(Box<ConfigPatch>),
    /// The breaker goes into storage and comes back.
    Restart,
}

#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) wait: Wait,
    pub(super) act: Act,
}

/// Who reports: one who does not say, and as many others as are told apart exactly.
const REPORTERS: [&str; 5] = ["", "a", "b", "c", "d"];
/// So many that not all are told apart.
const CROWD: [&str; 24] = [
    "", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r",
    "s", "t", "u", "v", "w",
];
/// Kinds of errors, of which configurations pardon some.
const KINDS: [&str; 4] = ["", "http.404", "http.503", "IoError"];

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => Just(Outcome::Success),
        4 => Just(Outcome::Failure),
        1 => Just(Outcome::Timeout),
        1 => Just(Outcome::Ignored),
    ]
}

/// Calls of about the length of `call_timeout`, a few nanoseconds around it included.
fn run() -> impl Strategy<Value = Run<'static>> {
    let count = prop_oneof![8 => Just(1_u32), 6 => 1..9_u32, 1 => 9..60_u32];
    let each = (0..7_u64, prop_oneof![Just(-1_i64), Just(0), 1..500_000_i64]);
    let kind = prop::sample::select(&KINDS[..]);
    let age = prop_oneof![3 => Just(Duration::ZERO), 1 => millis(0..40)];
    (outcome(), count, each, (any::<Index>(), any::<Index>()), kind, age).prop_map(
        |(outcome, count, (millis, more), (left_over, slow), kind, age)| {
            let each = (millis * 1_000_000).saturating_add_signed(more);
            let left_over = left_over.index(count as usize) as u64;
            Run {
                outcome,
                count,
                total_duration: Duration::from_nanos(each * u64::from(count) + left_over),
                slow_count: slow.index(count as usize + 1) as u32,
                error_kind: ErrorKind::parse(kind).unwrap(),
                age,
            }
        },
    )
}

fn record(reporters: &'static [&'static str]) -> impl Strategy<Value = Act> {
    let of = prop_oneof![3 => Just(Of::Unknown), 4 => Just(Of::Right), 1 => (1..4_u64).prop_map(Of::Older)];
    let permit = prop_oneof![
        3 => Just(Which::Nothing),
        6 => any::<Index>().prop_map(Which::Out),
        1 => any::<Index>().prop_map(Which::Ever),
    ];
    (run(), of, permit, prop::sample::select(reporters))
        .prop_map(|(run, of, permit, reporter)| Act::Record { run, of, permit, reporter })
}

/// What happens to a breaker that is left to itself, but for Trip and Reset.
fn automatic(reporters: &'static [&'static str]) -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => Just(Act::Advance),
        14 => Just(Act::Acquire),
        20 => record(reporters),
        1 => Just(Act::Trip),
        1 => Just(Act::Reset),
        1 => Just(Act::Restart),
    ]
}

fn anything() -> impl Strategy<Value = Act> {
    let kind = prop::sample::select(vec![
        OverrideKind::ForcedOpen,
        OverrideKind::ForcedClosed,
        OverrideKind::Disabled,
        OverrideKind::Shadow,
        OverrideKind::Shadow,
    ]);
    let overrides = (kind, prop::option::weighted(0.7, millis(1..60)));
    prop_oneof![
        32 => automatic(&CROWD),
        3 => overrides.prop_map(|(kind, ttl)| Act::Override(kind, ttl)),
        2 => Just(Act::Release),
        1 => config().prop_map(|new| Act::Reconfigure(Box::new(new))),
    ]
}

fn wait() -> impl Strategy<Value = Wait> {
    prop_oneof![
        4 => Just(Wait::Nothing),
        4 => millis(0..4).prop_map(Wait::For),
        1 => (0..50_000_000_u64).prop_map(|nanos| Wait::For(Duration::from_nanos(nanos))),
        2 => Just(Wait::UntilDeadline),
        1 => Just(Wait::JustPastDeadline),
    ]
}

fn walk_of(
    wait: impl Strategy<Value = Wait>,
    act: impl Strategy<Value = Act>,
) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((wait, act).prop_map(|(wait, act)| Step { wait, act }), 1..80)
}

/// A walk on which everything can happen.
pub(super) fn walk() -> impl Strategy<Value = Vec<Step>> {
    walk_of(wait(), anything())
}

/// The same under a clock that jumps.
pub(super) fn jumping_walk() -> impl Strategy<Value = Vec<Step>> {
    let far = millis(0..400).prop_map(Wait::For);
    let back = millis(0..300).prop_map(Wait::Back);
    walk_of(prop_oneof![6 => wait(), 1 => far, 1 => back], anything())
}

/// A walk without overrides, of reporters that are all told apart.
pub(super) fn automatic_walk() -> impl Strategy<Value = Vec<Step>> {
    let act = prop_oneof![
        40 => automatic(&REPORTERS),
        1 => config_without_jitter().prop_map(|new| Act::Reconfigure(Box::new(new))),
    ];
    walk_of(wait(), act)
}
