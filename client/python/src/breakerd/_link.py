"""The states of the client: READY, STALE, FALLBACK. Pure, and used by one thread."""

from __future__ import annotations

from typing import Optional

from breakerd.model import ClientState


class Link:
    """How fresh the copy is. Times are moments of our clock, durations seconds."""

    def __init__(self, stale_after: float, max_staleness: float, now: float) -> None:
        self._stale_after = stale_after
        self._max_staleness = max_staleness
        self._last_sign = now
        self.state = ClientState.FALLBACK
        self.since = now

    def sign_of_life(self, now: float, *, complete: bool) -> bool:
        """A message came on a stream whose snapshot is complete or not; whether the state changed.

        A stream that took another's place while that was alive may still be incomplete: the copy
        of the old one is as good as it was.
        """
        self._last_sign = now
        return complete and self._enter(ClientState.READY, now)

    def cut(self, now: float) -> bool:
        """The stream is cut, and nobody meant to; whether the state changed."""
        return self.state is ClientState.READY and self._enter(ClientState.STALE, now)

    def pass_time(self, now: float) -> bool:
        """Whether the state changed because time went by."""
        due = self.due_at()
        if due is None or due > now:
            return False
        if self.state is ClientState.READY:
            return self._enter(ClientState.STALE, now)
        return self._enter(ClientState.FALLBACK, now)

    def inherit(self, state: ClientState, now: float) -> None:
        """The copy is that of another process, which was in this state."""
        self.state = ClientState.FALLBACK if state is ClientState.FALLBACK else ClientState.STALE
        self.since = now

    def due_at(self) -> Optional[float]:
        """When time alone changes the state."""
        if self.state is ClientState.READY:
            return self._last_sign + self._stale_after
        if self.state is ClientState.STALE:
            return self.since + self._max_staleness
        return None

    def _enter(self, state: ClientState, now: float) -> bool:
        changed = state is not self.state
        if changed:
            self.state, self.since = state, now
        return changed
