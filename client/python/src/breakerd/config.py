"""The configuration of a breaker: what is not set comes from policies and the server's defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Optional, Union

from breakerd._proto.breaker.v1 import breaker_pb2 as pb
from breakerd.model import OnUnavailable
from google.protobuf.duration_pb2 import Duration

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h|d)")
_DURATION_KEYS = {"open_duration", "call_timeout", "duration", "max", "step", "deescalate_after"}
_DURATION_KEYS |= {"slow_response", "fast_response", "max_open_duration", "min_open_duration"}

Seconds = Union[float, str]
"""A duration: seconds as a number, or a text such as ``"1m 30s"``."""


@dataclass(frozen=True)
class BreakerConfig:
    """What a breaker is configured with; the keys are those of breakerd's README.

    Durations are seconds, or texts such as ``"90s"``. Rules are mappings with the keys of the
    README (``failure_rate={"percent": 50, "minimum_calls": 20}``), ``True`` (``adaptive`` and
    ``levels`` with their defaults) or ``False``, which turns a rule off. ``levels`` may be a list.
    """

    failure_threshold: Optional[int] = None
    failure_decay: Optional[int] = None
    consecutive_failures: Optional[int] = None
    failure_rate: Union[Mapping[str, Any], bool, None] = None
    slow_call_rate: Union[Mapping[str, Any], bool, None] = None
    window: Optional[Mapping[str, Any]] = None
    open_duration: Optional[Seconds] = None
    backoff: Union[Mapping[str, Any], bool, None] = None
    min_reporters: Optional[int] = None
    max_reporter_share: Optional[int] = None
    success_threshold: Optional[int] = None
    max_probes: Optional[int] = None
    probe_calls: Union[Mapping[str, Any], bool, None] = None
    expired_probe: Optional[str] = None
    ramp: Union[Mapping[str, Any], bool, None] = None
    call_timeout: Optional[Seconds] = None
    failure_errors: Optional[list[str]] = None
    ignored_errors: Optional[list[str]] = None
    on_unavailable: Optional[str] = None
    adaptive: Union[Mapping[str, Any], bool, None] = None
    levels: Union[Mapping[str, Any], list[Mapping[str, Any]], bool, None] = None

    def set_keys(self) -> list[str]:
        """The keys that are set."""
        return [field.name for field in fields(self) if getattr(self, field.name) is not None]

    def to_message(self) -> pb.BreakerConfig:
        """The configuration as the protocol takes it.

        Raises:
            ValueError: if a value is not of the kind that its key needs.
        """
        message = pb.BreakerConfig()
        try:
            for key in self.set_keys():
                _set(message, key, getattr(self, key))
        except (TypeError, AttributeError) as error:
            raise ValueError(f"not a configuration: {error}") from error
        return message


def seconds_of(value: Seconds) -> float:
    """A duration in seconds; raises ValueError for a text that is none."""
    if not isinstance(value, str):
        return float(value)
    parts = _DURATION.findall(value)
    if not parts or "".join(number + unit for number, unit in parts) != value.replace(" ", ""):
        raise ValueError(f"{value!r} is not a duration such as `90s` or `1m 30s`")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def to_duration(seconds: float) -> Duration:
    """Seconds as a message, to the nanosecond."""
    duration = Duration()
    duration.FromNanoseconds(round(seconds * 1e9))
    return duration


def from_duration(duration: Duration) -> float:
    """A message as seconds."""
    return duration.seconds + duration.nanos / 1e9


def _set(message: Any, key: str, value: Any) -> None:
    if key in _DURATION_KEYS:
        getattr(message, key).CopyFrom(to_duration(seconds_of(value)))
    elif key in ("failure_errors", "ignored_errors"):
        getattr(message, key).SetInParent()
        getattr(message, key).globs.extend(value)
    elif key == "on_unavailable":
        name = f"ON_UNAVAILABLE_{OnUnavailable(value).name}"
        message.on_unavailable = pb.OnUnavailable.Value(name)
    elif key == "expired_probe":
        message.expired_probe = pb.ExpiredProbe.Value(f"EXPIRED_PROBE_{value.upper()}")
    elif isinstance(value, bool):
        rule = getattr(message, key)
        rule.SetInParent()
        if key in ("adaptive", "levels"):
            rule.off = not value
        elif value:
            raise ValueError(f"{key} has no defaults: say what it is")
    elif isinstance(value, Mapping):
        rule = getattr(message, key)
        rule.SetInParent()
        for inner, inner_value in value.items():
            _set(rule, inner, inner_value)
    elif isinstance(value, (list, tuple)):
        if key == "levels":
            rule = message.levels if isinstance(message, pb.BreakerConfig) else message
            for level in value:
                entry = rule.levels.add()
                for inner, inner_value in level.items():
                    _set(entry, inner, inner_value)
        else:
            getattr(message, key).extend(value)
    else:
        setattr(message, key, value)
