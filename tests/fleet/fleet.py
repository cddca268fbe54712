"""The fleet: breakerd, the upstream and the replicas, each a process of its own."""

import http.client
import json
import pathlib
import signal
import sys
import time

import grpc

from breaker.v1 import admin_pb2, admin_pb2_grpc, breaker_pb2
from journal import Journal, wait_until
from process import Process, run

BREAKER = "fleet/upstream"

FAILURE_THRESHOLD = 40
OPEN_SECONDS = 3.0
CALL_TIMEOUT_SECONDS = 0.4
SUCCESS_THRESHOLD = 12
MAX_PROBES = 3

# Successes take nothing off the count, so that the failures of the whole fleet can be compared
# with the threshold exactly. A client that cannot ask makes no calls.
CONFIGURATION = {
    "failure_threshold": str(FAILURE_THRESHOLD),
    "failure_decay": "0",
    "open_duration": f"{OPEN_SECONDS:g}s",
    "call_timeout": f"{CALL_TIMEOUT_SECONDS * 1000:g}ms",
    "success_threshold": str(SUCCESS_THRESHOLD),
    "max_probes": str(MAX_PROBES),
    "on_unavailable": "deny",
}

RUST_REPLICAS = ["rust-1", "rust-2", "rust-3", "rust-4", "rust-5"]
RAW_REPLICA = "python"
REPLICAS = [*RUST_REPLICAS, RAW_REPLICA]
WORKERS = 2
REST_MS = 20

# How long an answer of breakerd or of the upstream may take, in seconds.
ANSWER_WITHIN = 5.0


class Fleet:
    """Everything that runs. Ends all of it when the `with` block does."""

    def __init__(self, binaries: pathlib.Path, folder: pathlib.Path) -> None:
        self.journal = Journal()
        self._binaries = binaries
        self._folder = folder
        self._processes: dict[str, Process] = {}

    def __enter__(self) -> "Fleet":
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        self._end()

    def _start(self) -> None:
        upstream = self._spawn("upstream", [self._binary("fleet-upstream")])
        self._upstream = upstream.wait_for_line(r"^upstream listening on (\S+)$")
        self.start_breakerd("127.0.0.1:0", "127.0.0.1:0")
        values = [word for pair in CONFIGURATION.items() for word in ("--set", "=".join(pair))]
        self.breakerctl("create", BREAKER, *values)
        for name in REPLICAS:
            self._start_replica(name)

    def _end(self) -> None:
        # Who loses patience now must not leave anything behind.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        for process in reversed(self._processes.values()):
            process.end()

    def _spawn(self, name: str, command: list[str], on_line=None) -> Process:
        process = Process(name, command, on_line)
        self._processes[name] = process
        return process

    def _binary(self, name: str) -> str:
        return str(self._binaries / name)

    def start_breakerd(self, listen: str, http_listen: str) -> None:
        """Starts the server and waits until it listens."""
        database = self._folder / "breakerd.db"
        command = [self._binary("breakerd"), "--database", f"sqlite://{database}"]
        command += ["--listen", listen, "--http-listen", http_listen]
        breakerd = self._spawn("breakerd", command)
        self.address = breakerd.wait_for_line(r"^grpc listening on (\S+)$")
        self.http_address = breakerd.wait_for_line(r"^http listening on (\S+)$")
        self._connect()

    def kill_breakerd(self) -> None:
        """Ends the server as kill -9 does."""
        self._processes["breakerd"].kill()
        self._channel.close()

    def _connect(self) -> None:
        self._channel = grpc.insecure_channel(self.address)
        self._admin = admin_pb2_grpc.BreakerAdminStub(self._channel)

    def _start_replica(self, name: str) -> None:
        command = [self._binary("fleet-replica")]
        if name == RAW_REPLICA:
            script = pathlib.Path(__file__).with_name("raw_replica.py")
            command = [sys.executable, str(script)]
        command += ["--breakerd", self.address, "--upstream", self._upstream]
        command += ["--breaker", BREAKER, "--name", name]
        command += ["--workers", str(WORKERS), "--rest-ms", str(REST_MS)]
        self._spawn(name, command, lambda line: self.journal.take_in(name, line))

    def breakerctl(self, *words: str) -> str:
        """Runs breakerctl as a person does."""
        return run([self._binary("breakerctl"), "--address", self.address, *words])

    def breaker(self) -> admin_pb2.Breaker:
        """The breaker as the server sees it."""
        request = admin_pb2.GetBreakerRequest(name=BREAKER)
        return self._admin.GetBreaker(request, timeout=ANSWER_WITHIN).breaker

    def transitions(self, after: int) -> list[admin_pb2.Transition]:
        """The transitions after this one, the earliest first."""
        request = admin_pb2.ListTransitionsRequest(selector=BREAKER, page_size=100)
        answer = self._admin.ListTransitions(request, timeout=ANSWER_WITHIN)
        return [t for t in reversed(answer.transitions) if t.id > after]

    def last_transition_id(self) -> int:
        """The id of the latest transition; 0 if there was none."""
        return max((t.id for t in self.transitions(0)), default=0)

    def wait_for_state(self, state: int, after: int, seconds: float) -> admin_pb2.Transition:
        """Waits for the first transition to this state after this one."""
        found: list = []

        def is_there() -> bool:
            found[:] = [t for t in self.transitions(after) if t.to_state == state]
            return bool(found)

        wait_until(is_there, seconds, f"the breaker goes to {breaker_pb2.State.Name(state)}")
        return found[0]

    def upstream_behaves(self, behaviour: str, milliseconds: int) -> None:
        """Tells the upstream how calls go from now on, and how long they take."""
        self._ask_upstream("PUT", f"/behaviour/{behaviour}/{milliseconds}")

    def upstream_counts(self) -> dict:
        """The calls that the upstream got."""
        return json.loads(self._ask_upstream("GET", "/counts"))

    def _ask_upstream(self, method: str, path: str) -> bytes:
        connection = http.client.HTTPConnection(self._upstream, timeout=ANSWER_WITHIN)
        try:
            connection.request(method, path)
            return connection.getresponse().read()
        finally:
            connection.close()

    def wait_until_denied(self, since_ns: int, *reasons: str) -> None:
        """Waits until every worker of every replica was denied, after which none of them has a call
        in flight that began before."""

        def all_were() -> bool:
            denied = [
                call
                for reason in reasons
                for call in self.journal.calls(since_ns, outcome="denied", reason=reason)
            ]
            return len({(c.replica, c.worker) for c in denied}) == len(REPLICAS) * WORKERS

        wait_until(all_were, 5.0, f"every worker of every replica is denied ({reasons})")

    def wait_until_flowing(self, since_ns: int) -> None:
        """Waits until every replica has made calls with success."""

        def all_have() -> bool:
            calls = self.journal.calls(since_ns, outcome="success", probe=False)
            return {c.replica for c in calls} == set(REPLICAS)

        wait_until(all_have, 10.0, "calls of every replica succeed")

    def wait_until_watching(self, since_ns: int) -> None:
        """Waits until every replica follows the breaker's state."""

        def all_do() -> bool:
            return self.journal.first_sights(since_ns, event="connected").keys() == set(REPLICAS)

        wait_until(all_do, 15.0, "every replica watches")

    def tell_last_words(self) -> None:
        """Tells the last lines of every process that said any."""
        for process in self._processes.values():
            for line in process.lines:
                print(f"   | {process.name}: {line}")


def now_ns() -> int:
    """The machine's clock, which all processes share."""
    return time.time_ns()
