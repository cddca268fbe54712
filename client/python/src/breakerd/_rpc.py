"""The connections to the servers, and what their errors mean."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Optional

from breakerd._grpc import grpc
from breakerd._proto.breaker.v1 import service_pb2 as pb
from breakerd.settings import Settings
from google.rpc import error_details_pb2, status_pb2

SERVICE = "/breaker.v1.BreakerService/"
DOMAIN = "breakerd.dev"
NOT_LEADER = "NOT_LEADER"
DETAILS = "grpc-status-details-bin"
PING_INTERVAL_MS = 10_000
PING_TIMEOUT_MS = 5_000
CONNECT_TIMEOUT_MS = 5_000
RECONNECT_MOST_MS = 1_000


class Failure(NamedTuple):
    """Why a request has no answer.

    ``is_wrong``: the request itself is refused; asking again changes nothing. Otherwise the server
    is away, and ``leader`` may be where to ask instead.
    """

    is_wrong: bool
    leader: Optional[str]
    text: str


def failure_of(error: grpc.RpcError) -> Failure:
    """Reads an error of gRPC."""
    code = getattr(error, "code", lambda: None)()
    text = f"{code.name if code else 'UNKNOWN'}: {getattr(error, 'details', lambda: '')()}"
    if code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND):
        return Failure(True, None, text)
    leader = _leader_of(error) if code is grpc.StatusCode.UNAVAILABLE else None
    return Failure(False, leader, text)


def _leader_of(error: grpc.RpcError) -> Optional[str]:
    trailers: Iterable[tuple[str, Any]] = getattr(error, "trailing_metadata", lambda: ())() or ()
    for key, value in trailers:
        if key != DETAILS:
            continue
        try:
            details = status_pb2.Status.FromString(value).details
            for detail in details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info) and info.domain == DOMAIN and info.reason == NOT_LEADER:
                    return info.metadata.get("leader") or None
        except Exception:  # a server that is none of ours
            return None
    return None


def open_channel(address: str, settings: Settings) -> grpc.Channel:
    """A connection that is made at the first request; nothing of it is shared with other users of
    gRPC in this process."""
    options: list[tuple[str, Any]] = [
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_retries", 0),
        ("grpc.keepalive_time_ms", PING_INTERVAL_MS),
        ("grpc.keepalive_timeout_ms", PING_TIMEOUT_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.min_reconnect_backoff_ms", CONNECT_TIMEOUT_MS),
        ("grpc.initial_reconnect_backoff_ms", int(settings.backoff_least * 1000)),
        ("grpc.max_reconnect_backoff_ms", RECONNECT_MOST_MS),
    ]
    tls = settings.tls
    if tls is None:
        return grpc.insecure_channel(address, options=options)
    if tls.server_name:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
    credentials = grpc.ssl_channel_credentials(tls.ca, tls.key, tls.certificate)
    return grpc.secure_channel(address, credentials, options=options)


class Connection:
    """One server, with the methods that are called there."""

    def __init__(self, address: str, settings: Settings) -> None:
        self.channel = open_channel(address, settings)
        self.acquire: Any = self.channel.unary_unary(
            f"{SERVICE}Acquire",
            request_serializer=pb.AcquireRequest.SerializeToString,
            response_deserializer=pb.AcquireResponse.FromString,
        )
        self.report: Any = self.channel.unary_unary(
            f"{SERVICE}Report",
            request_serializer=pb.ReportRequest.SerializeToString,
            response_deserializer=pb.ReportResponse.FromString,
        )
        self.watch: Any = self.channel.unary_stream(
            f"{SERVICE}Watch",
            request_serializer=pb.WatchRequest.SerializeToString,
            response_deserializer=pb.WatchResponse.FromString,
        )


class Connections:
    """A connection for each server that was asked. Safe to use from many threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._open: dict[str, Connection] = {}
        self._is_closed = False

    def to(self, address: str, is_wanted: Callable[[str], bool]) -> Connection:
        """The connection to a server; closes those to servers that nobody wants any more.

        Raises:
            RuntimeError: if all are closed.
        """
        with self._lock:
            if self._is_closed:
                raise RuntimeError("the connections are closed")
            connection = self._open.get(address)
            if connection is not None:
                return connection
            for other in [other for other in self._open if not is_wanted(other)]:
                self._open.pop(other).channel.close()
            connection = self._open[address] = Connection(address, self._settings)
            return connection

    def close(self) -> None:
        """Closes all of them, for good; what is under way is cancelled."""
        with self._lock:
            self._is_closed = True
            closing = list(self._open.values())
            self._open.clear()
        for connection in closing:
            connection.channel.close()
