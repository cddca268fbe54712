"""Bounds how long a task of asyncio may take for one call, as asyncio.timeout does since 3.11."""

from __future__ import annotations

import asyncio
from typing import Any, Optional


class Deadline:
    """Cancels the current task after so many seconds, unless it is stopped before.

    Outside of asyncio it does nothing.
    """

    __slots__ = ("_cancelling", "_expired", "_handle", "_task")

    def __init__(self, seconds: float) -> None:
        self._expired = False
        self._handle: Optional[asyncio.TimerHandle] = None
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        task: Any = asyncio.current_task(loop)
        if task is None:
            return
        self._task = task
        self._cancelling = task.cancelling() if hasattr(task, "cancelling") else 0
        self._handle = loop.call_later(max(0.0, seconds), self._expire)

    def stop(self, error: Optional[BaseException]) -> bool:
        """The call has ended, with this error or without; whether the deadline ended it."""
        handle, self._handle = self._handle, None
        if handle is None:
            return False
        handle.cancel()
        if not self._expired:
            return False
        if hasattr(self._task, "uncancel") and self._task.uncancel() > self._cancelling:
            return False  # somebody else has cancelled the task, too
        return isinstance(error, asyncio.CancelledError)

    def _expire(self) -> None:
        self._expired = True
        self._task.cancel()
