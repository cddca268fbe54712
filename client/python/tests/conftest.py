"""Real servers for the tests, and patience with them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Optional

# What gRPC logs when pytest starts a process would be taken for what that process says.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import breakerd
import grpc
import pytest
from breakerd._proto.breaker.v1 import admin_pb2 as pb

REPOSITORY = Path(__file__).resolve().parents[3]


def binary() -> str:
    """The breakerd to test with."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    if not target.is_absolute():
        target = REPOSITORY / target
    path = Path(os.environ.get("BREAKERD_BINARY", target / "debug" / "breakerd"))
    if not path.exists():
        pytest.exit(
            f"{path} is missing: run `cargo build --package breakerd`, or name one in "
            "BREAKERD_BINARY",
            returncode=2,
        )
    return str(path)


class Server:
    """A breakerd process, which can go away and come back at the same address."""

    def __init__(self, folder: Path) -> None:
        self._database = f"sqlite://{folder / 'breakerd.db'}"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        self._process: Optional[subprocess.Popen[str]] = None
        self.start()

    def start(self) -> None:
        arguments = ["--database", self._database, "--listen", self.address]
        process = subprocess.Popen(
            [binary(), *arguments, "--http-listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout is not None
        assert any(line.startswith("grpc listening on") for line in process.stdout)
        self._process = process

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        if number == signal.SIGSTOP:
            eventually(self._is_stopped)

    def _is_stopped(self) -> bool:
        assert self._process is not None
        tasks = Path(f"/proc/{self._process.pid}/task")
        states = [
            (task / "stat").read_text().rsplit(")", 1)[1].split()[0] for task in tasks.iterdir()
        ]
        return set(states) == {"T"}

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of its own."""
    server = Server(tmp_path)
    yield server
    server.kill()


Make = Callable[..., breakerd.Client]


@pytest.fixture
def make_client(server: Server) -> Iterator[Make]:
    """Makes clients of the server, which are shut down in the end."""
    clients: list[breakerd.Client] = []

    def make(**settings: object) -> breakerd.Client:
        clients.append(breakerd.Client(server.address, **settings))  # type: ignore[arg-type]
        return clients[-1]

    yield make
    for client in clients:
        client.shutdown(timeout=0.2)


@pytest.fixture
def client(make_client: Make) -> breakerd.Client:
    """A client of the server that is READY."""
    client = make_client()
    assert client.ready(10)
    return client


def eventually(is_so: Callable[[], object], within: float = 5.0) -> None:
    """Waits until something is so."""
    deadline = time.monotonic() + within
    while not is_so():
        assert time.monotonic() < deadline, "it never came to be so"
        time.sleep(0.005)


def script(*texts: str, within: float = 20) -> subprocess.CompletedProcess[str]:
    """Runs a program of its own, of these texts; the last one is what it knows as `address`."""
    *parts, address = texts
    preamble = "import sys, os, time, breakerd\naddress = sys.argv[1]\n"
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    # Python warns of forks with threads, which is what some of these do.
    options = ["-W", "ignore::DeprecationWarning"]
    text = preamble + "\n".join(textwrap.dedent(part) for part in parts)
    return subprocess.run(
        [sys.executable, *options, "-c", text, address],
        capture_output=True,
        text=True,
        timeout=within,
        env=environment,
        check=False,
    )


class Admin:
    """What an operator does."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address)

    def ask(self, method: str, request: Any, answer: Any) -> Any:
        call: Any = self._channel.unary_unary(
            f"/breaker.v1.BreakerAdmin/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        return call(request, timeout=5, wait_for_ready=True)

    def breaker(self, name: str) -> Any:
        request = pb.GetBreakerRequest(name=name)
        return self.ask("GetBreaker", request, pb.GetBreakerResponse).breaker

    def metrics(self, name: str) -> Any:
        return self.breaker(name).metrics

    def permits_out(self, name: str) -> int:
        count: int = self.breaker(name).permits_out
        return count

    def change(self, method: str, selector: str) -> None:
        request = getattr(pb, f"{method}Request")(target=pb.ChangeTarget(selector=selector))
        self.ask(method, request, getattr(pb, f"{method}Response"))

    def close(self) -> None:
        self._channel.close()


@pytest.fixture
def admin(server: Server) -> Iterator[Admin]:
    """An operator of the server."""
    admin = Admin(server.address)
    yield admin
    admin.close()
