"""A breaker of this process alone: decides in FALLBACK, and stands beside the fleet's as a guard.

It keeps to the counts, the rates, ``open_duration`` with ``backoff``, the probes and the error
globs. It knows no ramp, no reporters, and of levels and adaptive values those last in force.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from typing import NamedTuple, Optional

from breakerd._rules import Rules
from breakerd.model import Outcome, State

BUCKETS = 100


class Ticket(NamedTuple):
    """Leave of a local breaker. ``probe`` is 0 for a call that is none."""

    epoch: int
    probe: int


class Window:
    """The last calls, or those of the last while in a hundred buckets, with their sums."""

    def __init__(self, rules: Rules) -> None:
        self._most = rules.window_calls
        self._width = rules.window_seconds / BUCKETS if rules.window_seconds else None
        # Of each entry: its bucket (or 0), calls, failures, slow calls.
        self._entries: deque[list[int]] = deque()
        self.calls = self.failures = self.slow = 0

    def add(self, failed: bool, slow: bool, now: float) -> None:
        """Adds a call that ended now."""
        bucket = int(now / self._width) if self._width else 0
        self.calls += 1
        self.failures += failed
        self.slow += slow
        entries = self._entries
        if self._width and entries and entries[-1][0] == bucket:
            entries[-1][1] += 1
            entries[-1][2] += failed
            entries[-1][3] += slow
        else:
            entries.append([bucket, 1, int(failed), int(slow)])
        while entries[0][0] <= bucket - BUCKETS if self._width else self.calls > self._most:
            _, calls, failures, slows = entries.popleft()
            self.calls -= calls
            self.failures -= failures
            self.slow -= slows


class LocalBreaker:
    """Safe to use from many threads; no call waits in it."""

    def __init__(self, rules: Rules, *, half_open: bool = False) -> None:
        self._lock = threading.Lock()
        self._rules = rules
        self._epoch = 0
        self._reopens = 0
        self._retry_at = 0.0
        self._next_probe = 1
        self._enter(State.HALF_OPEN if half_open else State.CLOSED)

    @property
    def state(self) -> State:
        """The state as of the last call."""
        return self._state

    def retry_after(self, now: float) -> Optional[float]:
        """Seconds until OPEN ends, if it is OPEN."""
        return max(0.0, self._retry_at - now) if self._state is State.OPEN else None

    def use(self, rules: Rules) -> None:
        """Goes by other rules from now on; counts and state go on, the window begins anew."""
        with self._lock:
            if rules != self._rules:
                self._rules = rules
                self._window = Window(rules)

    def admit(self, now: float) -> Optional[Ticket]:
        """Leave to make a call, or ``None``."""
        with self._lock:
            if self._state is State.OPEN and now >= self._retry_at:
                self._enter(State.HALF_OPEN)
            self._expire(now)
            if self._state is State.CLOSED:
                return Ticket(self._epoch, 0)
            if self._state is State.OPEN or not self._has_room():
                return None
            probe = self._next_probe
            self._next_probe += 1
            self._probes[probe] = now + self._rules.call_timeout
            return Ticket(self._epoch, probe)

    def record(
        self, ticket: Ticket, outcome: Outcome, kind: str, duration: float, now: float
    ) -> None:
        """Tells how a call ended."""
        with self._lock:
            if ticket.epoch != self._epoch:
                return
            if ticket.probe and self._probes.pop(ticket.probe, None) is None:
                return
            failed = outcome in (Outcome.FAILURE, Outcome.TIMEOUT)
            if outcome is Outcome.IGNORED or (failed and self._rules.pardons(kind)):
                return
            if ticket.probe:
                self._take_in_probe(failed, now)
            else:
                self._count(failed, duration > self._rules.slow_after, now)

    def give_back(self, ticket: Ticket) -> None:
        """Frees a probe. Takes no lock, so that a finalizer may call it."""
        self._probes.pop(ticket.probe, None)

    def _enter(self, state: State) -> None:
        self._state = state
        self._epoch += 1
        self._probes: dict[int, float] = {}
        self._failures = self._streak = self._good = self._bad = 0
        self._window = Window(self._rules)
        if state is State.CLOSED:
            self._reopens = 0

    def _open(self, now: float) -> None:
        rules = self._rules
        again = self._state is State.HALF_OPEN
        self._reopens = self._reopens + 1 if again else 0
        duration = rules.open_duration
        if rules.backoff_multiplier:
            grown = duration * rules.backoff_multiplier ** min(self._reopens, 64)
            duration = min(grown, rules.backoff_max)
            if again:
                duration *= 1 - rules.backoff_jitter * random.random()
        self._enter(State.OPEN)
        self._retry_at = now + duration

    def _count(self, failed: bool, slow: bool, now: float) -> None:
        rules = self._rules
        self._window.add(failed, slow, now)
        if failed:
            self._failures += 1
            self._streak += 1
        else:
            self._failures = max(0, self._failures - rules.failure_decay)
            self._streak = 0
        if (failed and self._counts_are_met()) or self._rates_are_met():
            self._open(now)

    def _counts_are_met(self) -> bool:
        most, in_a_row = self._rules.failure_threshold, self._rules.consecutive_failures
        return (0 < most <= self._failures) or (0 < in_a_row <= self._streak)

    def _rates_are_met(self) -> bool:
        rules, window = self._rules, self._window

        def is_met(percent: int, minimum: int, bad: int) -> bool:
            return percent > 0 and minimum <= window.calls and bad * 100 >= percent * window.calls

        return is_met(rules.failure_percent, rules.failure_minimum, window.failures) or is_met(
            rules.slow_percent, rules.slow_minimum, window.slow
        )

    def _has_room(self) -> bool:
        out, judged = len(self._probes), self._rules.probe_calls
        is_wanted = not judged or out + self._good + self._bad < judged
        return out < self._rules.max_probes and is_wanted

    def _take_in_probe(self, failed: bool, now: float) -> None:
        rules = self._rules
        self._bad += failed
        self._good += not failed
        if not rules.probe_calls:
            if failed:
                self._open(now)
            elif self._good >= rules.success_threshold:
                self._enter(State.CLOSED)
        elif self._good + self._bad >= rules.probe_calls:
            if self._bad * 100 >= rules.probe_failure_percent * (self._good + self._bad):
                self._open(now)
            else:
                self._enter(State.CLOSED)

    def _expire(self, now: float) -> None:
        """Takes back the probes whose holders did not come back."""
        for probe in [probe for probe, until in list(self._probes.items()) if until < now]:
            taken = self._probes.pop(probe, None)
            if taken is not None and self._rules.expired_probe_fails:
                self._take_in_probe(True, now)
                return
