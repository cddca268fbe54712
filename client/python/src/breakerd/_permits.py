"""How many calls of a breaker may ask the server for a permit at once. Pure but for a lock."""

from __future__ import annotations

import threading

PAUSE_AFTER_NO_PERMIT = 0.02
"""After NO_PERMIT nobody asks for so long, in seconds."""


class PermitGate:
    """Lets calls ask; those that it does not let are denied at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asking = 0
        self._not_before = 0.0
        # How many messages the stream had brought when an Acquire was not answered.
        self._in_doubt_at = -1

    def enter(self, most: int, messages: int, now: float) -> bool:
        """Whether a call may ask. ``messages`` is how many messages the stream has brought."""
        with self._lock:
            if now < self._not_before:
                return False
            if self._in_doubt_at == messages:
                most = 1
            if self._asking >= max(1, most):
                return False
            self._asking += 1
            return True

    def answered(self, now: float, *, no_permit: bool) -> None:
        """A call that asked has its answer."""
        with self._lock:
            self._asking -= 1
            self._in_doubt_at = -1
            if no_permit:
                self._not_before = now + PAUSE_AFTER_NO_PERMIT

    def unanswered(self, messages: int) -> None:
        """A call has waited in vain."""
        with self._lock:
            self._asking -= 1
            self._in_doubt_at = messages

    def left(self) -> None:
        """A call gave up asking by itself; nothing is known of the server."""
        with self._lock:
            self._asking -= 1

    def answered_late(self) -> None:
        """An answer came that nobody waits for any more."""
        with self._lock:
            self._in_doubt_at = -1
