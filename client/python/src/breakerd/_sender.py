"""The thread that sends reports, one at a time, and waits for their answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import NamedTuple, Optional, Union

from breakerd import _clock
from breakerd._grpc import grpc
from breakerd._proto.breaker.v1 import service_pb2 as pb
from breakerd._rpc import Failure, failure_of


class Reported(NamedTuple):
    """What became of a report."""

    result: Union[pb.ReportResponse, Failure]
    at: float


Send = Callable[[pb.ReportRequest], pb.ReportResponse]


class Sender:
    """Sends what it is given with a function that waits, for a bounded time, for the answer."""

    def __init__(self, send: Send, tell: Callable[[Reported], None]) -> None:
        self._send = send
        self._tell = tell
        self._orders: SimpleQueue[Optional[pb.ReportRequest]] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="breakerd-report", daemon=True)

    def start(self) -> None:
        """Begins the thread."""
        self._thread.start()

    def send(self, request: pb.ReportRequest) -> None:
        """Sends a report in the background."""
        self._orders.put(request)

    def stop(self) -> None:
        """Ends the thread soon."""
        self._orders.put(None)

    def join(self, timeout: float) -> None:
        """Waits for the end of the thread, so many seconds at most."""
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            request = self._orders.get()
            if request is None:
                return
            result = self._result(request)
            self._tell(Reported(result, _clock.now()))

    def _result(self, request: pb.ReportRequest) -> Union[pb.ReportResponse, Failure]:
        try:
            return self._send(request)
        except grpc.RpcError as error:
            return failure_of(error)
        except Exception as error:
            return Failure(False, None, repr(error))
