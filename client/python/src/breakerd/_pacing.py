"""When to try again, and how often to hurry. Pure: time and chance come in as arguments."""

from __future__ import annotations


class Backoff:
    """Waits that double from ``least`` to ``most`` seconds, shortened by chance by up to a half."""

    __slots__ = ("_failures", "_least", "_most")

    def __init__(self, least: float, most: float) -> None:
        self._least = least
        self._most = most
        self._failures = 0

    def next_delay(self, chance: float) -> float:
        """The next wait in seconds; ``chance`` lies between 0 and 1."""
        delay = min(self._least * 2.0 ** min(self._failures, 60), self._most)
        self._failures += 1
        return delay * (0.5 + chance / 2)

    def reset(self) -> None:
        """Begins afresh, after a success."""
        self._failures = 0


class TokenBucket:
    """Tokens that prompt reports are paid with: so many at most, refilled by so many a second."""

    __slots__ = ("_capacity", "_rate", "_seen_at", "_tokens")

    def __init__(self, capacity: float, rate: float, now: float) -> None:
        self._capacity = capacity
        self._rate = rate
        self._tokens = capacity
        self._seen_at = now

    def available_at(self, now: float) -> float:
        """When a token is there, ``now`` at the soonest."""
        self._refill(now)
        return now if self._tokens >= 1 else now + (1 - self._tokens) / self._rate

    def take(self, now: float) -> None:
        """Takes a token, or what there is of one."""
        self._refill(now)
        self._tokens = max(0.0, self._tokens - 1)

    def _refill(self, now: float) -> None:
        gained = (now - self._seen_at) * self._rate
        if gained > 0:
            self._tokens = min(self._capacity, self._tokens + gained)
            self._seen_at = now
