"""A call that asks the server for a permit, and waits for the answer no longer than it may."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable
from typing import TYPE_CHECKING, Optional, Union

from breakerd import _clock
from breakerd._held import MODES, STATES, level_of
from breakerd._local import LocalBreaker, Ticket
from breakerd._proto.breaker.v1 import service_pb2 as pb
from breakerd.config import from_duration
from breakerd.guard import Guard
from breakerd.model import Denial, Mode, Reason, State

if TYPE_CHECKING:
    from breakerd._core import Core

REASONS = {
    pb.ACQUIRE_REASON_OPEN: Reason.OPEN,
    pb.ACQUIRE_REASON_NO_PERMIT: Reason.NO_PERMIT,
    pb.ACQUIRE_REASON_FORCED_OPEN: Reason.FORCED_OPEN,
    pb.ACQUIRE_REASON_RAMP_FULL: Reason.RAMP,
}

OnAnswer = Callable[[Optional[pb.AcquireResponse]], None]
Send = Callable[[str, OnAnswer], None]
"""Asks for a breaker in the background; never raises or waits."""


class Ask:
    """One question. :meth:`wait` or :meth:`wait_async` is called once, or :meth:`unmade`."""

    def __init__(self, core: Core, send: Send, timeout: float) -> None:
        self._core = core
        self._send = send
        self._timeout = timeout
        self._answer: concurrent.futures.Future[Optional[pb.AcquireResponse]]
        self._answer = concurrent.futures.Future()
        self._guarding: Optional[tuple[LocalBreaker, Ticket]] = None

    def also_under(self, breaker: LocalBreaker, ticket: Ticket) -> None:
        """The call has the leave of a breaker of this process already."""
        self._guarding = (breaker, ticket)

    def unmade(self) -> None:
        """The question is not asked after all."""
        self._core.gate.left()

    def wait(self) -> Union[Guard, Denial]:
        """Asks, and blocks for the answer."""
        try:
            self._send(self._core.name, self._take)
            try:
                response = self._answer.result(self._timeout)
            except concurrent.futures.TimeoutError:
                response = self._give_up()
        except BaseException:
            self._abandon()
            raise
        return self._settle(response)

    async def wait_async(self) -> Union[Guard, Denial]:
        """Asks, and lets other tasks run meanwhile. Outside of asyncio it blocks."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return self.wait()
        try:
            self._send(self._core.name, self._take)
            answer = asyncio.wrap_future(self._answer)
            done, _ = await asyncio.wait({answer}, timeout=self._timeout)
            response = answer.result() if done else self._give_up()
        except BaseException:
            self._abandon()
            raise
        return self._settle(response)

    def _take(self, response: Optional[pb.AcquireResponse]) -> None:
        """Takes the answer, on a thread of gRPC. One that comes too late is given back."""
        if self._answer.set_running_or_notify_cancel():
            self._answer.set_result(response)
        elif response is not None:
            self._core.gate.answered_late()
            if response.permit.id:
                self._guard_of(response).ignored()

    def _give_up(self) -> Optional[pb.AcquireResponse]:
        """Waits no longer; but an answer that came this very moment is taken."""
        return None if self._answer.cancel() else self._answer.result()

    def _abandon(self) -> None:
        """The call itself was cancelled while it waited."""
        self._core.gate.left()
        if self._guarding is not None:
            self._guarding[0].give_back(self._guarding[1])
        response = self._give_up()
        if response is not None and response.permit.id:
            self._guard_of(response).ignored()

    def _settle(self, response: Optional[pb.AcquireResponse]) -> Union[Guard, Denial]:
        core = self._core
        if response is None:
            core.gate.unanswered(core.home.messages)
            decision = self._unanswered()
        else:
            refused = response.reason == pb.ACQUIRE_REASON_NO_PERMIT
            core.gate.answered(_clock.now(), no_permit=refused)
            decision = self._guard_of(response) if response.allowed else self._denial_of(response)
        if self._guarding is not None:
            if isinstance(decision, Guard):
                decision.also_under(*self._guarding)
            else:
                self._guarding[0].give_back(self._guarding[1])
        return decision

    def _unanswered(self) -> Union[Guard, Denial]:
        core = self._core
        if core.view.held.mode is Mode.SHADOW:
            return Guard(core, core.view.lane, core.view.lane.generation)
        return core.decide_alone()

    def _guard_of(self, response: pb.AcquireResponse) -> Guard:
        permit = response.permit
        bound = response.settings.call_timeout
        if permit.HasField("time_left"):
            bound = permit.time_left
        return Guard(
            self._core,
            self._core.view.lane,
            response.generation,
            permit=permit.id,
            timeout_after=from_duration(bound) or None,
        )

    def _denial_of(self, response: pb.AcquireResponse) -> Denial:
        known = response.HasField("retry_after")
        return Denial(
            self._core.name,
            REASONS.get(response.reason, Reason.NO_PERMIT),
            STATES.get(response.state, State.HALF_OPEN),
            MODES.get(response.mode, Mode.NORMAL),
            from_duration(response.retry_after) if known else None,
            level_of(response.level) if response.HasField("level") else None,
        )
