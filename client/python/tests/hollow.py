"""A server without breakerd behind it, which says what it is told to say, or nothing at all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent import futures
from typing import Any, Optional

import breakerd  # before gRPC, so that it is imported as the package wants it
import grpc
from breakerd._proto.breaker.v1 import breaker_pb2
from breakerd._proto.breaker.v1 import service_pb2 as pb

SERVICE = "breaker.v1.BreakerService"

assert breakerd


class HollowServer:
    """Knows `a/b` as HALF_OPEN. While it ``hangs``, Acquire and Report are never answered."""

    def __init__(
        self, *, hangs: bool = False, credentials: Optional[grpc.ServerCredentials] = None
    ) -> None:
        self.tokens: dict[str, set[object]] = {}
        self._hangs = hangs
        self._is_over = threading.Event()
        self._server = grpc.server(futures.ThreadPoolExecutor(max_workers=200))
        messages: dict[str, tuple[Any, Any]] = {
            "Acquire": (pb.AcquireRequest, pb.AcquireResponse(allowed=True, generation=1)),
            "Report": (pb.ReportRequest, pb.ReportResponse()),
        }
        handlers: dict[str, Any] = {
            "Watch": grpc.unary_stream_rpc_method_handler(
                self._watch,
                request_deserializer=pb.WatchRequest.FromString,
                response_serializer=pb.WatchResponse.SerializeToString,
            )
        }
        for method, (request, answer) in messages.items():
            handlers[method] = grpc.unary_unary_rpc_method_handler(
                self._answering(method, answer),
                request_deserializer=request.FromString,
                response_serializer=type(answer).SerializeToString,
            )
        generic = grpc.method_handlers_generic_handler(SERVICE, handlers)
        self._server.add_generic_rpc_handlers((generic,))
        if credentials is None:
            port = self._server.add_insecure_port("127.0.0.1:0")
        else:
            port = self._server.add_secure_port("127.0.0.1:0", credentials)
        self.address = f"127.0.0.1:{port}"
        self._server.start()

    def close(self) -> None:
        self._is_over.set()
        self._server.stop(0).wait()

    def _note(self, method: str, context: grpc.ServicerContext) -> None:
        metadata = dict(context.invocation_metadata())
        self.tokens.setdefault(method, set()).add(metadata.get("authorization"))

    def _answering(self, method: str, answer: Any) -> Any:
        def serve(request: Any, context: grpc.ServicerContext) -> Any:
            self._note(method, context)
            if self._hangs:
                self._wait_for_the_end(context)
            return answer

        return serve

    def _watch(self, request: Any, context: grpc.ServicerContext) -> Iterator[pb.WatchResponse]:
        self._note("Watch", context)
        known = breaker_pb2.BreakerState(
            name="a/b",
            revision=1,
            generation=1,
            state=breaker_pb2.STATE_HALF_OPEN,
            mode=breaker_pb2.MODE_NORMAL,
        )
        message = pb.WatchResponse(changed=[known], snapshot_complete=True)
        message.server_time.GetCurrentTime()
        yield message
        self._wait_for_the_end(context)

    def _wait_for_the_end(self, context: grpc.ServicerContext) -> None:
        """Of the request, or of the server."""
        over = threading.Event()
        context.add_callback(over.set)
        while not (over.wait(0.5) or self._is_over.is_set()):
            pass
