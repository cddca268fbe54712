"""The copy of the server's breakers, as the stream and the answers of reports tell them.

Pure, and used by one thread; decisions read the :class:`~breakerd._held.Held` that it hands out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Optional

from breakerd._held import Held
from breakerd._proto.breaker.v1 import breaker_pb2 as pb
from breakerd._proto.breaker.v1 import service_pb2
from breakerd._text import selects
from google.protobuf.timestamp_pb2 import Timestamp

OnChange = Callable[[str, Optional[Held], Optional[Held]], None]
"""Told of a name, what was held before, and what is held now."""


class Copy:
    """What is known of the breakers that are watched."""

    def __init__(self, on_change: OnChange) -> None:
        self._on_change = on_change
        self._held: dict[str, Held] = {}
        # Of the snapshot that is coming in: the names that have come. None between snapshots.
        self._arrived: Optional[set[str]] = None
        self._selectors: tuple[str, ...] = ()
        self._covered: tuple[str, ...] = ()
        self._covered_names: frozenset[str] = frozenset()

    def get(self, name: str) -> Optional[Held]:
        """What is held of a breaker."""
        return self._held.get(name)

    def items(self) -> list[tuple[str, Held]]:
        """All that is held."""
        return list(self._held.items())

    def covers(self, name: str) -> bool:
        """Whether a breaker that is not held is known not to exist."""
        if name in self._covered_names:
            return True
        return any(selects(glob, name) for glob in self._covered)

    def begin(self, selectors: Iterable[str], *, resumed: bool) -> None:
        """A stream of these selectors has begun, with a token of the last one or without."""
        self._selectors = tuple(selectors)
        if not resumed:
            self._arrived = set()

    def apply(self, message: service_pb2.WatchResponse, received_at: float) -> None:
        """Takes in a message of the stream."""
        if message.reset:
            self._arrived = set()
        for name in message.deleted:
            if self._arrived is not None:
                self._arrived.discard(name)
            self._drop(name)
        for state in message.changed:
            # A snapshot is the whole truth: the server may have lost what it knew.
            is_first = self._arrived is not None and state.name not in self._arrived
            if self._arrived is not None:
                self._arrived.add(state.name)
            self._take(state, message.server_time, received_at, may_go_back=is_first)
        if message.snapshot_complete:
            self._complete()

    def apply_answer(
        self, states: Iterable[pb.BreakerState], server_time: Timestamp, received_at: float
    ) -> None:
        """Takes in the states that the answer of a report carries, of breakers that are held."""
        for state in states:
            if state.name in self._held:
                self._take(state, server_time, received_at, may_go_back=False)

    def _take(
        self,
        state: pb.BreakerState,
        server_time: Timestamp,
        received_at: float,
        *,
        may_go_back: bool,
    ) -> None:
        before = self._held.get(state.name)
        if before is not None and state.revision <= before.revision and not may_go_back:
            return
        held = Held.of(state, server_time, received_at)
        self._held[state.name] = held
        self._on_change(state.name, before, held)

    def _drop(self, name: str) -> None:
        before = self._held.pop(name, None)
        if before is not None:
            self._on_change(name, before, None)

    def _complete(self) -> None:
        if self._arrived is not None:
            for name in [name for name in self._held if name not in self._arrived]:
                self._drop(name)
        self._arrived = None
        self._covered = tuple(selector for selector in self._selectors if "*" in selector)
        self._covered_names = frozenset(self._selectors) - frozenset(self._covered)
