"""The thread that reads the stream of states. It decides nothing: it tells what came."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, NamedTuple, Optional, Union

from breakerd import _clock
from breakerd._grpc import grpc
from breakerd._proto.breaker.v1 import service_pb2 as pb
from breakerd._rpc import Failure, failure_of

MAX_UNREAD = 32
"""Messages that wait to be taken in; more are left to the server until then."""


class Came(NamedTuple):
    """A message of the stream with this number, and when it came."""

    stream: int
    message: pb.WatchResponse
    at: float


class Ended(NamedTuple):
    """The stream with this number is cut."""

    stream: int
    failure: Failure


Open = Callable[[pb.WatchRequest], Any]


class Watcher:
    """Reads one stream after another; a new one ends the one before."""

    def __init__(self, tell: Callable[[Union[Came, Ended]], None]) -> None:
        self._tell = tell
        self._orders: SimpleQueue[Optional[tuple[int, Open, pb.WatchRequest]]] = SimpleQueue()
        self._unread = threading.Semaphore(MAX_UNREAD)
        self._lock = threading.Lock()
        self._wanted = 0
        self._call: Any = None
        self._thread = threading.Thread(target=self._run, name="breakerd-watch", daemon=True)

    def start(self) -> None:
        """Begins the thread."""
        self._thread.start()

    def watch(self, stream: int, open_: Open, request: pb.WatchRequest) -> None:
        """Cuts the stream that there is, and reads this one."""
        self._want(stream)
        self._orders.put((stream, open_, request))

    def cut(self) -> None:
        """Cuts the stream that there is; it is told as any end."""
        with self._lock:
            call = self._call
        if call is not None:
            call.cancel()

    def taken_in(self) -> None:
        """A message was taken in: there is room for another one."""
        self._unread.release()

    def stop(self) -> None:
        """Ends the thread soon."""
        self._want(-1)
        self._orders.put(None)
        self._unread.release()

    def join(self, timeout: float) -> None:
        """Waits for the end of the thread, so many seconds at most."""
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def _want(self, stream: int) -> None:
        with self._lock:
            self._wanted = stream
            call = self._call
        if call is not None:
            call.cancel()

    def _run(self) -> None:
        while True:
            order = self._orders.get()
            if order is None:
                return
            failure = self._read(*order)
            self._tell(Ended(order[0], failure))

    def _read(self, stream: int, open_: Open, request: pb.WatchRequest) -> Failure:
        try:
            call = open_(request)
            with self._lock:
                if self._wanted != stream:
                    call.cancel()
                self._call = call
            try:
                for message in call:
                    self._tell(Came(stream, message, _clock.now()))
                    self._unread.acquire()
                return Failure(False, None, "the server ended the stream")
            finally:
                with self._lock:
                    self._call = None
                # An error of a stream is the stream itself: it must not hold on to itself.
                del call
        except grpc.RpcError as error:
            return failure_of(error)
        except Exception as error:
            return Failure(False, None, repr(error))
