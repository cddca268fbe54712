"""A replica without any SDK: breaker.v1 through grpcio, made from the proto files alone.

Does what the Rust replicas do: calls the upstream over HTTP, each call guarded by Acquire and
Report, follows the state by Watch, and tells of it as JSON lines. Ends when its standard input
does.
"""

import argparse
import http.client
import itertools
import json
import os
import sys
import threading
import time

import grpc

from breaker.v1 import breaker_pb2, service_pb2, service_pb2_grpc

# How long a request to breakerd may take, in seconds.
ANSWER_WITHIN = 1.0

# How long to wait before a watch that was cut is made again, in seconds.
RECONNECT_AFTER = 0.1

# A channel that was cut tries again soon.
CHANNEL_OPTIONS = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
]

OUTCOMES = {
    "success": breaker_pb2.OUTCOME_SUCCESS,
    "failure": breaker_pb2.OUTCOME_FAILURE,
    "timeout": breaker_pb2.OUTCOME_TIMEOUT,
}

output = threading.Lock()


def tell(event: str, **values: object) -> None:
    """Writes a line."""
    with output:
        print(json.dumps({"event": event, **values}), flush=True)


class Guard:
    """Asks breakerd for leave and tells it how calls ended."""

    def __init__(self, channel: grpc.Channel, breaker: str, name: str) -> None:
        self._stub = service_pb2_grpc.BreakerServiceStub(channel)
        self._breaker = breaker
        self._name = name
        self._reporter = f"{name}-{os.getpid()}-{time.time_ns()}"
        self._sequence = itertools.count(1)

    def acquire(self) -> service_pb2.AcquireResponse | None:
        """The answer of the server; none if it is away. This replica then makes no call."""
        request = service_pb2.AcquireRequest(breaker=self._breaker, client_id=self._name)
        try:
            return self._stub.Acquire(request, timeout=ANSWER_WITHIN)
        except grpc.RpcError:
            return None

    def report(self, admitted, outcome: int, kind: str, seconds: float) -> None:
        """Tells how a call ended."""
        run = service_pb2.Run(outcome=outcome, count=1, error_kind=kind)
        run.total_duration.FromNanoseconds(int(seconds * 1e9))
        run.permit_id = admitted.permit.id
        report = service_pb2.BreakerReport(
            breaker=self._breaker, generation=admitted.generation, runs=[run]
        )
        request = service_pb2.ReportRequest(
            reporter_id=self._reporter, sequence=next(self._sequence), reports=[report]
        )
        try:
            self._stub.Report(request, timeout=ANSWER_WITHIN)
        except grpc.RpcError:
            # The number makes it count once, should the first one have arrived.
            try:
                self._stub.Report(request, timeout=ANSWER_WITHIN)
            except grpc.RpcError as error:
                print(f"an outcome was given up: {error.code()}", file=sys.stderr)

    def watch(self, token: bytes):
        """Follows the state of the breaker."""
        request = service_pb2.WatchRequest(selectors=[self._breaker], resume_token=token)
        return self._stub.Watch(request)


def work(worker: int, guard: Guard, upstream: str, rest: float) -> None:
    """Makes one call after another."""
    while True:
        began_ns = time.time_ns()
        admitted = guard.acquire()
        if admitted is None or not admitted.allowed:
            tell(
                "denied",
                worker=worker,
                began_ns=began_ns,
                ended_ns=time.time_ns(),
                reason="unavailable" if admitted is None else reason(admitted),
            )
        else:
            began = time.monotonic()
            outcome, kind = call(upstream, admitted)
            seconds = time.monotonic() - began
            guard.report(admitted, OUTCOMES[outcome], kind, seconds)
            tell(
                "call",
                worker=worker,
                began_ns=began_ns,
                ended_ns=time.time_ns(),
                outcome=outcome,
                generation=admitted.generation,
                probe=admitted.permit.id != 0,
                seconds=seconds,
            )
        time.sleep(rest)


def reason(denied) -> str:
    """Why a call was denied, in the words of the other replicas."""
    name = service_pb2.AcquireReason.Name(denied.reason)
    return name.removeprefix("ACQUIRE_REASON_").lower()


def call(upstream: str, admitted) -> tuple[str, str]:
    """Calls the upstream; how that ended, and the kind of the error."""
    call_timeout = admitted.settings.call_timeout.ToTimedelta().total_seconds()
    connection = http.client.HTTPConnection(upstream, timeout=call_timeout)
    try:
        connection.request("GET", "/work", headers={"x-generation": str(admitted.generation)})
        status = connection.getresponse().status
        return ("success", "") if status == 200 else ("failure", f"http.{status}")
    except TimeoutError:
        return "timeout", ""
    except OSError:
        return "failure", "connection"
    finally:
        connection.close()


def follow(guard: Guard) -> None:
    """Tells each state that the watch tells, and goes on after a cut where it was."""
    token = b""
    while True:
        is_connected = False
        try:
            for message in guard.watch(token):
                if not is_connected:
                    is_connected = True
                    tell("connected", seen_ns=time.time_ns())
                token = message.resume_token
                for state in message.changed:
                    tell_state(state)
        except grpc.RpcError:
            # Whatever ended the stream, the token tells where to go on.
            pass
        if is_connected:
            tell("disconnected", seen_ns=time.time_ns())
        time.sleep(RECONNECT_AFTER)


def tell_state(state) -> None:
    """Tells a state in the words of the other replicas."""
    tell(
        "state",
        seen_ns=time.time_ns(),
        state=breaker_pb2.State.Name(state.state).removeprefix("STATE_").lower(),
        mode=breaker_pb2.Mode.Name(state.mode).removeprefix("MODE_").lower(),
        generation=state.generation,
    )


def main() -> None:
    """Works until the standard input ends."""
    arguments = parsed()
    channel = grpc.insecure_channel(arguments.breakerd, options=CHANNEL_OPTIONS)
    guard = Guard(channel, arguments.breaker, arguments.name)
    threading.Thread(target=follow, args=(guard,), daemon=True).start()
    for worker in range(arguments.workers):
        rest = arguments.rest_ms / 1000
        values = (worker, guard, arguments.upstream, rest)
        threading.Thread(target=work, args=values, daemon=True).start()
    sys.stdin.read()


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--breakerd", required=True)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--breaker", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--rest-ms", type=int, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
