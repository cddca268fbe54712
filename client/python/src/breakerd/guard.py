"""Leave to make one call, and the duty to say how it ended."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Optional

from breakerd import _clock
from breakerd._lane import WAKE_EVERY, Lane
from breakerd._local import LocalBreaker, Ticket
from breakerd._text import tame_kind
from breakerd.model import Outcome, Verdict

if TYPE_CHECKING:
    from breakerd._core import Core


class Guard:
    """Leave to make one call. The first of ``success``, ``failure``, ``timeout`` and ``ignored``
    counts; a guard that is left as a context, or collected as garbage, reports IGNORED.

    None of its methods raises or waits.
    """

    __slots__ = (
        "__weakref__",
        "_core",
        "_guarding",
        "_lane",
        "_local",
        "_permit",
        "_started_at",
        "generation",
        "timeout_after",
    )

    def __init__(
        self,
        core: Core,
        lane: Lane,
        generation: int,
        *,
        permit: int = 0,
        timeout_after: Optional[float] = None,
        local: Optional[tuple[LocalBreaker, Ticket]] = None,
    ) -> None:
        self._core: Optional[Core] = core
        self._lane = lane
        self._permit = permit
        self._local = local
        self._guarding: Optional[tuple[LocalBreaker, Ticket]] = None
        self.generation = generation
        """The generation under which the call was admitted; 0 if that is not known."""
        self.timeout_after = lane.call_timeout if timeout_after is None else timeout_after
        """A call that takes longer, in seconds from the admission, is a TIMEOUT."""
        self._started_at = _clock.now()

    @property
    def is_probe(self) -> bool:
        """The call finds out whether a HALF_OPEN breaker can close."""
        return self._permit != 0

    def success(self) -> None:
        """The call did what it was meant to do."""
        self.finish(Outcome.SUCCESS)

    def failure(self, kind: str = "") -> None:
        """The call failed with an error of this kind, such as ``http.503``."""
        self.finish(Outcome.FAILURE, kind)

    def timeout(self) -> None:
        """The call took too long."""
        self.finish(Outcome.TIMEOUT)

    def ignored(self) -> None:
        """The call counts for nothing: it was cancelled, or the caller made a mistake."""
        self.finish(Outcome.IGNORED)

    def judge(self, verdict: Verdict) -> None:
        """The call ended as a verdict says."""
        self.finish(verdict.outcome, verdict.kind)

    def finish(self, outcome: Outcome, kind: str = "") -> None:
        """The call ended like this; what is told later counts for nothing."""
        core, self._core = self._core, None
        lane = self._lane
        if core is None or lane.is_foreign:
            return
        ended_at = _clock.now()
        duration = ended_at - self._started_at
        if duration > self.timeout_after and outcome in (Outcome.SUCCESS, Outcome.FAILURE):
            outcome = Outcome.TIMEOUT
        kind = tame_kind(str(kind)) if kind else ""
        if self._local is not None or self._guarding is not None:
            for local in (self._local, self._guarding):
                if local is not None:
                    local[0].record(local[1], outcome, kind, duration, ended_at)
        if (
            outcome is Outcome.SUCCESS
            and duration <= lane.limit
            and not self._permit
            and self.generation == lane.generation
        ):
            lane.append(duration)
            lane.ended_at = ended_at
            if not len(lane.buffer) % WAKE_EVERY:
                core.home.wake()
        else:
            core.record(lane, self.generation, outcome, kind, duration, ended_at, self._permit)

    def unmade(self) -> None:
        """The call is not made after all, for which it needs to have no permit yet."""
        self._core = None
        if self._local is not None:
            self._local[0].give_back(self._local[1])

    def also_under(self, breaker: LocalBreaker, ticket: Ticket) -> None:
        """The call has the leave of a breaker of this process, too."""
        self._guarding = (breaker, ticket)

    def __enter__(self) -> Guard:
        return self

    def __exit__(
        self,
        error_type: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.ignored()

    def __del__(self) -> None:
        # Takes no lock: it may run while this thread holds one.
        core, self._core = getattr(self, "_core", None), None
        if core is None:
            return
        for local in (self._local, self._guarding):
            if local is not None:
                local[0].give_back(local[1])
        ended_at = _clock.now()
        core.record(
            self._lane,
            self.generation,
            Outcome.IGNORED,
            "",
            ended_at - self._started_at,
            ended_at,
            self._permit,
        )
