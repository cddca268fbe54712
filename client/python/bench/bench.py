"""What guarding a call costs on a CLOSED breaker, beside pybreaker in memory and on Redis.

Starts a real breakerd and a real redis-server of its own; all contenders take turns in one run, and
the medians of the rounds are compared. Usage::

    python client/python/bench/bench.py [--rounds 7] [--calls 100000]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import breakerd

REPOSITORY = Path(__file__).resolve().parents[3]
Timed = Callable[[int], float]
"""Makes so many calls; returns nanoseconds for each."""


def work() -> int:
    """What is guarded: as little as can be."""
    return 1


async def work_async() -> int:
    """The same as a coroutine."""
    return 1


def timed(function: Callable[[], object]) -> Timed:
    def run(calls: int) -> float:
        turns = range(calls)
        began = time.perf_counter()
        for _ in turns:
            function()
        return (time.perf_counter() - began) / calls * 1e9

    return run


def timed_async(function: Callable[[], Any]) -> Timed:
    async def run(calls: int) -> float:
        turns = range(calls)
        began = time.perf_counter()
        for _ in turns:
            await function()
        return (time.perf_counter() - began) / calls * 1e9

    return lambda calls: asyncio.run(run(calls))


@contextmanager
def server() -> Iterator[str]:
    """A breakerd that keeps nothing; gives its address."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    binary = os.environ.get("BREAKERD_BINARY", str(target / "debug" / "breakerd"))
    arguments = ["--database", "memory:", "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"]
    with subprocess.Popen(
        [binary, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            prefix = "grpc listening on "
            yield next(line for line in process.stdout if line.startswith(prefix)).split()[-1]
        finally:
            process.kill()


@contextmanager
def redis_server() -> Iterator[int]:
    """A Redis of its own, which writes nothing to disk; gives its port."""
    if shutil.which("redis-server") is None:
        sys.exit("bench: redis-server is missing; install it (apt-get install redis-server)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            ["redis-server", "--port", str(port), "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL,
        ) as process,
    ):
        try:
            for _ in range(100):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.02)
            yield port
        finally:
            process.kill()


def contenders(stack: ExitStack) -> dict[str, Timed]:
    """Everything that takes a turn."""
    import pybreaker
    import redis

    client = stack.enter_context(breakerd.Client(stack.enter_context(server())))
    guarded = client.breaker("bench/sync")
    decorated = guarded(work)
    decorated_async = client.guard("bench/async")(work_async)
    if not client.ready(10):
        sys.exit("bench: breakerd does not answer")
    decorated()
    asyncio.run(decorated_async())
    client.flush()
    time.sleep(0.2)  # the stream tells of the breakers that were created

    in_memory = pybreaker.CircuitBreaker(fail_max=5, reset_timeout=60)
    connection = redis.StrictRedis(port=stack.enter_context(redis_server()))
    storage = pybreaker.CircuitRedisStorage(pybreaker.STATE_CLOSED, connection)
    on_redis = pybreaker.CircuitBreaker(fail_max=5, reset_timeout=60, state_storage=storage)

    def block() -> None:
        with guarded.call():
            work()

    async def bounded() -> int:
        # What bounding a coroutine costs by itself.
        return await asyncio.wait_for(work_async(), 10)

    return {
        "nothing": timed(work),
        "breakerd, decorator": timed(decorated),
        "breakerd, `with`": timed(block),
        "pybreaker, in memory": timed(in_memory(work)),
        "pybreaker, on Redis": timed(on_redis(work)),
        "nothing, async": timed_async(work_async),
        "asyncio.wait_for, no breaker": timed_async(bounded),
        "breakerd, async decorator": timed_async(decorated_async),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="What guarding a call costs.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=100_000)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        all_timed = contenders(stack)
        results: dict[str, list[float]] = {name: [] for name in all_timed}
        for _ in range(arguments.rounds):
            for name, run in all_timed.items():
                calls = arguments.calls // 100 if "Redis" in name else arguments.calls
                results[name].append(run(calls))
    medians = {name: statistics.median(values) for name, values in results.items()}
    own = medians["breakerd, decorator"]
    print(f"medians of {arguments.rounds} interleaved rounds, Python {sys.version.split()[0]}\n")
    print(f"{'':30}{'ns a call':>12}{'of the decorator':>18}")
    for name, median in medians.items():
        print(f"{name:30}{median:12,.0f}{median / own:17.2f}x")
    memory = own / medians["pybreaker, in memory"]
    on_redis = medians["pybreaker, on Redis"] / own
    print(f"\nthe decorator takes {memory:.2f} of pybreaker in memory (goal: 2 at most)")
    print(f"and 1/{on_redis:.0f} of pybreaker on Redis (goal: 1/50 at most)")


if __name__ == "__main__":
    main()
