"""The pure parts: names, servers, the states of the client, lanes, settings, configurations."""

from __future__ import annotations

import pytest
from breakerd import BreakerConfig, Client, Tls
from breakerd._lane import Entry, Lane
from breakerd._link import Link
from breakerd._outbox import MAX_RUN_CALLS
from breakerd._pacing import Backoff, TokenBucket
from breakerd._permits import PermitGate
from breakerd._rules import Rules
from breakerd._servers import Servers, Step, parse_address
from breakerd._text import check_name, check_selector, matches_kind, selects, tame_kind
from breakerd._watchlist import NOBODY, Watchlist
from breakerd.errors import AddressError, InvalidNameError
from breakerd.model import ClientState, Outcome


@pytest.mark.parametrize("name", ["a/b", "payments/stripe-api", "n.s_1/x-2", "9/9/9"])
def test_a_name_is_two_or_more_parts(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("", "empty"),
        ("stripe", "one part"),
        ("/a", "empty part"),
        ("a/", "empty part"),
        ("a//b", "empty part"),
        ("a/B", "'B'"),
        ("a/é", "'é'"),
        ("a/b\n", "lower-case"),
        ("a/" + "b" * 199, "201 bytes"),
    ],
)
def test_what_is_no_name_is_told_why(name: str, rule: str) -> None:
    with pytest.raises(InvalidNameError, match=rule):
        check_name(name)


@pytest.mark.parametrize(
    ("glob", "name", "expected"),
    [
        ("payments/*", "payments/stripe", True),
        ("payments/*", "payments/stripe/eu", False),
        ("payments/**", "payments/stripe/eu", True),
        ("**", "a/b/c", True),
        ("*/stripe", "a/b/stripe", False),
        ("a/**/z*", "a/b/c/zoo", True),
        ("a.b/c", "axb/c", False),
    ],
)
def test_a_star_stays_within_a_part(glob: str, name: str, expected: bool) -> None:
    assert selects(check_selector(glob), name) is expected


def test_kinds_are_tamed_and_matched() -> None:
    assert tame_kind("bad\nluck\x85") == "badluck"
    assert tame_kind("é" * 100) == "é" * 64
    assert matches_kind("http.5*", "http.503")
    assert not matches_kind("http.5*", "http.404")
    assert not matches_kind("*Error", "TimeoutErrors")


def test_addresses_are_host_and_port() -> None:
    for good in ("127.0.0.1:7420", "http://127.0.0.1:7420/"):
        assert parse_address(good) == "127.0.0.1:7420"
    assert parse_address("[::1]:7420") == "[::1]:7420"
    for bad in ("", "breakerd", "https://a:1", "a:1/v1", "a b:1", "h:99999", ":1", "a:0"):
        with pytest.raises(AddressError):
            parse_address(bad)


def test_a_round_asks_no_server_twice_and_the_next_one_begins_elsewhere() -> None:
    servers = Servers(("a:1", "b:1", "c:1"))
    going = servers.begin()
    steps = []
    for _ in range(3):
        steps.append((servers.advance(going, None), going.server))
    assert steps == [(Step.NEXT, "b:1"), (Step.NEXT, "c:1"), (Step.OVER, "a:1")]


def test_a_leader_is_asked_next_and_two_that_name_each_other_are_left() -> None:
    servers = Servers(("a:1", "b:1"))
    going = servers.begin()
    assert servers.advance(going, "x:9") is Step.LEADER
    assert servers.begin().server == "x:9"
    assert servers.advance(going, "a:1") is Step.NEXT
    assert going.server == "b:1"
    servers.settle(going)
    assert servers.begin().server == "b:1"
    assert servers.is_wanted("a:1")
    assert not servers.is_wanted("x:9")


def test_waits_double_up_to_the_bound_and_chance_halves_them_at_most() -> None:
    backoff = Backoff(0.1, 1.0)
    assert [backoff.next_delay(1.0) for _ in range(5)] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0])
    backoff.reset()
    assert backoff.next_delay(0.0) == pytest.approx(0.05)
    for _ in range(5_000):
        assert backoff.next_delay(1.0) <= 1.0


def test_a_bucket_is_refilled_and_never_overflows() -> None:
    bucket = TokenBucket(3, 6.0, 0.0)
    for _ in range(3):
        assert bucket.available_at(0.0) == 0.0
        bucket.take(0.0)
    assert bucket.available_at(0.0) == pytest.approx(1 / 6)
    assert bucket.available_at(100.0) == 100.0
    for _ in range(3):
        bucket.take(100.0)
    assert bucket.available_at(100.0) > 100.0


def test_the_client_goes_from_ready_to_stale_to_fallback_and_back() -> None:
    link = Link(stale_after=15, max_staleness=60, now=0)
    assert link.state is ClientState.FALLBACK
    assert not link.sign_of_life(1, complete=False)
    assert link.sign_of_life(2, complete=True)
    assert not link.pass_time(16.9)
    assert link.pass_time(17)
    assert link.state is ClientState.STALE
    assert link.due_at() == 77
    assert link.pass_time(77)
    assert link.state is ClientState.FALLBACK
    assert link.due_at() is None
    assert not link.cut(78)
    assert link.sign_of_life(79, complete=True)
    assert link.cut(80)
    assert link.state is ClientState.STALE


