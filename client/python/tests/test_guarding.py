"""How calls are guarded, against a real server."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import breakerd
import pytest
from breakerd import BreakerConfig, Existing, Mode, Reason, Registry, State

from conftest import Admin, Make, Server, eventually

QUICK = BreakerConfig(failure_threshold=3, open_duration=60, success_threshold=1, call_timeout=3)
# For calls that are to take too long.
HASTY = BreakerConfig(failure_threshold=3, open_duration=60, success_threshold=1, call_timeout=0.3)


def make(client: breakerd.Client, name: str = "a/b", config: Any = QUICK) -> breakerd.Breaker:
    breaker = Registry(client).get_or_create(name, config)
    eventually(lambda: breaker.status().revision)
    return breaker


def fail(*_: object) -> None:
    raise ValueError("ill")


def trip(breaker: breakerd.Breaker) -> None:
    """Fails until it is open."""
    guarded = breaker(fail)

    def is_open() -> bool:
        try:
            guarded()
        except ValueError:
            return False
        except breakerd.BreakerOpenError:
            return True
        raise AssertionError

    eventually(is_open)


def test_functions_methods_and_coroutine_functions(client: breakerd.Client) -> None:
    breaker = make(client)

    class Shop:
        @breaker
        def buy(self, item: str, *, count: int = 1) -> str:
            """Buys."""
            return item * count

        @breaker
        async def buy_async(self, item: str) -> str:
            return item

    shop = Shop()
    assert shop.buy("x", count=2) == "xx"
    assert Shop.buy.__doc__ == "Buys."
    assert asyncio.run(shop.buy_async("y")) == "y"
    assert breaker.call(max, 1, 2) == 2
    assert asyncio.run(breaker.call_async(shop.buy_async, "z")) == "z"
    assert asyncio.run(breaker(functools.partial(shop.buy_async, "p"))()) == "p"


def test_generators_are_refused(client: breakerd.Client) -> None:
    breaker = make(client)

    def items() -> Iterator[int]:
        yield 1

    async def items_async() -> AsyncIterator[int]:
        yield 1

    for function in (items, items_async):
        with pytest.raises(TypeError, match=r"items.* is a generator"):
            breaker(function)
    with pytest.raises(TypeError, match="functions, not int"):
        breaker(3)  # type: ignore[type-var]


def test_outcomes_reach_the_server(client: breakerd.Client, admin: Admin) -> None:
    breaker = make(client, config=BreakerConfig(failure_threshold=1000))

    @breaker.options(ignore=KeyError, expected=(ValueError, KeyError))
    def call(error: Any) -> None:
        if error is not None:
            raise error

    for error in [None] * 5 + [ValueError(), ValueError(), KeyError(), OSError()]:
        with contextlib.suppress(Exception):
            call(error)
    with pytest.raises(KeyboardInterrupt):
        call(KeyboardInterrupt())
    with breaker.call():
        pass
    with pytest.raises(OSError, match="ill"), breaker.call():
        raise OSError("ill")
    assert client.flush()
    metrics = admin.metrics("a/b")
    assert (metrics.successes, metrics.failures, metrics.ignored) == (6, 3, 3)
    assert metrics.last_failure_kind == "OSError"


def test_classifying_functions(client: breakerd.Client, admin: Admin) -> None:
    breaker = make(client, config=BreakerConfig(failure_threshold=1000))

    def judge(status: int) -> Any:
        if status == 418:
            raise RuntimeError("a classifier that fails is as if it were not there")
        if status == 204:
            return "not a verdict"
        return breakerd.failure(f"http.{status}") if status >= 500 else None

    guarded = breaker.options(classify_result=judge)(lambda status: status)
    for status in (200, 418, 204, 503):
        assert guarded(status) == status
    judged = breaker.options(classify_error=lambda error: breakerd.IGNORED)(fail)
    with pytest.raises(ValueError, match="ill"):
        judged()
    assert client.flush()
    metrics = admin.metrics("a/b")
    assert (metrics.successes, metrics.failures, metrics.ignored) == (3, 1, 1)
    assert metrics.last_failure_kind == "http.503"


def test_a_denied_call_says_why_and_has_fallbacks(client: breakerd.Client) -> None:
    breaker = make(client)
    trip(breaker)
    with pytest.raises(breakerd.BreakerOpenError) as denied, breaker.call():
        raise AssertionError
    error = denied.value
    assert (error.breaker, error.reason, error.state) == ("a/b", Reason.OPEN, State.OPEN)
    assert error.mode is Mode.NORMAL
    assert error.retry_after is not None
    assert 50 < error.retry_after <= 60
    assert error.level is None
    assert error.serve is None
    assert "a/b was denied (open)" in str(error)
    assert isinstance(error, breakerd.BreakerError)

    async def work(item: str) -> str:
        raise AssertionError

    async def serve(error: Exception, item: str) -> str:
        return f"{item}: {type(error).__name__}"

    sync = breaker.options(fallback=lambda error, item: item + "!")(fail)
    assert sync("x") == "x!"
    assert asyncio.run(breaker.options(fallback=serve)(work)("x")) == "x: BreakerOpenError"
    also_sync = breaker.options(fallback=lambda error, item: item + "?")(work)
    assert asyncio.run(also_sync("x")) == "x?"


def test_a_fallback_on_failure(client: breakerd.Client) -> None:
    breaker = make(client, config=HASTY).options(
        fallback=lambda error, *_: type(error).__name__, fallback_on_failure=True, ignore=KeyError
    )

    async def slow() -> None:
        await asyncio.sleep(5)

    def mistaken() -> None:
        raise KeyError

    assert breaker(fail)() == "ValueError"
    assert asyncio.run(breaker(slow)()) == "CallTimeout"
    with pytest.raises(KeyError):
        breaker(mistaken)()


def test_levels_have_hooks(client: breakerd.Client) -> None:
    levels = [
        {
            "name": name,
            "failure_threshold": 2,
            "open_duration": 60,
            "success_threshold": 1,
            "serve": serve,
        }
        for name, serve in (("warning", "degraded"), ("emergency", "closed"))
    ]
    config = BreakerConfig(levels={"levels": levels, "escalate_above": 100})
    breaker = make(client, config=config)
    trip(breaker)
    by_serve = breaker.options(on_level={"degraded": lambda error: error.serve, "closed": fail})
    by_name = breaker.options(on_level={"warning": lambda error: error.level.name})
    assert by_serve(fail)() == "degraded"
    assert by_name(fail)() == "warning"
    assert breaker.status().level == breakerd.Level("warning", 0, "degraded")


def test_a_coroutine_is_bounded_by_the_call_timeout(client: breakerd.Client, admin: Admin) -> None:
    breaker = make(client, config=HASTY)

    async def slow() -> None:
        await asyncio.sleep(10)

    async def in_block() -> None:
        async with breaker.call():
            await asyncio.sleep(10)

    for work in (breaker(slow), in_block):
        began = time.monotonic()
        with pytest.raises(breakerd.CallTimeout, match=r"longer than 0\.3 s") as timeout:
            asyncio.run(work())
        assert time.monotonic() - began < 5
        assert isinstance(timeout.value, TimeoutError)
    assert client.flush()
    assert admin.metrics("a/b").timeouts == 2


def test_a_function_that_took_too_long_is_a_timeout(client: breakerd.Client, admin: Admin) -> None:
    breaker = make(client, config=BreakerConfig(call_timeout=0.02))
    breaker(time.sleep)(0.05)

    def slow() -> None:
        time.sleep(0.05)
        fail()

    with pytest.raises(ValueError, match="ill"):
        breaker.call(slow)
    assert client.flush()
    assert admin.metrics("a/b").timeouts == 2


def test_a_cancelled_task_counts_for_nothing(client: breakerd.Client, admin: Admin) -> None:
    breaker = make(client)

    @breaker
    async def slow() -> None:
        await asyncio.sleep(5)

    async def block() -> None:
        async with breaker.call():
            await asyncio.sleep(5)

    async def main() -> None:
        tasks = [asyncio.ensure_future(slow()), asyncio.ensure_future(block())]
        await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results)

    asyncio.run(main())
    assert client.flush()
    metrics = admin.metrics("a/b")
    assert (metrics.ignored, metrics.timeouts) == (2, 0)


def test_many_tasks_at_once(client: breakerd.Client, admin: Admin) -> None:
    breaker = make(client)

    @breaker
    async def work() -> None:
        await asyncio.sleep(0.01)

    async def main() -> None:
        await asyncio.gather(*(work() for _ in range(500)))

    asyncio.run(main())
    assert client.flush()
    assert admin.metrics("a/b").successes == 500


def test_a_guard_that_is_forgotten_counts_for_nothing(
    client: breakerd.Client, admin: Admin
) -> None:
    breaker = make(client)
    breaker.acquire()
    with breaker.acquire():
        pass
    guard = breaker.acquire()
    guard.failure("once")
    guard.success()
    del guard
    gc.collect()
    assert client.flush()
    metrics = admin.metrics("a/b")
    assert (metrics.ignored, metrics.failures, metrics.successes) == (2, 1, 0)


def test_probes_close_it_in_sync_and_async(client: breakerd.Client, admin: Admin) -> None:
    breaker = make(client)

    async def work() -> int:
        return 1

    for probe in (breaker(lambda: 1), lambda: asyncio.run(breaker(work)())):
        admin.change("ForceOpen", "a/b")
        admin.change("Release", "a/b")
        eventually(lambda: breaker.status().state is State.HALF_OPEN)
        assert probe() == 1
        eventually(lambda: breaker.status().state is State.CLOSED)
    admin.change("ForceOpen", "a/b")
    admin.change("Release", "a/b")
    eventually(lambda: breaker.status().state is State.HALF_OPEN)
    guard = breaker.acquire()
    assert guard.is_probe
    assert guard.timeout_after <= 3
    with pytest.raises(breakerd.BreakerOpenError) as denied:
        breaker.acquire()
    assert denied.value.reason is Reason.NO_PERMIT
    guard.success()


def test_two_clients_learn_together_and_listeners_hear_it(make_client: Make) -> None:
    one, other = make_client(), make_client()
    assert one.ready(10)
    assert other.ready(10)
    heard: list[breakerd.Transition] = []
    states: list[breakerd.ClientState] = []
    breaker = make(one)
    watched = other.breaker("a/b")
    eventually(lambda: watched.status().revision)
    watched.on_transition(heard.append)
    forget = other.on_transition(heard.append)
    other.on_state(states.append)
    for _ in range(1_000):
        other.on_transition(fail)
    trip(breaker)
    eventually(lambda: len(heard) == 2)
    assert heard[0] == breakerd.Transition(
        "a/b",
        breakerd.Standing(State.CLOSED, Mode.NORMAL),
        breakerd.Standing(State.OPEN, Mode.NORMAL),
    )
    with pytest.raises(breakerd.BreakerOpenError):
        watched.acquire()
    forget()
    forget()


def test_threads_lose_no_outcome(client: breakerd.Client, admin: Admin) -> None:
    breaker = make(client, config=BreakerConfig(failure_threshold=1_000_000))
    guarded = breaker.options(expected=ValueError)(lambda bad: fail() if bad else None)

    def work() -> None:
        for number in range(3_000):
            with contextlib.suppress(ValueError):
                guarded(number % 10 == 0)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.flush(10)
    metrics = admin.metrics("a/b")
    assert (metrics.successes, metrics.failures) == (8 * 2_700, 8 * 300)
    assert client.outcomes_given_up == 0


def test_the_registry_creates_keeps_and_updates(client: breakerd.Client, admin: Admin) -> None:
    registry = Registry(client)
    make(client)
    registry.get_or_create("a/b", BreakerConfig(failure_threshold=9))
    registry.get_or_create("a/b", BreakerConfig(open_duration=7), existing=Existing.UPDATE)
    breaker = registry.get_or_create("a/c", BreakerConfig())
    admin.change("Trip", "a/c")
    eventually(lambda: breaker.status().state is State.OPEN)
    health = registry.health()
    assert health.counts == {State.CLOSED: 1, State.OPEN: 1, State.HALF_OPEN: 0}
    assert [status.breaker for status in health.unhealthy] == ["a/c"]
    assert not health.is_healthy
    with pytest.raises(breakerd.AdminError, match="INVALID_ARGUMENT"):
        registry.get_or_create("a/d", BreakerConfig(call_timeout=10**9))
    away = Registry(breakerd.Client("127.0.0.1:1"), timeout=1)
    with pytest.raises(breakerd.AdminError, match="UNAVAILABLE"):
        away.get_or_create("a/d", BreakerConfig())


def test_the_client_of_the_module(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    from breakerd import default

    monkeypatch.setattr(default, "_client", None)
    monkeypatch.setenv("BREAKERD_ADDRESS", f"127.0.0.1:1,{server.address}")

    @breakerd.breaker("a/module", fallback=lambda error: "denied")
    def work() -> str:
        return "done"

    client = breakerd.client()
    assert client.settings.addresses[1] == server.address
    breakerd.configure(server.address, on_unavailable="deny")
    assert client.settings.on_unavailable is breakerd.OnUnavailable.DENY
    assert work() == "denied"
    assert client.ready(10)
    assert work() == "done"
    with pytest.raises(RuntimeError, match="at work"):
        breakerd.configure(server.address)
    with pytest.raises(breakerd.InvalidNameError, match="one part"):
        breakerd.breaker("name")
    client.shutdown()


def test_the_same_breaker_for_the_same_name(client: breakerd.Client) -> None:
    assert client.breaker("a/b") is client.breaker("a/b")
    assert repr(client.breaker("a/b")) == "<Breaker a/b>"
