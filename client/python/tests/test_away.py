"""Servers that go away and processes that fork and end, against real ones."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from typing import Any

import breakerd
import pytest
from breakerd import BreakerConfig, ClientState, Reason, State

from conftest import Admin, Make, Server, eventually, script


def open_up(client: breakerd.Client, admin: Admin, **config: Any) -> breakerd.Breaker:
    registry = breakerd.Registry(client)
    breaker = registry.get_or_create("a/b", BreakerConfig(**config))
    eventually(lambda: breaker.status().revision)
    admin.change("Trip", "a/b")
    eventually(lambda: breaker.status().state is State.OPEN)
    return breaker


def test_a_killed_server_leaves_the_copy_then_the_fallback(
    server: Server, make_client: Make, admin: Admin
) -> None:
    client = make_client(max_staleness=3)
    states: list[ClientState] = []
    client.on_state(states.append)
    assert client.ready(10)
    breaker = open_up(client, admin, open_duration=60)
    server.kill()
    eventually(lambda: client.state is ClientState.STALE, within=10)
    with pytest.raises(breakerd.BreakerOpenError) as denied:
        breaker.acquire()
    assert denied.value.reason is Reason.OPEN
    eventually(lambda: client.state is ClientState.FALLBACK, within=10)
    guards = [breaker.acquire() for _ in range(3)]
    with pytest.raises(breakerd.BreakerOpenError) as denied:
        breaker.acquire()
    assert denied.value.reason is Reason.LOCAL_OPEN, "the local breaker probes first"
    for guard in guards:
        guard.success()
    assert breaker.call(lambda: 1) == 1
    server.start()
    eventually(lambda: client.state is ClientState.READY, within=10)
    assert breaker.status().state is State.OPEN
    eventually(lambda: len(states) == 4)
    assert [state.value for state in states] == ["ready", "stale", "fallback", "ready"]


def test_outcomes_outlive_an_outage(server: Server, make_client: Make, admin: Admin) -> None:
    client = make_client(on_unavailable="allow")
    assert client.ready(10)
    breaker = breakerd.Registry(client).get_or_create("a/b", BreakerConfig())
    eventually(lambda: breaker.status().revision)
    breaker(int)()
    assert client.flush()
    server.kill()
    for _ in range(1_000):
        breaker(int)()
    breaker.acquire().failure("Oops")
    time.sleep(0.3)
    server.start()
    assert client.flush(10)
    metrics = admin.metrics("a/b")
    # The first success may have been lost with the server, which writes counts behind.
    assert metrics.successes in (1_000, 1_001)
    assert metrics.failures == 1


def test_calls_never_wait_for_a_hung_server(
    server: Server, make_client: Make, admin: Admin
) -> None:
    client = make_client(stale_after=0.5, max_staleness=0.5, permit_timeout=0.5, request_timeout=10)
    assert client.ready(10)
    breaker = open_up(client, admin, open_duration=60)
    admin.change("ForceOpen", "a/b")
    admin.change("Release", "a/b")
    eventually(lambda: breaker.status().state is State.HALF_OPEN)
    server.signal(signal.SIGSTOP)
    try:
        slowest, asked, ends = 0.0, 0, time.monotonic() + 5
        while time.monotonic() < ends:
            began = time.monotonic()
            with contextlib.suppress(breakerd.BreakerOpenError):
                breaker.acquire().ignored()
            took = time.monotonic() - began
            slowest = max(slowest, took)
            asked += took > 0.25
            time.sleep(0.002)
        assert slowest < 2.0, "no call waits longer than for its permit"
        # If each of them waited for a permit there would be ten.
        assert asked < 7

        async def ticks() -> int:
            waiting = asyncio.ensure_future(breaker.acquire_async())
            count = 0
            while not waiting.done():
                await asyncio.sleep(0.01)
                count += 1
            waiting.exception()
            return count

        asyncio.run(ticks())
        assert client.state in (ClientState.STALE, ClientState.FALLBACK)
        began = time.monotonic()
        assert not client.shutdown(0.5)
        assert time.monotonic() - began < 4
    finally:
        server.signal(signal.SIGCONT)


def test_the_event_loop_runs_on_while_a_permit_is_awaited(
    server: Server, make_client: Make, admin: Admin
) -> None:
    client = make_client(permit_timeout=1.0)
    assert client.ready(10)
    breaker = open_up(client, admin, open_duration=60)
    admin.change("ForceOpen", "a/b")
    admin.change("Release", "a/b")
    eventually(lambda: breaker.status().state is State.HALF_OPEN)
    server.signal(signal.SIGSTOP)

    async def main() -> int:
        waiting = asyncio.ensure_future(breaker.acquire_async())
        cancelled = asyncio.ensure_future(breaker.acquire_async())
        await asyncio.sleep(0.01)
        cancelled.cancel()
        ticks = 0
        while not waiting.done():
            await asyncio.sleep(0.01)
            ticks += 1
        waiting.exception()
        return ticks

    try:
        assert asyncio.run(main()) > 5
    finally:
        server.signal(signal.SIGCONT)
    # The answers that came too late are given back, with the permits.
    eventually(lambda: admin.permits_out("a/b") == 0)


def test_a_client_that_is_shut_down_decides_alone(client: breakerd.Client, admin: Admin) -> None:
    breaker = client.breaker("a/b")
    before = breaker.acquire()
    breaker(int)()
    assert client.shutdown()
    assert client.shutdown()
    before.success()
    assert breaker(int)() == 0
    assert client.state is ClientState.FALLBACK
    assert admin.metrics("a/b").successes == 1


def test_a_process_that_ends_reports_what_waits(server: Server, admin: Admin) -> None:
    ended = script(
        """
        client = breakerd.Client(address)
        guarded = client.breaker("a/b")(int)
        client.ready(10)
        for _ in range(50): guarded()
        """,
        server.address,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert admin.metrics("a/b").successes == 50


FORKS = """
client = breakerd.Client(address)
breaker = client.breaker("a/b")
guarded = breaker(int)
client.ready(10)
guarded()
for number in range(10):
    guarded()  # waits in the parent when it forks
    inherited = breaker.acquire()
    child = os.fork()
    if child == 0:
        inherited.failure("told by the parent, too")
        guarded()
        ready = client.ready(10)
        guarded()
        sys.exit(0 if ready else 3)
    inherited.success()
    assert os.waitpid(child, 0)[1] == 0
