"""What the package raises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from breakerd.model import Denial, Level, Mode, Reason, State


class BreakerError(Exception):
    """The base of every error of this package."""


class BreakerOpenError(BreakerError):
    """The call was denied, and was not made.

    Its attributes are those of the :class:`~breakerd.model.Denial`: ``breaker`` (the name),
    ``reason``, ``state``, ``mode``, ``retry_after`` (seconds until asking again can have another
    answer, or ``None``), ``level`` and ``serve`` (of a breaker with levels).
    """

    def __init__(self, denial: Denial) -> None:
        super().__init__(denial)
        self.denial = denial

    def __str__(self) -> str:
        when = self.denial.retry_after
        hint = "" if when is None else f"; ask again in {when:.3f} s"
        return f"a call of {self.denial.breaker} was denied ({self.denial.reason.value}){hint}"

    @property
    def breaker(self) -> str:
        """The name of the breaker."""
        return self.denial.breaker

    @property
    def reason(self) -> Reason:
        """Why the call was denied."""
        return self.denial.reason

    @property
    def state(self) -> State:
        """The state of the breaker, as far as it is known."""
        return self.denial.state

    @property
    def mode(self) -> Mode:
        """What an operator made of the breaker."""
        return self.denial.mode

    @property
    def retry_after(self) -> Optional[float]:
        """Seconds until asking again can have another answer; ``None`` if nobody knows."""
        return self.denial.retry_after

    @property
    def level(self) -> Optional[Level]:
        """The level of a breaker with levels."""
        return self.denial.level

    @property
    def serve(self) -> Optional[str]:
        """What to serve instead, of a breaker with levels: ``degraded``, ``emergency``."""
        return self.denial.level.serve if self.denial.level else None


class CallTimeout(BreakerError, TimeoutError):
    """A coroutine took longer than the breaker lets a call take, and was cancelled."""

    def __init__(self, breaker: str, seconds: float) -> None:
        super().__init__(breaker, seconds)
        self.breaker = breaker
        self.seconds = seconds

    def __str__(self) -> str:
        return f"a call of {self.breaker} took longer than {self.seconds:g} s"


class InvalidNameError(BreakerError, ValueError):
    """A text is not a name of a breaker, or not a selector; the message names the rule."""


class AddressError(BreakerError, ValueError):
    """A text is not ``host:port``."""


class AdminError(BreakerError):
    """A server did not do what a :class:`~breakerd.registry.Registry` asked for.

    ``code`` is the gRPC status code by name, such as ``INVALID_ARGUMENT``.
    """

    def __init__(self, code: str, details: str) -> None:
        super().__init__(code, details)
        self.code = code
        self.details = details

    def __str__(self) -> str:
        return f"{self.code}: {self.details}"
