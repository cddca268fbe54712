"""What the replicas tell of their calls and of what they see."""

import dataclasses
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterable

from report import Broken


@dataclasses.dataclass(frozen=True)
class Call:
    """A call that a replica wanted to make."""

    replica: str
    worker: int
    began_ns: int
    ended_ns: int
    # `success`, `failure`, `timeout` or `denied`.
    outcome: str
    # Why it was denied; empty for others.
    reason: str = ""
    # The generation that admitted it; 0 for a denied one.
    generation: int = 0
    probe: bool = False
    # How long it took; 0 for a denied one.
    seconds: float = 0.0


@dataclasses.dataclass(frozen=True)
class Sight:
    """What a replica's watch told: a state, or `connected` or `disconnected`."""

    replica: str
    seen_ns: int
    event: str
    state: str = ""
    mode: str = ""
    generation: int = 0


# How much later than others the lines of a replica may be read.
READING_LAG_NS = 1_000_000_000

# How long to wait before looking again, in seconds.
LOOK_EVERY = 0.02


class Journal:
    """All of it, about in the order in which it happened."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self._sights: list[Sight] = []
        self._lock = threading.Lock()

    def take_in(self, replica: str, line: str) -> None:
        """Takes in a line of a replica."""
        entry = json.loads(line)
        event = entry.pop("event")
        with self._lock:
            if event == "call":
                self._calls.append(Call(replica, **entry))
            elif event == "denied":
                self._calls.append(Call(replica, outcome="denied", **entry))
            else:
                self._sights.append(Sight(replica, event=event, **entry))

    def calls(self, since_ns: int, **wanted: object) -> list[Call]:
        """The calls that began since then and are as wanted (`outcome="success"`), the latest
        first."""
        with self._lock:
            recent = itertools.takewhile(
                lambda call: call.ended_ns >= since_ns - READING_LAG_NS, reversed(self._calls)
            )
            calls = list(recent)
        return [c for c in calls if c.began_ns >= since_ns and _is_as(c, wanted)]

    def first_sights(self, since_ns: int, **wanted: object) -> dict[str, Sight]:
        """The first sight since then of each replica that is as wanted."""
        with self._lock:
            sights = list(self._sights)
        first: dict[str, Sight] = {}
        for sight in sights:
            if sight.seen_ns >= since_ns and _is_as(sight, wanted):
                first.setdefault(sight.replica, sight)
        return first


def wait_until(holds: Callable[[], bool], seconds: float, what: str) -> None:
    """Waits until this holds."""
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            raise Broken(f"not within {seconds:g} s: {what}")
        time.sleep(LOOK_EVERY)


def _is_as(entry: object, wanted: dict[str, object]) -> bool:
    return all(getattr(entry, name) == value for name, value in wanted.items())


def per_replica(replicas: Iterable[str], calls: Iterable[Call]) -> dict[str, int]:
    """How many of the calls each replica made."""
    counts = dict.fromkeys(replicas, 0)
    for call in calls:
        counts[call.replica] += 1
    return counts
