"""Guards functions. What happens on a CLOSED breaker is written out, because each step counts."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from breakerd import _clock
from breakerd._ask import Ask
from breakerd._core import Core
from breakerd._deadline import Deadline
from breakerd._lane import WAKE_EVERY, Lane
from breakerd._options import Options
from breakerd._text import tame_kind
from breakerd.errors import BreakerOpenError, CallTimeout
from breakerd.guard import Guard
from breakerd.model import Denial, Outcome, Verdict

F = TypeVar("F", bound=Callable[..., Any])


def admit(core: Core) -> Guard:
    """Leave to make a call; raises BreakerOpenError. May block for a permit."""
    lane = core.open_lane
    if lane is not None:
        return Guard(core, lane, lane.generation)
    decision = core.decide()
    if isinstance(decision, Ask):
        decision = decision.wait()
    if isinstance(decision, Denial):
        raise BreakerOpenError(decision)
    return decision


async def admit_async(core: Core) -> Guard:
    """Leave to make a call; raises BreakerOpenError."""
    lane = core.open_lane
    if lane is not None:
        return Guard(core, lane, lane.generation)
    decision = core.decide()
    if isinstance(decision, Ask):
        decision = await decision.wait_async()
    if isinstance(decision, Denial):
        raise BreakerOpenError(decision)
    return decision


def is_coroutine_function(function: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine; looks into partials and callable objects."""
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004
    )


def wrap(core: Core, options: Options, function: F) -> F:
    """The function, guarded.

    Raises:
        TypeError: for a generator function, whose calls end before their work begins.
    """
    if not callable(function):
        raise TypeError(f"a breaker guards functions, not {type(function).__name__}")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        name = getattr(function, "__qualname__", repr(function))
        raise TypeError(
            f"{name} is a generator, and a call of one does no work yet: guard the work with "
            "`with breaker.call():` inside it"
        )
    if is_coroutine_function(function):
        return cast(F, _wrap_async(core, options, function))
    return cast(F, _wrap_sync(core, options, function))


def _wrap_sync(core: Core, options: Options, function: Callable[..., Any]) -> Callable[..., Any]:
    judges = options.classify_result is not None
    clock = _clock.now

    @functools.wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        lane = core.open_lane
        if lane is None or judges:
            return call(core, options, function, args, kwargs)
        began = clock()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            verdict = end(core, lane, options, error, began)
            if options.fallback_on_failure and failed(verdict) and options.fallback:
                return options.fallback(error, *args, **kwargs)
            raise
        ended = clock()
        lasted = ended - began
        if lasted <= lane.limit:
            lane.append(lasted)
            lane.ended_at = ended
            if not len(lane.buffer) % WAKE_EVERY:
                core.home.wake()
        else:
            finish(core, lane, Outcome.SUCCESS, "", lasted, ended)
        return result

    return guarded


def _wrap_async(
    core: Core, options: Options, function: Callable[..., Awaitable[Any]]
) -> Callable[..., Awaitable[Any]]:
    judges = options.classify_result is not None
    clock = _clock.now

    @functools.wraps(function)
    async def guarded(*args: Any, **kwargs: Any) -> Any:
        lane = core.open_lane
        if lane is None or judges:
            return await call_async(core, options, function, args, kwargs)
        began = clock()
        deadline = Deadline(lane.call_timeout)
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            raised: BaseException = error
            if deadline.stop(error):
                raised = CallTimeout(core.name, lane.call_timeout)
                ended = clock()
                finish(core, lane, Outcome.TIMEOUT, "", ended - began, ended)
                verdict = Verdict(Outcome.TIMEOUT)
            else:
                verdict = end(core, lane, options, error, began)
            if options.fallback_on_failure and failed(verdict) and options.fallback:
                return await value_of(options.fallback(raised, *args, **kwargs))
            if raised is not error:
                raise raised from error
            raise
        deadline.stop(None)
        ended = clock()
        lasted = ended - began
        if lasted <= lane.limit:
            lane.append(lasted)
            lane.ended_at = ended
            if not len(lane.buffer) % WAKE_EVERY:
                core.home.wake()
        else:
            finish(core, lane, Outcome.SUCCESS, "", lasted, ended)
        return result

    return guarded


def call(
    core: Core,
    options: Options,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Makes a call whose breaker has to be asked."""
    try:
        guard = admit(core)
    except BreakerOpenError as denied:
        instead = options.instead(denied)
        if instead is None:
            raise
        return instead(denied, *args, **kwargs)
    try:
        result = function(*args, **kwargs)
    except BaseException as error:
        verdict = options.verdict_of_error(error)
        guard.judge(verdict)
        if options.fallback_on_failure and failed(verdict) and options.fallback:
            return options.fallback(error, *args, **kwargs)
        raise
    guard.judge(options.verdict_of_result(result))
    return result


async def call_async(
    core: Core,
    options: Options,
    function: Callable[..., Awaitable[Any]],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Makes a call of a coroutine function whose breaker has to be asked."""
    try:
        guard = await admit_async(core)
    except BreakerOpenError as denied:
        instead = options.instead(denied)
        if instead is None:
            raise
        return await value_of(instead(denied, *args, **kwargs))
    deadline = Deadline(guard.timeout_after)
    try:
        result = await function(*args, **kwargs)
    except BaseException as error:
        raised: BaseException = error
        if deadline.stop(error):
            raised = CallTimeout(core.name, guard.timeout_after)
            verdict = Verdict(Outcome.TIMEOUT)
        else:
            verdict = options.verdict_of_error(error)
        guard.judge(verdict)
        if options.fallback_on_failure and failed(verdict) and options.fallback:
            return await value_of(options.fallback(raised, *args, **kwargs))
        if raised is not error:
            raise raised from error
        raise
    deadline.stop(None)
    guard.judge(options.verdict_of_result(result))
    return result


async def value_of(value: Any) -> Any:
    """The value of a fallback, which may be a coroutine function or not."""
    return await value if inspect.isawaitable(value) else value


def failed(verdict: Verdict) -> bool:
    """Whether it counts against the dependency."""
    return verdict.outcome in (Outcome.FAILURE, Outcome.TIMEOUT)


def end(core: Core, lane: Lane, options: Options, error: BaseException, began: float) -> Verdict:
    """A call that needed no guard has raised an error."""
    ended = _clock.now()
    verdict = options.verdict_of_error(error)
    kind = tame_kind(verdict.kind) if verdict.kind else ""
    finish(core, lane, verdict.outcome, kind, ended - began, ended)
    return verdict


def finish(
    core: Core, lane: Lane, outcome: Outcome, kind: str, lasted: float, ended: float
) -> None:
    """A call that needed no guard has ended, and not as a quick success."""
    if lasted > lane.call_timeout and outcome in (Outcome.SUCCESS, Outcome.FAILURE):
        outcome = Outcome.TIMEOUT
    core.record(lane, lane.generation, outcome, kind, lasted, ended, 0)
