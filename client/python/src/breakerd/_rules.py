"""What of a breaker's configuration matters in this process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from breakerd._proto.breaker.v1 import breaker_pb2 as pb
from breakerd._text import matches_kind
from breakerd.config import from_duration


@dataclass(frozen=True)
class Rules:
    """The configuration of a breaker with every value filled in; durations are seconds.

    A threshold or percent of 0 is off. The defaults are those of the server.
    """

    failure_threshold: int = 5
    failure_decay: int = 1
    consecutive_failures: int = 0
    failure_percent: int = 0
    failure_minimum: int = 1
    slow_percent: int = 0
    slow_minimum: int = 1
    slow_after: float = float("inf")
    window_calls: int = 100
    window_seconds: Optional[float] = None
    open_duration: float = 60.0
    backoff_multiplier: float = 0.0
    backoff_max: float = float("inf")
    backoff_jitter: float = 0.0
    success_threshold: int = 3
    max_probes: int = 3
    probe_calls: int = 0
    probe_failure_percent: int = 100
    expired_probe_fails: bool = True
    call_timeout: float = 10.0
    failure_errors: tuple[str, ...] = ("*",)
    ignored_errors: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: pb.BreakerConfig, effective: Optional[pb.EffectiveValues] = None) -> Rules:
        """The rules of a configuration, with what is in force of it where that is known."""

        def number(key: str, default: int) -> int:
            return int(getattr(config, key)) if config.HasField(key) else default

        def seconds(key: str, default: float) -> float:
            return from_duration(getattr(config, key)) if config.HasField(key) else default

        base = DEFAULT_RULES
        success_threshold = number("success_threshold", base.success_threshold)
        judged = config.probe_calls.calls
        failure_threshold = number("failure_threshold", base.failure_threshold)
        max_probes = number("max_probes", judged or success_threshold)
        open_duration = seconds("open_duration", base.open_duration)
        if effective is not None and effective.max_probes:
            failure_threshold = effective.failure_threshold
            success_threshold = effective.success_threshold
            max_probes = effective.max_probes
            open_duration = from_duration(effective.open_duration)
        slow, window, backoff = config.slow_call_rate, config.window, config.backoff
        by_time = window.HasField("duration")
        return cls(
            failure_threshold=failure_threshold,
            failure_decay=number("failure_decay", base.failure_decay),
            consecutive_failures=config.consecutive_failures,
            failure_percent=config.failure_rate.percent,
            failure_minimum=max(1, config.failure_rate.minimum_calls),
            slow_percent=slow.percent,
            slow_minimum=max(1, slow.minimum_calls),
            slow_after=from_duration(slow.duration) if slow.percent else base.slow_after,
            window_calls=window.calls or base.window_calls,
            window_seconds=from_duration(window.duration) if by_time else None,
            open_duration=open_duration,
            backoff_multiplier=backoff.multiplier,
            backoff_max=from_duration(backoff.max) if backoff.multiplier else base.backoff_max,
            backoff_jitter=backoff.jitter,
            success_threshold=success_threshold,
            max_probes=max_probes,
            probe_calls=judged,
            probe_failure_percent=config.probe_calls.failure_percent,
            expired_probe_fails=config.expired_probe != pb.EXPIRED_PROBE_IGNORE,
            call_timeout=seconds("call_timeout", base.call_timeout),
            failure_errors=tuple(config.failure_errors.globs)
            if config.HasField("failure_errors")
            else base.failure_errors,
            ignored_errors=tuple(config.ignored_errors.globs),
        )

    def pardons(self, kind: str) -> bool:
        """Whether an error of this kind counts for nothing. One without a kind always counts."""
        if not kind:
            return False
        if any(matches_kind(glob, kind) for glob in self.ignored_errors):
            return True
        return not any(matches_kind(glob, kind) for glob in self.failure_errors)


DEFAULT_RULES = Rules()
"""The configuration of a breaker of which nothing is known."""
