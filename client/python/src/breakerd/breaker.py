"""A breaker as the application uses it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Optional, TypeVar, Union, overload

from breakerd import _clock
from breakerd._core import Core
from breakerd._deadline import Deadline
from breakerd._hub import Hub
from breakerd._notify import Listeners
from breakerd._options import Fallback, Options
from breakerd._wrap import admit, admit_async, call, call_async, wrap
from breakerd.errors import CallTimeout
from breakerd.guard import Guard
from breakerd.model import State, Status, Transition, Verdict

F = TypeVar("F", bound=Callable[..., Any])
R = TypeVar("R")
ErrorTypes = Union[type[BaseException], tuple[type[BaseException], ...]]


class Breaker:
    """Guards calls of one dependency. Cheap, and safe to use from many threads and tasks.

    As a decorator it guards a function or a coroutine function::

        @client.breaker("payments/stripe")
        def charge(order): ...
    """

    __slots__ = ("_core", "_hub", "_options")

    def __init__(self, hub: Hub, core: Core, options: Options) -> None:
        self._hub = hub
        self._core = core
        self._options = options

    def __repr__(self) -> str:
        return f"<Breaker {self.name}>"

    @property
    def name(self) -> str:
        """The name of the breaker."""
        return self._core.name

    def options(
        self,
        *,
        fallback: Optional[Fallback] = None,
        fallback_on_failure: bool = False,
        expected: ErrorTypes = Exception,
        ignore: ErrorTypes = (),
        classify_error: Optional[Callable[[Exception], Optional[Verdict]]] = None,
        classify_result: Optional[Callable[[Any], Optional[Verdict]]] = None,
        on_level: Optional[Mapping[str, Fallback]] = None,
    ) -> Breaker:
        """The same breaker, whose calls are guarded like this.

        Args:
            fallback: serves a call that was denied: it is called with the
                :class:`~breakerd.BreakerOpenError` and the arguments of the call. For coroutine
                functions it may be one, too.
            fallback_on_failure: ``fallback`` also serves calls that failed, with their error.
            expected: errors that are failures; others count for nothing.
            ignore: errors that count for nothing, even if they are expected.
            classify_error: judges an error first; ``None`` leaves it to the types. It may give a
                failure its kind: ``failure("http.503")``. The kind is the name of the type else.
            classify_result: judges a value; ``None`` is a success.
            on_level: what serves denied calls of a breaker with levels, by the name of the level
                or by what it says to serve, in place of ``fallback``.

        Errors that are no :class:`Exception`, such as KeyboardInterrupt and CancelledError, always
        count for nothing. Hooks that classify and fail are logged, and are as if they were not
        there.

        Raises:
            TypeError: if something is not of its type.
        """
        options = Options(
            fallback=fallback,
            fallback_on_failure=fallback_on_failure,
            expected=expected,  # type: ignore[arg-type]
            ignore=ignore,  # type: ignore[arg-type]
            classify_error=classify_error,
            classify_result=classify_result,
            on_level=dict(on_level or {}),
        )
        return Breaker(self._hub, self._core, options)

    def __call__(self, function: F) -> F:
        """Guards a function or a coroutine function; raises TypeError for a generator."""
        return wrap(self._core, self._options, function)

    @overload
    def call(self) -> Call: ...

    @overload
    def call(self, function: Callable[..., R], *args: Any, **kwargs: Any) -> R: ...

    def call(
        self, function: Optional[Callable[..., R]] = None, *args: Any, **kwargs: Any
    ) -> Union[R, Call]:
        """Calls a function with these arguments, or, without one, guards a block of code::

            with breaker.call():
                ...

        Raises:
            BreakerOpenError: if the call is denied, and there is no fallback.
        """
        if function is None:
            return Call(self._core, self._options)
        result: R = call(self._core, self._options, function, args, kwargs)
        return result

    async def call_async(
        self, function: Callable[..., Awaitable[R]], *args: Any, **kwargs: Any
    ) -> R:
        """Awaits a coroutine function with these arguments, for ``call_timeout`` at most.

        Raises:
            BreakerOpenError: if the call is denied, and there is no fallback.
            CallTimeout: if it takes too long.
        """
        result: R = await call_async(self._core, self._options, function, args, kwargs)
        return result

    def acquire(self) -> Guard:
        """Leave to make one call. On a HALF_OPEN breaker it blocks for a permit, for
        ``permit_timeout`` at most.

        Raises:
            BreakerOpenError: if the call is denied.
        """
        return admit(self._core)

    async def acquire_async(self) -> Guard:
        """As :meth:`acquire`, without blocking the event loop."""
        return await admit_async(self._core)

    def on_transition(self, listener: Callable[[Transition], object]) -> Callable[[], None]:
        """Tells a listener of each change of state, mode or level, on a thread of the client.

        Returns a function that removes the listener. One that fails is logged.
        """
        return self._hub.of_breaker.setdefault(self.name, Listeners()).add(listener)

    def status(self) -> Status:
        """What is known of the breaker just now."""
        held, from_copy = self._core.view[:2]
        there = held.revision > 0
        left = None
        if held.state is State.OPEN and held.retry_at is not None:
            left = max(0.0, held.retry_at - _clock.now())
        return Status(
            breaker=self.name,
            state=held.state if there else State.UNKNOWN,
            mode=held.mode,
            generation=held.generation,
            revision=held.revision,
            level=held.level,
            retry_after=left,
            client=self._hub.state,
            from_copy=from_copy,
        )


class Call:
    """A guarded block of code. Made by :meth:`Breaker.call`, for one use.

    In ``async with`` the block is bounded by ``call_timeout``.
    """

    __slots__ = ("_core", "_deadline", "_guard", "_options")

    def __init__(self, core: Core, options: Options) -> None:
        self._core = core
        self._options = options
        self._guard: Optional[Guard] = None
        self._deadline: Optional[Deadline] = None

    def __enter__(self) -> Guard:
        self._guard = admit(self._core)
        return self._guard

    def __exit__(
        self,
        error_type: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self._end(error)

    async def __aenter__(self) -> Guard:
        self._guard = await admit_async(self._core)
        self._deadline = Deadline(self._guard.timeout_after)
        return self._guard

    async def __aexit__(
        self,
        error_type: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        guard, deadline = self._guard, self._deadline
        if guard is not None and deadline is not None and deadline.stop(error):
            guard.timeout()
            raise CallTimeout(self._core.name, guard.timeout_after) from error
        self._end(error)

    def _end(self, error: Optional[BaseException]) -> None:
        if self._guard is None:
            return
        if error is None:
            self._guard.success()
        else:
            self._guard.judge(self._options.verdict_of_error(error))
