"""How outcomes become runs and reports, with a clock of our own."""

from __future__ import annotations

from typing import Any

import pytest
from breakerd import _outbox
from breakerd._outbox import Outbox, Run
from breakerd._reporter import Reporter
from breakerd.model import Outcome


def run(**values: Any) -> Run:
    at = values.pop("at", 0.0)
    defaults: dict[str, Any] = {
        "breaker": "a/b",
        "generation": 1,
        "outcome": Outcome.SUCCESS,
        "kind": "",
        "slow": False,
        "permit": 0,
        "count": 1,
        "total": 0.5,
        "longest": 0.5,
        "first_at": at,
        "ended_at": at,
    }
    return Run(**{**defaults, **values})


def counts(outbox: Outbox, now: float = 0.0) -> list[tuple[int, str]]:
    return [(run.count, run.outcome.value) for run, _ in outbox.take(now).runs]


def test_calls_that_ended_alike_one_after_another_are_one_run() -> None:
    outbox = Outbox(span=1.0)
    outcomes = [Outcome.SUCCESS] * 3 + [Outcome.FAILURE] * 2 + [Outcome.SUCCESS]
    for outcome in outcomes:
        outbox.add(run(outcome=outcome), now=0)
    assert outbox.waiting == 6
    assert counts(outbox) == [(3, "success"), (2, "failure"), (1, "success")]
    assert outbox.waiting == 0


@pytest.mark.parametrize(
    "other", [{"kind": "x"}, {"slow": True}, {"permit": 7}, {"generation": 2}, {"at": 1.5}]
)
def test_calls_that_differ_in_anything_are_runs_of_their_own(other: dict[str, Any]) -> None:
    outbox = Outbox(span=1.0)
    outbox.add(run(outcome=Outcome.FAILURE), now=0)
    outbox.add(run(outcome=Outcome.FAILURE, **other), now=0)
    assert len(outbox) == 2


def test_a_message_has_durations_ages_and_slow_calls() -> None:
    outbox = Outbox(span=1.0)
    outbox.add(run(slow=True, at=10.0, total=0.25, longest=0.25), now=10)
    outbox.add(run(slow=True, at=10.5, total=0.75, longest=0.75), now=10)
    request = outbox.take(11).to_message("me-1", 7, now=12.5)
    assert (request.reporter_id, request.sequence) == ("me-1", 7)
    (report,) = request.reports
    assert (report.breaker, report.generation, report.late) == ("a/b", 1, False)
    (message,) = report.runs
    assert (message.count, message.slow_count) == (2, 2)
    assert message.total_duration.ToNanoseconds() == 1_000_000_000
    assert message.max_duration.ToNanoseconds() == 750_000_000
    assert message.age.ToNanoseconds() == 2_000_000_000


def test_what_is_old_when_its_report_is_made_is_history_and_what_is_repeated_stays() -> None:
    outbox = Outbox(span=1.0)
    outbox.add(run(at=0.0), now=0)
    outbox.add(run(at=10.0), now=10)
    batch = outbox.take(16)
    first = batch.to_message("me", 1, 16)
    again = batch.to_message("me", 1, 100)
    assert [report.late for report in first.reports] == [True, False]
    assert [report.late for report in again.reports] == [True, False]
    assert again.reports[1].runs[0].age.seconds == 90


def test_a_report_has_a_thousand_breakers_at_most() -> None:
    outbox = Outbox(span=1.0)
    for number in range(1_500):
        outbox.add(run(breaker=f"a/{number}"), now=0)
    assert outbox.take(0).calls == 1_000
    assert outbox.take(0).calls == 500


def test_too_much_is_gathered_and_nothing_is_lost() -> None:
    outbox = Outbox(span=1.0)
    for number in range(30_000):
        outcome = Outcome.FAILURE if number % 2 else Outcome.SUCCESS
        outbox.add(run(outcome=outcome, at=number / 100), now=number / 100)
        assert len(outbox) <= _outbox.MAX_WAITING_RUNS
    assert outbox.given_up == 0
    assert outbox.take(300).calls == 30_000


def test_what_is_gathered_is_as_old_as_the_oldest_of_it() -> None:
    outbox = Outbox(span=1.0)
    for number in range(_outbox.MAX_WAITING_RUNS + 1):
        outcome = Outcome.FAILURE if number % 2 else Outcome.SUCCESS
        outbox.add(run(outcome=outcome, at=number / 1_000), now=number / 1_000)
    ages = [(run.outcome.value, run.ended_at) for run, _ in outbox.take(11).runs]
    assert ages == [("success", 0.0), ("failure", 0.001)]


def test_a_run_that_is_not_gathered_is_as_old_as_its_last_call() -> None:
    outbox = Outbox(span=1.0)
    outbox.add(run(at=1.0), now=1)
    outbox.add(run(at=1.5), now=1.5)
    assert [run.ended_at for run, _ in outbox.take(2).runs] == [1.5]


