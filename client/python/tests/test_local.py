"""The breaker of this process, and the copy, with a clock of our own."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from breakerd._copy import Copy
from breakerd._core import Core, Home
from breakerd._held import Held
from breakerd._local import LocalBreaker, Ticket
from breakerd._proto.breaker.v1 import breaker_pb2, service_pb2
from breakerd._rules import Rules
from breakerd.guard import Guard
from breakerd.model import Denial, OnUnavailable, Outcome, Reason, State

OK, BAD, LONG, NOTHING = Outcome.SUCCESS, Outcome.FAILURE, Outcome.TIMEOUT, Outcome.IGNORED


class Story:
    """Calls of a local breaker, one after another."""

    def __init__(self, *, half_open: bool = False, **rules: Any) -> None:
        self.breaker = LocalBreaker(Rules(**rules), half_open=half_open)
        self.now = 1000.0

    def call(self, outcome: Outcome, kind: str = "", duration: float = 0.0) -> bool:
        ticket = self.breaker.admit(self.now)
        if ticket is not None:
            self.breaker.record(ticket, outcome, kind, duration, self.now)
        return ticket is not None

    def calls(self, outcomes: list[Outcome]) -> State:
        for outcome in outcomes:
            self.call(outcome)
        return self.breaker.state


def test_failures_open_it_and_successes_make_up_for_them() -> None:
    story = Story(failure_threshold=3, failure_decay=1)
    assert story.calls([BAD, BAD, OK, BAD, OK, BAD]) is State.CLOSED
    assert story.calls([LONG]) is State.OPEN
    assert not story.call(OK)
    assert story.breaker.retry_after(story.now) == 60


def test_failures_in_a_row() -> None:
    story = Story(failure_threshold=0, consecutive_failures=3)
    assert story.calls([BAD, BAD, OK, BAD, NOTHING, BAD]) is State.CLOSED
    assert story.calls([BAD]) is State.OPEN


def test_the_share_of_failures_in_the_last_calls() -> None:
    rules: Any = {"failure_threshold": 0, "failure_percent": 50, "failure_minimum": 4}
    story = Story(**rules, window_calls=4)
    assert story.calls([BAD, BAD, BAD]) is State.CLOSED
    assert story.calls([OK]) is State.OPEN
    story = Story(**rules, window_calls=4)
    assert story.calls([OK] * 10 + [BAD]) is State.CLOSED
    assert story.calls([BAD]) is State.OPEN


def test_the_share_of_failures_in_the_last_while() -> None:
    story = Story(failure_threshold=0, failure_percent=50, failure_minimum=2, window_seconds=10.0)
    story.calls([OK, OK, BAD])
    story.now += 11
    assert story.calls([BAD]) is State.CLOSED
    assert story.calls([BAD]) is State.OPEN


def test_slow_calls_open_it_whatever_their_outcome() -> None:
    story = Story(failure_threshold=0, slow_percent=50, slow_minimum=2, slow_after=0.1)
    story.call(OK, duration=0.2)
    assert story.breaker.state is State.CLOSED
    story.call(OK, duration=0.05)
    assert story.breaker.state is State.OPEN


def test_probes_close_it_or_open_it_again_for_longer() -> None:
    story = Story(failure_threshold=1, open_duration=10.0, success_threshold=2, max_probes=1)
    story.breaker.use(
        Rules(
            failure_threshold=1,
            open_duration=10.0,
            success_threshold=2,
            max_probes=1,
            backoff_multiplier=3.0,
            backoff_max=20.0,
        )
    )
    story.call(BAD)
    story.now += 10
    first = story.breaker.admit(story.now)
    assert first is not None
    assert story.breaker.admit(story.now) is None, "only one probe is out at once"
    story.breaker.record(first, BAD, "", 0, story.now)
    assert story.breaker.retry_after(story.now) == 20
    story.now += 20
    assert story.calls([OK]) is State.HALF_OPEN
    assert story.calls([OK]) is State.CLOSED


def test_a_probe_that_never_comes_back_is_a_timeout() -> None:
    story = Story(half_open=True, call_timeout=5.0, max_probes=1)
    lost = story.breaker.admit(story.now)
    assert lost is not None
    story.now += 6
    assert not story.call(OK)
    assert story.breaker.state is State.OPEN
    story = Story(half_open=True, call_timeout=5.0, max_probes=1, expired_probe_fails=False)
    story.breaker.admit(story.now)
    story.now += 6
    assert story.call(OK)


def test_a_probe_is_given_back() -> None:
    story = Story(half_open=True, max_probes=1)
    ticket = story.breaker.admit(story.now)
    assert ticket is not None
    story.breaker.give_back(ticket)
    assert story.call(OK)


def test_probes_are_judged_together() -> None:
    rules: Any = {"probe_calls": 4, "probe_failure_percent": 50, "max_probes": 4}
    assert Story(half_open=True, **rules).calls([BAD, OK, OK, OK]) is State.CLOSED
    assert Story(half_open=True, **rules).calls([BAD, OK, OK, BAD]) is State.OPEN


def test_errors_of_other_kinds_count_for_nothing() -> None:
    story = Story(failure_threshold=1, failure_errors=("http.5*",), ignored_errors=("http.501",))
    story.call(BAD, "http.404")
    story.call(BAD, "http.501")
    assert story.breaker.state is State.CLOSED
    story.call(BAD, "")
    assert story.breaker.state is State.OPEN


def test_an_outcome_of_an_earlier_state_moves_nothing() -> None:
    story = Story(failure_threshold=1, open_duration=1.0)
    late = story.breaker.admit(story.now)
    story.call(BAD)
    story.now += 2
    probe = story.breaker.admit(story.now)
    assert late is not None
    assert isinstance(probe, Ticket)
    story.breaker.record(late, BAD, "", 0, story.now)
    assert story.breaker.state is State.HALF_OPEN


# The copy, and decisions from it.


def state(name: str = "a/b", revision: int = 1, **values: Any) -> breaker_pb2.BreakerState:
    values.setdefault("state", breaker_pb2.STATE_CLOSED)
    values.setdefault("mode", breaker_pb2.MODE_NORMAL)
    values.setdefault("generation", 1)
    return breaker_pb2.BreakerState(name=name, revision=revision, **values)


def changes() -> tuple[Copy, list[tuple[str, bool, bool]]]:
    heard: list[tuple[str, bool, bool]] = []

    def hear(name: str, before: Optional[Held], after: Optional[Held]) -> None:
        heard.append((name, before is not None, after is not None))

    return Copy(hear), heard


def message(*changed: breaker_pb2.BreakerState, **values: Any) -> service_pb2.WatchResponse:
    return service_pb2.WatchResponse(changed=changed, **values)


def test_a_snapshot_takes_the_place_of_the_copy_only_when_it_is_complete() -> None:
    copy, _ = changes()
    copy.begin(["a/*"], resumed=False)
    copy.apply(message(state("a/b"), state("a/c")), 0)
    assert not copy.covers("a/z")
    copy.apply(message(snapshot_complete=True), 0)
    assert copy.covers("a/z")
    assert not copy.covers("b/z")
    copy.begin(["a/*", "b/z"], resumed=False)
    copy.apply(message(state("a/c", 2)), 0)
    assert copy.get("a/b") is not None
    copy.apply(message(snapshot_complete=True), 0)
    assert copy.get("a/b") is None
    assert copy.get("a/c") is not None
    assert copy.covers("b/z")


def test_lower_revisions_are_dropped_except_after_a_reset() -> None:
    copy, heard = changes()
    copy.begin(["**"], resumed=False)
    copy.apply(message(state(revision=9), snapshot_complete=True), 0)
    copy.apply(message(state(revision=3)), 0)
    held = copy.get("a/b")
    assert held is not None
    assert held.revision == 9
    copy.apply(message(state(revision=3), reset=True), 0)
    held = copy.get("a/b")
    assert held is not None
    assert held.revision == 3
    assert len(heard) == 2


def test_a_snapshot_is_the_whole_truth_also_of_a_server_that_has_lost_what_it_knew() -> None:
    copy, _ = changes()
    copy.begin(["**"], resumed=False)
    copy.apply(message(state(revision=9), snapshot_complete=True), 0)
    copy.begin(["**"], resumed=True)
    copy.apply(message(state(revision=3)), 0)
    assert copy.get("a/b").revision == 9, "a stream that is resumed tells no snapshot"
    copy.begin(["**"], resumed=False)
    copy.apply(message(state(revision=3)), 0)
    assert copy.get("a/b").revision == 3
    copy.apply(message(state(revision=2)), 0)
    assert copy.get("a/b").revision == 3, "only the first that it tells is taken whatever it is"
    copy.apply(message(state(revision=4), snapshot_complete=True), 0)
    copy.apply(message(state(revision=1)), 0)
    assert copy.get("a/b").revision == 4


def test_a_breaker_that_was_deleted_and_made_anew_in_one_message_is_there() -> None:
    copy, _ = changes()
    copy.begin(["**"], resumed=False)
    copy.apply(message(state(revision=9), snapshot_complete=True), 0)
    copy.apply(message(state(revision=10), deleted=["a/b"]), 0)
    assert copy.get("a/b") is not None


def test_answers_of_reports_are_taken_for_breakers_that_are_held() -> None:
    copy, _ = changes()
    copy.begin(["a/b"], resumed=False)
    copy.apply(message(state(revision=1), snapshot_complete=True), 0)
    answer = service_pb2.ReportResponse(states=[state("a/b", 2), state("x/y", 5)])
    copy.apply_answer(answer.states, answer.server_time, 0)
    assert copy.get("x/y") is None
    held = copy.get("a/b")
    assert held is not None
    assert held.revision == 2


def held(**values: Any) -> Held:
    told = service_pb2.WatchResponse(server_time={"seconds": 500})
    from breakerd import _clock

    return Held.of(state(**values), told.server_time, _clock.now())


def core(on_unavailable: OnUnavailable = OnUnavailable.LOCAL) -> Core:
    home = Home()
    home.on_unavailable = on_unavailable
    return Core("a/b", home)


def decide(core: Core) -> Any:
    return core.decide()


def test_the_ramp_lets_its_share_through() -> None:
    ramping = core()
    told = held(state=breaker_pb2.STATE_HALF_OPEN, admit_percent=25)
    ramping.refresh(told, from_copy=True, is_ready=True)
    decisions = [decide(ramping) for _ in range(400)]
    assert sum(isinstance(decision, Guard) for decision in decisions) in (99, 100, 101)
    denied = next(decision for decision in decisions if isinstance(decision, Denial))
    assert denied.reason is Reason.RAMP


def test_an_open_breaker_denies_until_its_time() -> None:
    closed = core()
    told = held(state=breaker_pb2.STATE_OPEN, retry_time={"seconds": 530})
    closed.refresh(told, from_copy=True, is_ready=True)
    denial = decide(closed)
    assert denial.reason is Reason.OPEN
    assert denial.retry_after == pytest.approx(30, abs=0.1)
    assert closed.open_lane is None


def test_shadow_denies_nothing_and_closed_needs_no_decision() -> None:
    shadow = core()
    told = held(
        state=breaker_pb2.STATE_OPEN,
        mode=breaker_pb2.MODE_SHADOW,
        retry_time={"seconds": 530},
    )
    shadow.refresh(told, from_copy=True, is_ready=True)
    assert isinstance(decide(shadow), Guard)
    shadow.refresh(held(), from_copy=True, is_ready=True)
    assert shadow.open_lane is not None


def test_without_a_copy_on_unavailable_decides() -> None:
    assert isinstance(decide(core(OnUnavailable.ALLOW)), Guard)
    assert decide(core(OnUnavailable.DENY)).reason is Reason.UNAVAILABLE
    alone = core()
    for _ in range(5):
        decide(alone).failure("Oops")
    assert decide(alone).reason is Reason.LOCAL_OPEN
    alone.refresh(held(), from_copy=True, is_ready=True)
    assert isinstance(decide(alone), Guard), "the local breaker is dropped on READY"


def test_a_stale_copy_that_says_closed_is_doubted() -> None:
    doubted = core()
    for known in (held(), None):
        doubted.refresh(known, from_copy=True, is_ready=True)
        assert doubted.open_lane is not None
        doubted.refresh(known, from_copy=True, is_ready=False)
        assert doubted.open_lane is None
        for _ in range(5):
            decide(doubted).failure("Oops")
        denial = decide(doubted)
        assert (denial.reason, denial.state) == (Reason.LOCAL_OPEN, State.CLOSED)
        # In FALLBACK it is the same breaker that goes on.
        doubted.refresh(known, from_copy=False, is_ready=False)
        assert decide(doubted).reason is Reason.LOCAL_OPEN
    doubted.refresh(held(), from_copy=True, is_ready=True)
    assert isinstance(decide(doubted), Guard), "READY drops it"
    doubted.refresh(held(), from_copy=True, is_ready=False)
    assert isinstance(decide(doubted), Guard), "it begins CLOSED again"


@pytest.mark.parametrize(
    "told",
    [
        {"mode": breaker_pb2.MODE_FORCED_CLOSED},
        {"mode": breaker_pb2.MODE_DISABLED},
        {"mode": breaker_pb2.MODE_SHADOW},
        {"config": {"on_unavailable": breaker_pb2.ON_UNAVAILABLE_ALLOW}},
        {"config": {"on_unavailable": breaker_pb2.ON_UNAVAILABLE_DENY}},
    ],
)
def test_a_stale_copy_is_trusted_otherwise(told: dict[str, Any]) -> None:
    trusted = core()
    trusted.refresh(held(**told), from_copy=True, is_ready=False)
    assert trusted.open_lane is not None
    for _ in range(10):
        decide(trusted).failure("Oops")


def test_a_stale_copy_that_says_open_is_trusted_until_its_time() -> None:
    opened = core()
    told = held(state=breaker_pb2.STATE_OPEN, retry_time={"seconds": 530})
    opened.refresh(told, from_copy=True, is_ready=False)
    assert decide(opened).reason is Reason.OPEN


def test_a_call_that_the_local_guard_denies_is_not_told_of() -> None:
    home = Home()
    home.local_guard = Rules(failure_threshold=1)
    guarded = Core("a/b", home)
    guarded.refresh(held(), from_copy=True, is_ready=True)
    decide(guarded).failure("Oops")
    assert len(guarded.drain(0, 0)) == 1
    assert decide(guarded).reason is Reason.LOCAL_OPEN
    assert guarded.drain(0, 0) == []
