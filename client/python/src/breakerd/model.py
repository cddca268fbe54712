"""The words of the package: plain values that are passed around."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Optional


class State(str, Enum):
    """The state of a breaker. ``UNKNOWN``: the copy does not hold it."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    UNKNOWN = "unknown"


class Mode(str, Enum):
    """What an operator made of a breaker."""

    NORMAL = "normal"
    FORCED_OPEN = "forced_open"
    FORCED_CLOSED = "forced_closed"
    DISABLED = "disabled"
    SHADOW = "shadow"


class Outcome(str, Enum):
    """What became of a call."""

    SUCCESS = "success"
    FAILURE = "failure"
    TIMEOUT = "timeout"
    IGNORED = "ignored"


class OnUnavailable(str, Enum):
    """How calls are decided while nothing is known of the server."""

    ALLOW = "allow"
    DENY = "deny"
    LOCAL = "local"


class ClientState(str, Enum):
    """What the client knows: see the states of the client in ``client/README.md``."""

    READY = "ready"
    STALE = "stale"
    FALLBACK = "fallback"


class Reason(str, Enum):
    """Why a call was denied."""

    OPEN = "open"
    NO_PERMIT = "no_permit"
    RAMP = "ramp"
    FORCED_OPEN = "forced_open"
    UNAVAILABLE = "unavailable"
    LOCAL_OPEN = "local_open"


@dataclass(frozen=True)
class Level:
    """The level of a breaker with levels."""

    name: str
    number: int
    serve: str
    """What to serve while the breaker denies calls."""


@dataclass(frozen=True)
class Denial:
    """Why a call was denied, and what is known of the breaker."""

    breaker: str
    reason: Reason
    state: State
    mode: Mode
    retry_after: Optional[float] = None
    """Seconds until asking again can have another answer."""
    level: Optional[Level] = None


@dataclass(frozen=True)
class Standing:
    """State, mode and level number of a breaker at one moment."""

    state: State
    mode: Mode
    level: Optional[int] = None


@dataclass(frozen=True)
class Transition:
    """A change of a breaker, as listeners hear it."""

    breaker: str
    before: Standing
    after: Standing


@dataclass(frozen=True)
class Status:
    """What the client knows of a breaker."""

    breaker: str
    state: State
    mode: Mode
    generation: int
    revision: int
    level: Optional[Level]
    retry_after: Optional[float]
    """Seconds until OPEN ends by itself, where that is known."""
    client: ClientState
    from_copy: bool
    """Calls are decided from the copy; otherwise by ``on_unavailable``."""


@dataclass(frozen=True)
class Verdict:
    """How a call is judged by a classifying function."""

    outcome: Outcome
    kind: str = ""
    """The kind of the error: ``http.503``."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "outcome", Outcome(self.outcome))
        object.__setattr__(self, "kind", str(self.kind))


SUCCESS = Verdict(Outcome.SUCCESS)
IGNORED = Verdict(Outcome.IGNORED)


def failure(kind: str = "") -> Verdict:
    """A failure of this kind."""
    return Verdict(Outcome.FAILURE, kind)