def test_history_is_gathered_first_and_the_order_of_the_rest_stays() -> None:
    outbox = Outbox(span=1.0)
    for number in range(_outbox.MAX_WAITING_RUNS - 10):
        outbox.add(run(outcome=Outcome.FAILURE if number % 2 else Outcome.SUCCESS), now=0)
    for number in range(20):
        outcome = Outcome.FAILURE if number % 2 else Outcome.SUCCESS
        outbox.add(run(outcome=outcome, at=20.0), now=20)
    runs = outbox.take(20).runs
    assert [late for _, late in runs] == [True] * 2 + [False] * 20
    assert [run.outcome for run, late in runs if not late] == [
        Outcome.SUCCESS,
        Outcome.FAILURE,
    ] * 10


def test_what_cannot_be_gathered_is_given_up_from_the_oldest() -> None:
    outbox = Outbox(span=1.0)
    for number in range(_outbox.MAX_WAITING_RUNS + 50):
        outbox.add(run(outcome=Outcome.FAILURE, kind=f"k{number}"), now=0)
    assert outbox.given_up == 50
    assert outbox.waiting == _outbox.MAX_WAITING_RUNS
    assert outbox.take(0).runs[0][0].kind == "k50"


def reporter(interval: float = 1.0) -> Reporter:
    return Reporter("me", interval, 0.1, 5.0, 0.0)


def test_prompt_reports_are_paid_from_a_bucket() -> None:
    reports = reporter()
    now, sent = 100.0, []
    for _ in range(8):
        reports.add(run(outcome=Outcome.FAILURE), prompt=True, since=now, now=now)
        due = reports.due_at(now)
        assert due is not None
        sent.append(due - 100.0)
        now = due
        assert reports.next_report(now) is not None
        reports.answered()
    assert max(sent[:5]) <= 0.03
    assert sent[5:] == pytest.approx([1 / 5, 2 / 5, 3 / 5], abs=0.03)


def test_others_wait_for_the_interval_from_when_they_can_have_ended() -> None:
    reports = reporter()
    reports.add(run(), prompt=False, since=5.0, now=5.7)
    assert reports.due_at(5.7) == 6.0
    assert reports.next_report(5.9) is None
    assert reports.next_report(6.0) is not None


def test_one_report_is_in_flight_and_is_repeated_as_it_was() -> None:
    reports = reporter()
    reports.add(run(), prompt=True, since=0, now=0)
    first = reports.next_report(1)
    reports.add(run(outcome=Outcome.FAILURE), prompt=True, since=1, now=1)
    assert reports.next_report(2) is None
    delays = []
    now = 2.0
    for _ in range(3):
        reports.unanswered(now, 1.0, at_once=False)
        due = reports.due_at(now)
        assert due is not None
        delays.append(due - now)
        now = due
        again = reports.next_report(now)
        assert first is not None
        assert again is not None
        assert (again.sequence, again.reports[0].runs[0].count) == (first.sequence, 1)
    assert delays == pytest.approx([0.1, 0.2, 0.4])
    reports.answered()
    following = reports.next_report(now)
    assert following is not None
    assert following.sequence == first.sequence + 1
    reports.answered()
    assert reports.is_idle


def test_what_is_refused_is_halved_until_only_the_wrong_is_left() -> None:
    reports = reporter()
    for number in range(10):
        reports.add(run(breaker=f"a/{number}"), prompt=True, since=0, now=0)
    taken, sequences, lost = [], [], 0
    while not reports.is_idle:
        request = reports.next_report(1)
        assert request is not None
        sequences.append(request.sequence)
        names = [report.breaker for report in request.reports]
        if "a/3" in names:
            lost += reports.refused()
        else:
            taken += names
            reports.answered()
    assert taken == [f"a/{number}" for number in range(10) if number != 3]
    assert lost == reports.outbox.given_up == 1
    assert sequences == sorted(set(sequences))


def test_an_interrupted_report_is_sent_again() -> None:
    reports = reporter()
    reports.add(run(), prompt=True, since=0, now=0)
    first = reports.next_report(1)
    reports.interrupted(2)
    assert first is not None
    assert reports.next_report(2).sequence == first.sequence


def test_flushing_is_settled_although_more_comes_in() -> None:
    reports = reporter()
    for _ in range(3):
        reports.add(run(), prompt=False, since=0, now=0)
    target = reports.taken_in
    reports.flush(0)
    assert reports.next_report(0) is not None
    reports.add(run(), prompt=False, since=0, now=0)
    assert reports.settled < target
    reports.answered()
    assert reports.settled == target == 3
    assert reports.due_at(0.1) == 0.1
    reports.stop_flushing()
    assert reports.due_at(0.1) == 1.0
