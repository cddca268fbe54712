"""Where calls of one breaker and one generation leave how they ended, without a lock.

A quick success is a number in a list: its duration. All else is an :class:`Entry` in the same
list, so that the order stays. Appending to a list and cutting off its head are atomic, with the
GIL as without it; only one thread cuts.
"""

from __future__ import annotations

from typing import NamedTuple, Optional, Union

from breakerd._outbox import MAX_RUN_CALLS, Run
from breakerd._rules import Rules
from breakerd.model import Outcome

WAKE_EVERY = 4096
"""After so many outcomes the reporter is woken, so that they cannot pile up."""


class Entry(NamedTuple):
    """How one call ended. ``prompt``: its report has to hurry."""

    outcome: Outcome
    kind: str
    slow: bool
    duration: float
    ended_at: float
    permit: int
    prompt: bool


class Lane:
    """Calls of one generation of a breaker."""

    __slots__ = (
        "append",
        "buffer",
        "call_timeout",
        "ended_at",
        "generation",
        "is_foreign",
        "limit",
        "name",
        "slow_after",
    )

    def __init__(self, name: str, generation: int, rules: Rules) -> None:
        self.name = name
        self.generation = generation
        self.buffer: list[Union[float, Entry]] = []
        self.append = self.buffer.append
        self.ended_at = 0.0
        self.is_foreign = False
        self.use(rules, is_quick=False)

    def use(self, rules: Rules, *, is_quick: bool) -> None:
        """Goes by these rules. Only in a quick lane successes are written down as numbers."""
        self.call_timeout = rules.call_timeout
        self.slow_after = rules.slow_after
        self.limit = min(rules.call_timeout, rules.slow_after) if is_quick else -1.0

    def disown(self) -> None:
        """After a fork: what ends in here is reported by the process that it was forked from."""
        self.is_foreign = True
        self.limit = -1.0

    def drain(self, since: float) -> list[tuple[Run, bool]]:
        """Takes out what has ended since then, as runs, and whether each has to hurry."""
        count = len(self.buffer)
        if not count:
            return []
        chunk = self.buffer[:count]
        del self.buffer[:count]
        runs = []
        # One, unless nothing was drained for so long that a run of all would be refused.
        for begin in range(0, count, MAX_RUN_CALLS):
            runs.extend(self._runs(chunk[begin : begin + MAX_RUN_CALLS], since))
        return runs

    def _runs(self, chunk: list[Union[float, Entry]], since: float) -> list[tuple[Run, bool]]:
        try:
            return [(self._quick(chunk, since, None), False)]  # type: ignore[arg-type]
        except TypeError:
            return self._mixed(chunk, since)

    def _mixed(self, chunk: list[Union[float, Entry]], since: float) -> list[tuple[Run, bool]]:
        runs: list[tuple[Run, bool]] = []
        durations: list[float] = []
        for item in chunk:
            if not isinstance(item, Entry):
                durations.append(item)
                continue
            if durations:
                runs.append((self._quick(durations, since, item.ended_at), False))
                durations = []
            runs.append((run_of(self.name, self.generation, item), item.prompt))
        if durations:
            runs.append((self._quick(durations, since, None), False))
        return runs

    def _quick(self, durations: list[float], since: float, ended_before: Optional[float]) -> Run:
        """Successes as one run. Raises TypeError if there is anything else among them."""
        total = sum(durations)
        ended_at = self.ended_at if ended_before is None else min(self.ended_at, ended_before)
        return Run(
            breaker=self.name,
            generation=self.generation,
            outcome=Outcome.SUCCESS,
            kind="",
            slow=False,
            permit=0,
            count=len(durations),
            total=total,
            longest=max(durations),
            first_at=min(since, ended_at),
            ended_at=ended_at,
        )


def run_of(breaker: str, generation: int, entry: Entry) -> Run:
    """One call as a run."""
    return Run(
        breaker=breaker,
        generation=generation,
        outcome=entry.outcome,
        kind=entry.kind,
        slow=entry.slow,
        permit=entry.permit,
        count=1,
        total=entry.duration,
        longest=entry.duration,
        first_at=entry.ended_at,
        ended_at=entry.ended_at,
    )
