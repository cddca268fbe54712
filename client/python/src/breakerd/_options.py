"""How calls are guarded: what to do instead of a denied one, and which errors count."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from breakerd.errors import BreakerOpenError
from breakerd.model import IGNORED, SUCCESS, Outcome, Verdict

logger = logging.getLogger("breakerd")

Fallback = Callable[..., Any]
"""Called with the error and the arguments of the call; its value is the call's."""


@dataclass(frozen=True)
class Options:
    """See :meth:`breakerd.Breaker.options`."""

    fallback: Optional[Fallback] = None
    fallback_on_failure: bool = False
    expected: tuple[type[BaseException], ...] = (Exception,)
    ignore: tuple[type[BaseException], ...] = ()
    classify_error: Optional[Callable[[Exception], Optional[Verdict]]] = None
    classify_result: Optional[Callable[[Any], Optional[Verdict]]] = None
    on_level: Mapping[str, Fallback] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("expected", "ignore"):
            types = getattr(self, name)
            if isinstance(types, type):
                types = (types,)
                object.__setattr__(self, name, types)
            if not all(isinstance(t, type) and issubclass(t, BaseException) for t in types):
                raise TypeError(f"`{name}` is a tuple of exception types")
            object.__setattr__(self, name, tuple(types))
        hooks = [self.fallback, self.classify_error, self.classify_result, *self.on_level.values()]
        if not all(hook is None or callable(hook) for hook in hooks):
            raise TypeError("a hook is a function")

    def verdict_of_error(self, error: BaseException) -> Verdict:
        """How an error counts. Never raises."""
        if not isinstance(error, Exception):
            return IGNORED
        verdict = _ask(self.classify_error, error)
        if verdict is not None:
            return verdict
        if isinstance(error, self.ignore) or not isinstance(error, self.expected):
            return IGNORED
        return Verdict(Outcome.FAILURE, type(error).__name__)

    def verdict_of_result(self, result: object) -> Verdict:
        """How a value counts. Never raises."""
        return _ask(self.classify_result, result) or SUCCESS

    def instead(self, denied: BreakerOpenError) -> Optional[Fallback]:
        """What serves a call that was denied."""
        level = denied.level
        if level is not None and self.on_level:
            hook = self.on_level.get(level.name) or self.on_level.get(level.serve)
            if hook is not None:
                return hook
        return self.fallback


def _ask(
    classify: Optional[Callable[[Any], Optional[Verdict]]], value: object
) -> Optional[Verdict]:
    """What a classifying function says; nothing if it fails."""
    if classify is None:
        return None
    try:
        verdict = classify(value)
        if verdict is None or isinstance(verdict, Verdict):
            return verdict
        raise TypeError(f"a Verdict or None was expected, not {verdict!r}")
    except Exception:
        logger.exception("a classifying function has failed")
        return None
