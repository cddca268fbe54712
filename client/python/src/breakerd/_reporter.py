"""When the next report goes out, and what becomes of one. Pure, and used by one thread."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple, Optional

from breakerd._outbox import Batch, Outbox, Run
from breakerd._pacing import Backoff, TokenBucket
from breakerd._proto.breaker.v1 import service_pb2

PROMPT_AT_ONCE = 5
PROMPT_A_SECOND = 5.0
GATHER_PROMPT = 0.004
"""How long a prompt report waits for others, in seconds."""


class InFlight(NamedTuple):
    """A report that is on its way, or waits to be repeated."""

    sequence: int
    batch: Batch


class Reporter:
    """One report at a time; what ends meanwhile waits for the next one."""

    def __init__(
        self, reporter_id: str, interval: float, least: float, most: float, now: float
    ) -> None:
        self.reporter_id = reporter_id
        self.outbox = Outbox(span=min(interval, 1.0))
        self._interval = interval
        self._bucket = TokenBucket(PROMPT_AT_ONCE, PROMPT_A_SECOND, now)
        self._backoff = Backoff(least, most)
        self._sequence = 0
        self._halves: deque[Batch] = deque()
        self._current: Optional[InFlight] = None
        self._is_sent = False
        self._retry_at = 0.0
        self._waiting_since: Optional[float] = None
        self._prompt_since: Optional[float] = None
        self._is_flushing = False
        self._taken_in = 0

    @property
    def is_idle(self) -> bool:
        """Nothing waits, and nothing is in flight."""
        return not self.outbox and self._current is None and not self._halves

    @property
    def waiting(self) -> int:
        """Calls that were not answered for yet."""
        current = self._current.batch.calls if self._current else 0
        return self.outbox.waiting + current + sum(half.calls for half in self._halves)

    @property
    def taken_in(self) -> int:
        """How many calls were added in all."""
        return self._taken_in

    @property
    def settled(self) -> int:
        """How many of them were answered for or given up; the first to come are the first."""
        return self._taken_in - self.waiting

    def add(self, run: Run, *, prompt: bool, since: float, now: float) -> None:
        """Takes in calls that have ended ``since`` then."""
        self._taken_in += run.count
        self.outbox.add(run, now)
        if self._waiting_since is None:
            self._waiting_since = since
        if prompt and self._prompt_since is None:
            self._prompt_since = now

    def flush(self, now: float) -> None:
        """Sends what waits without any wait, until :meth:`stop_flushing` or until nothing does."""
        self._is_flushing = not self.is_idle
        self._retry_at = min(self._retry_at, now)

    def stop_flushing(self) -> None:
        """What waits may wait for its time again."""
        self._is_flushing = False

    def due_at(self, now: float) -> Optional[float]:
        """When :meth:`next_report` has something, if nothing else happens before."""
        if self._is_sent:
            return None
        if self._current is not None:
            return self._retry_at
        if self._halves or (self._is_flushing and self.outbox):
            return now
        if self._waiting_since is None:
            return None
        due = self._waiting_since + self._interval
        if self._prompt_since is not None:
            hurried = max(self._prompt_since + GATHER_PROMPT, self._bucket.available_at(now))
            due = min(due, hurried)
        return due

    def next_report(self, now: float) -> Optional[service_pb2.ReportRequest]:
        """The report to send now, if one is due."""
        due = self.due_at(now)
        if due is None or due > now:
            return None
        if self._current is None:
            if self._halves:
                batch = self._halves.popleft()
            else:
                batch = self.outbox.take(now)
                if self._prompt_since is not None:
                    self._bucket.take(now)
                self._prompt_since = None
                self._waiting_since = now if self.outbox else None
            self._sequence += 1
            self._current = InFlight(self._sequence, batch)
            self._backoff.reset()
        self._is_sent = True
        sequence, batch = self._current
        return batch.to_message(self.reporter_id, sequence, now)

    def answered(self) -> None:
        """The report has counted."""
        self._current = None
        self._done()

    def refused(self) -> int:
        """The report holds something wrong. Returns how many calls are given up for it."""
        lost = 0
        if self._current is not None:
            halves = self._current.batch.halves()
            if halves:
                self._halves.extendleft(reversed(halves))
            else:
                lost = self._current.batch.calls
                self.outbox.give_up(lost)
        self._current = None
        self._done()
        return lost

    def unanswered(self, now: float, chance: float, *, at_once: bool) -> None:
        """The server was away, or named another one, which is asked ``at_once``."""
        self._is_sent = False
        self._retry_at = now if at_once else now + self._backoff.next_delay(chance)

    def interrupted(self, now: float) -> None:
        """Nobody waits for an answer any more: what was sent is sent again."""
        if self._is_sent:
            self._is_sent = False
            self._retry_at = now

    def _done(self) -> None:
        self._is_sent = False
        if self.is_idle:
            self._is_flushing = False
