"""Tells listeners, on a thread of their own: one that is slow or fails harms nothing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Optional

MAX_WAITING = 10_000
"""Events that wait for slow listeners; more are left out."""

logger = logging.getLogger("breakerd")

Listener = Callable[[Any], object]


class Listeners:
    """A list of listeners; removing one while they are told is fine."""

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()

    def add(self, listener: Listener) -> Callable[[], None]:
        """Adds a listener; returns a function that removes it."""
        if not callable(listener):
            raise TypeError(f"a listener is a function, not {type(listener).__name__}")
        entry = (listener,)
        self._listeners += entry

        def remove() -> None:
            found = [kept for kept in self._listeners if kept is listener]
            if found:
                index = self._listeners.index(found[0])
                self._listeners = self._listeners[:index] + self._listeners[index + 1 :]

        return remove

    def __iter__(self) -> Any:
        return iter(self._listeners)

    def __bool__(self) -> bool:
        return bool(self._listeners)


class Notifier:
    """The thread that tells listeners. It begins with the first event."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Optional[tuple[Listeners, Any]]] = SimpleQueue()
        self._thread: Optional[threading.Thread] = None
        self._left_out = 0

    def tell(self, listeners: Listeners, event: Any) -> None:
        """Tells them in the background, in the order of the events."""
        if not listeners:
            return
        if self._queue.qsize() >= MAX_WAITING:
            self._left_out += 1
            if self._left_out == 1:
                logger.warning("listeners are too slow; events are left out")
            return
        self._queue.put((listeners, event))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="breakerd-listen", daemon=True)
            self._thread.start()

    def stop(self, timeout: float) -> None:
        """Ends the thread once it has told what waits."""
        thread = self._thread
        if thread is not None:
            self._queue.put(None)
            if thread is not threading.current_thread():
                thread.join(timeout)

    def _run(self) -> None:
        while True:
            item = self._queue.get()
            if item is None:
                return
            listeners, event = item
            for listener in listeners:
                try:
                    listener(event)
                except Exception:
                    logger.exception("a listener has failed")