def test_a_new_stream_in_place_of_another_leaves_the_state() -> None:
    link = Link(stale_after=15, max_staleness=60, now=0)
    link.sign_of_life(1, complete=True)
    assert not link.sign_of_life(14, complete=False)
    assert not link.pass_time(20)
    assert link.state is ClientState.READY


def test_a_lane_that_was_not_drained_for_long_makes_no_run_that_would_be_refused() -> None:
    lane = Lane("a/b", 3, Rules())
    lane.buffer.extend([0.001] * (MAX_RUN_CALLS + 5))
    runs = lane.drain(0.0)
    assert [run.count for run, _ in runs] == [MAX_RUN_CALLS, 5]


def test_a_lane_keeps_the_order_of_successes_and_failures() -> None:
    lane = Lane("a/b", 3, Rules())
    lane.append(0.1)
    lane.append(0.2)
    lane.ended_at = 5.0
    lane.append(Entry(Outcome.FAILURE, "Oops", False, 0.3, 6.0, 0, True))
    lane.append(0.4)
    lane.ended_at = 7.0
    runs = lane.drain(4.5)
    drained = [(run.count, run.outcome.value, run.ended_at, hurry) for run, hurry in runs]
    # When the first two ended is not known exactly, but it was before the failure.
    assert drained == [
        (2, "success", 6.0, False),
        (1, "failure", 6.0, True),
        (1, "success", 7.0, False),
    ]
    # Nor is it known when the first of successes ended, but for when it was last looked at.
    assert [run.first_at for run, _ in runs] == [4.5, 6.0, 4.5]
    assert lane.drain(7.0) == []
    for _ in range(10):
        lane.append(0.5)
    ((run, _),) = lane.drain(7.0)
    assert (run.count, run.total, run.longest, run.ended_at) == (10, 5.0, 0.5, 7.0)


def test_one_asks_after_an_acquire_that_was_not_answered() -> None:
    gate = PermitGate()
    assert gate.enter(2, 0, 0.0)
    assert gate.enter(2, 0, 0.0)
    assert not gate.enter(2, 0, 0.0)
    gate.unanswered(0)
    gate.left()
    assert gate.enter(2, 0, 0.0)
    assert not gate.enter(2, 0, 0.0)
    assert gate.enter(2, 1, 0.0), "a message of the stream has come"
    gate.answered(0.0, no_permit=True)
    assert not gate.enter(2, 1, 0.019)
    assert gate.enter(2, 1, 0.021)


def test_many_names_are_gathered_by_their_first_part() -> None:
    names = Watchlist([])
    assert names.selectors() == (NOBODY,)
    assert names.add("a/b")
    names.watch(names.selectors())
    assert not names.add("a/b")
    for number in range(1_000):
        names.add(f"p{number % 10}/{number}")
    assert names.selectors() == ("a/**", *(f"p{number}/**" for number in range(10)))
    names.watch(names.selectors())
    assert not names.add("p1/new")
    for number in range(2_000):
        names.add(f"q{number}/x")
    assert names.selectors() == ("**",)


def test_given_selectors_cover_names() -> None:
    names = Watchlist(["payments/**"])
    names.add("payments/x")
    assert names.selectors() == ("payments/**",)


def test_a_configuration_becomes_a_message() -> None:
    message = BreakerConfig(
        failure_threshold=0,
        failure_rate={"percent": 50, "minimum_calls": 20},
        slow_call_rate=False,
        window={"duration": "1m 30s"},
        open_duration=1.5,
        failure_errors=["http.5*"],
        on_unavailable="deny",
        expired_probe="ignore",
        ramp={"percents": [5, 25], "step": "10s"},
        levels=[{"name": "warning", "failure_threshold": 3, "open_duration": 30, "serve": "x"}],
        adaptive=True,
    ).to_message()
    assert message.HasField("failure_threshold")
    assert message.window.duration.seconds == 90
    assert message.open_duration.ToMilliseconds() == 1500
    assert list(message.failure_errors.globs) == ["http.5*"]
    assert list(message.ramp.percents) == [5, 25]
    assert message.levels.levels[0].open_duration.seconds == 30
    assert message.HasField("adaptive")
    assert not message.adaptive.off
    rules = Rules.of(message)
    assert (rules.failure_threshold, rules.failure_percent, rules.window_seconds) == (0, 50, 90.0)


@pytest.mark.parametrize(
    "config",
    [
        {"open_duration": "soon"},
        {"failure_threshold": "five"},
        {"failure_rate": True},
        {"failure_rate": {"share": 1}},
        {"on_unavailable": "guess"},
    ],
)
def test_a_wrong_configuration_is_a_value_error(config: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        BreakerConfig(**config).to_message()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "settings",
    [
        {"addresses": []},
        {"addresses": "nowhere"},
        {"selectors": ["Payments/*"]},
        {"on_unavailable": "guess"},
        {"stale_after": 0},
        {"backoff_least": 2, "backoff_most": 1},
        {"client_id": "x" * 200},
    ],
)
def test_wrong_settings_are_value_errors(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Client(**{"addresses": "a:1", **settings})  # type: ignore[arg-type]


def test_a_certificate_needs_its_key() -> None:
    with pytest.raises(ValueError, match="key"):
        Tls(certificate=b"x")