assert client.flush(), client.state
assert client.state.value == "ready", client.state
"""


def test_a_fork_is_survived_by_both_processes(server: Server, admin: Admin) -> None:
    ended = script(FORKS, server.address, within=40)
    assert (ended.returncode, ended.stderr) == (0, "")
    metrics = admin.metrics("a/b")
    # The parent's 1 + 10 + 10, and 2 of each child; those that the children inherited are not
    # told twice.
    assert (metrics.successes, metrics.failures) == (41, 0)


def test_a_fork_is_survived_with_the_fork_support_of_grpc(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRPC_ENABLE_FORK_SUPPORT", "1")
    ended = script(
        """
        client = breakerd.Client(address)
        breaker = client.breaker("a/b")
        assert client.ready(10)
        for number in range(2):
            child = os.fork()
            ready = client.ready(5)
            breaker(int)()
            if child == 0:
                sys.exit(0 if ready else 3)
            assert os.waitpid(child, 0)[1] == 0
            assert ready
        """,
        server.address,
        within=40,
    )
    assert (
        ended.returncode,
        [line for line in ended.stderr.splitlines() if "fork" not in line],
    ) == (0, [])


def test_a_process_of_multiprocessing_reports_too(server: Server, admin: Admin) -> None:
    ended = script(
        """
        import multiprocessing
        client = breakerd.Client(address)
        guarded = client.breaker("a/b")(int)
        client.ready(10)
        guarded()
        def work():
            for _ in range(10): guarded()
        context = multiprocessing.get_context("fork")
        workers = [context.Process(target=work) for _ in range(3)]
        for worker in workers: worker.start()
        for worker in workers: worker.join()
        assert [worker.exitcode for worker in workers] == [0, 0, 0]
        """,
        server.address,
        within=40,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert admin.metrics("a/b").successes == 31


def test_a_fork_while_threads_make_calls(server: Server) -> None:
    ended = script(
        """
        import threading
        client = breakerd.Client(address)
        breaker = client.breaker("a/b")
        client.ready(10)
        ends = time.monotonic() + 2
        def work():
            guarded = breaker(lambda: 1)
            while time.monotonic() < ends:
                guarded()
                breaker.acquire().success()
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads: thread.start()
        while time.monotonic() < ends:
            child = os.fork()
            if child == 0:
                breaker(lambda: 1)()
                os._exit(0 if client.ready(5) else 3)
            assert os.waitpid(child, 0)[1] == 0
        for thread in threads: thread.join()
        assert client.flush()
        """,
        server.address,
        within=40,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
