"""One Acquire, which goes about the servers in the background."""

from __future__ import annotations

from typing import Any

from breakerd import _clock
from breakerd._ask import OnAnswer
from breakerd._grpc import grpc
from breakerd._network import Network
from breakerd._proto.breaker.v1 import service_pb2 as pb
from breakerd._rpc import Failure, failure_of
from breakerd._servers import Step

LATEST = 10.0
"""How long an answer may take for its permit to be given back, in seconds."""


class Question:
    """Asks one server after another, each once, and tells the answer or that there is none."""

    def __init__(
        self, network: Network, request: pb.AcquireRequest, on_answer: OnAnswer, timeout: float
    ) -> None:
        self._network = network
        self._request = request
        self._on_answer = on_answer
        self._round = network.servers.begin()
        self._give_up_at = _clock.now() + timeout

    def ask(self) -> None:
        """Begins. Never raises, and does not wait."""
        try:
            call = self._network.to(self._round).acquire.future(
                self._request, timeout=LATEST, metadata=self._network.metadata
            )
            call.add_done_callback(self._finished)
        except Exception:
            self._on_answer(None)

    def _finished(self, call: Any) -> None:
        try:
            response = call.result()
        except grpc.RpcError as error:
            self._failed(failure_of(error))
        except Exception:  # cancelled, because the connections were closed
            self._on_answer(None)
        else:
            self._network.servers.settle(self._round)
            self._on_answer(response)

    def _failed(self, failure: Failure) -> None:
        if failure.is_wrong:
            self._on_answer(None)
            return
        step = self._network.servers.advance(self._round, failure.leader)
        if step is Step.OVER or _clock.now() >= self._give_up_at:
            self._on_answer(None)
        else:
            self.ask()
