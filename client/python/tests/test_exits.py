"""Processes that end in the midst of things, and those that they begin: none may abort or hang.

``BREAKERD_EXITS=200 client/python/test tests/test_exits.py -rP`` is the same as a stress.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import Server, script
from hollow import HollowServer

REPEATS = int(os.environ.get("BREAKERD_EXITS", "2"))
AT_ONCE = 4
LONGEST = 10.0
"""How long an end may take, in seconds: 5 for what waits, and the rest for a busy machine."""

BEGIN = """
import atexit, contextlib, threading
client = breakerd.Client(address, permit_timeout=10)
breaker = client.breaker("a/b")
def ask():
    with contextlib.suppress(breakerd.BreakerOpenError): breaker.acquire()
"""
END = "print(time.monotonic())"
ENDS = {
    "without a shutdown": """
        assert client.ready(10)
        atexit.register(breaker(int))
        breaker(int)()
        breaker.acquire().failure("Oops")
        """,
    "before it is connected": """
        breaker(int)()
        """,
    "while calls are under way": """
        assert client.ready(10)
        def work():
            guarded = breaker(int)
            while True:
                guarded()
                breaker.acquire()
                breaker.acquire().timeout() if time.time() % 1 < 0.002 else time.sleep(0.0001)
        for _ in range(4): threading.Thread(target=work, daemon=True).start()
        time.sleep(0.1)
        """,
    "while coroutines are under way": """
        import asyncio
        assert client.ready(10)
        @breaker
        async def guarded(): await asyncio.sleep(0.001)
        async def work():
            while True: await guarded()
        async def main():
            tasks = [asyncio.ensure_future(work()) for _ in range(10)]
            await asyncio.sleep(0.05)
        asyncio.run(main())
        """,
    "while a thread begins": """
        def late():
            time.sleep(0.05)
            other = breakerd.Client(address)
            other.breaker("a/c")(int)()
        threading.Thread(target=late).start()
        """,
    "after forks": """
        import multiprocessing
        assert client.ready(10)
        guarded = breaker(int)
        child = os.fork()
        guarded()
        if child == 0: sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        worker = multiprocessing.get_context("fork").Process(target=guarded)
        worker.start()
        guarded()
        worker.join()
        assert worker.exitcode == 0
        """,
    "after programs were begun": """
        import subprocess
        assert client.ready(10)
        guarded = breaker(int)
        for _ in range(30):
            guarded()
            assert subprocess.call(["true"]) == 0
        """,
}
HANGS = {
    "while permits are asked for": """
        assert client.ready(10)
        for _ in range(4): threading.Thread(target=ask, daemon=True).start()
        time.sleep(0.1)
        """,
    "while outcomes wait": """
        assert client.ready(10)
        client.breaker("a/c").acquire().failure("Oops")
        """,
    "in a forked process": """
        assert client.ready(10)
        child = os.fork()
        if child == 0:
            client.ready(10)
            for _ in range(4): threading.Thread(target=ask, daemon=True).start()
            time.sleep(0.05)
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        """,
}


def play(text: str, address: str) -> None:
    """Runs a program so often, a few at once."""

    def once(_: int) -> tuple[int, str, float]:
        ended = script(BEGIN, text, END, address, within=60)
        took = time.monotonic() - float(ended.stdout or 0)
        return ended.returncode, ended.stderr, took

    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(once, range(REPEATS)))
    print(f"the longest end took {max(took for _, _, took in results):.2f} s")
    assert [result for result in results if result[:2] != (0, "")] == []
    assert max(took for _, _, took in results) < LONGEST


@pytest.mark.parametrize("text", ENDS.values(), ids=ENDS)
def test_a_process_that_ends(text: str, server: Server) -> None:
    play(text, server.address)


@pytest.fixture
def hung() -> Iterator[str]:
    """The address of a server that hangs."""
    server = HollowServer(hangs=True)
    yield server.address
    server.close()


@pytest.mark.parametrize("text", HANGS.values(), ids=HANGS)
def test_a_process_that_ends_although_the_server_hangs(text: str, hung: str) -> None:
    play(text, hung)
