"""Breakers with a configuration, and how they all are."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from typing import Any, Union

from breakerd._clock import now
from breakerd._grpc import grpc
from breakerd._proto.breaker.v1 import admin_pb2 as pb
from breakerd._rpc import failure_of, open_channel
from breakerd._servers import Servers, Step
from breakerd._text import check_name
from breakerd.breaker import Breaker
from breakerd.client import Client
from breakerd.config import BreakerConfig
from breakerd.errors import AdminError
from breakerd.model import ClientState, Mode, State, Status
from google.protobuf import field_mask_pb2

SERVICE = "/breaker.v1.BreakerAdmin/"


class Existing(str, Enum):
    """What becomes of a breaker that is there already."""

    KEEP = "keep"
    """Its configuration stays as it is."""
    UPDATE = "update"
    """The values that are given are set; its state and its other values stay."""


@dataclass(frozen=True)
class Health:
    """How the client and its breakers are."""

    client: ClientState
    counts: dict[State, int]
    """How many breakers of the copy are in each state."""
    unhealthy: list[Status]
    """Those that are not CLOSED, or that an operator has forced open."""

    @property
    def is_healthy(self) -> bool:
        """The client is READY, and no breaker is unhealthy."""
        return self.client is ClientState.READY and not self.unhealthy


class Registry:
    """Breakers of a client, made with a configuration where they are not there yet."""

    def __init__(self, client: Client, *, timeout: float = 5.0) -> None:
        """``timeout``: how long a request may take, in seconds."""
        self._client = client
        self._timeout = timeout

    def get_or_create(
        self,
        name: str,
        config: BreakerConfig,
        *,
        existing: Union[Existing, str] = Existing.KEEP,
    ) -> Breaker:
        """The breaker of this name, created at the server if it is not there. Blocks.

        Raises:
            InvalidNameError: if the text is not a name.
            ValueError: if the configuration holds something of a wrong type.
            AdminError: if the server refuses the configuration, or is away.
        """
        check_name(name)
        existing = Existing(existing)
        message = config.to_message()
        try:
            self._request("CreateBreaker", pb.CreateBreakerRequest(name=name, config=message))
        except AdminError as error:
            if error.code != "ALREADY_EXISTS":
                raise
            if existing is Existing.UPDATE:
                mask = field_mask_pb2.FieldMask(paths=config.set_keys())
                request = pb.UpdateBreakerRequest(name=name, config=message, update_mask=mask)
                self._request("UpdateBreaker", request)
        return self._client.breaker(name)

    def health(self) -> Health:
        """How the breakers of the copy are; asks nobody."""
        hub = self._client._hub
        state, at = hub.state, now()
        counts: Counter[State] = Counter({s: 0 for s in State if s is not State.UNKNOWN})
        unhealthy = []
        for name, held in sorted(hub.held()):
            counts[held.state] += 1
            if held.state is State.CLOSED and held.mode is not Mode.FORCED_OPEN:
                continue
            left = None if held.retry_at is None else max(0.0, held.retry_at - at)
            unhealthy.append(
                Status(
                    breaker=name,
                    state=held.state,
                    mode=held.mode,
                    generation=held.generation,
                    revision=held.revision,
                    level=held.level,
                    retry_after=left,
                    client=state,
                    from_copy=state is not ClientState.FALLBACK,
                )
            )
        return Health(state, dict(counts), unhealthy)

    def _request(self, method: str, request: Any) -> None:
        """Asks one server after another, each once."""
        settings = self._client.settings
        servers = Servers(settings.addresses)
        round_ = servers.begin()
        token = settings.token
        metadata = (("authorization", f"Bearer {token}"),) if token else ()
        while True:
            channel = open_channel(round_.server, settings)
            try:
                ask: Any = channel.unary_unary(
                    SERVICE + method,
                    request_serializer=lambda message: message.SerializeToString(),
                    response_deserializer=bytes,
                )
                ask(request, timeout=self._timeout, metadata=metadata)
                return
            except grpc.RpcError as error:
                code = getattr(error, "code", lambda: None)()
                refusal = AdminError(code.name if code else "UNKNOWN", str(error.details()))
                leader = failure_of(error).leader
                away = code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
            finally:
                channel.close()
            if not away or servers.advance(round_, leader) is Step.OVER:
                raise refusal
