"""One breaker as the copy holds it: a message of the server, with times as those of our clock."""

from __future__ import annotations

from typing import Optional

from breakerd._proto.breaker.v1 import breaker_pb2 as pb
from breakerd._rules import DEFAULT_RULES, Rules
from breakerd.model import Level, Mode, OnUnavailable, Standing, State
from google.protobuf.timestamp_pb2 import Timestamp

STATES = {
    pb.STATE_CLOSED: State.CLOSED,
    pb.STATE_OPEN: State.OPEN,
    pb.STATE_HALF_OPEN: State.HALF_OPEN,
}
MODES = {
    pb.MODE_NORMAL: Mode.NORMAL,
    pb.MODE_FORCED_OPEN: Mode.FORCED_OPEN,
    pb.MODE_FORCED_CLOSED: Mode.FORCED_CLOSED,
    pb.MODE_DISABLED: Mode.DISABLED,
    pb.MODE_SHADOW: Mode.SHADOW,
}
POLICIES = {
    pb.ON_UNAVAILABLE_ALLOW: OnUnavailable.ALLOW,
    pb.ON_UNAVAILABLE_DENY: OnUnavailable.DENY,
    pb.ON_UNAVAILABLE_LOCAL: OnUnavailable.LOCAL,
}


class Held:
    """The state of a breaker. Never changed: a new one takes its place.

    ``retry_at`` and ``override_ends_at`` are moments of our own clock, ``None`` where there is no
    such moment.
    """

    __slots__ = (
        "admit_percent",
        "generation",
        "level",
        "mode",
        "on_unavailable",
        "override_ends_at",
        "retry_at",
        "revision",
        "rules",
        "state",
    )

    state: State
    mode: Mode
    generation: int
    revision: int
    retry_at: Optional[float]
    override_ends_at: Optional[float]
    admit_percent: Optional[int]
    level: Optional[Level]
    on_unavailable: Optional[OnUnavailable]
    rules: Rules

    @classmethod
    def of(cls, message: pb.BreakerState, server_time: Timestamp, received_at: float) -> Held:
        """Reads a message that came at a moment together with a time of the server."""

        def moment(time: Timestamp) -> float:
            ahead = (time.seconds - server_time.seconds) + (time.nanos - server_time.nanos) / 1e9
            return received_at + ahead

        held = cls()
        held.state = STATES.get(message.state, State.CLOSED)
        held.mode = MODES.get(message.mode, Mode.NORMAL)
        held.generation = message.generation
        held.revision = message.revision
        held.retry_at = moment(message.retry_time) if message.HasField("retry_time") else None
        ends = message.HasField("override_expire_time")
        held.override_ends_at = moment(message.override_expire_time) if ends else None
        held.admit_percent = message.admit_percent if message.HasField("admit_percent") else None
        held.level = level_of(message.level) if message.HasField("level") else None
        held.on_unavailable = POLICIES.get(message.config.on_unavailable)
        held.rules = Rules.of(message.config, message.effective)
        return held

    def standing(self) -> Standing:
        """What listeners are told of."""
        return Standing(self.state, self.mode, self.level.number if self.level else None)


def level_of(message: pb.CurrentLevel) -> Level:
    """The level of a message."""
    return Level(message.name, message.number, message.serve)


def _nothing() -> Held:
    held = Held()
    held.state, held.mode = State.CLOSED, Mode.NORMAL
    held.generation = held.revision = 0
    held.retry_at = held.override_ends_at = held.admit_percent = None
    held.level = held.on_unavailable = None
    held.rules = DEFAULT_RULES
    return held


NOT_THERE = _nothing()
"""A breaker that a complete copy does not hold: CLOSED, with the default configuration."""
